package faasevents

import (
	"cmp"
	"strconv"
	"strings"
)

// number is a decimal number as it is written, so that all of its digits count:
// identifiers of 64 bits, amounts of money, and what is beyond float64. It
// refers to the text that it was read from, and takes no memory of its own.
type number struct {
	negative bool
	whole    string // significant digits, of which the first is not 0; zero has none
	fraction string // those that follow, up to the last that is not 0
	exponent int64  // the value is 0.<whole><fraction> × 10^exponent
}

// maxExponent stands for all exponents beyond it, which no arithmetic reaches.
const maxExponent = 1 << 60

// toNumber is parseNumber for what a decoder of JSON has read as a number.
func toNumber(s string) number {
	n, _ := parseNumber(s)
	return n
}

// parseNumber reads a number by the grammar of JSON, in time proportional to its
// text, whatever its exponent.
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

// digits cuts off the digits at the beginning.
func digits(s string) (before, after string) {
	rest := strings.TrimLeft(s, "0123456789")
	return s[:len(s)-len(rest)], rest
}

// parseExponent reads e5, E-5, e+05.
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
	e, _ := strconv.ParseInt(s[1:], 10, 64) // out of range, it is the nearest that there is
	return max(min(e, maxExponent), -maxExponent), true
}

// normal moves the point before the first digit that is not 0, and drops zeros
// that say nothing, so that equal numbers have equal digits and exponents.
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
		return number{} // also of -0
	}
	return n
}

func (n number) isZero() bool { return n.whole == "" && n.fraction == "" }

// compare is exact.
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

func (n number) sign() int {
	switch {
	case n.isZero():
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// compareDigits compares what stands behind the point; one that has ended goes on
// with zeros, and is smaller, since the other's last digit is none.
func (n number) compareDigits(m number) int {
	for i := range min(n.len(), m.len()) {
		if c := cmp.Compare(n.digit(i), m.digit(i)); c != 0 {
			return c
		}
	}
	return cmp.Compare(n.len(), m.len())
}

func (n number) len() int { return len(n.whole) + len(n.fraction) }

func (n number) digit(i int) byte {
	if i < len(n.whole) {
		return n.whole[i]
	}
	return n.fraction[i-len(n.whole)]
}
