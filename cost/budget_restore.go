package cost

import (
	"errors"
	"fmt"
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
