package cost

import (
	"errors"
	"fmt"
	"time"
)

// Restore adds to the accounts the amounts that [Budgets.Balances] returned before a restart.
// In between, the balances may be stored, for example as JSON. Restore may be called before
// or after Bind, Charge and the first calls:
//
//   - The amount spent in the present window is added to what the account has spent since. So
//     pass each balance once.
//   - Limits that SetLimit has set are set again, even if the balance's window has ended.
//     Other limits are as the budgets declare them.
//   - Alerts that were given in the window are not given again.
//
// Reservations for calls in flight are not restored. A balance is left out, and named in the
// error, if there is no such budget or if the budget limits another kind of amount. The other
// balances are restored all the same.
//
// If you replay stored records by [Budgets.Charge] instead, restore only the limits: set
// Spent and Excess of the balances to zero Amounts.
func (b *Budgets) Restore(balances ...Balance) error {
	now := time.Now()
	n := notices{restored: true}
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

// restore adds one balance.
func (t *tracker) restore(saved *Balance, now time.Time, n *notices) error {
	if saved.Per != t.declared.Per || saved.Per == "" && saved.Account != "" {
		return fmt.Errorf("it is an account per %q, and the budget's are per %q", saved.Per, t.declared.Per)
	}
	limit, err := t.measure.atoms(saved.Limit)
	spent, err2 := t.measure.atoms(saved.Spent)
	excess, err3 := t.measure.atoms(saved.Excess)
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.roll(now, n); err != nil {
		return err
	}
	if saved.LimitSet {
		t.limit(saved.Account, t.boundsAt(limit), n)
	}
	if saved.Window.Start.Unix() != t.current.start || saved.Window.End.Unix() != t.current.end {
		return nil
	}
	a := t.account(saved.Account, n)
	a.exceed(excess)
	a.refused = a.refused || saved.Refused
	t.spend(a, spent, n)
	return nil
}
