package cost

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Budgets is a [faas.Gate] that admits calls as long as they are within each [Budget] that is
// about them. It refuses all other calls with an [*faas.Error] that has [ReasonBudget], Is
// [ErrBudget] and [faas.ErrDenied], and wraps a [*BudgetError]. The handler of a refused call
// does not run, and nothing is metered. Kind and RetryAfter of the error say whether waiting
// helps:
//
//   - The limit is spent: [faas.KindBusy], and RetryAfter is the time until the window ends.
//   - The rest of the limit is reserved for calls in flight, which may end at any moment:
//     KindBusy, and RetryAfter is one second.
//   - The call can never be admitted, since its worst case is more than the whole limit
//     or it has no price: [faas.KindDenied], and no RetryAfter.
//
// How calls are charged:
//
//   - A call is charged to the window in which it was admitted, whenever it ends.
//   - It is charged when it ends, whatever its outcome. A call that Budgets admits and that
//     is then refused, because there is no slot or by another gate, is charged nothing.
//   - No budget ends a call that runs: it is charged even if the limit is spent meanwhile.
//   - If Budgets is also given to faas.WithMeter, it charges what runaways use after
//     their callers were freed, to the window in which the runaway ends. That is not
//     reserved, and may exceed the limit.
//   - A call that can't be priced is refused: its memory is more than the book sells, or its
//     amount needs more than 128 bits.
//   - A window ends by the wall clock. If the clock is put back into the window before, that
//     window goes on with what was spent in it.
//
// Accounts, and limits that were set, are kept in memory. After a restart [Budgets.Restore]
// takes what [Budgets.Balances] returned, and [Budgets.Charge] takes stored records. An
// account takes about 150 bytes, until the window after its own has ended; Budget.MaxAccounts
// bounds the number of accounts.
//
// All methods may be called concurrently. Admit and Done each take one lock for each
// budget that is about the call, and allocate only when an account is opened. Both
// together cost about as much as four readings of the clock.
type Budgets struct {
	trackers []*tracker
	degrader *degrader // nil if no budget has Degrade
	router   atomic.Pointer[faas.Router]
}

// NewBudgets returns a gate for the budgets, or an error that names each mistake and its
// cure. To share limits among routers and functions, give the same Budgets to all of them.
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

// Bind sets the router whose functions [Degrade] slows down. A gate that has a budget with
// Degrade refuses all calls until Bind is called; other gates need no Bind. If earlier
// charges or a Restore have reached Degrade.At, the function is slowed down at once. A
// function that is registered later is slowed down when it is first called.
func (b *Budgets) Bind(r *faas.Router) {
	b.router.Store(r)
	if b.degrader != nil {
		b.degrader.update(r)
	}
}

// Admit implements [faas.Gate]. It does not wait, so it does not use the context.
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

// decide locks all budgets that are about the call, checks them all, and only then reserves
// in each. So a call that one budget refuses is at no moment reserved in another. Every call
// takes the locks in the order of the budgets, so two calls can't deadlock.
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

// unlock releases the locks that decide has taken.
func (b *Budgets) unlock(inv *faas.Invocation) {
	for _, p := range b.trackers {
		if p.matches(inv) {
			p.mu.Unlock()
		}
	}
}

// Done implements [faas.Gate]. It replaces the reservation for the call by what the call has
// used.
func (b *Budgets) Done(inv faas.Invocation, e *faas.Execution) {
	var n notices
	for _, p := range b.trackers {
		if p.matches(&inv) {
			p.done(inv.ID, e, &n)
		}
	}
	b.publish(&n)
}

// Record does nothing, because Done charges calls. It makes Budgets a [faas.Meter], so that
// RecordOverrun is called.
func (b *Budgets) Record(context.Context, faas.Execution) {}

// RecordOverrun charges the time that a runaway used after its caller was freed.
func (b *Budgets) RecordOverrun(_ context.Context, o faas.Overrun) {
	b.chargeOverrun(time.Now(), o, &notices{})
}

// Charge charges a stored record, so that after a restart a budget goes on where it was. It
// has an effect only if the call was admitted in the present window. Pass each record once,
// and none that [Budgets.Restore] has counted already. Charge makes no alerts: a threshold
// that it reaches counts as reported, and so does the first refusal if the limit is spent.
func (b *Budgets) Charge(e faas.Execution) {
	admitted := e.Start.Add(-e.Queued)
	inv := faas.Invocation{Function: e.Function, Version: e.Version, Tenant: e.Tenant, Labels: e.Labels}
	b.charge(&inv, admitted, false, &notices{restored: true}, func(m *measure) atoms { return m.used(&e) })
}

// ChargeOverrun does what Charge does, for a stored overrun. The parameter at is the time at which
// the runaway ended.
func (b *Budgets) ChargeOverrun(at time.Time, o faas.Overrun) {
	b.chargeOverrun(at, o, &notices{restored: true})
}

// chargeOverrun charges an overrun to the budgets that are about its function.
func (b *Budgets) chargeOverrun(at time.Time, o faas.Overrun, n *notices) {
	inv := faas.Invocation{Function: o.Function, Version: o.Version, Tenant: o.Tenant, Labels: o.Labels}
	b.charge(&inv, at, true, n, func(m *measure) atoms { return m.overrun(&o) })
}

// charge locks one budget at a time. That is enough: it refuses nothing, so the budgets need
// not agree.
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
// windows: for example, a larger plan for one tenant. The limit must be of the budget's kind,
// and money by the same book. A limit of money is rounded down to the smallest fraction that
// the budget counts (at most a billionth of the currency). The parameter account is the account's
// value of Per, and need not have been used; without Per it is empty. The limit is kept in memory;
// Restore sets it again after a restart.
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

// ParseLimit reads a limit for the accounts of a budget, as an operator would type it: an amount in the form that
// [Amount.String] writes, such as "0.25 USD", "1m30s" or "17 calls". Money is priced by the budget's book. For any other text
// ParseLimit returns [ErrFormat]. It does not look at the budget's kind: [Budgets.SetLimit] refuses a limit of another kind.
func (b *Budgets) ParseLimit(budget, text string) (Limit, error) {
	p := b.find(budget)
	if p == nil {
		return Limit{}, (&Budget{Name: budget}).mistake("there is none of that name")
	}
	var a Amount
	if err := a.UnmarshalText([]byte(text)); err != nil {
		return Limit{}, err
	}
	if a.in == nil { // the text is that of the zero Amount
		return Limit{}, p.declared.mistake("the limit %q is no amount: %w", text, ErrFormat)
	}
	return Limit{of: a.in.of, calls: a.Calls(), time: a.Duration(), money: a.Money(), book: p.measure.book}, nil
}

// Balance returns an account as it is now, and false if no budget has that name. An account
// that has not been used has spent nothing. If there was no room for the account, Balance
// returns that of [Overflow]. The account is named as for SetLimit.
func (b *Budgets) Balance(budget, account string) (Balance, bool) {
	p := b.find(budget)
	if p == nil {
		return Balance{}, false
	}
	var n notices
	defer b.publish(&n)
	return p.balanceNow(account, time.Now(), &n), true
}

// Balances returns all accounts of the present windows, and all with a limit of their own, in
// the order of the budgets and then of the accounts' names. Each balance is consistent in
// itself, but they are not all of the same moment, because calls go on meanwhile. A call
// waits at most while a few hundred accounts are copied.
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

// Close gives the functions that [Degrade] has slowed down their limits back, and stops
// slowing functions down. Apart from that the budgets go on working. Only a gate with Degrade
// needs Close: without it, a timer would run until the window ends.
func (b *Budgets) Close() {
	if b.degrader != nil {
		b.degrader.close(b.router.Load())
	}
}

// find returns the tracker of the budget with that name, or nil if there is none. The slice
// never changes after NewBudgets, so it is read without a lock.
func (b *Budgets) find(name string) *tracker {
	for _, p := range b.trackers {
		if p.declared.Name == name {
			return p
		}
	}
	return nil
}

// publish updates limits, logs problems and calls alerts, which must not happen under a
// tracker's lock. No such lock may be held.
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

// Track returns a middleware with which handlers can find out by [FromContext] what the
// budgets have left for calls like theirs. It makes one allocation per call.
func (b *Budgets) Track() faas.Middleware {
	return func(next faas.Runner) faas.Runner {
		return func(ctx context.Context, inv faas.Invocation) error {
			return next(context.WithValue(ctx, budgetsKey{}, b), inv)
		}
	}
}

type budgetsKey struct{}
