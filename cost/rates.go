package cost

import (
	"fmt"
	"math/big"
)

// Rates are exchange rates. The user provides them: this package has none, since a rate
// depends on the day and on the bank. Rates is a value, and must not be changed while it is
// in use.
type Rates struct {
	// To is the currency into which amounts are converted.
	To string
	// Of is what one unit of each other currency is worth in To.
	Of map[string]*big.Rat
}

// Convert converts an amount to the currency To, exactly. It returns [ErrCurrency] if there
// is no rate for the amount's currency. The zero Money has no currency and needs no rate: it
// becomes 0 in To.
func (r Rates) Convert(m Money) (Money, error) {
	if m.currency == r.To || m.currency == "" && m.Sign() == 0 {
		return Money{m.amount, r.To}, nil
	}
	rate := r.Of[m.currency]
	if rate == nil || rate.Sign() <= 0 {
		return Money{}, fmt.Errorf("cost: %s in %s: %w: there is no rate for %q", m, r.To, ErrCurrency, m.currency)
	}
	return Money{new(big.Rat).Mul(m.rat(), rate), r.To}, nil
}
