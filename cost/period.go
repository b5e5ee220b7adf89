package cost

import (
	"fmt"
	"sort"
	"time"
)

// Every is the length of a [Calendar]'s periods.
type Every uint8

// The lengths. Weeks begin on Monday.
const (
	Month Every = iota
	Week
	Day
	Hour
)

var everyNames = [...]string{"month", "week", "day", "hour"} //nolint:gochecknoglobals // a constant, which Go has no arrays of

// String returns the name of the length.
func (e Every) String() string {
	if int(e) < len(everyNames) {
		return everyNames[e]
	}
	return "Every(?)"
}

// Calendar divides time into periods by the clocks of a time zone. Each instant is in exactly
// one period, even where clocks are put forward or back. A day may have 23 or 25 hours. If
// the clocks skip midnight, the day begins at the first instant after the gap. The zero value
// is months in UTC. A calendar is a value and may be used concurrently.
type Calendar struct {
	Every Every
	Zone  *time.Location // nil means UTC
}

// Period returns the period that contains t.
func (c Calendar) Period(t time.Time) Period {
	zone := c.zone()
	t = t.In(zone)
	if c.Every == Hour {
		return hour(t)
	}
	p := c.from(t, zone)
	if !t.Before(p.End) {
		// Clocks that are put back across midnight show the old date a second time. The new
		// period has begun by then, and contains t.
		p = c.from(p.End, zone)
	}
	return p
}

// zone returns Zone, or UTC.
func (c Calendar) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

// from returns the period of the date that the clock shows at t.
func (c Calendar) from(t time.Time, zone *time.Location) Period {
	y, m, d := t.Date()
	var months, days int
	switch c.Every {
	case Week:
		d -= (int(t.Weekday()) + 6) % 7
		days = 7
	case Day:
		days = 1
	default:
		d, months = 1, 1
	}
	return Period{firstInstant(y, m, d, zone), firstInstant(y, m+time.Month(months), d+days, zone)}
}

// window returns the period that contains t. It returns [ErrPeriod] if the period that Period
// returned does not contain t. This never happens with a zone of the time zone database, but
// may with a zone that was made by hand, and with a t near the limits of [time.Time].
func (c Calendar) window(t time.Time) (Period, error) {
	p := c.Period(t)
	if !p.Contains(t) {
		return p, fmt.Errorf("cost: %s is in no %s of the zone %s (found: %s): %w", t.Format(time.RFC3339Nano), c.Every, p.Start.Location(), p, ErrPeriod)
	}
	return p, nil
}

// Period is a stretch of time from Start up to but not including End. Both are in the
// calendar's zone.
type Period struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Contains reports whether t is in the period.
func (p Period) Contains(t time.Time) bool { return !t.Before(p.Start) && t.Before(p.End) }

// String writes both ends in RFC 3339.
func (p Period) String() string {
	return p.Start.Format(time.RFC3339) + " to " + p.End.Format(time.RFC3339)
}

// calendarMonth reports whether the period is one month of its own zone.
func (p Period) calendarMonth() bool {
	month := p.month()
	return month.Start.Equal(p.Start) && month.End.Equal(p.End)
}

// month returns the calendar month, of its own zone, in which the period begins.
func (p Period) month() Period { return Calendar{Month, p.Start.Location()}.Period(p.Start) }

// hour returns the hour of the clock that contains t. A change of the clocks may cut an hour
// in two: Lord Howe Island moves its clocks by half an hour. The two parts are two periods,
// since they are not contiguous.
func hour(t time.Time) Period {
	into := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	p := Period{t.Add(-into), t.Add(time.Hour - into)}
	if at, changed := change(p.Start, t); changed {
		p.Start = at
	}
	if at, changed := change(t, p.End.Add(-1)); changed {
		p.End = at
	}
	return p
}

// firstInstant returns the first instant at which the zone's calendar shows the date or a
// later one. time.Date is not enough: it may return either instant of a midnight that occurs
// twice, and either side of a midnight that is skipped. So firstInstant tries all candidates:
// midnight by the offset before and by that after a nearby change of the clocks, and the
// change itself.
func firstInstant(y int, m time.Month, d int, zone *time.Location) time.Time {
	at := time.Date(y, m, d, 0, 0, 0, 0, zone)
	utc := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	first := at
	consider := func(t time.Time) {
		if reached(t, utc) && (!reached(first, utc) || t.Before(first)) && !reached(t.Add(-1), utc) {
			first = t
		}
	}
	const near = 26 * time.Hour // Samoa once left out a whole day; all other changes are smaller
	before, after := at.Add(-near), at.Add(near)
	for _, side := range []time.Time{before, after} {
		_, offset := side.Zone()
		consider(utc.Add(-time.Duration(offset) * time.Second).In(zone))
	}
	if moved, changed := change(before, after); changed {
		consider(moved)
	}
	return first
}

// change finds the instant between from and to at which the clocks are moved: the first
// instant that has the offset of to. It compares offsets, since [time.Time.ZoneBounds] has
// two faults for this use. ZoneBounds also returns instants at which no clock moves, for
// example the first one of a year; and on the last day of a leap year it may return an end
// that is before its instant (golang/go#81583). The clocks move at most once between from and
// to, which are at most two days apart: in the time zone database two moves are at least 95
// hours apart (Freetown, 1939).
func change(from, to time.Time) (at time.Time, changed bool) {
	_, before := from.Zone()
	if _, after := to.Zone(); before == after {
		return time.Time{}, false
	}
	start := from.Unix() + 1 // zones change at whole seconds
	n := sort.Search(int(to.Unix()-start), func(i int) bool {
		_, offset := time.Unix(start+int64(i), 0).In(from.Location()).Zone()
		return offset != before
	})
	return time.Unix(start+int64(n), 0).In(from.Location()), true
}

// reached reports whether the clock at t shows the date of day, or a later one.
func reached(t, day time.Time) bool {
	y, m, d := t.Date()
	return !time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(day)
}
