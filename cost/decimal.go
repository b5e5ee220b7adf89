package cost

import (
	"math/big"
	"strings"
)

// decimal writes a number without an exponent and without rounding: as a decimal if it
// has a finite one, otherwise as a fraction.
func decimal(r *big.Rat) string {
	places, exact := r.FloatPrec()
	if !exact {
		return r.RatString()
	}
	return r.FloatString(places)
}

// decimals is how many decimals the tables for people have.
const decimals = 6

// fixed writes a number with six decimals, rounded half to even.
func fixed(r *big.Rat) string { return fixedTo(r, decimals) }

func fixedTo(r *big.Rat, places int) string { return roundTo(r, places).FloatString(places) }

// roundTo rounds to that many decimals, ties to the even digit.
func roundTo(r *big.Rat, places int) *big.Rat {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(scale))
	return new(big.Rat).SetFrac(roundHalfEven(scaled), scale)
}

// finite reports whether a number has a finite decimal.
func finite(r *big.Rat) bool {
	_, exact := r.FloatPrec()
	return exact
}

// maxDigits bounds the length of a number that is read. No price or amount comes near it.
const maxDigits = 1000

// parseRational reads "-12", "0.5" and "1/3". It accepts no other form that big.Rat reads,
// such as an exponent: a short text could then make a number that fills the memory.
func parseRational(s string) (*big.Rat, bool) {
	digits := strings.TrimPrefix(s, "-")
	whole, part := digits, "0"
	if i := strings.IndexAny(digits, "./"); i >= 0 {
		whole, part = digits[:i], digits[i+1:]
	}
	if len(s) > maxDigits || !isDigits(whole) || !isDigits(part) {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// isDigits reports whether the text has at least one digit and nothing else.
func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// roundHalfEven returns the nearest integer. Of two that are equally near it returns the even
// one.
func roundHalfEven(r *big.Rat) *big.Int {
	double := new(big.Int).Lsh(r.Denom(), 1)
	up := new(big.Int).Lsh(r.Num(), 1)
	up.Add(up, r.Denom()) // r + ½ = up/double
	rounded, rest := up.DivMod(up, double, new(big.Int))
	if rest.Sign() == 0 && rounded.Bit(0) == 1 { // a tie that was rounded up to the odd one
		rounded.Sub(rounded, big.NewInt(1))
	}
	return rounded
}
