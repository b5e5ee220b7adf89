package main

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/inproc/faas/admin"
)

// Numbers and times are written as in the console of observe/faasconsole.

// count writes a number with commas and all its digits.
func count[N admin.Count | admin.Int | int](n N) string {
	text := fmt.Sprint(n)
	digits := strings.TrimPrefix(text, "-")
	sign := text[:len(text)-len(digits)]
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// digits writes a number with three significant digits, with commas and without an exponent.
func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0"
	case a >= 999.5:
		return count(admin.Int(math.Round(v)))
	case a >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a < 0.001:
		return "<0.001"
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// percent writes a part of a whole in percent, with the percent sign.
func percent(part, whole admin.Count) string {
	if whole == 0 {
		return "–"
	}
	return digits(100*float64(part)/float64(whole)) + "%"
}

// duration writes a duration in nanoseconds: 72.4 ms, 3 h 10 m.
func duration(ns float64) string {
	switch {
	case ns == 0:
		return "0"
	case ns < 999.5:
		return digits(ns) + " ns"
	case ns < 999.5e3:
		return digits(ns/1e3) + " µs"
	case ns < 999.5e6:
		return digits(ns/1e6) + " ms"
	case ns < 100e9:
		return digits(ns/1e9) + " s"
	}
	return long(ns / 1e9)
}

// long writes a number of seconds with two units: 1 m 26 s, 3 h 10 m, 2 d 4 h.
func long(seconds float64) string {
	t := int64(math.Max(0, math.Round(seconds)))
	switch {
	case t < 60:
		return fmt.Sprintf("%d s", t)
	case t < 3600:
		return fmt.Sprintf("%d m %02d s", t/60, t%60)
	case t < 86400:
		return fmt.Sprintf("%d h %d m", t/3600, t%3600/60)
	}
	return fmt.Sprintf("%d d %d h", t/86400, t%86400/3600)
}

// moment writes a time in UTC: within the last day as 14:02:11, and otherwise with its date.
func moment(t, now time.Time) string {
	switch age := now.Sub(t); {
	case t.IsZero():
		return "–"
	case age < 24*time.Hour && age > -time.Hour:
		return t.UTC().Format(time.TimeOnly)
	case age < 300*24*time.Hour && age > -300*24*time.Hour:
		return t.UTC().Format("01-02 15:04")
	}
	return t.UTC().Format(time.DateOnly)
}

// stamp writes a time for programs; "" if it is zero.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// size writes a number of bytes: 1.50 GiB.
func size(n admin.Int) string {
	v := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if math.Abs(v) < 1000 {
			if unit == "B" {
				return fmt.Sprintf("%.0f B", v)
			}
			return digits(v) + " " + unit
		}
		v /= 1024
	}
	return digits(v) + " TiB"
}

// money writes a decimal amount with two decimals, or with more if it is less than a cent.
func money(text string) string {
	v, err := strconv.ParseFloat(text, 64)
	a := math.Abs(v)
	switch {
	case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0.00"
	case a >= 999.995:
		whole, cents, _ := strings.Cut(strconv.FormatFloat(v, 'f', 2, 64), ".")
		n, err := strconv.ParseInt(whole, 10, 64)
		if err != nil { // larger than an integer holds
			return whole + "." + cents
		}
		return count(admin.Int(n)) + "." + cents
	case a >= 0.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case a < 0.0001:
		return "<0.0001"
	}
	// Two significant digits, and no exponent.
	places := 1 - int(math.Floor(math.Log10(a)))
	return strconv.FormatFloat(v, 'f', places, 64)
}

// plural writes a number with its noun: 1 job, 2 jobs.
func plural(n admin.Count, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// or returns a text, or a dash if it is empty.
func or(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// printable escapes the control characters of a text. Otherwise an input or an error of a host
// could move the cursor, set colors, or break a table.
func printable(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if !strings.ContainsFunc(text, unprintable) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unprintable(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// lines returns printable text of several lines, such as a stack.
func lines(text string) string {
	parts := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, p := range parts {
		parts[i] = printable(strings.ReplaceAll(p, "\t", "    "))
	}
	return strings.Join(parts, "\n")
}

// labels writes labels as name=value, sorted by name.
func labels(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for _, k := range sortedKeys(m) {
		pairs = append(pairs, k+"="+m[k])
	}
	return strings.Join(pairs, " ")
}

// number parses a string of digits, or returns 0.
func number(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return v
}

// compareDecimals compares two decimal amounts. A text that is not a number counts as 0.
func compareDecimals(a, b string) int { return cmp.Compare(number(a), number(b)) }
