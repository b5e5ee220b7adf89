package admin

import (
	"maps"
	"slices"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

// collector looks at the router and the recorder, and makes scenes. One goroutine at a time
// uses it.
type collector struct {
	router   *faas.Router
	recorder *observe.Recorder

	last      time.Time // of the last look; zero: there was none
	anew      bool      // the look can't go on from the last one
	rev       Count
	followers map[string]*follower
	gone      []gone
	oldest    Count
	capacity  Int // of the router
}

// follower is what the collector remembers of a function.
type follower struct {
	entry   *entry
	counted map[int64]tally // what was counted of the stretches of the last minute, by their start
	sum     tally           // of all stretches
	recent  []times         // the stretches that the percentiles of entry are of: at most two
	seen    Count           // the look that has met the function last
}

// times are the durations of a stretch.
type times struct {
	start     int64
	wait, run observe.Histogram
}

// tally are counts of what has ended.
type tally struct{ calls, failures, refused, cold uint64 }

func (t *tally) add(o tally) {
	t.calls += o.calls
	t.failures += o.failures
	t.refused += o.refused
	t.cold += o.cold
}

func (t *tally) sub(o tally) {
	t.calls -= o.calls
	t.failures -= o.failures
	t.refused -= o.refused
	t.cold -= o.cold
}

func tallyOf(p *observe.Point) tally {
	return tally{p.Outcomes.Calls(), p.Outcomes.Failures(), p.Refused, p.Cold}
}

const (
	stretch = 10 * time.Second // how long the points are that a collector reads
	late    = 3 * time.Second  // for how long a look may miss what has ended before it
)

// maxGone is how many removed functions a scene names.
const maxGone = 1000

// maxGap is how long after a look the next one still knows all that has ended meanwhile: the
// recorder keeps these points for an hour.
const maxGap = 50 * time.Minute

// look makes the next scene. If the wall clock was put back, or there was no look for too long,
// the counts begin anew with what there is, and each reader gets a full frame.
func (c *collector) look(now time.Time) *scene {
	now = now.Round(0) // the wall clock, by which the recorder counts
	gap := now.Sub(c.last)
	c.anew = gap < 0 || gap > maxGap
	since := now.Add(-time.Minute)
	if !c.anew {
		since = c.last.Add(-late)
	}
	points := map[string][]observe.Point{}
	for l := range c.recorder.Live(observe.TenSeconds, since) {
		points[l.Function] = append(points[l.Function], l.Points...) // of all its versions
	}
	c.last = now
	if c.rev++; c.anew {
		c.oldest, c.gone = c.rev, nil
	}
	s := &scene{rev: c.rev, now: now}
	for info := range c.router.Functions() {
		s.entries = append(s.entries, c.follow(&info, points[info.Name], now))
	}
	c.forget()
	s.gone, s.oldest = slices.Clip(c.gone), c.oldest
	if c.rev%10 == 1 { // it takes as long as all of the rest
		c.capacity = Int(c.router.Stats().Capacity)
	}
	s.capacity = c.capacity
	return s
}

// follow makes the entry of a function, or returns the one that it has if nothing has
// changed.
func (c *collector) follow(info *faas.Info, points []observe.Point, now time.Time) *entry {
	f := c.followers[info.Name]
	if f == nil {
		f = &follower{counted: map[int64]tally{}}
		c.followers[info.Name] = f
	}
	f.seen = c.rev
	changed := f.count(points, now, c.anew)
	r := f.row(info)
	old := f.entry
	if old != nil && !changed && sameCounts(&r, &old.row) {
		return old
	}
	e := &entry{name: info.Name, rev: c.rev, row: r}
	if old != nil && !changed {
		e.wait, e.run = old.wait, old.run
	} else {
		for i := range f.recent {
			e.wait.Merge(&f.recent[i].wait)
			e.run.Merge(&f.recent[i].run)
		}
	}
	e.row.setTimes(&e.wait, &e.run)
	e.encode()
	f.entry = e
	return e
}

// sameCounts compares all but the percentiles, which change only with the points.
func sameCounts(a, b *row) bool {
	return slices.Equal(a[:colTimes], b[:colTimes]) && slices.Equal(a[colMinute:], b[colMinute:])
}

// count adds what the points have more than was counted of them, and reports whether
// the percentiles are to be made again. A point that is not over grows from look to look. Anew,
// it counts nothing and notes what there is.
func (f *follower) count(points []observe.Point, now time.Time, anew bool) (changed bool) {
	if anew {
		f.counted = map[int64]tally{}
	}
	for at, t := range byStart(points) {
		was := f.counted[at]
		if was == t {
			continue
		}
		f.counted[at], changed = t, true
		if !anew {
			f.sum.add(t)
			f.sum.sub(was)
		}
	}
	oldest := now.Add(-time.Minute - stretch).Unix()
	maps.DeleteFunc(f.counted, func(at int64, _ tally) bool { return at <= oldest })
	return f.keepTimes(points, now) || changed
}

// byStart adds up the points of several versions.
func byStart(points []observe.Point) map[int64]tally {
	if len(points) == 0 { // most functions of a large host
		return nil
	}
	sums := map[int64]tally{}
	for i := range points {
		at := points[i].Start.Unix()
		t := sums[at]
		t.add(tallyOf(&points[i]))
		sums[at] = t
	}
	return sums
}

// keepTimes keeps the durations of the stretches that are not over for longer than one, and
// reports whether it has dropped any.
func (f *follower) keepTimes(points []observe.Point, now time.Time) (dropped bool) {
	before := len(f.recent)
	f.recent = slices.DeleteFunc(f.recent, func(t times) bool { return !isRecent(t.start, now) })
	dropped = len(f.recent) < before
	fresh := map[int64]*times{}
	for i := range points {
		at := points[i].Start.Unix()
		if !isRecent(at, now) {
			continue
		}
		if fresh[at] == nil {
			fresh[at] = &times{start: at}
		}
		fresh[at].wait.Merge(&points[i].Wait)
		fresh[at].run.Merge(&points[i].Run)
	}
	for at, t := range fresh {
		f.recent = append(slices.DeleteFunc(f.recent, func(t times) bool { return t.start == at }), *t)
	}
	return dropped
}

func isRecent(start int64, now time.Time) bool {
	return time.Unix(start, 0).Add(2 * stretch).After(now)
}

// row is the function's row, without percentiles.
func (f *follower) row(info *faas.Info) (r row) {
	var minute tally
	for _, t := range f.counted {
		minute.add(t)
	}
	n := Numbers{InFlight: count(info.InFlight), Queued: count(info.Queued), Runaways: count(info.Runaways), Minute: &Window{
		Calls: Count(minute.calls), Failures: Count(minute.failures), Refused: Count(minute.refused),
	}}
	limit := shownLimit(info.Concurrency)
	r[colState] = Int(slices.Index(states(), stateOf(limit, &n)))
	if r[colLimit] = -1; limit != nil {
		r[colLimit] = *limit
	}
	r[colInFlight], r[colQueued], r[colRunaways] = Int(info.InFlight), Int(info.Queued), Int(info.Runaways)
	r[colInstances], r[colReady] = Int(info.Instances), Int(info.Ready)
	r[colCalls], r[colFailures], r[colRefused], r[colCold] = integer(f.sum.calls), integer(f.sum.failures), integer(f.sum.refused), integer(f.sum.cold)
	copy(r[colMinute:], []Int{integer(minute.calls), integer(minute.failures), integer(minute.refused), integer(minute.cold)})
	r[colJobsWaiting], r[colJobsRunning], r[colJobsDead] = Int(info.Jobs.Waiting()), Int(info.Jobs.Running), Int(info.Jobs.Dead)
	return r
}

// forget drops the functions that the look has not met.
func (c *collector) forget() {
	for name, f := range c.followers {
		if f.seen != c.rev {
			delete(c.followers, name)
			c.gone = append(slices.Clip(c.gone), gone{name, c.rev}) // clip: scenes share what is there
		}
	}
	if extra := len(c.gone) - maxGone; extra > 0 {
		c.oldest = c.gone[extra-1].rev
		c.gone = c.gone[extra:]
	}
}
