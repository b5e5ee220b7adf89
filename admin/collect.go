package admin

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

// collector reads the router and the recorder once a second, which is a look, and makes a scene
// of each look: the numbers of all functions at that moment. Only one goroutine at a time uses
// it. Most of the work is for functions whose counts have changed. For the others, a look only
// compares the router's numbers.
type collector struct {
	router   *faas.Router
	recorder *observe.Recorder

	last      time.Time // the time of the last look; zero: there was none
	mark      uint64    // for Recorder.Changed, from the last look
	anew      bool      // this look can't continue from the last one
	rev       Count
	followers map[string]*follower
	strands   map[strandKey]*strand
	roster    *roster
	gone      []gone
	oldest    Count
	capacity  Int // of the router
	aging     int // how many functions this look may still refresh only because time has passed
}

// follower is what the collector knows of a function.
type follower struct {
	name    string
	quoted  []byte // the name as JSON, and a colon
	entry   *entry // as the last look made it; nil: no look has found the function
	strands []*strand
	sum     tally // counts since the collector began
	minute  tally // counts of the last minute
	changed bool  // something was counted since entry was made
	due     int64 // when counts of a strand become too old, in seconds since 1970
	seen    Count // the revision of the last look that found the function
}

// strandKey identifies a version of a function.
type strandKey struct{ function, version string }

// strand has the counts of a version of a function, in stretches: the recorder's points of ten
// seconds.
type strand struct {
	key     strandKey
	of      *follower
	counted []counted // of the stretches of the last minute, the oldest first
	recent  []times   // of the stretches from which percentiles are computed, the oldest first
}

// counted has the counts of a stretch. They may still grow.
type counted struct {
	start int64
	tally
}

// times has the durations of a stretch.
type times struct {
	start     int64
	wait, run observe.Histogram
}

// tally has counts of calls that have ended, or were refused.
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
	stretch = 10 * time.Second // the length of a stretch
	late    = 3 * time.Second  // how long after its end a call may be recorded and still be counted
)

// A scene lists at most maxGone removed functions, each for goneLooks looks: that is five
// minutes while there are viewers. The number is bounded because each stream asks the
// authorizer about all of them every 10 s. Few readers are behind by more than that.
const (
	maxGone   = 1000
	goneLooks = 300
)

const (
	// maxGap is the longest time after a look for which the next one can still count all that
	// has ended in between. The recorder keeps points of ten seconds for an hour.
	maxGap = 50 * time.Minute
	// maxCapacityGap is the time after a look from which on the next one reads the capacity in
	// any case. In such a gap there were no viewers, and the first frame must not show an old
	// capacity.
	maxCapacityGap = 2 * time.Second
	// agedAtOnce is how many functions a look refreshes although nothing of them was counted. All stretches end at the same
	// second, so in a host with more functions their rows would all change in one frame, every ten seconds. A look refreshes
	// a tenth of the functions if that is more, so that all of them are done before the next stretch ends.
	agedAtOnce = 100
)

func newCollector(r *faas.Router, rec *observe.Recorder) *collector {
	return &collector{router: r, recorder: rec, followers: map[string]*follower{}, strands: map[strandKey]*strand{}}
}

// look makes the next scene. If the wall clock was set back, or the last look is too long ago,
// the counts begin anew at what there is, and each reader gets a full frame.
func (c *collector) look(now time.Time) *scene {
	now = now.Round(0) // only the wall clock, which the recorder uses
	gap := now.Sub(c.last)
	c.anew = gap < 0 || gap > maxGap
	if c.rev++; c.anew {
		c.oldest, c.gone = c.rev, nil
	}
	c.count(now)
	c.last = now
	if c.aging = max(agedAtOnce, (len(c.followers)+9)/10); gap > maxCapacityGap {
		c.aging = math.MaxInt // there were no viewers, and the first frame must not show old counts
	}
	s := &scene{rev: c.rev, now: now, entries: make([]*entry, 0, len(c.followers))}
	for info := range c.router.Functions() {
		s.entries = append(s.entries, c.follow(&info, now))
	}
	c.forget(now)
	s.roster = c.rosterOf(s.entries)
	if c.anew || gap > maxCapacityGap || c.rev%10 == 0 { // else not: it takes as long as the rest of the look
		c.capacity = Int(c.router.Stats().Capacity)
	}
	s.capacity = c.capacity
	return s
}

// count reads what was counted since the last look. If c.anew, it only notes the present
// counts.
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

// quote returns a name as a JSON string.
func quote(name string) []byte {
	data, err := json.Marshal(name)
	if err != nil { // not possible: a string always encodes
		return []byte(`""`)
	}
	return data
}

// count adds the difference between the points and what was counted of them before. A point
// whose stretch is not over grows from look to look. If anew, it only notes the points.
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

// at returns the counts of the ten seconds that begin at start. If there are none yet, it inserts
// zero counts. It searches from the end, because start is nearly always in the last entry.
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

// keepTimes adds the durations of a stretch, or replaces them.
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

// Counts of a stretch belong to the last minute until minuteSeconds after the stretch began.
// Percentiles use its durations until recentSeconds after it began, which is one stretch after
// its end.
const (
	minuteSeconds = int64((time.Minute + stretch) / time.Second)
	recentSeconds = int64(2 * stretch / time.Second)
)

func isRecent(start int64, now time.Time) bool {
	return time.Unix(start+recentSeconds, 0).After(now)
}

// expire drops stretches that are too old. It reports whether one of them was used for the
// percentiles.
func (s *strand) expire(now time.Time) (dropped bool) {
	s.counted = slices.DeleteFunc(s.counted, func(c counted) bool { return c.start <= now.Unix()-minuteSeconds })
	before := len(s.recent)
	s.recent = slices.DeleteFunc(s.recent, func(t times) bool { return !isRecent(t.start, now) })
	return len(s.recent) < before
}

// due returns when expire will have something to drop, in seconds since 1970.
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

// isDue reports whether counts of a strand have become too old.
func (f *follower) isDue(now time.Time) bool { return now.Unix() >= f.due }

// refresh computes the function's counts of the last minute, if they may have changed. It
// reports whether the percentiles have to be computed again.
func (f *follower) refresh(now time.Time) (anew bool) {
	if !f.changed && !f.isDue(now) {
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

// follow returns the entry of a function: the one that it has, if nothing has changed, or a new
// one.
func (c *collector) follow(info *faas.Info, now time.Time) *entry {
	f := c.follower(info.Name)
	f.seen = c.rev
	anew := c.refresh(f, now)
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

// refresh is follower.refresh, except that a function of which nothing was counted waits for a later look if this one has
// refreshed enough of them.
func (c *collector) refresh(f *follower, now time.Time) (anew bool) {
	if !f.changed && f.isDue(now) {
		if c.aging == 0 {
			return false
		}
		c.aging--
	}
	return f.refresh(now)
}

func (f *follower) mergeTimes(e *entry) {
	for _, s := range f.strands {
		for i := range s.recent {
			e.wait.Merge(&s.recent[i].wait)
			e.run.Merge(&s.recent[i].run)
		}
	}
}

// sameCounts compares everything except the percentiles, which change only with the points.
func sameCounts(a, b *row) bool {
	return slices.Equal(a[:colTimes], b[:colTimes]) && slices.Equal(a[colMinute:], b[colMinute:])
}

// row returns the function's row, without percentiles.
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

// forget handles the functions that this look has not found. If a function had an entry, it is
// listed as removed. Its counts are dropped when its last minute is over. If it is registered
// again before that, its counts continue, as those of the recorder do. A function without an
// entry was in no frame: it was removed before the first look, or belongs to another router of
// the recorder.
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

// note adds functions to the list of removed ones. It takes those off the list that exist
// again, since their new rows say everything. It also takes off the oldest: a reader that has
// missed one of these gets a full frame.
func (c *collector) note(removed []gone) {
	all := make([]gone, 0, len(c.gone)+len(removed)) // a new slice, since earlier scenes share the old one
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

// rosterOf returns the roster of the last scene if the functions are the same, or a new one.
func (c *collector) rosterOf(entries []*entry) *roster {
	if r := c.roster; r == nil || r.oldest != c.oldest || !slices.Equal(r.gone, c.gone) ||
		!slices.EqualFunc(r.names, entries, func(name string, e *entry) bool { return name == e.name }) {
		c.roster = newRoster(entries, c.gone, c.oldest)
	}
	return c.roster
}
