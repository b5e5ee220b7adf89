package cost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Ledger adds up what calls use: a [faas.Meter] and a [faas.OverrunMeter] to be
// given to faas.WithMeter. It keeps sums in memory, one for each key, declared
// memory and period, and no records.
//
// Record takes no lock that other processors use, and allocates only when a key
// is new in a period. It takes 0.45 to 0.55 of the time of a map under a mutex that
// adds up the same by the same keys and has been told the labels' names, and 0.1
// of one that takes any labels, as this does; with 64 callers on two processors
// 0.15 to 0.3, and 0.07; with more keys in use than are remembered, 4,096 of them,
// 0.6 and 0.15, and 0.2 and 0.13 (BenchmarkRecord). A key costs about 400 bytes,
// up to once for each processor. All methods may be called concurrently. Usage and
// Statement don't hold calls up; they contain all that was recorded before they
// were called.
//
// What it keeps is bounded, since callers may choose their tenants' names: see
// SetMaxKeys and SetMaxPeriods. A record that belongs to no period is refused, and
// from then on every Statement is an error, see Err.
type Ledger struct {
	calendar Calendar
	books    []*Book
	changes  []int64 // of their prices, in seconds since 1970, ascending
	seed     maphash.Seed
	stripes  []stripe
	idle     sync.Pool     // of *stripe: a processor finds the one that it used last
	next     atomic.Uint32 // the stripe for one that finds none
	shared   shared
}

// stripe is a share of the ledger. Each record is in one of them, and whichever
// has it.
type stripe struct {
	mu      sync.Mutex
	current *table // where the last record went
	tables  []*table
	_       [64]byte // the next stripe's lock is on another cache line
}

// NewLedger returns an empty ledger that counts by the periods of the calendar
// (zero: months in UTC), and by the rounding rules of the books: others can't
// be rated from it later. Of a series ([NewSeries]) these are the rules of the book
// that is in force, and what is used before and after a change is kept apart. Nil
// books are ignored.
func NewLedger(c Calendar, books ...*Book) *Ledger {
	l := &Ledger{calendar: c, seed: maphash.MakeSeed(), stripes: make([]stripe, max(2, runtime.GOMAXPROCS(0)))}
	l.shared = shared{maxKeys: defaultMaxKeys, maxPeriods: defaultMaxPeriods, periods: map[int64]*period{}, evicted: math.MinInt64, forgotten: math.MinInt64}
	for _, b := range books {
		if b == nil {
			continue
		}
		l.books = append(l.books, b)
		for _, change := range b.changes(c.zone()) {
			l.changes = append(l.changes, change.Unix())
		}
	}
	slices.Sort(l.changes)
	return l
}

// Record adds a call, to the period in which it ended. The labels are kept and
// must not be changed, as [faas.Execution] has it.
func (l *Ledger) Record(_ context.Context, e faas.Execution) {
	l.record(&e, 0, 0)
}

// RecordProcessor adds a call as Record does, and the processor time that it used.
// Go has no such number for a goroutine, so it is the caller's to measure; what
// Record adds is taken to have used the processor for all of its duration, and a
// statement by a book that bills processor time says so ([Charge.AtMost]). A meter
// that knows the number embeds the ledger and has its own Record:
//
//	type meter struct{ *cost.Ledger }
//
//	func (m meter) Record(ctx context.Context, e faas.Execution) {
//		m.RecordProcessor(ctx, e, processorTimeOf(e.ID))
//	}
func (l *Ledger) RecordProcessor(_ context.Context, e faas.Execution, used time.Duration) {
	l.record(&e, nonNegative(used), 1)
}

func (l *Ledger) record(e *faas.Execution, processor, measured uint64) {
	at := second(e.Start, e.Duration)
	s := l.lock()
	t := s.table(l, at)
	if t == nil {
		l.unlock(s)
		l.refuse(at)
		return
	}
	c := t.cell(e, false)
	duration, init := nonNegative(e.Duration), nonNegative(e.Init)
	c.calls++
	c.measured += measured
	c.duration.add(duration)
	c.init.add(init)
	billed := c.quanta[:len(t.rules.time)]
	for i := range billed {
		billed[i].add(quanta(&t.rules.time[i], duration, duration+init))
	}
	if len(t.rules.other) > 0 {
		t.rules.add(c.quanta[len(billed):], e, measured > 0, processor)
	}
	l.unlock(s)
}

// RecordOverrun adds an overrun, to the present period.
func (l *Ledger) RecordOverrun(_ context.Context, o faas.Overrun) {
	l.AddOverrun(time.Now(), o)
}

// AddOverrun adds an overrun that ended at a given time: for stored records,
// which RecordOverrun would take for new ones.
func (l *Ledger) AddOverrun(at time.Time, o faas.Overrun) {
	e := faas.Execution{Function: o.Function, Version: o.Version, Tenant: o.Tenant, Labels: o.Labels, Memory: o.Memory}
	s := l.lock()
	t := s.table(l, at.Unix())
	if t == nil {
		l.unlock(s)
		l.refuse(at.Unix())
		return
	}
	c := t.cell(&e, true)
	c.calls++
	c.duration.add(nonNegative(o.Duration))
	for i := range t.rules.time {
		c.quanta[i].add(t.rules.time[i].overrunQuanta(o.Duration))
	}
	l.unlock(s)
}

// Period returns the period of the ledger's calendar that t is in.
func (l *Ledger) Period(t time.Time) Period { return l.calendar.Period(t) }

// Usage returns what has been used in the period that t is in, ordered by
// function, version, tenant, labels, outcome and memory, overruns last. If prices of
// the ledger's books changed within it, what was used before and after stands
// apart, in this order (see [Usage.Period]).
func (l *Ledger) Usage(t time.Time) []Usage {
	return l.usage(l.Period(t))
}

func (l *Ledger) usage(p Period) []Usage {
	merged := map[string]*Usage{}
	for i := range l.stripes {
		for _, c := range l.stripes[i].copyOf(p) {
			c.merge(merged, p.Start.Location())
		}
	}
	return ordered(merged)
}

// Statement prices the usage of the period that t is in, as [NewStatement] does, or
// if it is a day as [NewDayStatement] does: the days add up to the month. It is
// [ErrPeriod] if there is no such period, if it, or an earlier day of a day's month,
// was given up for want of room ([Ledger.SetMaxPeriods]) or forgotten, and if a
// record was refused ([Ledger.Err]): a bill that may be short is not made.
func (l *Ledger) Statement(t time.Time, b *Book) (Statement, error) {
	p := l.Period(t)
	if err := errors.Join(l.shared.missing(l.calendar, t), l.Err()); err != nil {
		return Statement{Period: p, Book: b.about}, err
	}
	if l.calendar.Every != Day {
		return NewStatement(p, b, l.usage(p))
	}
	earlier := Period{p.month().Start, p.Start}
	if err := l.shared.dropped(earlier); err != nil {
		return Statement{Period: p, Book: b.about}, err
	}
	return NewDayStatement(p, b, l.usage(earlier), l.usage(p))
}

// Forget drops the periods that ended at t or before: a ledger keeps all others,
// up to SetMaxPeriods. Of days, keep those of a month until it has its statements.
func (l *Ledger) Forget(t time.Time) {
	l.shared.forget(t.Unix())
	for i := range l.stripes {
		s := &l.stripes[i]
		s.mu.Lock()
		s.tables = slices.DeleteFunc(s.tables, func(tb *table) bool { return tb.end <= t.Unix() })
		s.current = nil
		s.mu.Unlock()
	}
}

// lock returns a stripe that nobody else is using, if it can: the one that this
// processor has used last, for its cache has it. If it is taken all the same
// (the pool forgets, and two may come to the same one), another will do.
//
// The critical section neither waits nor calls anybody, so that no defer is
// needed.
func (l *Ledger) lock() *stripe {
	s, _ := l.idle.Get().(*stripe)
	if s != nil && s.mu.TryLock() {
		return s
	}
	for range l.stripes {
		s = &l.stripes[l.next.Add(1)%uint32(len(l.stripes))] //nolint:gosec // as many as there are processors
		if s.mu.TryLock() {
			return s
		}
	}
	s.mu.Lock()
	return s
}

func (l *Ledger) unlock(s *stripe) {
	s.mu.Unlock()
	l.idle.Put(s)
}

// second is the one in which a call ended, since 1970: what Start.Add gives, for
// less. A negative duration counts as none.
func second(start time.Time, d time.Duration) int64 {
	return start.Unix() + int64((uint64(start.Nanosecond())+nonNegative(d))/1e9) // 63 bits and less than 1 s, then a billionth of them
}

// table returns the sums of the period that the second is in; nil: there is no
// such period, or not any more.
func (s *stripe) table(l *Ledger, second int64) *table {
	if t := s.current; t != nil && t.start <= second && second < t.end {
		return t
	}
	t := s.find(second)
	if t == nil {
		t = s.open(l, second)
	}
	s.current = t
	return t
}

func (s *stripe) open(l *Ledger, second int64) *table {
	p, evicted, err := l.shared.open(l.calendar, second)
	if err != nil {
		return nil
	}
	s.tables = slices.DeleteFunc(s.tables, func(t *table) bool { return t.end <= evicted })
	t := &table{start: p.start, end: p.end, period: p, seed: l.seed, shared: &l.shared, slots: make([]*cell, 8)}
	l.cutAtChanges(t, second)
	s.tables = append(s.tables, t)
	return t
}

// narrow cuts a table's period where prices change, and gives it the rules of the
// books that are in force in what is left, in which the second is.
func (l *Ledger) cutAtChanges(t *table, second int64) {
	for _, change := range l.changes {
		if change <= second {
			t.start = max(t.start, change)
		} else {
			t.end = min(t.end, change)
		}
	}
	t.rules = rulesOf(l.books, time.Unix(t.start, 0).In(l.calendar.zone()))
}

func (s *stripe) find(second int64) *table {
	for _, t := range s.tables {
		if t.start <= second && second < t.end {
			return t
		}
	}
	return nil
}

// snapshot is a cell of a table, for reading.
type snapshot struct {
	cell
	table *table // its bounds and rules, which don't change
}

// copyOf returns copies of a period's cells. Recorders go to another stripe
// meanwhile.
func (s *stripe) copyOf(p Period) []snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var cells []snapshot
	for _, t := range s.tables {
		if t.start < p.Start.Unix() || t.start >= p.End.Unix() {
			continue
		}
		for _, c := range t.slots {
			if c != nil {
				x := snapshot{*c, t}
				x.quanta = slices.Clone(c.quanta)
				cells = append(cells, x)
			}
		}
	}
	return cells
}

func (c *snapshot) merge(into map[string]*Usage, zone *time.Location) {
	name := c.mapKey() + strconv.FormatInt(c.table.start, 10)
	u := into[name]
	if u == nil {
		into[name] = &Usage{
			Key: c.Key, Memory: c.memory, Calls: c.calls, measured: c.measured,
			Period:   Period{time.Unix(c.table.start, 0).In(zone), time.Unix(c.table.end, 0).In(zone)},
			duration: c.duration, init: c.init, billed: c.table.rules.sums(c.quanta),
		}
		return
	}
	u.Calls += c.calls
	u.measured += c.measured
	u.duration.plus(c.duration)
	u.init.plus(c.init)
	for i, n := range c.table.rules.sums(c.quanta) {
		u.billed[i].quanta.plus(n.quanta)
	}
}

func ordered(merged map[string]*Usage) []Usage {
	all := make([]Usage, 0, len(merged))
	for _, u := range merged {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b Usage) int {
		return cmp.Or(a.compare(b.Key), cmp.Compare(a.Memory, b.Memory), a.Period.Start.Compare(b.Period.Start))
	})
	return all
}

// SetMaxKeys sets how many keys with a tenant each period has at most, from now
// on; 100,000 if it was not set. What comes with another one is counted under the
// tenant [Overflow]: its totals stay exact, and memory is bounded though callers
// choose their names. Keys without a tenant are not limited, since their functions,
// versions and labels are those that were registered. n < 1 counts as 1.
func (l *Ledger) SetMaxKeys(n int) {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	l.shared.maxKeys = max(n, 1)
}

// SetMaxPeriods sets how many periods are kept at most, from now on; 10,000 if it
// was not set, which is more than a year of hours. When one more begins the oldest
// is given up: its Statement is [ErrPeriod], and so are records that come for it.
// See Forget to drop them in time. n < 1 counts as 1.
func (l *Ledger) SetMaxPeriods(n int) {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	l.shared.maxPeriods = max(n, 1)
}

// Err tells that records were refused because no period of the calendar contains
// the end of their calls, how many, and why the first; it Is [ErrPeriod]. Nil: none.
// It is logged once, too, to slog.Default().
func (l *Ledger) Err() error {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	if l.shared.refused == 0 {
		return nil
	}
	return fmt.Errorf("cost: the ledger has refused %d records; the first: %w", l.shared.refused, l.shared.why)
}

// refuse counts a record that was not filed. No lock is held.
func (l *Ledger) refuse(second int64) {
	_, err := l.calendar.window(time.Unix(second, 0))
	if err == nil {
		return // its period was given up, and its statement says so
	}
	l.shared.mu.Lock()
	l.shared.refused++
	first := l.shared.refused == 1
	if first {
		l.shared.why = err
	}
	l.shared.mu.Unlock()
	if first {
		slog.Default().Error("cost: the ledger refuses a record, and makes no statements any more", "error", err)
	}
}
