package cost

import (
	"cmp"
	"fmt"
	"math/big"
	"strings"
)

// Money is an exact amount in a currency. The zero value is an amount of 0 without a
// currency: it may be added to and compared with any Money. Money is a value: no method
// changes it, and it may be copied and used concurrently.
type Money struct { //nolint:recvcheck // what is unmarshaled must be a pointer, and values are copied
	amount   *big.Rat // nil means 0; copies share it, so it is never changed
	currency string
}

// NewMoney returns an amount in a currency. It copies amount; nil means 0. The currency is
// any text without spaces, usually an ISO 4217 code.
func NewMoney(amount *big.Rat, currency string) Money {
	if amount == nil {
		return Money{currency: currency}
	}
	return Money{new(big.Rat).Set(amount), currency}
}

// ParseMoney reads what String writes, for example "0.20 USD", "-3 EUR" or "1/3 USD". For
// other texts it returns [ErrFormat].
func ParseMoney(s string) (Money, error) {
	amount, currency, _ := strings.Cut(s, " ")
	r, ok := parseRational(amount)
	if !ok || currency == "" && r.Sign() != 0 || strings.ContainsAny(currency, " \t\r\n") {
		return Money{}, fmt.Errorf("cost: amount %q: %w: want one such as \"0.20 USD\"", s, ErrFormat)
	}
	return Money{r, currency}, nil
}

// Currency returns the currency's code.
func (m Money) Currency() string { return m.currency }

// Amount returns a copy of the amount.
func (m Money) Amount() *big.Rat { return new(big.Rat).Set(m.rat()) }

// Sign returns -1, 0 or 1: the sign of the amount.
func (m Money) Sign() int { return m.rat().Sign() }

// Add returns m + n, or [ErrCurrency] if the currencies differ.
func (m Money) Add(n Money) (Money, error) {
	currency, err := common(m, n)
	if err != nil {
		return Money{}, err
	}
	return Money{new(big.Rat).Add(m.rat(), n.rat()), currency}, nil
}

// Sub returns m - n, or [ErrCurrency] if the currencies differ.
func (m Money) Sub(n Money) (Money, error) { return m.Add(n.Mul(big.NewRat(-1, 1))) }

// Mul returns m × r.
func (m Money) Mul(r *big.Rat) Money {
	return Money{new(big.Rat).Mul(m.rat(), r), m.currency}
}

// Cmp returns -1, 0 or 1 if m is less than, equal to or more than n. It returns [ErrCurrency]
// if the currencies differ.
func (m Money) Cmp(n Money) (int, error) {
	if _, err := common(m, n); err != nil {
		return 0, err
	}
	return m.rat().Cmp(n.rat()), nil
}

// Round returns m rounded to at most that many decimals, with ties to the even digit.
// Negative decimals count as 0.
func (m Money) Round(decimals int) Money {
	return Money{roundTo(m.rat(), max(decimals, 0)), m.currency}
}

// String returns the amount and the currency, for example "0.0833335 USD". An amount that is
// not a finite decimal is written as a fraction.
func (m Money) String() string {
	if m.currency == "" {
		return decimal(m.rat())
	}
	return decimal(m.rat()) + " " + m.currency
}

// MarshalText writes what String does.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what [ParseMoney] reads.
func (m *Money) UnmarshalText(text []byte) error {
	parsed, err := ParseMoney(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// rat returns the amount, which must not be changed.
func (m Money) rat() *big.Rat {
	if m.amount == nil {
		return new(big.Rat)
	}
	return m.amount
}

// common returns the common currency of two amounts, or [ErrCurrency] if they differ. An
// amount of 0 without a currency goes with any currency.
func common(m, n Money) (string, error) {
	switch {
	case m.currency == n.currency, n.currency == "" && n.Sign() == 0:
		return m.currency, nil
	case m.currency == "" && m.Sign() == 0:
		return n.currency, nil
	}
	return "", fmt.Errorf("cost: %s and %s: %w", m, n, ErrCurrency)
}

// plus adds an amount that must be in the same currency.
func (m Money) plus(n Money) Money {
	return Money{new(big.Rat).Add(m.rat(), n.rat()), cmp.Or(m.currency, n.currency)}
}
