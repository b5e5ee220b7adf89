package cost

import (
	"encoding/binary"
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

// pot is a budget at work.
type pot struct {
	declared Budget
	measure  *measure
	where    []condition
	per      property
	warnAt   []int // ascending

	mu       sync.Mutex // guards what follows
	standard *bounds
	own      map[string]*bounds // of accounts that SetLimit has changed
	ownKeys  []string           // the same accounts, in the order in which they were changed first
	current  *sheet
	previous *sheet // in case the clock is put back
	flights  flights
	asked    flight // between ask and take, which are under one lock
}

// bounds are a limit, and the parts of it at which something happens.
type bounds struct {
	limit   atoms
	warn    []atoms // ascending, as pot.warnAt
	degrade atoms
}

// window is a period. A call in flight holds on to that of its account, and so to
// no others' accounts.
type window struct {
	Period
	start, end int64 // in seconds since 1970: periods begin at whole ones
}

// sheet is the accounts of a window.
type sheet struct {
	*window
	accounts map[string]*account
	list     []*account // the same, in the order in which they were opened
	full     bool       // one was wanted for which there was no room, which was told
}

func newSheet(p Period) *sheet {
	return &sheet{
		window:   &window{Period: p, start: p.Start.Unix(), end: p.End.Unix()},
		accounts: map[string]*account{},
	}
}

func (w *window) has(t time.Time) bool { return w.start <= t.Unix() && t.Unix() < w.end }

// account is what one value of Per has used in a window. Calls that were
// admitted in it are charged to it to the last, even if the window has ended.
type account struct {
	key      string
	window   *window
	bounds   *bounds
	spent    atoms
	reserved atoms
	excess   atoms // of spent
	warned   int   // how many of the bounds' warnings have been given
	refused  bool  // the first refusal was told
}

// news is what has come of something done under a lock, and has to wait until
// that is released.
type news struct {
	alerts   []alert
	mishaps  []mishap
	degrade  bool // limits of functions may have to change
	restored bool // it is about what was used before: alerts have been told
}

// mishap is what the operator is to read in the log.
type mishap struct {
	pot  *pot
	text string
	err  error // or nil
}

type alert struct {
	pot *pot
	Alert
}

func newPot(declared Budget) (*pot, error) {
	declared.Where = maps.Clone(declared.Where)
	p := &pot{declared: declared, own: map[string]*bounds{}, current: newSheet(Period{}), previous: newSheet(Period{})}
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
func (p *pot) properties() (errs []error) {
	for d, value := range p.declared.Where {
		of, err := newProperty(d)
		if d == "" {
			err = errors.New("an empty dimension in Where; say cost.Function, cost.Version, cost.Tenant or cost.Label(…)")
		}
		errs = append(errs, err)
		p.where = append(p.where, condition{of, value})
	}
	var err error
	p.per, err = newProperty(p.declared.Per)
	return append(errs, err)
}

// check finds what is wrong with a declaration beside its limit and dimensions.
func (d *Budget) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(d.Name == "", "it has no name; errors and logs need one")
	bad(d.Calendar.Every > Hour, "Calendar.Every is %d; say cost.Month, Week, Day or Hour", d.Calendar.Every)
	bad(d.MaxAccounts < 0, "MaxAccounts is %d; say how many there may be, or leave it out for %d", d.MaxAccounts, defaultMaxAccounts)
	bad(d.Soft && d.Reserve, "Soft and Reserve exclude each other: a limit that refuses nothing has nothing to reserve")
	bad(d.Soft && d.Degrade == nil && len(d.WarnAt) == 0, "Soft without WarnAt and Degrade does nothing; add one, or leave Soft out")
	for _, percent := range d.WarnAt {
		bad(percent < 1 || percent > 1000, "WarnAt has %d; percentages are from 1 to 1000", percent)
	}
	if g := d.Degrade; g != nil {
		bad(g.At < 0 || g.At > 1000, "Degrade.At is %d; percentages are from 1 to 1000, and 0 is 100", g.At)
		bad(g.To < 1, "Degrade.To is %d; a function needs at least 1 slot, and to stop it there is the limit", g.To)
		bad(!d.Soft && g.percent() >= 100, "Degrade at %d%% comes too late, since the limit refuses all calls; set Degrade.At below 100, or Soft", g.percent())
		one := d.Per == "" && d.Where[Function] != ""
		bad(d.Per != Function && !one, "Degrade slows a whole function down, so the budget has to be about one: say Per: cost.Function, or Where: {cost.Function: …} without Per")
	}
	return errors.Join(errs...)
}

func (d *Budget) mistake(format string, args ...any) error {
	return fmt.Errorf("cost: budget %q: "+format, append([]any{d.Name}, args...)...)
}

func (p *pot) bounds(l Limit) (*bounds, error) {
	limit, err := p.measure.limit(l)
	if err != nil {
		return nil, err
	}
	return p.boundsAt(limit), nil
}

func (p *pot) boundsAt(limit atoms) *bounds {
	b := &bounds{limit: limit}
	for _, percent := range p.warnAt {
		b.warn = append(b.warn, limit.percent(percent))
	}
	if d := p.declared.Degrade; d != nil {
		b.degrade = limit.percent(d.percent())
	}
	return b
}

// isAbout tells whether the budget is about the call. It needs no lock.
func (p *pot) isAbout(inv *faas.Invocation) bool {
	for i := range p.where {
		if c := &p.where[i]; c.of(inv) != c.value {
			return false
		}
	}
	return true
}

// ask returns why the call may not be admitted, or what take is to take.
func (p *pot) ask(inv *faas.Invocation, now time.Time, n *news) *BudgetError {
	if err := p.roll(now, n); err != nil {
		return &BudgetError{Balance: p.balance(p.seat("")), Err: err, wait: forever}
	}
	a := p.account(p.per.of(inv), n)
	p.asked = flight{id: inv.ID, account: a}
	if p.flights.find(inv.ID) != nil { // the gate was given to the router and to the function
		return nil
	}
	need, ok := p.worst(inv)
	switch {
	case !ok:
		return &BudgetError{Balance: p.balance(a), Err: p.unpriced(inv), wait: forever}
	case p.reserves():
		p.asked.reserved = need
	default:
		need = atoms{}
	}
	if p.declared.Soft || p.fits(a, need) {
		return nil
	}
	no := &BudgetError{Balance: p.balance(a), Needed: Amount{p.measure, need}, wait: p.wait(a, need, now)}
	if no.spent() && !a.refused {
		a.refused = true
		n.alerts = append(n.alerts, alert{p, Alert{Balance: no.Balance, Refused: true}})
	}
	return no
}

func (p *pot) reserves() bool {
	return p.declared.Reserve || p.measure.of == ofCalls
}

// fits tells whether what is needed is within the limit; if nothing is known to
// be needed, whether there is something left.
func (p *pot) fits(a *account, need atoms) bool {
	if need == (atoms{}) {
		return a.spent.cmp(a.bounds.limit) < 0
	}
	taken, _ := a.spent.plus(a.reserved)
	taken, ok := taken.plus(need)
	return ok && taken.cmp(a.bounds.limit) <= 0
}

// forever is the wait of a call that can't ever be admitted.
const forever time.Duration = math.MaxInt64

// wait is the time until there is room for what is needed: 0 if it is but
// reserved. A call that is reserved is one that is spent, or as good as.
func (p *pot) wait(a *account, need atoms, now time.Time) time.Duration {
	if need.cmp(a.bounds.limit) > 0 || a.bounds.limit == (atoms{}) {
		return forever
	}
	if with, ok := a.spent.plus(need); p.declared.Reserve && p.measure.of != ofCalls && ok && with.cmp(a.bounds.limit) <= 0 {
		return 0
	}
	return a.window.End.Sub(now)
}

// worst is the most that a call can use. Where that is not reserved, it is but to
// be seen whether the call has a price at all.
func (p *pot) worst(inv *faas.Invocation) (atoms, bool) {
	if !p.declared.Reserve {
		return p.measure.call(inv.Memory, 0, 0)
	}
	d := max(inv.Timeout, 0)
	if slack := max(p.declared.Slack, 0); d < math.MaxInt64-slack {
		d += slack
	}
	return p.measure.call(inv.Memory, d, 0)
}

func (p *pot) unpriced(inv *faas.Invocation) error {
	return fmt.Errorf("%w: book %q has no price for %d MiB of memory over %v, or it needs more than 128 bits",
		ErrUnrated, p.measure.book.about.Name, inv.Memory/mib, inv.Timeout)
}

// take reserves what was asked for.
func (p *pot) take(id [16]byte) {
	if p.flights.find(id) != nil {
		return
	}
	// It fits into the limit, or none is reserved.
	p.asked.account.reserved, _ = p.asked.account.reserved.plus(p.asked.reserved)
	p.flights.add(p.asked)
	p.asked = flight{}
}

// done ends a call: with what it used, or nil if it was refused after all. Of one
// that was never admitted, or has been ended, nothing is known here.
func (p *pot) done(id [16]byte, e *faas.Execution, n *news) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flights.find(id)
	if f == nil {
		return
	}
	a, reserved := f.account, f.reserved
	p.flights.remove(f)
	a.reserved = a.reserved.minus(reserved)
	if e == nil {
		return
	}
	used := p.measure.used(e)
	if p.reserves() {
		a.exceed(used.minus(reserved))
	}
	p.spend(a, used, n)
}

// exceed counts what was used without having been reserved.
func (a *account) exceed(by atoms) { a.excess, _ = a.excess.plus(by) }

// spend charges an account. A sum that can't be counted stays at the most there
// is, which no limit allows.
func (p *pot) spend(a *account, used atoms, n *news) {
	before := a.spent
	a.spent, _ = a.spent.plus(used)
	p.warn(a, n)
	if d := a.bounds.degrade; p.declared.Degrade != nil && before.cmp(d) < 0 && a.spent.cmp(d) >= 0 {
		n.degrade = true
	}
}

// warn tells of thresholds that are reached; of those that were so before a
// restart it only remembers that they were told.
func (p *pot) warn(a *account, n *news) {
	if a.spent == (atoms{}) { // that is no part of a limit, not even of nothing
		return
	}
	for a.warned < len(p.warnAt) && a.spent.cmp(a.bounds.warn[a.warned]) >= 0 {
		if !n.restored {
			n.alerts = append(n.alerts, alert{p, Alert{Balance: p.balance(a), Percent: p.warnAt[a.warned]}})
		}
		a.warned++
	}
}

// chargeAt charges what was used at another time than now, if that is in the
// present window.
func (p *pot) chargeAt(inv *faas.Invocation, at, now time.Time, overrun bool, used atoms, n *news) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.roll(now, n) != nil || !p.current.has(at) || used == (atoms{}) {
		return
	}
	a := p.account(p.per.of(inv), n)
	if overrun && p.reserves() {
		a.exceed(used)
	}
	p.spend(a, used, n)
	if n.restored && a.spent.cmp(a.bounds.limit) >= 0 {
		a.refused = true
	}
}

func (p *pot) setLimit(key string, l Limit, now time.Time, n *news) error {
	b, err := p.bounds(l)
	if err != nil {
		return p.declared.mistake("%w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.roll(now, n); err != nil {
		return err
	}
	p.limit(key, b, n)
	return nil
}

// limit gives an account bounds of its own. p.mu is held.
func (p *pot) limit(key string, b *bounds, n *news) {
	if p.own[key] == nil {
		key = strings.Clone(key)
		p.ownKeys = append(p.ownKeys, key)
	}
	p.own[key] = b
	a := p.account(key, n)
	a.bounds, a.refused, n.degrade = b, false, true
	for a.warned > 0 && a.spent.cmp(b.warn[a.warned-1]) < 0 {
		a.warned-- // it is to be told again
	}
	p.warn(a, n)
}

// roll goes to the window that now is in. It never skips back further than to
// the one before, and then goes on with what was spent in it. Where the calendar
// has no window for now it is an error, and the window stays.
func (p *pot) roll(now time.Time, n *news) error {
	if p.current.has(now) {
		return nil
	}
	next := p.previous
	if !next.has(now) {
		period, err := p.declared.Calendar.window(now)
		if err != nil {
			n.mishaps = append(n.mishaps, mishap{p, "cost: budget has no window for this moment", err})
			return err
		}
		next = newSheet(period)
	}
	p.previous, p.current = p.current, next
	n.degrade = true
	return nil
}

// account finds an account of the present window, or opens it.
func (p *pot) account(key string, n *news) *account {
	a := p.current.accounts[key]
	if a != nil {
		return a
	}
	if !p.hasRoom(key) {
		if !p.current.full {
			p.current.full = true
			n.mishaps = append(n.mishaps, mishap{pot: p, text: "cost: budget has no room for more accounts; the rest share one"})
		}
		return p.account(Overflow, n)
	}
	a = &account{key: strings.Clone(key), window: p.current.window, bounds: p.boundsOf(key)} // it may be a part of a whole request
	p.current.accounts[a.key] = a
	p.current.list = append(p.current.list, a)
	return a
}

// hasRoom tells whether a new account may be opened. Those that callers can't
// choose always may.
func (p *pot) hasRoom(key string) bool {
	return len(p.current.accounts) < p.declared.MaxAccounts || key == "" || key == Overflow || p.own[key] != nil
}

// seat is the account of a key, or what it would be: to look must not cost memory.
func (p *pot) seat(key string) *account {
	if p.current.accounts[key] == nil && !p.hasRoom(key) {
		key = Overflow
	}
	if a := p.current.accounts[key]; a != nil {
		return a
	}
	return &account{key: key, window: p.current.window, bounds: p.boundsOf(key)}
}

func (p *pot) boundsOf(key string) *bounds {
	if b := p.own[key]; b != nil {
		return b
	}
	return p.standard
}

func (p *pot) balance(a *account) Balance {
	amount := func(n atoms) Amount { return Amount{p.measure, n} }
	taken, _ := a.spent.plus(a.reserved)
	return Balance{
		Budget: p.declared.Name, Per: p.declared.Per, Account: a.key, Window: a.window.Period,
		Limit: amount(a.bounds.limit), Spent: amount(a.spent), Reserved: amount(a.reserved), Excess: amount(a.excess),
		Left:     amount(a.bounds.limit.minus(taken)),
		LimitSet: a.bounds != p.standard, Refused: a.refused,
	}
}

func (p *pot) balanceNow(key string, now time.Time, n *news) Balance {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.roll(now, n) // where there is no window, the last that there was
	return p.balance(p.seat(key))
}

// balances are those of the present window, and of accounts whose limit was set.
func (p *pot) balances(now time.Time, n *news) []Balance {
	var all []Balance
	copies := append(p.copies(now, n), p.unused()...)
	for i := range copies {
		all = append(all, p.balance(&copies[i]))
	}
	slices.SortFunc(all, func(a, b Balance) int { return strings.Compare(a.Account, b.Account) })
	return all
}

// copied is how many accounts are copied at a time, so that a call waits for no
// more.
const copied = 256

// copies are the accounts of the present window. Each is as it was at a moment;
// calls go on between them.
func (p *pot) copies(now time.Time, n *news) []account {
	p.mu.Lock()
	_ = p.roll(now, n)
	list := p.current.list // only ever appended to
	p.mu.Unlock()
	all := make([]account, 0, len(list))
	for part := range slices.Chunk(list, copied) {
		p.mu.Lock()
		for _, a := range part {
			all = append(all, *a)
		}
		p.mu.Unlock()
	}
	return all
}

// unused are accounts whose limit was set, and that the present window has not.
func (p *pot) unused() (all []account) {
	p.mu.Lock()
	keys := p.ownKeys // only ever appended to
	p.mu.Unlock()
	for part := range slices.Chunk(keys, copied) {
		p.mu.Lock()
		for _, key := range part {
			if p.current.accounts[key] == nil {
				all = append(all, *p.seat(key))
			}
		}
		p.mu.Unlock()
	}
	return all
}

// degraded calls yield for each function that is to be slowed down now. No lock is
// held meanwhile.
func (p *pot) degraded(now time.Time, yield func(function string, to int, until time.Time)) {
	if p.declared.Degrade == nil {
		return
	}
	var n news // whoever asks this brings the limits up to date
	for _, a := range p.copies(now, &n) {
		if a.spent.cmp(a.bounds.degrade) < 0 {
			continue
		}
		function := a.key
		if p.declared.Per == "" {
			function = p.declared.Where[Function]
		}
		yield(function, p.declared.Degrade.To, a.window.End)
	}
}

// property is a dimension, made ready to be read from calls.
type property struct {
	dimension Dimension
	label     string // its name, if it is one
}

type condition struct {
	property
	value string
}

func newProperty(d Dimension) (property, error) {
	switch d {
	case "", Function, Version, Tenant:
		return property{dimension: d}, nil
	case Outcome:
		return property{}, errors.New("a call has no outcome yet when a budget is asked; take another dimension")
	}
	label, ok := strings.CutPrefix(string(d), labelPrefix)
	if !ok {
		return property{}, fmt.Errorf("there is no dimension %q; say cost.Function, cost.Version, cost.Tenant or cost.Label(…)", d)
	}
	return property{d, label}, nil
}

// of returns the call's value; for no dimension it is empty.
func (p property) of(inv *faas.Invocation) string {
	switch p.dimension {
	case "":
		return ""
	case Function:
		return inv.Function
	case Version:
		return inv.Version
	case Tenant:
		return inv.Tenant
	default:
		return inv.Labels[p.label]
	}
}

// flight is a call that was admitted and has not ended.
type flight struct {
	id       [16]byte
	account  *account // nil: an empty place in flights
	reserved atoms
}

// flights is a hash table with linear probing, at most half full. The language's
// own takes several times as long where calls come and go and their number stays
// what it is, since it clears up after the gone ones again and again.
type flights struct {
	places []flight
	used   int
}

func (t *flights) home(id *[16]byte) int {
	h := binary.BigEndian.Uint64(id[8:]) ^ binary.BigEndian.Uint64(id[:8])*0x9e3779b97f4a7c15
	return int(h & uint64(len(t.places)-1)) //nolint:gosec // less than a length
}

func (t *flights) find(id [16]byte) *flight {
	if len(t.places) == 0 {
		return nil
	}
	for i := t.home(&id); ; i = (i + 1) & (len(t.places) - 1) {
		if f := &t.places[i]; f.account == nil {
			return nil
		} else if f.id == id {
			return f
		}
	}
}

func (t *flights) add(f flight) {
	if 2*(t.used+1) > len(t.places) {
		t.grow()
	}
	i := t.home(&f.id)
	for t.places[i].account != nil {
		i = (i + 1) & (len(t.places) - 1)
	}
	t.places[i] = f
	t.used++
}

func (t *flights) grow() {
	old := t.places
	t.places, t.used = make([]flight, max(16, 2*len(old))), 0
	for _, f := range old {
		if f.account != nil {
			t.add(f)
		}
	}
}

// remove takes one out that find has found. Those behind it that would not be
// found any more past the empty place move up.
func (t *flights) remove(f *flight) {
	mask := len(t.places) - 1
	hole := t.home(&f.id)
	for &t.places[hole] != f {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; t.places[i].account != nil; i = (i + 1) & mask {
		if home := t.home(&t.places[i].id); (i-home)&mask >= (i-hole)&mask {
			t.places[hole] = t.places[i]
			hole = i
		}
	}
	t.places[hole] = flight{}
	t.used--
}
