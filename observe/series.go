package observe

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Series is what a [Recorder] has counted for a version of a function since the recorder was
// made. It is a copy. Run.Count() and Wait.Count() are both the number of all calls.
type Series struct {
	Function string // empty for refusals of names that are not registered, and for changes of the router's capacity
	Version  string // empty also for the function Other

	Outcomes Outcomes
	Cold     uint64 // calls that had to wait for a new instance
	BytesIn  uint64 // of payloads
	BytesOut uint64 // of encoded outputs

	Wait Histogram // for a slot, which includes the wait for an instance; 0 for a call that found a free slot
	Init Histogram // the part of Wait that is the wait for an instance, of cold calls only
	Run  Histogram // from the start of the handler to the end of the call

	Overruns  uint64         // runaways that have ended
	Overrun   float64        // how long runaways ran after the end of their calls, in seconds
	Grown     uint64         // changes of scale to more instances, see Recorder.Decided
	Shrunk    uint64         // changes of scale to fewer instances
	Refusals  []RefusalCount // sorted by reason
	Exemplars []Exemplar     // the shortest Run first; none without WithExemplar
	Triggers  []Triggered    // the calls by what started them, sorted by trigger; triggers without calls are left out
}

// Refused returns how many calls were refused.
func (s *Series) Refused() (n uint64) {
	for _, c := range s.Refusals {
		n += c.Count
	}
	return n
}

// Snapshot yields the counts of each function and version, sorted by function and version. They
// contain all that was recorded before the call of Snapshot, and may contain what is recorded
// meanwhile. All numbers of one Series are of the same moment.
func (r *Recorder) Snapshot() iter.Seq[Series] {
	return func(yield func(Series) bool) {
		r.flush()
		for _, s := range r.all.sorted() {
			if !yield(s.snapshot()) {
				return
			}
		}
	}
}

type seriesKey struct{ function, version string }

// allSeries has the series of a recorder, by function and version.
type allSeries struct {
	windows windows
	most    int // how many series may have names of their own

	reads atomic.Uint64 // the number of calls of Changed; see series.changed

	mu      sync.Mutex // guards what follows; it may be taken while a stripe's mu is held
	series  map[seriesKey]*series
	order   []*series // all series, sorted; nil: to be sorted again, since one was added. The slice is never written to
	named   int       // the number of series that have a name of their own
	reasons map[faas.Reason]faas.Reason
}

func (a *allSeries) init(most, windowBytes int) {
	a.series, a.reasons = map[seriesKey]*series{}, map[faas.Reason]faas.Reason{}
	a.most, a.windows.most = most, int64(windowBytes)
}

// get returns a series, and makes it if it is new. If there is no room for it, get returns that
// of Other.
func (a *allSeries) get(key seriesKey) *series {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.series[key]
	if s == nil && a.named >= a.most && key.function != "" {
		key = seriesKey{function: Other}
		s = a.series[key]
	}
	if s == nil {
		if key.function != "" && key != (seriesKey{function: Other}) {
			a.named++
		}
		s = &series{key: key, all: a}
		a.series[key], a.order = s, nil
	}
	return s
}

// sorted returns all series by function and version. The slice is shared: it must not be
// changed.
func (a *allSeries) sorted() []*series {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.order == nil {
		a.order = slices.SortedFunc(maps.Values(a.series), func(x, y *series) int {
			return cmp.Or(strings.Compare(x.key.function, y.key.function), strings.Compare(x.key.version, y.key.version))
		})
	}
	return a.order
}

// reason returns the reason under which a refusal is counted.
func (a *allSeries) reason(why faas.Reason) faas.Reason {
	a.mu.Lock()
	defer a.mu.Unlock()
	if own, ok := a.reasons[why]; ok {
		return own
	}
	if len(a.reasons) >= maxReasons {
		return OtherReason
	}
	own := faas.Reason(strings.Clone(string(why)))
	a.reasons[own] = own
	return own
}

// series has the counts of a function and version, over all stripes.
type series struct {
	key seriesKey
	all *allSeries

	mu        sync.Mutex // guards what follows; it may be taken while a stripe's mu is held
	changed   uint64     // the value of allSeries.reads when something was last added
	total     Series     // without names and exemplars
	overrun   sum
	triggers  [triggers]*Triggered
	exemplars map[uint16]Exemplar // by octave
	points    [steps][]Point      // by step, and in each step by time
}

// take adds the counts that a stripe has pending, and sets these to zero. The stripe's mu must
// be held.
func (s *series) take(p *pending) {
	run, wait, init := p.run.take(), p.wait.take(), p.init.take()
	s.mu.Lock()
	s.changed = s.all.reads.Load() // with s.mu held: see liveIf
	t := &s.total
	for i, n := range p.outcomes {
		t.Outcomes[i] += n
	}
	t.Cold += p.cold
	t.BytesIn += p.bytesIn
	t.BytesOut += p.bytesOut
	t.Wait.Merge(&wait)
	t.Init.Merge(&init)
	t.Run.Merge(&run)
	t.Overruns += p.overruns
	t.Grown += p.grown
	t.Shrunk += p.shrunk
	s.overrun.plus(p.overrun)
	for _, n := range p.refusals {
		(*refusals)(&t.Refusals).add(n)
	}
	if run.count > 0 {
		s.of(p.trigger).take(p, &run, &init)
	}
	grown := s.keep(p, &run, &wait)
	s.mu.Unlock()

	p.outcomes, p.cold, p.bytesIn, p.bytesOut = Outcomes{}, 0, 0, 0
	p.overruns, p.overrun, p.grown, p.shrunk = 0, sum{}, 0, 0
	p.refused, p.refusals = 0, p.refusals[:0]
	s.all.windows.grow(s.all, grown)
}

func (s *series) snapshot() Series {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.total
	c.Function, c.Version = s.key.function, s.key.version
	c.Overrun = s.overrun.seconds()
	c.Refusals = slices.Clone(c.Refusals)
	slices.SortFunc(c.Refusals, func(a, b RefusalCount) int {
		return cmp.Or(strings.Compare(string(a.Reason), string(b.Reason)), cmp.Compare(a.Kind, b.Kind))
	})
	c.Triggers = s.byTrigger()
	c.Exemplars = slices.SortedFunc(maps.Values(s.exemplars), func(a, b Exemplar) int { return cmp.Compare(a.Run, b.Run) })
	return c
}

// Exemplar is a call of a [Series] that can be looked at more closely.
type Exemplar struct {
	Trace string        // what the function of WithExemplar has returned
	Run   time.Duration // how long the call ran
	Time  time.Time     // when it ended
}
