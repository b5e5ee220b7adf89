package cost

import (
	"errors"
	"fmt"
	"time"
)

// Restore adds to the accounts what [Budgets.Balances] returned before a restart.
// Between the two the balances may be stored, for example as JSON. It may be called
// before or after Bind, Charge and the first calls:
//
//   - What was spent in the present window is added to what the account has spent
//     since. So give each balance once.
//   - Limits that SetLimit has set are set again, also those of windows that have
//     ended. Other limits are as the budgets declare them.
//   - Alerts that were told in the window are not told again.
//
// What was reserved for calls in flight is not restored. A balance is left out, and
// named in the error, if there is no such budget or if the budget counts something
// else; the other balances are restored all the same.
//
// If what was spent comes from stored records ([Budgets.Charge]), restore the limits
// alone: set Spent and Excess to zero Amounts.
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
