package faascron

import (
	"math"
	"time"
)

// schedule is when a timer fires.
type schedule interface {
	// after returns the first time to fire after t; zero: there is none.
	after(t time.Time) time.Time
	// isFixed reports whether a firing that was missed by no more than correction is made up for.
	isFixed() bool
}

// correction is the largest step of a clock that is a change of zone or a small correction; after
// a larger one the new time holds. It is three hours, as in Debian's cron.
const correction = 3 * time.Hour

// once fires at one time.
type once struct{ at time.Time }

func (o once) isFixed() bool { return true }

func (o once) after(t time.Time) time.Time {
	if t.Before(o.at) {
		return o.at
	}
	return time.Time{}
}

// every fires at the multiples of d since 1970.
type every struct{ d time.Duration }

func (every) isFixed() bool { return false }

func (e every) after(t time.Time) time.Time {
	d := int64(e.d)
	n := t.UnixNano()
	return time.Unix(0, n-((n%d)+d)%d+d).In(t.Location())
}

// cron fires when the clock of a zone shows what an expression says.
type cron struct {
	*expression

	zone *time.Location
	// strict is EventBridge Scheduler's rule: each time of the wall's calendar fires once, at its first
	// occurrence, and one that a gap leaves out does not.
	strict bool
}

func (c *cron) isFixed() bool { return !c.wildcard }

// after goes through the stretches of time in which the zone's offset from UTC is the same: in
// each, what the clock shows is what it has shown before, and more.
func (c *cron) after(t time.Time) time.Time {
	from := t.Unix() + 1 // firings are at whole seconds
	last := from + cycle*aDay
	for from <= last {
		s := c.stretchAt(from)
		if at, ok := c.firstIn(s, from); ok {
			return time.Unix(at, 0).In(c.zone)
		}
		if s.end == math.MaxInt64 {
			break
		}
		from = s.end
	}
	return time.Time{}
}

// stretch is a time of one offset, in seconds since 1970 UTC: [start, end).
type stretch struct {
	start, end int64
	offset     int64 // of the zone from UTC
	before     int64 // the offset of the stretch before; if there is none, the same
}

func (c *cron) stretchAt(at int64) stretch {
	t := time.Unix(at, 0).In(c.zone)
	start, end := t.ZoneBounds()
	_, offset := t.Zone()
	s := stretch{start: math.MinInt64, end: math.MaxInt64, offset: int64(offset), before: int64(offset)}
	if !start.IsZero() {
		_, before := start.Add(-time.Second).Zone()
		s.start, s.before = start.Unix(), int64(before)
	}
	if !end.IsZero() {
		s.end = end.Unix()
		if s.end <= at { // of December 31 in a leap year ZoneBounds says that it has ended before
			s.end = at + aDay
		}
	}
	return s
}

// firstIn returns the first firing of a stretch that is not before from.
func (c *cron) firstIn(s stretch, from int64) (int64, bool) {
	r := reading(from + s.offset)
	if s.start != math.MinInt64 && (!c.wildcard || c.strict) {
		step := s.offset - s.before
		shown := reading(s.start + s.before) // what the clock had come to
		switch {
		case step < 0 && r < shown: // it has shown that before
			r = shown
		case step > 0 && step <= int64(correction/time.Second) && !c.strict && from == s.start:
			if _, skipped := c.from(shown, r-1); skipped {
				return s.start, true
			}
		}
	}
	limit := reading(math.MaxInt64)
	if s.end != math.MaxInt64 {
		limit = reading(s.end + s.offset - 1)
	}
	at, ok := c.from(r, limit)
	return int64(at) - s.offset, ok
}
