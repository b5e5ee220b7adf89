package cost

import (
	"math"
	"slices"
	"time"

	"github.com/inproc/faas"
)

// Counter counts usage for a meter that keeps sums of its own. A [Ledger] chooses the keys
// and the periods that it counts by; with a Counter the meter does, and so it also decides
// how many there may be. The meter keeps one [Sums] for each key and declared memory. Calls
// are rounded one by one as a Ledger of the same books rounds them, so that the usage has
// the same price.
//
// A Counter does not change: all its methods may be called concurrently, each with a Sums
// that no other goroutine uses.
type Counter struct {
	spans []span // by time; together they are all time
}

// span is a stretch of time within which no price changes, in seconds since 1970, its end
// excluded.
type span struct {
	start, end int64
	rules      *rules // of the books that are in force
}

// Sums is what the calls of one key and one declared memory have used: integers that a
// [Counter] adds up. The zero value is empty. It takes about 100 bytes, and 16 more for
// each rule of rounding. It must not be copied once it is used, nor used concurrently.
type Sums struct {
	at     *span // of the last call; nil: there was none
	latest *sums // the entry of parts for at
	parts  map[*span]*sums
	first  sums // what latest is at first, so that most Sums need no map
}

// NewCounter returns a counter by the rounding rules of the books. Of a series
// ([NewSeries]) it uses the rule of the book that is in force at the end of a call, by the
// dates in UTC, and keeps what is used before and after a change apart. Nil books are
// ignored.
func NewCounter(books ...*Book) *Counter {
	books = slices.DeleteFunc(slices.Clone(books), func(b *Book) bool { return b == nil })
	starts := []int64{math.MinInt64}
	for _, b := range books {
		for _, change := range b.changes(time.UTC) {
			starts = append(starts, change.Unix())
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	c := &Counter{}
	for i, start := range starts {
		s := span{start, math.MaxInt64, rulesOf(books, time.Unix(max(start, 0), 0).UTC())}
		if i+1 < len(starts) {
			s.end = starts[i+1]
		}
		c.spans = append(c.spans, s)
	}
	return c
}

// Add adds a call, at the time at which it ended. It allocates only for the first call of
// a Sums, and for the first after a change of prices. It does not keep e.
func (c *Counter) Add(to *Sums, e *faas.Execution) {
	at := c.span(to, second(e.Start, e.Duration))
	to.latest.add(at.rules, e, 0, 0)
}

// AddOverrun adds what a runaway used beyond its call, at the time at which it ended. Use
// a Sums for overruns alone, since their [Key] differs from that of calls.
func (c *Counter) AddOverrun(to *Sums, ended time.Time, o *faas.Overrun) {
	at := c.span(to, ended.Unix())
	to.latest.addOverrun(at.rules, o.Duration)
}

// AddSums adds what another Sums of the same Counter has, which it does not change.
func (c *Counter) AddSums(to, from *Sums) {
	from.each(func(at *span, s *sums) {
		to.turnTo(at)
		to.latest.plus(s)
	})
}

// Usage returns what s has as the usage of a key and a declared memory: one Usage, or one
// for each stretch of time between changes of prices; none if s is empty.
func (c *Counter) Usage(k Key, memory int64, s *Sums) []Usage {
	var all []Usage
	s.each(func(at *span, n *sums) {
		all = append(all, Usage{
			Key: k, Memory: memory, Calls: n.calls, Period: at.period(), measured: n.measured,
			duration: n.duration, init: n.init, billed: at.rules.sums(n.quanta),
		})
	})
	slices.SortFunc(all, func(a, b Usage) int { return a.Period.Start.Compare(b.Period.Start) })
	return all
}

// span turns s to the sums of the stretch of time that contains the second.
func (c *Counter) span(s *Sums, second int64) *span {
	if at := s.at; at != nil && at.start <= second && second < at.end {
		return at
	}
	i := slices.IndexFunc(c.spans, func(at span) bool { return second < at.end })
	s.turnTo(&c.spans[max(i, 0)]) // -1: the last second that there is
	return s.at
}

// turnTo makes latest the sums of a stretch of time.
func (s *Sums) turnTo(at *span) {
	switch {
	case s.at == at:
		return
	case s.at == nil:
		s.first.quanta = make([]count, at.rules.len())
		s.at, s.latest = at, &s.first
		return
	case s.parts == nil:
		s.parts = map[*span]*sums{s.at: s.latest}
	}
	n := s.parts[at]
	if n == nil {
		n = &sums{quanta: make([]count, at.rules.len())}
		s.parts[at] = n
	}
	s.at, s.latest = at, n
}

// each calls f for each stretch of time that has calls.
func (s *Sums) each(f func(at *span, n *sums)) {
	switch {
	case s.parts != nil:
		for at, n := range s.parts {
			f(at, n)
		}
	case s.at != nil:
		f(s.at, s.latest)
	}
}

// period returns the stretch of time; zero if it is all time, since then no price changes.
func (at *span) period() Period {
	if at.start == math.MinInt64 && at.end == math.MaxInt64 {
		return Period{}
	}
	bound := func(second int64) time.Time {
		return time.Unix(min(max(second, 0), 253402300799), 0).UTC() // up to the end of the year 9999
	}
	return Period{bound(at.start), bound(at.end)}
}
