package cost

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// tracker counts what calls use of one Budget, and decides which calls are admitted. A
// goroutine that admits or ends a call holds mu. No goroutine holds mu while it waits, writes
// a log or calls a hook (see notices). A gate that locks several trackers locks them in the
// order of [NewBudgets], so that two calls can't wait for each other.
type tracker struct {
	declared Budget
	measure  *measure
	where    []condition
	per      property
	warnAt   []int // ascending

	// mu guards the fields below and all accounts, including those to which only a call in
	// flight still points.
	mu       sync.Mutex
	standard *bounds
	// custom are the bounds of accounts that SetLimit has changed. customKeys are their
	// names, in the order of the first change; it is only appended to, so a copy of the
	// slice header may be read without mu.
	custom     map[string]*bounds
	customKeys []string
	// current is the window that contains the present time. previous is the window before it,
	// which is used again if the clock is put back.
	current, previous *accountSet
	calls             inFlightTable
	// pending is the reservation that the method reserve will make. The method ask sets it;
	// mu is held from the call of ask to the end of reserve.
	pending inFlight
}

// newTracker checks a declaration and fills in its defaults.
func newTracker(declared Budget) (*tracker, error) {
	declared.Where = maps.Clone(declared.Where)
	t := &tracker{declared: declared, custom: map[string]*bounds{}, current: newAccountSet(Period{}), previous: newAccountSet(Period{})}
	t.warnAt = slices.Sorted(slices.Values(declared.WarnAt))
	if t.declared.Logger == nil {
		t.declared.Logger = slog.Default()
	}
	if t.declared.Slack == 0 {
		t.declared.Slack = defaultSlack
	}
	if t.declared.MaxAccounts == 0 {
		t.declared.MaxAccounts = defaultMaxAccounts
	}
	var err error
	if t.measure, err = newMeasure(declared.Limit); err == nil {
		t.standard, err = t.bounds(declared.Limit)
	}
	if err := errors.Join(append(t.properties(), err, declared.check())...); err != nil {
		return nil, declared.mistake("%w", err)
	}
	return t, nil
}

// properties reads Where and Per.
func (t *tracker) properties() (errs []error) {
	for d, value := range t.declared.Where {
		of, err := newProperty(d)
		if d == "" {
			err = errors.New("an empty dimension in Where; say cost.Function, cost.Version, cost.Tenant or cost.Label(…)")
		}
		errs = append(errs, err)
		t.where = append(t.where, conditions(of, value)...)
	}
	var err error
	t.per, err = newProperty(t.declared.Per)
	return append(errs, err)
}

// bounds returns the bounds of an account that has the limit l.
func (t *tracker) bounds(l Limit) (*bounds, error) {
	limit, err := t.measure.limit(l)
	if err != nil {
		return nil, err
	}
	return t.boundsAt(limit), nil
}

// boundsAt computes the amounts of the thresholds once for each limit, so that a call only
// compares amounts and computes no percentages.
func (t *tracker) boundsAt(limit atoms) *bounds {
	b := &bounds{limit: limit}
	for _, percent := range t.warnAt {
		b.warn = append(b.warn, limit.percent(percent))
	}
	if d := t.declared.Degrade; d != nil {
		b.degrade = limit.percent(d.percent())
	}
	return b
}

// matches reports whether the budget is about the call. It reads only what newTracker has
// set, so t.mu need not be held.
func (t *tracker) matches(inv *faas.Invocation) bool {
	for i := range t.where {
		if c := &t.where[i]; c.of(inv) != c.value {
			return false
		}
	}
	return true
}

// ask decides whether the call may be admitted. If it may, ask returns nil, and t.pending is
// the reservation that reserve will make. t.mu must be held from ask to reserve.
func (t *tracker) ask(inv *faas.Invocation, now time.Time, n *notices) *BudgetError {
	if err := t.roll(now, n); err != nil {
		return &BudgetError{Balance: t.balance(t.peek("")), Err: err, wait: forever}
	}
	a := t.account(t.per.of(inv), n)
	t.pending = inFlight{id: inv.ID, account: a}
	if t.calls.find(inv.ID) != nil { // already admitted: the gate was given to both the router and the function
		return nil
	}
	need, ok := t.worstCase(inv)
	switch {
	case !ok:
		return &BudgetError{Balance: t.balance(a), Err: t.unpriced(inv), wait: forever}
	case t.reserves():
		t.pending.reserved = need
	default:
		need = atoms{}
	}
	if t.declared.Soft || t.fits(a, need) {
		return nil
	}
	no := &BudgetError{Balance: t.balance(a), Needed: Amount{t.measure, need}, wait: t.wait(a, need, now)}
	if no.spent() && !a.refused {
		a.refused = true
		n.alerts = append(n.alerts, alert{&t.declared, Alert{Balance: no.Balance, Refused: true}})
	}
	return no
}

// reserves reports whether a call's worst case is set aside while it runs.
func (t *tracker) reserves() bool {
	return t.declared.Reserve || t.measure.of == ofCalls
}

// fits reports whether the limit has room for need. If need is zero, because the budget does
// not reserve, fits reports whether anything is left.
func (t *tracker) fits(a *account, need atoms) bool {
	if need == (atoms{}) {
		return a.spent.cmp(a.bounds.limit) < 0
	}
	taken, _ := a.spent.plus(a.reserved)
	taken, ok := taken.plus(need)
	return ok && taken.cmp(a.bounds.limit) <= 0
}

// wait returns how long to wait for room. It is 0 if the room is reserved for calls in
// flight, since any of them may end at once. A limit in Calls differs: every reserved call
// will also be spent, so only the next window has room.
func (t *tracker) wait(a *account, need atoms, now time.Time) time.Duration {
	if need.cmp(a.bounds.limit) > 0 || a.bounds.limit == (atoms{}) {
		return forever
	}
	if with, ok := a.spent.plus(need); t.declared.Reserve && t.measure.of != ofCalls && ok && with.cmp(a.bounds.limit) <= 0 {
		return 0
	}
	return a.window.End.Sub(now)
}

// worstCase returns the most that a call can use. Without Reserve it returns the price of a
// call of no duration, which only shows whether the book has a price for the call. It returns
// false if there is no price.
func (t *tracker) worstCase(inv *faas.Invocation) (atoms, bool) {
	if !t.declared.Reserve {
		return t.measure.call(inv.Memory, 0, 0)
	}
	d := max(inv.Timeout, 0)
	if slack := max(t.declared.Slack, 0); d < math.MaxInt64-slack {
		d += slack
	}
	return t.measure.call(inv.Memory, d, 0)
}

// unpriced is the error for a call that the book has no price for.
func (t *tracker) unpriced(inv *faas.Invocation) error {
	return fmt.Errorf("%w: book %q has no price for %d MiB of memory over %v, or it needs more than 128 bits",
		ErrUnrated, t.measure.book.about.Name, inv.Memory/mib, inv.Timeout)
}

// reserve makes the reservation that ask has put into t.pending. t.mu must have been held
// since ask: if another call reserved in between, both could take the last room.
func (t *tracker) reserve(id [16]byte) {
	if t.calls.find(id) != nil {
		return
	}
	// The sum can't overflow: ask has checked that it is within the limit, or has nothing to
	// reserve.
	t.pending.account.reserved, _ = t.pending.account.reserved.plus(t.pending.reserved)
	t.calls.add(t.pending)
	t.pending = inFlight{}
}

// done ends a call and charges its use. e is nil if the call was refused after Budgets had
// admitted it, for example by another gate. An id that is not in flight is ignored: either
// Budgets never admitted the call, or the gate was given twice and the first done has ended
// it.
func (t *tracker) done(id [16]byte, e *faas.Execution, n *notices) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.calls.find(id)
	if f == nil {
		return
	}
	a, reserved := f.account, f.reserved
	t.calls.remove(f)
	a.reserved = a.reserved.minus(reserved)
	if e == nil {
		return
	}
	used := t.measure.used(e)
	if t.reserves() {
		a.exceed(used.minus(reserved))
	}
	t.spend(a, used, n)
}

// spend charges an account. A sum of more than 128 bits becomes the largest amount, which
// exceeds every limit. t.mu must be held.
func (t *tracker) spend(a *account, used atoms, n *notices) {
	before := a.spent
	a.spent, _ = a.spent.plus(used)
	t.warn(a, n)
	if d := a.bounds.degrade; t.declared.Degrade != nil && before.cmp(d) < 0 && a.spent.cmp(d) >= 0 {
		n.degrade = true
	}
}

// warn collects an alert for each threshold that the account has reached. If n.restored is
// set, the usage is from before a restart and its alerts have been given, so warn only marks
// the thresholds as reported. t.mu must be held.
func (t *tracker) warn(a *account, n *notices) {
	if a.spent == (atoms{}) { // spending nothing reaches no threshold, even if the limit is zero
		return
	}
	for a.warned < len(t.warnAt) && a.spent.cmp(a.bounds.warn[a.warned]) >= 0 {
		if !n.restored {
			n.alerts = append(n.alerts, alert{&t.declared, Alert{Balance: t.balance(a), Percent: t.warnAt[a.warned]}})
		}
		a.warned++
	}
}

// chargeAt charges an amount that may have been used earlier. The parameter at is the time of the
// use: if the present window does not contain it, chargeAt charges nothing.
func (t *tracker) chargeAt(inv *faas.Invocation, at, now time.Time, overrun bool, used atoms, n *notices) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.roll(now, n) != nil || !t.current.contains(at) || used == (atoms{}) {
		return
	}
	a := t.account(t.per.of(inv), n)
	if overrun && t.reserves() {
		a.exceed(used)
	}
	t.spend(a, used, n)
	if n.restored && a.spent.cmp(a.bounds.limit) >= 0 {
		a.refused = true
	}
}

// setLimit checks a limit and gives it to an account.
func (t *tracker) setLimit(key string, l Limit, now time.Time, n *notices) error {
	b, err := t.bounds(l)
	if err != nil {
		return t.declared.mistake("%w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.roll(now, n); err != nil {
		return err
	}
	t.limit(key, b, n)
	return nil
}

// limit gives an account bounds of its own, in this window and in all later ones. t.mu
// must be held.
func (t *tracker) limit(key string, b *bounds, n *notices) {
	if t.custom[key] == nil {
		key = strings.Clone(key)
		t.customKeys = append(t.customKeys, key)
	}
	t.custom[key] = b
	a := t.account(key, n)
	a.bounds, a.refused, n.degrade = b, false, true
	for a.warned > 0 && a.spent.cmp(b.warn[a.warned-1]) < 0 {
		a.warned-- // so that the threshold is reported again
	}
	t.warn(a, n)
}

// roll makes the window that contains now the current one. It keeps the window before: if the
// clock is put back, calls are charged to that window again, in addition to what was spent in
// it. If the calendar has no window for now, it returns an error and the current window
// stays. t.mu must be held.
func (t *tracker) roll(now time.Time, n *notices) error {
	if t.current.contains(now) {
		return nil
	}
	next := t.previous
	if !next.contains(now) {
		period, err := t.declared.Calendar.window(now)
		if err != nil {
			n.problems = append(n.problems, problem{&t.declared, "cost: budget has no window for this moment", err})
			return err
		}
		next = newAccountSet(period)
	}
	t.previous, t.current = t.current, next
	n.degrade = true
	return nil
}

// account returns an account of the current window, and opens it if it is new. t.mu must be
// held.
func (t *tracker) account(key string, n *notices) *account {
	a := t.current.accounts[key]
	if a != nil {
		return a
	}
	if !t.hasRoom(key) {
		if !t.current.full {
			t.current.full = true
			n.problems = append(n.problems, problem{budget: &t.declared, text: "cost: budget has no room for more accounts; the rest share one"})
		}
		return t.account(Overflow, n)
	}
	a = &account{key: strings.Clone(key), window: t.current.window, bounds: t.boundsOf(key)} // the key may be a slice of a whole request, which it would keep in memory
	t.current.accounts[a.key] = a
	t.current.list = append(t.current.list, a)
	return a
}

// hasRoom reports whether an account may be opened. Accounts whose names callers can't choose
// always may: that of the empty value, Overflow, and those that SetLimit has named.
func (t *tracker) hasRoom(key string) bool {
	return len(t.current.accounts) < t.declared.MaxAccounts || key == "" || key == Overflow || t.custom[key] != nil
}

// peek returns the account of a key. If there is none, it returns a new account without
// storing it, because reading balances must not fill the memory. t.mu must be held.
func (t *tracker) peek(key string) *account {
	if t.current.accounts[key] == nil && !t.hasRoom(key) {
		key = Overflow
	}
	if a := t.current.accounts[key]; a != nil {
		return a
	}
	return &account{key: key, window: t.current.window, bounds: t.boundsOf(key)}
}

// boundsOf returns the bounds that an account of that key has.
func (t *tracker) boundsOf(key string) *bounds {
	if b := t.custom[key]; b != nil {
		return b
	}
	return t.standard
}

// balance describes an account. t.mu must be held, or a must be a copy.
func (t *tracker) balance(a *account) Balance {
	amount := func(n atoms) Amount { return Amount{t.measure, n} }
	taken, _ := a.spent.plus(a.reserved)
	return Balance{
		Budget: t.declared.Name, Per: t.declared.Per, Account: a.key, Window: a.window.Period,
		Limit: amount(a.bounds.limit), Spent: amount(a.spent), Reserved: amount(a.reserved), Excess: amount(a.excess),
		Left:     amount(a.bounds.limit.minus(taken)),
		LimitSet: a.bounds != t.standard, Refused: a.refused,
	}
}
