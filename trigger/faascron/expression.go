package faascron

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// The positions of the fields in an expression, in gronx's numbering.
const (
	seconds = iota
	minutes
	hours
	monthDays
	months
	weekDays
	years
)

// expression is a parsed cron expression. It has the days that match, and the times of day.
type expression struct {
	times    []int // seconds of the day, sorted
	months   [13]bool
	days     daySet
	weekDays daySet
	both     bool   // a day has to match days and weekDays; else one of them is enough
	year     string // the text of the field; empty: any year
	wildcard bool   // second, minute or hour has a *: the entry goes by elapsed time
}

// daySet is one of the two fields of days. If the field has L, W or #, the days depend on the
// month.
type daySet struct {
	field string
	pos   int
	plain [32]bool // the days that match, if the field has no L, W or #
	fixed bool     // plain is used
}

// parse parses an expression with gronx, and computes which times and days match.
func parse(text string) (*expression, error) {
	fields, err := gronx.Segments(text)
	if err != nil {
		return nil, err
	}
	if !gronx.IsValid(text) {
		return nil, errors.New("not a cron expression of 5 to 7 fields")
	}
	e := &expression{}
	if err := e.expandTimes(fields); err != nil {
		return nil, err
	}
	if err := e.expandDays(fields); err != nil {
		return nil, err
	}
	return e, nil
}

// expandDays computes the months and days that match.
func (e *expression) expandDays(fields []string) error {
	inYear, err := expand(fields[months], months, 1, 12)
	if err != nil {
		return err
	}
	for _, m := range inYear {
		e.months[m] = true
	}
	days, err := newDaySet(fields[monthDays], monthDays, 1, 31)
	if err != nil {
		return err
	}
	e.days = days
	e.both = isStar(fields[monthDays]) || isStar(fields[weekDays])
	if len(fields) > years && !isStar(fields[years]) {
		e.year = fields[years]
	}
	e.weekDays, err = newDaySet(fields[weekDays], weekDays, 0, 6)
	return err
}

// expandTimes computes the times of day that match.
func (e *expression) expandTimes(fields []string) error {
	var sets [3][]int
	for pos, highest := range []int{59, 59, 23} {
		set, err := expand(fields[pos], pos, 0, highest)
		if err != nil {
			return err
		}
		sets[pos] = set
		e.wildcard = e.wildcard || isStar(fields[pos])
	}
	for _, h := range sets[hours] {
		for _, m := range sets[minutes] {
			for _, s := range sets[seconds] {
				e.times = append(e.times, h*3600+m*60+s)
			}
		}
	}
	return nil
}

func isStar(field string) bool { return strings.HasPrefix(field, "*") || strings.HasPrefix(field, "?") }

// expand returns the values from lowest to highest that match a field.
func expand(field string, pos, lowest, highest int) ([]int, error) {
	var all []int
	for v := lowest; v <= highest; v++ {
		ok, err := isDue(field, pos, sample(pos, v))
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, v)
		}
	}
	return all, nil
}

// isDue reports whether a field matches a time, according to gronx.
func isDue(field string, pos int, at time.Time) (bool, error) {
	if field == "*" || field == "?" {
		return true, nil
	}
	c := gronx.SegmentChecker{}
	c.SetRef(at)
	return c.CheckDue(field, pos)
}

// sample returns a time whose field at pos has the value v. January 2023 begins on a Sunday.
func sample(pos, v int) time.Time {
	switch pos {
	case seconds:
		return time.Date(2023, 1, 1, 0, 0, v, 0, time.UTC)
	case minutes:
		return time.Date(2023, 1, 1, 0, v, 0, 0, time.UTC)
	case hours:
		return time.Date(2023, 1, 1, v, 0, 0, 0, time.UTC)
	case months:
		return time.Date(2023, time.Month(v), 1, 0, 0, 0, 0, time.UTC)
	case weekDays:
		return time.Date(2023, 1, 1+v, 0, 0, 0, 0, time.UTC)
	}
	return time.Date(2023, 1, v, 0, 0, 0, 0, time.UTC)
}

func newDaySet(field string, pos, lowest, highest int) (daySet, error) {
	s := daySet{field: field, pos: pos, fixed: !strings.ContainsAny(field, "LW#")}
	if !s.fixed {
		_, err := isDue(field, pos, sample(pos, 1))
		return s, err
	}
	all, err := expand(field, pos, lowest, highest)
	for _, v := range all {
		s.plain[v] = true
	}
	return s, err
}

// has reports whether a day is in the set. The day is given as its midnight in UTC.
func (s *daySet) has(day time.Time) bool {
	switch {
	case !s.fixed:
		ok, err := isDue(s.field, s.pos, day)
		return ok && err == nil
	case s.pos == weekDays:
		return s.plain[day.Weekday()]
	}
	return s.plain[day.Day()]
}

// matches reports whether a day matches. The day is given as its midnight in UTC.
func (e *expression) matches(day time.Time) bool {
	if !e.months[day.Month()] {
		return false
	}
	if e.year != "" {
		if ok, err := isDue(e.year, years, day); !ok || err != nil {
			return false
		}
	}
	if e.both {
		return e.days.has(day) && e.weekDays.has(day)
	}
	return e.days.has(day) || e.weekDays.has(day)
}

// cycle is the number of days after which the Gregorian calendar repeats. An expression that
// matches no day within a cycle never does.
const cycle = 146097

const aDay = 24 * 60 * 60 // in seconds

// reading is what a wall clock shows, as seconds from 1970-01-01 00:00 on that clock. It has no
// zone.
type reading int64

// from returns the first matching reading in [r, limit]. ok is false if there is none.
func (e *expression) from(r, limit reading) (_ reading, ok bool) {
	day := r - r.inDay()
	for range cycle + 1 {
		if day > limit {
			break
		}
		if e.matches(time.Unix(int64(day), 0).UTC()) {
			if i, _ := slices.BinarySearch(e.times, int(r-day)); i < len(e.times) {
				at := day + reading(e.times[i])
				return at, at <= limit
			}
		}
		day += aDay
	}
	return 0, false
}

// inDay returns how many seconds of its day have passed.
func (r reading) inDay() reading { return ((r % aDay) + aDay) % aDay }
