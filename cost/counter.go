package cost

import (
	"math"
	"slices"
	"time"

	"github.com/inproc/faas"
)

// Counter counts usage for a meter that keeps sums of its own. A [Ledger] chooses the keys
// and the periods by which it counts. With a Counter the meter chooses them, and so also
// decides how many it keeps. The meter keeps one [Sums] for each key and declared memory. The
// Counter rounds each call as a Ledger of the same books does, so the usage has the same
// price.
//
// A Counter does not change: all its methods may be called concurrently, each with a Sums
// that no other goroutine uses.
type Counter struct {
	spans []span // by time; together they are all time
}

// span is a stretch of time within which no price changes, from start up to but not including
// end, in seconds since 1970.
type span struct {
	start, end int64
	rules      *rules // of the books that are in force
}

// Sums is what the calls of one key and one declared memory have used: integers that a
// [Counter] adds up. The zero value is empty. It takes about 100 bytes, and 16 more for
// each rule of rounding. It must not be copied once it is used, nor used concurrently.
type Sums struct {
	at     *span // of the last call; nil before the first
	latest *sums // the entry of parts for at
	parts  map[*span]*sums
	first  sums // the first entry that latest points to, so that most Sums need no map
}

// NewCounter returns a counter by the rounding rules of the books. Of a series ([NewSeries])
// it uses the rule of the book that is in force at the end of a call, by the dates in UTC,
// and counts usage before and after a change of books separately. Nil books are ignored.
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

// Add adds a call, at the time at which it ended. It allocates only for the first call of a
// Sums, and for the first call after each change of prices. It does not keep e.
func (c *Counter) Add(to *Sums, e *faas.Execution) {
	at := c.span(to, second(e.Start, e.Duration))
	to.latest.add(at.rules, e, 0, 0)
}

// AddOverrun adds what a runaway used after its call had ended, at the time at which the
// runaway ended. Keep overruns in Sums of their own, since their [Key] differs from that of
// calls.
func (c *Counter) AddOverrun(to *Sums, ended time.Time, o *faas.Overrun) {
	at := c.span(to, ended.Unix())
	to.latest.addOverrun(at.rules, o.Duration)
}

// AddSums adds the second Sums to the first, and leaves the second as it is. Both must be of
// this Counter.
func (c *Counter) AddSums(to, from *Sums) {
	from.each(func(at *span, s *sums) {
		to.turnTo(at)
		to.latest.plus(s)
	})
}

// Usage returns the sums in s as usage of a key and a declared memory. It returns one Usage,
// one for each stretch of time between changes of prices, or none if s is empty.
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

// span makes s.latest the sums of the span that contains the given second since 1970, and returns
// that span.
func (c *Counter) span(s *Sums, second int64) *span {
	if at := s.at; at != nil && at.start <= second && second < at.end {
		return at
	}
	i := slices.IndexFunc(c.spans, func(at span) bool { return second < at.end })
	s.turnTo(&c.spans[max(i, 0)]) // i is -1 only for the largest int64
	return s.at
}

// turnTo makes s.latest the sums of the span at.
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

// each calls f for each span that has calls.
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

// period returns the span as a Period. It is zero if the span is all time, since then no
// price changes.
func (at *span) period() Period {
	if at.start == math.MinInt64 && at.end == math.MaxInt64 {
		return Period{}
	}
	bound := func(second int64) time.Time {
		return time.Unix(min(max(second, 0), 253402300799), 0).UTC() // up to the end of the year 9999
	}
	return Period{bound(at.start), bound(at.end)}
}
