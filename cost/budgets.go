package cost

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Budgets is a [faas.Gate] that admits calls as long as they are within each
// [Budget] that is about them. It refuses others with an [*faas.Error] that has
// [ReasonBudget], Is [ErrBudget] and [faas.ErrDenied], and wraps a
// [*BudgetError]: no handler runs, and nothing is metered. Its Kind and RetryAfter
// say what waiting is good for:
//
//   - The limit is spent: [faas.KindBusy], until the window ends.
//   - What is in the way is only reserved for calls in flight, which may give it
//     back any moment: KindBusy, one second.
//   - The call could never be admitted, since its worst case is more than the whole
//     limit or it can't be priced: [faas.KindDenied], and no RetryAfter.
//
// How calls are charged:
//
//   - A call is charged to the window in which it was admitted, whenever it ends.
//   - It is charged when it ends, whatever its outcome; if it is refused after
//     all, for want of a slot or by another gate, it has used nothing.
//   - Given to faas.WithMeter as well, Budgets also charges what runaways use
//     after their callers were freed, to the window in which the runaway ends.
//     That is not reserved, and may overrun the limit.
//   - What can't be priced is refused: memory that the book does not sell, an
//     amount of more than 128 bits.
//   - A window that has begun is left when its end is reached by the wall clock.
//     If that is put back, the window before goes on with what was spent in it.
//
// It keeps its accounts, and limits that were set, in memory: after a restart
// [Budgets.Restore] takes what [Budgets.Balances] returned, and [Budgets.Charge]
// stored records. An account costs about 150 bytes until the window after its own
// has ended; Budget.MaxAccounts bounds how many there are. All methods may be called concurrently.
// Admit and Done each take one lock for each budget that is about the call, and
// allocate only when an account is opened; both together cost about as much as
// four readings of the clock.
type Budgets struct {
	trackers []*tracker
	degrader *degrader // nil: none of them has Degrade
	router   atomic.Pointer[faas.Router]
}

// NewBudgets makes a gate of budgets, or returns an error that names each
// mistake and its cure. The same Budgets must be given to all that share its
// limits: as an option of a router, of functions, or of several routers.
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

// Bind says whose functions [Degrade] slows down. A gate that has a budget with
// Degrade refuses all calls until it is bound; others need no Bind. What was
// charged or restored before counts at once; a function that is registered later
// is slowed down when it is first called.
func (b *Budgets) Bind(r *faas.Router) {
	b.router.Store(r)
	if b.degrader != nil {
		b.degrader.update(r)
	}
}

// Admit is a part of [faas.Gate]. It does not wait for anything, and so has no
// use for a context.
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

// decide asks all budgets before it takes from any, under the locks of all: so
// what is refused by one is at no moment missing from another. The locks are
// taken in the order of the budgets, always.
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

func (b *Budgets) unlock(inv *faas.Invocation) {
	for _, p := range b.trackers {
		if p.matches(inv) {
			p.mu.Unlock()
		}
	}
}

// Done is a part of [faas.Gate]: what the call has used takes the place of what
// was reserved for it.
func (b *Budgets) Done(inv faas.Invocation, e *faas.Execution) {
	var n notices
	for _, p := range b.trackers {
		if p.matches(&inv) {
			p.done(inv.ID, e, &n)
		}
	}
	b.publish(&n)
}

// Record makes Budgets a [faas.Meter], and does nothing: calls are charged by
// Done. See [Budgets.RecordOverrun].
func (b *Budgets) Record(context.Context, faas.Execution) {}

// RecordOverrun charges what a runaway used after its caller was freed.
func (b *Budgets) RecordOverrun(_ context.Context, o faas.Overrun) {
	b.chargeOverrun(time.Now(), o, &notices{})
}

// Charge charges a stored record, so that a budget goes on after a restart where
// it was. It has an effect if the window in which the call was admitted is the
// present one. Each record is to be given once, and none that [Budgets.Restore] has
// taken into account. Thresholds that are reached so count as told, and so does,
// once the limit is spent, that a call was refused: nothing is told again.
func (b *Budgets) Charge(e faas.Execution) {
	admitted := e.Start.Add(-e.Queued)
	inv := faas.Invocation{Function: e.Function, Version: e.Version, Tenant: e.Tenant, Labels: e.Labels}
	b.charge(&inv, admitted, false, &notices{restored: true}, func(m *measure) atoms { return m.used(&e) })
}

// ChargeOverrun is Charge for the stored overrun of a runaway that ended at a
// given time.
func (b *Budgets) ChargeOverrun(at time.Time, o faas.Overrun) {
	b.chargeOverrun(at, o, &notices{restored: true})
}

func (b *Budgets) chargeOverrun(at time.Time, o faas.Overrun, n *notices) {
	inv := faas.Invocation{Function: o.Function, Version: o.Version, Tenant: o.Tenant, Labels: o.Labels}
	b.charge(&inv, at, true, n, func(m *measure) atoms { return m.overrun(&o) })
}

func (b *Budgets) charge(inv *faas.Invocation, at time.Time, overrun bool, n *notices, amount func(*measure) atoms) {
	now := time.Now()
	for _, p := range b.trackers {
		if p.matches(inv) {
			p.chargeAt(inv, at, now, overrun, amount(p.measure), n)
		}
	}
	b.publish(n)
}

// SetLimit changes the limit of one account of a budget, from now on and in all
// later windows: a larger plan for one tenant. The limit has to be of the
// budget's kind, and money by the same book; what is less than the budget counts
// in (at most a billionth of the currency) is dropped. The account is named by
// its value of Per, and need not have been used; without Per its name is empty.
// See Restore for a limit that survives a restart.
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

// Balance returns an account as it is now, or false if there is no budget of
// that name. An account that has not been used is at nothing; one that found no
// room is that of [Overflow]. It is named as for SetLimit.
func (b *Budgets) Balance(budget, account string) (Balance, bool) {
	p := b.find(budget)
	if p == nil {
		return Balance{}, false
	}
	var n notices
	defer b.publish(&n)
	return p.balanceNow(account, time.Now(), &n), true
}

// Balances returns all accounts that the present windows have, and those whose
// limit was set, in the order of the budgets and of the accounts' names. Each is as
// it was at a moment, while calls go on: they wait for a few hundred accounts to be
// copied, and not for all.
func (b *Budgets) Balances() []Balance {
	var all []Balance
	var n notices
	for _, p := range b.trackers {
		all = append(all, p.balances(time.Now(), &n)...)
	}
	b.publish(&n)
	return all
}

// of returns the balances that matter to a call.
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

// Close gives functions that [Degrade] has slowed down their limits back, and
// slows none down from then on; otherwise the budgets remain as they are. It is
// for those with Degrade, whose timer would last until the window ends.
func (b *Budgets) Close() {
	if b.degrader != nil {
		b.degrader.close(b.router.Load())
	}
}

func (b *Budgets) find(name string) *tracker {
	for _, p := range b.trackers {
		if p.declared.Name == name {
			return p
		}
	}
	return nil
}

// publish does what has to wait until no lock is held.
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

// Track returns a middleware that lets handlers ask [FromContext] what the
// budgets have left for calls like theirs. It allocates once a call.
func (b *Budgets) Track() faas.Middleware {
	return func(next faas.Runner) faas.Runner {
		return func(ctx context.Context, inv faas.Invocation) error {
			return next(context.WithValue(ctx, budgetsKey{}, b), inv)
		}
	}
}

type budgetsKey struct{}
