package admin

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

// collector looks at the router and the recorder, and makes a scene of each look. One goroutine
// at a time uses it. Most of the cost is for functions that have changed; for the others a look
// only compares the router's numbers.
type collector struct {
	router   *faas.Router
	recorder *observe.Recorder

	last      time.Time // of the last look; zero: there was none
	mark      uint64    // of the last look, for Recorder.Changed
	anew      bool      // the look can't go on from the last one
	rev       Count
	followers map[string]*follower
	strands   map[strandKey]*strand
	roster    *roster
	gone      []gone
	oldest    Count
	capacity  Int // of the router
}

// follower is what the collector remembers of a function.
type follower struct {
	name    string
	quoted  []byte // the name as JSON, and a colon
	entry   *entry // nil: no look has met the function
	strands []*strand
	sum     tally // of all stretches
	minute  tally // of the stretches of the last minute
	changed bool  // something was counted since entry was made
	due     int64 // when the next stretch of a strand is over, in seconds since 1970
	seen    Count // the look that has met the function last
}

// strandKey is a version of a function.
type strandKey struct{ function, version string }

// strand is what was counted of a version of a function.
type strand struct {
	key     strandKey
	of      *follower
	counted []counted // of the last minute, the oldest first
	recent  []times   // of the stretches that the percentiles are of, the oldest first
}

// counted is what was counted of a stretch, which may grow.
type counted struct {
	start int64
	tally
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

// A scene names at most maxGone removed functions, each for goneLooks looks: for five minutes while there
// are viewers. Each stream asks the authorizer about all of them every 10 s, and hardly a reader is so late.
const (
	maxGone   = 1000
	goneLooks = 300
)

const (
	// maxGap is how long after a look the next one still knows all that has ended meanwhile: the
	// recorder keeps these points for an hour.
	maxGap = 50 * time.Minute
	// maxCapacityGap is how long after a look the next one reads the capacity in any case. There were no
	// viewers meanwhile, and the first frame may not say what was so before that.
	maxCapacityGap = 2 * time.Second
)

func newCollector(r *faas.Router, rec *observe.Recorder) *collector {
	return &collector{router: r, recorder: rec, followers: map[string]*follower{}, strands: map[strandKey]*strand{}}
}

// look makes the next scene. If the wall clock was put back, or there was no look for too long,
// the counts begin anew with what there is, and each reader gets a full frame.
func (c *collector) look(now time.Time) *scene {
	now = now.Round(0) // the wall clock, by which the recorder counts
	gap := now.Sub(c.last)
	c.anew = gap < 0 || gap > maxGap
	if c.rev++; c.anew {
		c.oldest, c.gone = c.rev, nil
	}
	c.count(now)
	c.last = now
	s := &scene{rev: c.rev, now: now, entries: make([]*entry, 0, len(c.followers))}
	for info := range c.router.Functions() {
		s.entries = append(s.entries, c.follow(&info, now))
	}
	c.forget(now)
	s.roster = c.rosterOf(s.entries)
	if c.anew || gap > maxCapacityGap || c.rev%10 == 0 { // it takes as long as all of the rest
		c.capacity = Int(c.router.Stats().Capacity)
	}
	s.capacity = c.capacity
	return s
}

// count reads what has changed since the last look; anew it notes what there is.
func (c *collector) count(now time.Time) {
	since, mark := c.last.Add(-late), c.mark
	if c.anew {
		since, mark = now.Add(-time.Minute), 0
		for _, s := range c.strands {
			s.counted, s.recent, s.of.changed = s.counted[:0], s.recent[:0], true
		}
	}
	changed, next := c.recorder.Changed(observe.TenSeconds, since, mark)
	c.mark = next
	for l := range changed {
		c.strand(strandKey{l.Function, l.Version}).count(l.Points, now, c.anew)
	}
}

func (c *collector) strand(key strandKey) *strand {
	s := c.strands[key]
	if s == nil {
		s = &strand{key: key, of: c.follower(key.function)}
		s.of.strands = append(s.of.strands, s)
		c.strands[key] = s
	}
	return s
}

func (c *collector) follower(name string) *follower {
	f := c.followers[name]
	if f == nil {
		f = &follower{name: name, quoted: append(quote(name), ':'), due: math.MaxInt64}
		c.followers[name] = f
	}
	return f
}

// quote returns a name as JSON.
func quote(name string) []byte {
	data, err := json.Marshal(name)
	if err != nil { // it is a string
		return []byte(`""`)
	}
	return data
}

// count adds what the points have more than was counted of them. A point that is not over grows
// from look to look. Anew, it adds nothing and notes what there is.
func (s *strand) count(points []observe.Point, now time.Time, anew bool) {
	for i := range points {
		p := &points[i]
		start, t := p.Start.Unix(), tallyOf(p)
		if isRecent(start, now) {
			s.keepTimes(times{start, p.Wait, p.Run})
		}
		was := s.at(start)
		if was.tally == t {
			continue
		}
		if !anew {
			s.of.sum.add(t)
			s.of.sum.sub(was.tally)
		}
		was.tally, s.of.changed = t, true
	}
}

// at finds what was counted of a stretch, or begins it. Nearly always it is the last one.
func (s *strand) at(start int64) *counted {
	i := len(s.counted)
	for i > 0 && s.counted[i-1].start > start {
		i--
	}
	if i == 0 || s.counted[i-1].start < start {
		s.counted = slices.Insert(s.counted, i, counted{start: start})
		i++
	}
	return &s.counted[i-1]
}

// keepTimes replaces the durations of a stretch.
func (s *strand) keepTimes(t times) {
	i := len(s.recent)
	for i > 0 && s.recent[i-1].start >= t.start {
		i--
	}
	if i < len(s.recent) && s.recent[i].start == t.start {
		s.recent[i] = t
		return
	}
	s.recent = slices.Insert(s.recent, i, t)
}

// A stretch is among those of the last minute until minuteSeconds after its start, and among
// those that the percentiles are of until recentSeconds after it: for longer than one stretch
// after its end.
const (
	minuteSeconds = int64((time.Minute + stretch) / time.Second)
	recentSeconds = int64(2 * stretch / time.Second)
)

func isRecent(start int64, now time.Time) bool {
	return time.Unix(start+recentSeconds, 0).After(now)
}

// expire drops the stretches that are over for too long, and reports whether the percentiles
// are to be made again.
func (s *strand) expire(now time.Time) (dropped bool) {
	s.counted = slices.DeleteFunc(s.counted, func(c counted) bool { return c.start <= now.Unix()-minuteSeconds })
	before := len(s.recent)
	s.recent = slices.DeleteFunc(s.recent, func(t times) bool { return !isRecent(t.start, now) })
	return len(s.recent) < before
}

// due is when expire has something to drop, in seconds since 1970.
func (s *strand) due() int64 {
	due := int64(math.MaxInt64)
	if len(s.counted) > 0 {
		due = s.counted[0].start + minuteSeconds
	}
	if len(s.recent) > 0 {
		due = min(due, s.recent[0].start+recentSeconds)
	}
	return due
}

// refresh brings the sums over the strands up to date, if they may have changed, and reports
// whether the percentiles are to be made again.
func (f *follower) refresh(now time.Time) (anew bool) {
	if !f.changed && now.Unix() < f.due {
		return false
	}
	anew, f.changed = f.changed, false
	f.minute, f.due = tally{}, math.MaxInt64
	for _, s := range f.strands {
		anew = s.expire(now) || anew
		f.due = min(f.due, s.due())
		for i := range s.counted {
			f.minute.add(s.counted[i].tally)
		}
	}
	return anew
}

// follow makes the entry of a function, or returns the one that it has if nothing has
// changed.
func (c *collector) follow(info *faas.Info, now time.Time) *entry {
	f := c.follower(info.Name)
	f.seen = c.rev
	anew := f.refresh(now)
	r := f.row(info)
	old := f.entry
	if old != nil && !anew && sameCounts(&r, &old.row) {
		return old
	}
	e := &entry{name: f.name, rev: c.rev, row: r}
	if old != nil && !anew {
		e.wait, e.run = old.wait, old.run
	} else {
		f.mergeTimes(e)
	}
	e.row.setTimes(&e.wait, &e.run)
	e.encode(f.quoted)
	f.entry = e
	return e
}

func (f *follower) mergeTimes(e *entry) {
	for _, s := range f.strands {
		for i := range s.recent {
			e.wait.Merge(&s.recent[i].wait)
			e.run.Merge(&s.recent[i].run)
		}
	}
}

// sameCounts compares all but the percentiles, which change only with the points.
func sameCounts(a, b *row) bool {
	return slices.Equal(a[:colTimes], b[:colTimes]) && slices.Equal(a[colMinute:], b[colMinute:])
}

// row is the function's row, without percentiles.
func (f *follower) row(info *faas.Info) (r row) {
	n := Numbers{InFlight: count(info.InFlight), Queued: count(info.Queued), Runaways: count(info.Runaways), Minute: &Window{
		Calls: Count(f.minute.calls), Failures: Count(f.minute.failures), Refused: Count(f.minute.refused),
	}}
	limit := shownLimit(info.Concurrency)
	r[colState] = Int(slices.Index(states(), stateOf(limit, &n)))
	if r[colLimit] = -1; limit != nil {
		r[colLimit] = *limit
	}
	r[colInFlight], r[colQueued], r[colRunaways] = Int(info.InFlight), Int(info.Queued), Int(info.Runaways)
	r[colInstances], r[colReady] = Int(info.Instances), Int(info.Ready)
	r[colCalls], r[colFailures], r[colRefused], r[colCold] = integer(f.sum.calls), integer(f.sum.failures), integer(f.sum.refused), integer(f.sum.cold)
	copy(r[colMinute:], []Int{integer(f.minute.calls), integer(f.minute.failures), integer(f.minute.refused), integer(f.minute.cold)})
	r[colJobsWaiting], r[colJobsRunning], r[colJobsDead] = Int(info.Jobs.Waiting()), Int(info.Jobs.Running), Int(info.Jobs.Dead)
	return r
}

// forget drops the functions that the look has not met, when their last minute is over: one that is
// registered again before that goes on from there, as the recorder does. One that no look has met,
// because it was removed before or is none of the router's, was in no frame.
func (c *collector) forget(now time.Time) {
	var removed []gone
	for name, f := range c.followers {
		if f.seen == c.rev {
			continue
		}
		if f.entry != nil {
			removed = append(removed, gone{name, c.rev})
			f.entry = nil
		}
		if f.refresh(now); f.due == math.MaxInt64 {
			delete(c.followers, name)
			for _, s := range f.strands {
				delete(c.strands, s.key)
			}
		}
	}
	c.note(removed)
}

// note adds functions to those that are gone. It drops those that are there again, since their new rows
// tell all, and the oldest ones: a reader that was not told of one of these gets a full frame.
func (c *collector) note(removed []gone) {
	all := make([]gone, 0, len(c.gone)+len(removed)) // another one: scenes share the one of before
	for _, g := range c.gone {
		if f := c.followers[g.name]; f == nil || f.seen != c.rev {
			all = append(all, g)
		}
	}
	all = append(all, removed...)
	old := max(0, len(all)-maxGone)
	for old < len(all) && all[old].rev+goneLooks <= c.rev {
		old++
	}
	if old > 0 {
		c.oldest = all[old-1].rev
	}
	c.gone = all[old:]
}

// rosterOf returns the roster of the last scene if there are the same functions as then.
func (c *collector) rosterOf(entries []*entry) *roster {
	if r := c.roster; r == nil || r.oldest != c.oldest || !slices.Equal(r.gone, c.gone) ||
		!slices.EqualFunc(r.names, entries, func(name string, e *entry) bool { return name == e.name }) {
		c.roster = newRoster(entries, c.gone, c.oldest)
	}
	return c.roster
}
