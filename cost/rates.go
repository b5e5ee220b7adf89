package cost

import (
	"fmt"
	"math/big"
)

// Rates are exchange rates. They are the user's to give: this package knows none,
// and what one is worth depends on the day and on the bank. It is a value, which is
// not to be changed while it is in use.
type Rates struct {
	To string              // the currency that amounts are turned into
	Of map[string]*big.Rat // what one unit of each other currency is worth in it
}

// Convert turns an amount into the currency To, exactly; or [ErrCurrency] if there
// is no rate for it. Nothing in no currency is nothing.
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
