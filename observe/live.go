package observe

import (
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Step is the length of a [Point], and with it how far back there are any.
type Step uint8

// The steps.
const (
	Second     Step = iota // kept for 5 minutes
	TenSeconds             // kept for an hour
	Minute                 // kept for 24 hours

	steps = 3 // the number of steps
)

// Length returns how long the stretch of time of one point is.
func (s Step) Length() time.Duration {
	return [steps]time.Duration{time.Second, 10 * time.Second, time.Minute}[min(s, Minute)]
}

// Kept returns how far back points of that step go.
func (s Step) Kept() time.Duration {
	return [steps]time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}[min(s, Minute)]
}

// Point is what ended within a stretch of time. Durations in its histograms are known to within 5 %.
type Point struct {
	Start    time.Time // a multiple of the step since 1970
	Outcomes Outcomes
	Cold     uint64
	Refused  uint64
	BytesIn  uint64
	BytesOut uint64
	Wait     Histogram // as in Series
	Run      Histogram
}

// Live is the points of a version of a function, the oldest first. Where nothing ended
// there is no point.
type Live struct {
	Function, Version string // as in Series
	Points            []Point
}

// Live yields, for each function and version that has any, the points of a step that end
// after since, sorted by function and version. What was recorded before the call is in them, each call
// in the point of the time at which it ended; the last point is that of a stretch of time
// that may not be over, and grows until it is.
//
// A step that would take more than [WithWindows] allows has its oldest points dropped, for
// all functions alike: those of Second first, and those of Minute last.
func (r *Recorder) Live(step Step, since time.Time) iter.Seq[Live] {
	return func(yield func(Live) bool) {
		r.flush()
		r.liveIf(0, step, since, yield)
	}
}

// Changed is [Recorder.Live] for a reader that comes again and again: it leaves out each function
// and version of which nothing was recorded since the reader came last. mark is what that call
// has returned as next; with 0 nothing is left out. What was recorded before the call is in changed. What is
// recorded while changed is read may be in it, and is in what the reader gets next in any case. Points that are
// dropped are no change. A reader that does not read to the end keeps its mark.
func (r *Recorder) Changed(step Step, since time.Time, mark uint64) (changed iter.Seq[Live], next uint64) {
	r.flush()
	next = r.all.reads.Add(1) // after flush: what that has added is read here, and is no change for the next reader
	return func(yield func(Live) bool) {
		r.liveIf(mark, step, since, yield)
	}, next
}

// liveIf yields the points of series that have changed since a mark.
func (r *Recorder) liveIf(mark uint64, step Step, since time.Time, yield func(Live) bool) {
	since = later(since, time.Now().Add(-step.Kept()))
	for _, s := range r.all.sorted() {
		if l := s.liveIf(mark, min(step, Minute), since); len(l.Points) > 0 && !yield(l) {
			return
		}
	}
}

// liveIf is live if the series has changed since a mark. A take that this does not see comes
// after it by s.mu. So it finds in reads at least what Changed has returned before this, and
// is a change for the next reader.
func (s *series) liveIf(mark uint64, step Step, since time.Time) (l Live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed < mark {
		return l
	}
	return s.live(step, since)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// live returns a copy of the points that end after since. s.mu must be held.
func (s *series) live(step Step, since time.Time) Live {
	l := Live{Function: s.key.function, Version: s.key.version}
	from, all := since.Add(-step.Length()), s.points[step]
	i := len(all)
	for i > 0 && all[i-1].Start.After(from) { // from the end: who reads often wants the last few
		i--
	}
	if i < len(all) { // most functions of a large host have nothing new
		l.Points = slices.Clone(all[i:])
	}
	return l
}

// keep adds p to the series: for each step, to the point that contains p's second. It returns how
// many bytes more the points take afterwards. s.mu must be held.
func (s *series) keep(p *pending, run, wait *Histogram) (grown int64) {
	if s.all.windows.most == 0 {
		return 0
	}
	own := Point{
		Outcomes: p.outcomes, Cold: p.cold, Refused: p.refused, BytesIn: p.bytesIn, BytesOut: p.bytesOut,
		Run: run.coarse(), Wait: wait.coarse(),
	}
	for step := range Step(steps) {
		length := int64(step.Length() / time.Second)
		own.Start = time.Unix(p.second-p.second%length, 0)
		grown += s.expire(step, own.Start.Add(-step.Kept()), expireAtOnce) + s.keepIn(step, &own)
	}
	return grown
}

// keepIn adds to the point of p's time. It is nearly always the last one. A stripe that
// had no further record hands an older one in later.
func (s *series) keepIn(step Step, p *Point) (grown int64) {
	all := s.points[step]
	i := len(all)
	for i > 0 && all[i-1].Start.After(p.Start) {
		i--
	}
	if i == 0 || all[i-1].Start.Before(p.Start) {
		s.points[step] = slices.Insert(all, i, *p)
		return p.size()
	}
	before := all[i-1].size()
	all[i-1].Merge(p)
	return all[i-1].size() - before
}

// expireAtOnce is how many points expire at once, since those behind them are moved then.
// Live does not show those that wait for it.
const expireAtOnce = 32

// expire drops the points that begin before t if there are at least so many, and returns
// how many bytes that takes off, as a negative number. s.mu must be held.
func (s *series) expire(step Step, t time.Time, least int) (grown int64) {
	all := s.points[step]
	if len(all) < least || !all[least-1].Start.Before(t) {
		return 0
	}
	n := 0
	for n < len(all) && all[n].Start.Before(t) {
		grown -= all[n].size()
		n++
	}
	s.points[step] = slices.Delete(all, 0, n)
	return grown
}

// Merge adds what another point counts, of the same time or of a time beside it: the sum has
// p's Start. It changes p alone.
func (p *Point) Merge(o *Point) {
	for i, n := range o.Outcomes {
		p.Outcomes[i] += n
	}
	p.Cold += o.Cold
	p.Refused += o.Refused
	p.BytesIn += o.BytesIn
	p.BytesOut += o.BytesOut
	p.Wait.Merge(&o.Wait)
	p.Run.Merge(&o.Run)
}

// The sizes of a Point and of a bucket in memory, on a machine of 64 bits.
const (
	pointSize  = 216
	bucketSize = 16
)

// size is what the point takes.
func (p *Point) size() int64 {
	return pointSize + bucketSize*int64(cap(p.Run.buckets)+cap(p.Wait.buckets))
}

// windows bounds what the points of all series take.
type windows struct {
	most int64
	used atomic.Int64
	mu   sync.Mutex // held by the goroutine that drops points
}

// grow notes that points have grown, and drops points if they take too much. No lock of a
// series may be held.
func (w *windows) grow(all *allSeries, by int64) {
	if w.used.Add(by) <= w.most || !w.mu.TryLock() { // locked: they are being dropped
		return
	}
	defer w.mu.Unlock()
	series := all.sorted()
	for step := range Step(steps) {
		for w.used.Load() > w.most-w.most/8 { // an eighth in advance, so that this is seldom
			freed := dropOlderHalf(series, step)
			if freed == 0 {
				break // on to the next step
			}
			w.used.Add(-freed)
		}
	}
}

// dropOlderHalf drops the points of a step in the older half of the time that they span,
// and returns how many bytes those took.
func dropOlderHalf(all []*series, step Step) (freed int64) {
	var first, last time.Time
	for _, s := range all {
		s.mu.Lock()
		if p := s.points[step]; len(p) > 0 {
			if first.IsZero() || p[0].Start.Before(first) {
				first = p[0].Start
			}
			last = later(last, p[len(p)-1].Start)
		}
		s.mu.Unlock()
	}
	middle := first.Add(last.Sub(first)/2 + 1) // the first goes in any case
	for _, s := range all {
		s.mu.Lock()
		freed -= s.expire(step, middle, 1)
		s.points[step] = slices.Clip(s.points[step])
		s.mu.Unlock()
	}
	return freed
}
