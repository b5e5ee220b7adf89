package faascron

import (
	"math"
	"time"
)

// schedule is the sequence of times at which a timer fires.
type schedule interface {
	// after returns the first of the times after t. Zero means that there is none.
	after(t time.Time) time.Time
	// isFixed reports whether a time that was missed by no more than correction is fired late.
	isFixed() bool
}

// correction is the largest step of a clock that counts as a change of zone, or as a small
// correction. After a larger step, timers go by the new time at once. It is three hours, as in
// Debian's cron.
const correction = 3 * time.Hour

// once fires one time.
type once struct{ at time.Time }

func (o once) isFixed() bool { return true }

func (o once) after(t time.Time) time.Time {
	if t.Before(o.at) {
		return o.at
	}
	return time.Time{}
}

// every fires at each multiple of d since 1970, UTC.
type every struct{ d time.Duration }

func (every) isFixed() bool { return false }

func (e every) after(t time.Time) time.Time {
	d := int64(e.d)
	n := t.UnixNano()
	return time.Unix(0, n-((n%d)+d)%d+d).In(t.Location())
}

// cron fires when the clock of a zone shows a time that matches the expression.
type cron struct {
	*expression

	zone *time.Location
	// strict selects the rule of EventBridge Scheduler: a time that the clock shows twice fires
	// the first time, and a time that the clock skips does not fire.
	strict bool
}

func (c *cron) isFixed() bool { return !c.wildcard }

// after searches one stretch after another. A stretch is a period in which the zone's offset
// from UTC stays the same, so that the clock's reading only rises.
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

// stretch is such a period, [start, end), in seconds since 1970 UTC.
type stretch struct {
	start, end int64
	offset     int64 // of the zone, from UTC
	before     int64 // the offset of the stretch before this one; if there is none, equal to offset
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
		if s.end <= at { // on December 31 of a leap year, ZoneBounds may return an end that is in the past
			s.end = at + aDay
		}
	}
	return s
}

// firstIn returns the first firing in a stretch that is not before from.
func (c *cron) firstIn(s stretch, from int64) (int64, bool) {
	r := reading(from + s.offset)
	if s.start != math.MinInt64 && (!c.wildcard || c.strict) {
		step := s.offset - s.before
		shown := reading(s.start + s.before) // the clock's reading at the end of the stretch before
		switch {
		case step < 0 && r < shown: // the clock was set back, and has shown r before
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
