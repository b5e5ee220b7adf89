package cost

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Restore gives accounts back what [Budgets.Balances] returned before a restart;
// between the two they may have been stored, as JSON for example. It may be called
// before or after Bind, Charge and the first calls:
//
//   - What was spent in the window that is the present one is added to what the
//     account has spent since. Each balance is so to be given once.
//   - Limits that SetLimit has set are set again, also those of windows that have
//     ended. Other limits are as the budgets have them now.
//   - Alerts that were told in the window are not told again.
//
// What was reserved for calls in flight is not restored. A balance of a budget that
// there isn't, or that counts something else now, is left out and named in the
// error; the others are restored all the same.
//
// To take limits alone, because what was spent comes from stored records
// ([Budgets.Charge]), set Spent and Excess to zero Amounts.
func (b *Budgets) Restore(balances ...Balance) error {
	now := time.Now()
	n := news{restored: true}
	var errs []error
	for i := range balances {
		saved := &balances[i]
		p := b.find(saved.Budget)
		if p == nil {
			errs = append(errs, (&Budget{Name: saved.Budget}).mistake("account %q is not restored: there is no budget of that name", saved.Account))
			continue
		}
		if err := p.restore(saved, now, &n); err != nil {
			errs = append(errs, p.declared.mistake("account %q is not restored: %w", saved.Account, err))
		}
	}
	b.publish(&n)
	return errors.Join(errs...)
}

func (p *pot) restore(saved *Balance, now time.Time, n *news) error {
	if saved.Per != p.declared.Per || saved.Per == "" && saved.Account != "" {
		return fmt.Errorf("it is an account per %q, and the budget's are per %q", saved.Per, p.declared.Per)
	}
	limit, err := p.measure.atoms(saved.Limit)
	spent, err2 := p.measure.atoms(saved.Spent)
	excess, err3 := p.measure.atoms(saved.Excess)
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.roll(now, n); err != nil {
		return err
	}
	if saved.LimitSet {
		p.limit(saved.Account, p.boundsAt(limit), n)
	}
	if saved.Window.Start.Unix() != p.current.start || saved.Window.End.Unix() != p.current.end {
		return nil
	}
	a := p.account(saved.Account, n)
	a.exceed(excess)
	a.refused = a.refused || saved.Refused
	p.spend(a, spent, n)
	return nil
}

// atoms is an amount of the same kind, which may be of other budgets than these:
// rounded up to what is counted in here.
func (m *measure) atoms(a Amount) (atoms, error) {
	if a.in == nil {
		return atoms{}, nil
	}
	if a.in.of != m.of {
		return atoms{}, fmt.Errorf("%s is not of the kind that the budget limits", a)
	}
	if m.of != ofMoney {
		return a.n, nil
	}
	money := a.Money()
	if money.currency != m.book.about.Currency {
		return atoms{}, fmt.Errorf("%s, and the prices of book %q are in %s: %w", a, m.book.about.Name, m.book.about.Currency, ErrCurrency)
	}
	up := new(big.Int).Mul(money.rat().Num(), m.scale)
	up.Add(up, new(big.Int).Sub(money.rat().Denom(), big.NewInt(1)))
	n, ok := atomsOf(up.Quo(up, money.rat().Denom()))
	if !ok {
		return atoms{}, fmt.Errorf("%s needs more than 128 bits to be counted in the fractions that book %q has", a, m.book.about.Name)
	}
	return n, nil
}

// UnmarshalText reads what MarshalText writes. Other texts are [ErrFormat].
func (a *Amount) UnmarshalText(text []byte) error {
	parsed, ok := parseAmount(string(text))
	if !ok {
		return fmt.Errorf("cost: amount %q: %w: want one such as \"0.20 USD\", \"1m30s\" or \"17 calls\"", text, ErrFormat)
	}
	*a = parsed
	return nil
}

func parseAmount(s string) (Amount, bool) {
	if s == noAmount {
		return Amount{}, true
	}
	if number, ok := strings.CutSuffix(s, callsSuffix); ok {
		n, err := strconv.ParseUint(number, 10, 64)
		return Amount{&measure{of: ofCalls}, atoms{lo: n}}, err == nil
	}
	if strings.Contains(s, " ") {
		money, err := ParseMoney(s)
		if err != nil {
			return Amount{}, false
		}
		n, ok := atomsOf(money.rat().Num())
		in := &measure{of: ofMoney, scale: money.rat().Denom(), book: &Book{about: About{Currency: money.currency}}}
		return Amount{in, n}, ok
	}
	d, err := time.ParseDuration(s)
	return Amount{&measure{of: ofTime}, atoms{lo: nonNegative(d)}}, err == nil && d >= 0
}
