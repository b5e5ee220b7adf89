package cost

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Budgets is a [faas.Gate] that admits calls as long as they are within each [Budget]
// that is about them. It refuses others with an [*faas.Error] that has [ReasonBudget],
// Is [ErrBudget] and [faas.ErrDenied], and wraps a [*BudgetError]. Then no handler
// runs, and nothing is metered. Kind and RetryAfter of the error say whether waiting
// helps:
//
//   - The limit is spent: [faas.KindBusy], until the window ends.
//   - Calls in flight hold what is left, and may give it back at any moment: KindBusy,
//     one second.
//   - The call can never be admitted, since its worst case is more than the whole limit
//     or it has no price: [faas.KindDenied], and no RetryAfter.
//
// How calls are charged:
//
//   - A call is charged to the window in which it was admitted, whenever it ends.
//   - It is charged when it ends, whatever its outcome. A call that is admitted here
//     and then refused, for want of a slot or by another gate, has used nothing.
//   - If Budgets is also given to faas.WithMeter, it charges what runaways use after
//     their callers were freed, to the window in which the runaway ends. That is not
//     reserved, and may exceed the limit.
//   - What can't be priced is refused: memory that the book does not sell, or an amount
//     of more than 128 bits.
//   - A window ends by the wall clock. If the clock is put back, the window before goes
//     on with what was spent in it.
//
// Accounts, and limits that were set, are kept in memory. After a restart
// [Budgets.Restore] takes what [Budgets.Balances] returned, and [Budgets.Charge] takes
// stored records. An account costs about 150 bytes until the window after its own has
// ended; Budget.MaxAccounts bounds how many there are.
//
// All methods may be called concurrently. Admit and Done each take one lock for each
// budget that is about the call, and allocate only when an account is opened. Both
// together cost about as much as four readings of the clock.
type Budgets struct {
	trackers []*tracker
	degrader *degrader // nil: none of them has Degrade
	router   atomic.Pointer[faas.Router]
}

// NewBudgets makes a gate of budgets. Its error names each mistake and its cure. Give
// the same Budgets to all routers and functions that share its limits.
func NewBudgets(budgets ...Budget) (*Budgets, error) {
	b := &Budgets{}
	var errs []error
	names := map[string]bool{}
	for _, declared := range budgets {
		p, err := newTracker(declared)
		if err == nil && names[declared.Name] {
			err = declared.mistake("there are two of that name; each needs its own")
		}
		names[declared.Name] = true
		errs = append(errs, err)
		b.trackers = append(b.trackers, p)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	b.degrader = newDegrader(b.trackers)
	return b, nil
}

// Bind names the router that has the functions which [Degrade] slows down. A gate that
// has a budget with Degrade refuses all calls until it is bound; other gates need no
// Bind. What was charged or restored before takes effect at once. A function that is
// registered later is slowed down when it is first called.
func (b *Budgets) Bind(r *faas.Router) {
	b.router.Store(r)
	if b.degrader != nil {
		b.degrader.update(r)
	}
}

// Admit is a part of [faas.Gate]. It never waits, so it does not use the context.
func (b *Budgets) Admit(_ context.Context, inv faas.Invocation) error {
	if b.degrader != nil {
		r := b.router.Load()
		if r == nil {
			return (&BudgetError{Err: errUnbound, wait: forever}).refusal()
		}
		if b.degrader.awaits(inv.Function) {
			b.degrader.update(r)
		}
	}
	now := time.Now()
	var n notices
	no := b.decide(&inv, now, &n)
	b.publish(&n)
	if no != nil {
		return no.refusal()
	}
	return nil
}

// decide asks all budgets before it reserves in any of them, under the locks of all:
// what one budget refuses must at no moment be missing from another. The locks are
// taken in the order of the budgets, by every call, so two calls can't deadlock.
func (b *Budgets) decide(inv *faas.Invocation, now time.Time, n *notices) (no *BudgetError) {
	for _, p := range b.trackers {
		if p.matches(inv) {
			p.mu.Lock()
		}
	}
	defer b.unlock(inv)
	for _, p := range b.trackers {
		if p.matches(inv) {
			no = no.orLonger(p.ask(inv, now, n))
		}
	}
	if no != nil {
		return no
	}
	for _, p := range b.trackers {
		if p.matches(inv) {
			p.reserve(inv.ID)
		}
	}
	return nil
}

// unlock releases what decide has locked.
func (b *Budgets) unlock(inv *faas.Invocation) {
	for _, p := range b.trackers {
		if p.matches(inv) {
			p.mu.Unlock()
		}
	}
}

// Done is a part of [faas.Gate]. It replaces what was reserved for the call by what the
// call has used.
func (b *Budgets) Done(inv faas.Invocation, e *faas.Execution) {
	var n notices
	for _, p := range b.trackers {
		if p.matches(&inv) {
			p.done(inv.ID, e, &n)
		}
	}
	b.publish(&n)
}

// Record makes Budgets a [faas.Meter] and does nothing: Done charges calls. See
// [Budgets.RecordOverrun].
func (b *Budgets) Record(context.Context, faas.Execution) {}

// RecordOverrun charges what a runaway used after its caller was freed.
func (b *Budgets) RecordOverrun(_ context.Context, o faas.Overrun) {
	b.chargeOverrun(time.Now(), o, &notices{})
}

// Charge charges a stored record, so that a budget goes on after a restart where it
// was. It has an effect if the present window is the one in which the call was
// admitted. Give each record once, and none that [Budgets.Restore] has counted already.
// Thresholds that are reached in this way count as told. If the limit is spent, the
// alert about a refused call counts as told too.
func (b *Budgets) Charge(e faas.Execution) {
	admitted := e.Start.Add(-e.Queued)
	inv := faas.Invocation{Function: e.Function, Version: e.Version, Tenant: e.Tenant, Labels: e.Labels}
	b.charge(&inv, admitted, false, &notices{restored: true}, func(m *measure) atoms { return m.used(&e) })
}

// ChargeOverrun is like Charge for the stored overrun of a runaway that ended at the
// time at.
func (b *Budgets) ChargeOverrun(at time.Time, o faas.Overrun) {
	b.chargeOverrun(at, o, &notices{restored: true})
}

// chargeOverrun charges an overrun to the budgets that are about its function.
func (b *Budgets) chargeOverrun(at time.Time, o faas.Overrun, n *notices) {
	inv := faas.Invocation{Function: o.Function, Version: o.Version, Tenant: o.Tenant, Labels: o.Labels}
	b.charge(&inv, at, true, n, func(m *measure) atoms { return m.overrun(&o) })
}

// charge takes the lock of one budget at a time. That is enough: nothing is refused
// here, so the budgets need not agree.
func (b *Budgets) charge(inv *faas.Invocation, at time.Time, overrun bool, n *notices, amount func(*measure) atoms) {
	now := time.Now()
	for _, p := range b.trackers {
		if p.matches(inv) {
			p.chargeAt(inv, at, now, overrun, amount(p.measure), n)
		}
	}
	b.publish(n)
}

// SetLimit changes the limit of one account of a budget, from now on and in all later
// windows: for example, a larger plan for one tenant. The limit must be of the budget's
// kind, and money by the same book. What is less than the smallest amount that the
// budget counts (at most a billionth of the currency) is dropped. The account is named
// by its value of Per, and need not have been used; without Per its name is empty. See
// Restore for a limit that survives a restart.
func (b *Budgets) SetLimit(budget, account string, l Limit) error {
	p := b.find(budget)
	if p == nil {
		return (&Budget{Name: budget}).mistake("there is none of that name")
	}
	if p.declared.Per == "" && account != "" {
		return p.declared.mistake("it has one account, named \"\", and none %q; see Budget.Per", account)
	}
	var n notices
	if err := p.setLimit(account, l, time.Now(), &n); err != nil {
		return err
	}
	b.publish(&n)
	return nil
}

// Balance returns an account as it is now; false: no budget has that name. An account
// that has not been used is at nothing, and one that found no room is that of
// [Overflow]. The account is named as for SetLimit.
func (b *Budgets) Balance(budget, account string) (Balance, bool) {
	p := b.find(budget)
	if p == nil {
		return Balance{}, false
	}
	var n notices
	defer b.publish(&n)
	return p.balanceNow(account, time.Now(), &n), true
}

// Balances returns all accounts of the present windows, and all with a limit of their
// own, in the order of the budgets and then of the accounts' names. Each is as it was
// at one moment. Calls go on meanwhile: one waits at most while a few hundred accounts
// are copied.
func (b *Budgets) Balances() []Balance {
	var all []Balance
	var n notices
	for _, p := range b.trackers {
		all = append(all, p.balances(time.Now(), &n)...)
	}
	b.publish(&n)
	return all
}

// of returns the balances of the accounts that the call is charged to.
func (b *Budgets) of(inv *faas.Invocation) []Balance {
	var all []Balance
	var n notices
	for _, p := range b.trackers {
		if p.matches(inv) {
			all = append(all, p.balanceNow(p.per.of(inv), time.Now(), &n))
		}
	}
	b.publish(&n)
	return all
}

// Close gives back the limits of the functions that [Degrade] has slowed down, and
// slows none down from then on. The budgets work on otherwise. Only a gate with Degrade
// needs it: its timer would last until the window ends.
func (b *Budgets) Close() {
	if b.degrader != nil {
		b.degrader.close(b.router.Load())
	}
}

// find returns the tracker of the budget with that name; nil: there is none. The slice
// never changes after NewBudgets, so it is read without a lock.
func (b *Budgets) find(name string) *tracker {
	for _, p := range b.trackers {
		if p.declared.Name == name {
			return p
		}
	}
	return nil
}

// publish does what had to wait for the locks: it may not be called with one held.
func (b *Budgets) publish(n *notices) {
	if n.degrade && b.degrader != nil {
		b.degrader.update(b.router.Load())
	}
	for _, p := range n.problems {
		p.log()
	}
	for _, a := range n.alerts {
		a.tell()
	}
}

// Track returns a middleware that lets handlers ask [FromContext] what the budgets have
// left for calls like theirs. It allocates once a call.
func (b *Budgets) Track() faas.Middleware {
	return func(next faas.Runner) faas.Runner {
		return func(ctx context.Context, inv faas.Invocation) error {
			return next(context.WithValue(ctx, budgetsKey{}, b), inv)
		}
	}
}

type budgetsKey struct{}
