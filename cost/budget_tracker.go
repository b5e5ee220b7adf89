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

// tracker is a budget at work.
type tracker struct {
	declared Budget
	measure  *measure
	where    []condition
	per      property
	warnAt   []int // ascending

	mu         sync.Mutex // guards what follows
	standard   *bounds
	custom     map[string]*bounds // of accounts that SetLimit has changed
	customKeys []string           // the same accounts, in the order in which they were changed first
	current    *accountSet
	previous   *accountSet // in case the clock is put back
	calls      inFlightTable
	pending    inFlight // between ask and take, which are under one lock
}

func newTracker(declared Budget) (*tracker, error) {
	declared.Where = maps.Clone(declared.Where)
	p := &tracker{declared: declared, custom: map[string]*bounds{}, current: newAccountSet(Period{}), previous: newAccountSet(Period{})}
	p.warnAt = slices.Sorted(slices.Values(declared.WarnAt))
	if p.declared.Logger == nil {
		p.declared.Logger = slog.Default()
	}
	if p.declared.Slack == 0 {
		p.declared.Slack = defaultSlack
	}
	if p.declared.MaxAccounts == 0 {
		p.declared.MaxAccounts = defaultMaxAccounts
	}
	var err error
	if p.measure, err = newMeasure(declared.Limit); err == nil {
		p.standard, err = p.bounds(declared.Limit)
	}
	if err := errors.Join(append(p.properties(), err, declared.check())...); err != nil {
		return nil, declared.mistake("%w", err)
	}
	return p, nil
}

// properties reads Where and Per.
func (t *tracker) properties() (errs []error) {
	for d, value := range t.declared.Where {
		of, err := newProperty(d)
		if d == "" {
			err = errors.New("an empty dimension in Where; say cost.Function, cost.Version, cost.Tenant or cost.Label(…)")
		}
		errs = append(errs, err)
		t.where = append(t.where, condition{of, value})
	}
	var err error
	t.per, err = newProperty(t.declared.Per)
	return append(errs, err)
}

func (t *tracker) bounds(l Limit) (*bounds, error) {
	limit, err := t.measure.limit(l)
	if err != nil {
		return nil, err
	}
	return t.boundsAt(limit), nil
}

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

// isAbout tells whether the budget is about the call. It needs no lock.
func (t *tracker) matches(inv *faas.Invocation) bool {
	for i := range t.where {
		if c := &t.where[i]; c.of(inv) != c.value {
			return false
		}
	}
	return true
}

// ask returns why the call may not be admitted, or what take is to take.
func (t *tracker) ask(inv *faas.Invocation, now time.Time, n *notices) *BudgetError {
	if err := t.roll(now, n); err != nil {
		return &BudgetError{Balance: t.balance(t.peek("")), Err: err, wait: forever}
	}
	a := t.account(t.per.of(inv), n)
	t.pending = inFlight{id: inv.ID, account: a}
	if t.calls.find(inv.ID) != nil { // the gate was given to the router and to the function
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

func (t *tracker) reserves() bool {
	return t.declared.Reserve || t.measure.of == ofCalls
}

// fits tells whether what is needed is within the limit; if nothing is known to
// be needed, whether there is something left.
func (t *tracker) fits(a *account, need atoms) bool {
	if need == (atoms{}) {
		return a.spent.cmp(a.bounds.limit) < 0
	}
	taken, _ := a.spent.plus(a.reserved)
	taken, ok := taken.plus(need)
	return ok && taken.cmp(a.bounds.limit) <= 0
}

// wait is the time until there is room for what is needed: 0 if it is but
// reserved. A call that is reserved is one that is spent, or as good as.
func (t *tracker) wait(a *account, need atoms, now time.Time) time.Duration {
	if need.cmp(a.bounds.limit) > 0 || a.bounds.limit == (atoms{}) {
		return forever
	}
	if with, ok := a.spent.plus(need); t.declared.Reserve && t.measure.of != ofCalls && ok && with.cmp(a.bounds.limit) <= 0 {
		return 0
	}
	return a.window.End.Sub(now)
}

// worst is the most that a call can use. Where that is not reserved, it is but to
// be seen whether the call has a price at all.
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

func (t *tracker) unpriced(inv *faas.Invocation) error {
	return fmt.Errorf("%w: book %q has no price for %d MiB of memory over %v, or it needs more than 128 bits",
		ErrUnrated, t.measure.book.about.Name, inv.Memory/mib, inv.Timeout)
}

// take reserves what was asked for.
func (t *tracker) reserve(id [16]byte) {
	if t.calls.find(id) != nil {
		return
	}
	// It fits into the limit, or none is reserved.
	t.pending.account.reserved, _ = t.pending.account.reserved.plus(t.pending.reserved)
	t.calls.add(t.pending)
	t.pending = inFlight{}
}

// done ends a call: with what it used, or nil if it was refused after all. Of one
// that was never admitted, or has been ended, nothing is known here.
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

// spend charges an account. A sum that can't be counted stays at the most there
// is, which no limit allows.
func (t *tracker) spend(a *account, used atoms, n *notices) {
	before := a.spent
	a.spent, _ = a.spent.plus(used)
	t.warn(a, n)
	if d := a.bounds.degrade; t.declared.Degrade != nil && before.cmp(d) < 0 && a.spent.cmp(d) >= 0 {
		n.degrade = true
	}
}

// warn tells of thresholds that are reached; of those that were so before a
// restart it only remembers that they were told.
func (t *tracker) warn(a *account, n *notices) {
	if a.spent == (atoms{}) { // that is no part of a limit, not even of nothing
		return
	}
	for a.warned < len(t.warnAt) && a.spent.cmp(a.bounds.warn[a.warned]) >= 0 {
		if !n.restored {
			n.alerts = append(n.alerts, alert{&t.declared, Alert{Balance: t.balance(a), Percent: t.warnAt[a.warned]}})
		}
		a.warned++
	}
}

// chargeAt charges what was used at another time than now, if that is in the
// present window.
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

// limit gives an account bounds of its own. p.mu is held.
func (t *tracker) limit(key string, b *bounds, n *notices) {
	if t.custom[key] == nil {
		key = strings.Clone(key)
		t.customKeys = append(t.customKeys, key)
	}
	t.custom[key] = b
	a := t.account(key, n)
	a.bounds, a.refused, n.degrade = b, false, true
	for a.warned > 0 && a.spent.cmp(b.warn[a.warned-1]) < 0 {
		a.warned-- // it is to be told again
	}
	t.warn(a, n)
}

// roll goes to the window that now is in. It never skips back further than to
// the one before, and then goes on with what was spent in it. Where the calendar
// has no window for now it is an error, and the window stays.
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

// account finds an account of the present window, or opens it.
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
	a = &account{key: strings.Clone(key), window: t.current.window, bounds: t.boundsOf(key)} // it may be a part of a whole request
	t.current.accounts[a.key] = a
	t.current.list = append(t.current.list, a)
	return a
}

// hasRoom tells whether a new account may be opened. Those that callers can't
// choose always may.
func (t *tracker) hasRoom(key string) bool {
	return len(t.current.accounts) < t.declared.MaxAccounts || key == "" || key == Overflow || t.custom[key] != nil
}

// seat is the account of a key, or what it would be: to look must not cost memory.
func (t *tracker) peek(key string) *account {
	if t.current.accounts[key] == nil && !t.hasRoom(key) {
		key = Overflow
	}
	if a := t.current.accounts[key]; a != nil {
		return a
	}
	return &account{key: key, window: t.current.window, bounds: t.boundsOf(key)}
}

func (t *tracker) boundsOf(key string) *bounds {
	if b := t.custom[key]; b != nil {
		return b
	}
	return t.standard
}

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
