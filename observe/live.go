package observe

import (
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Step is the length of a [Point]. How long points are kept depends on their step.
type Step uint8

// The steps.
const (
	Second     Step = iota // kept for 5 minutes
	TenSeconds             // kept for an hour
	Minute                 // kept for 24 hours

	steps = 3 // the number of steps
)

// Length returns the length of a point of this step.
func (s Step) Length() time.Duration {
	return [steps]time.Duration{time.Second, 10 * time.Second, time.Minute}[min(s, Minute)]
}

// Kept returns for how long points of this step are kept.
func (s Step) Kept() time.Duration {
	return [steps]time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}[min(s, Minute)]
}

// Point counts what ended in one step of time. Durations in its histograms are known to within
// 5 %.
type Point struct {
	Start    time.Time // a multiple of the step, counted from 1970
	Outcomes Outcomes
	Cold     uint64
	Refused  uint64
	BytesIn  uint64
	BytesOut uint64
	Wait     Histogram // as in Series
	Run      Histogram
}

// Live has the points of a version of a function, the oldest first. There is no point for a
// step in which nothing ended.
type Live struct {
	Function, Version string // as in Series
	Points            []Point
}

// Live yields the points of a step that end after since, for each function and version that has
// such points, sorted by function and version. The points contain all that was recorded before
// the call of Live. Each call is in the point of the time at which it ended. The last point's
// time may not be over; then the point still grows.
//
// If the points take more memory than [WithWindows] allows, the oldest are dropped, for all
// functions alike: first those of Second, then those of TenSeconds, and those of Minute last.
func (r *Recorder) Live(step Step, since time.Time) iter.Seq[Live] {
	return func(yield func(Live) bool) {
		r.flush()
		r.liveIf(0, step, since, yield)
	}
}

// Changed is [Recorder.Live] for a reader that reads again and again. It leaves out each
// function and version of which nothing was recorded since the reader's last call. The reader
// passes as mark the next of that call; at the first call it passes 0, and nothing is left out.
// changed contains all that was recorded before the call. What is recorded while changed is
// read may be in it, and is certainly in the reader's next read. The dropping of points is not
// a change. A reader that stops in the middle of changed passes the same mark again.
func (r *Recorder) Changed(step Step, since time.Time, mark uint64) (changed iter.Seq[Live], next uint64) {
	r.flush()
	next = r.all.reads.Add(1) // after flush: what flush has added is in this read, and is no change for the next one
	return func(yield func(Live) bool) {
		r.liveIf(mark, step, since, yield)
	}, next
}

// liveIf yields the points of each series that has changed since mark.
func (r *Recorder) liveIf(mark uint64, step Step, since time.Time, yield func(Live) bool) {
	since = later(since, time.Now().Add(-step.Kept()))
	for _, s := range r.all.sorted() {
		if l := s.liveIf(mark, min(step, Minute), since); len(l.Points) > 0 && !yield(l) {
			return
		}
	}
}

// liveIf returns the points if the series has changed since mark. A take that this call does
// not see locks s.mu after it, and so reads all.reads after Changed has incremented it. So take
// stores at least this reader's next mark in s.changed, and the reader's next call sees the
// change.
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
	for i > 0 && all[i-1].Start.After(from) { // from the end, since a frequent reader wants only the last points
		i--
	}
	if i < len(all) { // of a large host, most functions have nothing new
		l.Points = slices.Clone(all[i:])
	}
	return l
}

// keep adds p to the points of the series: in each step to the point that contains p's second.
// It returns how many more bytes the points take. s.mu must be held.
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

// keepIn adds p to the point of the same time. That is nearly always the last point. An older
// one comes from a stripe that has had no record since, and that is flushed by a reader.
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

// expireAtOnce is how many points must be too old before they are removed together, because
// each removal moves all later points. Live does not show points that are too old.
const expireAtOnce = 32

// expire removes the points that begin before t, if there are at least so many as least. It
// returns the change of the points' size in bytes, which is 0 or negative. s.mu must be held.
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

// Merge adds the counts of o, a point of the same time or of a neighboring one. The sum keeps
// p's Start. Merge does not change o.
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

// The sizes in bytes of a Point and of a bucket, on a 64-bit machine.
const (
	pointSize  = 216
	bucketSize = 16
)

// size returns how many bytes the point takes.
func (p *Point) size() int64 {
	return pointSize + bucketSize*int64(cap(p.Run.buckets)+cap(p.Wait.buckets))
}

// windows bounds how many bytes the points of all series take.
type windows struct {
	most int64
	used atomic.Int64
	mu   sync.Mutex // held by the goroutine that drops points
}

// grow notes that the points take more bytes, and drops points if there are too many. The
// caller must not hold the lock of a series.
func (w *windows) grow(all *allSeries, by int64) {
	if w.used.Add(by) <= w.most || !w.mu.TryLock() { // locked: another goroutine is dropping points
		return
	}
	defer w.mu.Unlock()
	series := all.sorted()
	for step := range Step(steps) {
		for w.used.Load() > w.most-w.most/8 { // an eighth more than necessary, so that dropping is rare
			freed := dropOlderHalf(series, step)
			if freed == 0 {
				break // on to the next step
			}
			w.used.Add(-freed)
		}
	}
}

// dropOlderHalf drops the points of a step that are in the older half of the time for which
// there are points. It returns how many bytes they took.
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
	middle := first.Add(last.Sub(first)/2 + 1) // + 1, so that the first point is dropped in any case
	for _, s := range all {
		s.mu.Lock()
		freed -= s.expire(step, middle, 1)
		s.points[step] = slices.Clip(s.points[step])
		s.mu.Unlock()
	}
	return freed
}
