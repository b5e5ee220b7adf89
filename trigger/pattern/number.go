package pattern

import (
	"cmp"
	"strconv"
	"strings"
)

// number is a decimal number with all digits of its text. float64 would round some of them:
// identifiers of 64 bits, amounts of money, 1e400. The strings are slices of the parsed text,
// so that parsing allocates nothing.
type number struct {
	negative bool
	whole    string // the digits before the point, without leading zeros
	fraction string // the digits after the point, without trailing zeros
	exponent int64  // the value is 0.<whole><fraction> × 10^exponent
}

// maxExponent replaces all larger exponents. It is so small that adding the length of a text
// does not overflow.
const maxExponent = 1 << 60

// toNumber is parseNumber for a text that a JSON decoder has accepted as a number. It can't
// fail.
func toNumber(s string) number {
	n, _ := parseNumber(s)
	return n
}

// parseNumber parses a number by the grammar of JSON. Its time is proportional to the length of
// the text for every exponent, because it does not write out the digits of, for example,
// 1e999999999.
func parseNumber(s string) (n number, ok bool) {
	s, n.negative = strings.CutPrefix(s, "-")
	n.whole, s = digits(s)
	if n.whole == "" || len(n.whole) > 1 && n.whole[0] == '0' {
		return number{}, false
	}
	if after, point := strings.CutPrefix(s, "."); point {
		if n.fraction, s = digits(after); n.fraction == "" {
			return number{}, false
		}
	}
	if s != "" {
		if n.exponent, ok = parseExponent(s); !ok {
			return number{}, false
		}
	}
	return n.normal(), true
}

// digits splits s after the digits at its start.
func digits(s string) (before, after string) {
	rest := strings.TrimLeft(s, "0123456789")
	return s[:len(s)-len(rest)], rest
}

// parseExponent parses an exponent such as e5, E-5 or e+05.
func parseExponent(s string) (int64, bool) {
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	text := s[1:]
	if text != "" && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	if ds, rest := digits(text); ds == "" || rest != "" {
		return 0, false
	}
	e, _ := strconv.ParseInt(s[1:], 10, 64) // for a value beyond int64, e is the nearest int64
	return max(min(e, maxExponent), -maxExponent), true
}

// normal moves the point in front of the first digit that is not 0, and removes leading and
// trailing zeros. Equal numbers then have equal digits and exponents. For example, 120 and
// 1.2e2 both become 0.12 × 10^3.
func (n number) normal() number {
	n.whole = strings.TrimLeft(n.whole, "0")
	n.exponent += int64(len(n.whole))
	n.fraction = strings.TrimRight(n.fraction, "0")
	if n.whole == "" {
		significant := strings.TrimLeft(n.fraction, "0")
		n.exponent -= int64(len(n.fraction) - len(significant))
		n.fraction = significant
	}
	if n.fraction == "" {
		n.whole = strings.TrimRight(n.whole, "0")
	}
	if n.whole == "" && n.fraction == "" {
		return number{} // the same for 0 and -0
	}
	return n
}

func (n number) isZero() bool { return n.whole == "" && n.fraction == "" }

// compare returns -1, 0 or 1 if n is less than, equal to or greater than m. It is exact. It
// compares first the sign, then the exponent, then the digits.
func (n number) compare(m number) int {
	if c := cmp.Compare(n.sign(), m.sign()); c != 0 || n.isZero() {
		return c
	}
	c := cmp.Compare(n.exponent, m.exponent)
	if c == 0 {
		c = n.compareDigits(m)
	}
	return c * n.sign()
}

// sign returns -1, 0 or 1.
func (n number) sign() int {
	switch {
	case n.isZero():
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// compareDigits compares the digits after the point. If the digits of one number are the
// beginning of the other's, it is the smaller one, because the last digit of a normal number is
// not 0.
func (n number) compareDigits(m number) int {
	for i := range min(n.len(), m.len()) {
		if c := cmp.Compare(n.digit(i), m.digit(i)); c != 0 {
			return c
		}
	}
	return cmp.Compare(n.len(), m.len())
}

func (n number) len() int { return len(n.whole) + len(n.fraction) }

// digit returns the digit at i of whole and fraction together.
func (n number) digit(i int) byte {
	if i < len(n.whole) {
		return n.whole[i]
	}
	return n.fraction[i-len(n.whole)]
}
