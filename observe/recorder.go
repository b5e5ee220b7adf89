package observe

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// Recorder counts calls for those who read the counts later: Prometheus, a page, an
// analysis. It is a [faas.Meter] and a [faas.OverrunMeter], to be given to faas.WithMeter,
// and its method Refused is to be given to faas.WithRefusals. One recorder may serve
// several routers.
//
// Record takes no lock that other processors use, and allocates only for what is new: a
// function, a tenant, a length that no call has had. A call with a recorder takes 1.05 to
// 1.13 of what it takes with a meter that does nothing (BenchmarkRecorder in bench/).
//
// What is read contains all that was recorded before, exactly. The counts only grow, and
// stay when a function is removed. A function and version takes about 10 KB, a tenant of
// a function about 300 bytes for each processor that has recorded it, and the windows what
// [WithWindows] says. [WithFunctions], [WithTenants] and [WithUsages] bound how many there
// are: what comes later is counted under [Other], at the cost of a lock that all processors
// share, and what was there keeps its counts. It has no goroutine and no timer. All methods
// may be called concurrently.
type Recorder struct {
	settings recorderSettings
	counter  *cost.Counter
	started  time.Time
	stripes  []stripe
	// idle holds *stripe. It gives a processor the stripe that it used last, which is in
	// the processor's cache.
	idle   sync.Pool
	next   atomic.Uint32 // counts on to the stripe to try for a processor that got none from idle
	owners owners
	all    allSeries
}

// RecorderOption is an option of [NewRecorder]. Nil options are ignored.
type RecorderOption interface{ applyRecorder(*recorderSettings) }

type recorderOption func(*recorderSettings)

func (o recorderOption) applyRecorder(s *recorderSettings) { o(s) }

// recorderSettings is what the options say.
type recorderSettings struct {
	books                      []*cost.Book
	functions, tenants, usages int
	windows                    int // bytes
	exemplar                   func(ctx context.Context) string
}

// WithBooks sets the price lists by whose rounding rules usage is counted, so that it can
// be priced by them, see [Recorder.Spend]. Default: none. Then usage has calls and
// durations, and no price.
func WithBooks(books ...*cost.Book) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.books = append(s.books, books...) })
}

// WithTenants sets for how many tenants usage is kept apart; calls for any further tenant
// are counted under [Other]. n < 0 counts as 0. Default 10,000.
func WithTenants(n int) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.tenants = max(n, 0) })
}

// WithFunctions sets how many functions and versions are kept apart; those that come later
// are counted together, as the function [Other] without a version. This bounds a host that
// makes up names. n < 0 counts as 0. Default 10,000.
func WithFunctions(n int) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.functions = max(n, 0) })
}

// WithUsages sets for how many tenants of a function usage is kept apart, over all
// functions: that is what [Recorder.Usage] has, and 10,000 tenants that each call 1,000
// functions would be ten millions. A tenant for which a function has no room is counted under [Other]
// there. Declared memories and overruns are always kept apart, since prices differ. n < 0
// counts as 0. Default 100,000.
func WithUsages(n int) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.usages = max(n, 0) })
}

// WithWindows sets how many bytes [Recorder.Live] may keep, over all functions. 0: it keeps
// nothing. Default 64 MiB.
func WithWindows(bytes int) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.windows = max(bytes, 0) })
}

// WithExemplar sets how a recorded call is found again, for example in a tracing system: f
// returns the name of the call's trace, or the empty string for a call that is not sampled.
// ctx is as for [faas.Meter].Record, and f must not block. The recorder keeps, for each
// function and version, the last such call of about each length, see [Series.Exemplars].
// f is called after the call is counted: if it panics, the call has no exemplar.
func WithExemplar(f func(ctx context.Context) string) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.exemplar = f })
}

// NewRecorder returns an empty recorder.
func NewRecorder(opts ...RecorderOption) *Recorder {
	s := recorderSettings{functions: 10_000, tenants: 10_000, usages: 100_000, windows: 64 << 20}
	for _, o := range opts {
		if o != nil {
			o.applyRecorder(&s)
		}
	}
	r := &Recorder{
		settings: s, counter: cost.NewCounter(s.books...), started: time.Now(),
		stripes: make([]stripe, max(2, runtime.GOMAXPROCS(0))), owners: newOwners(s.tenants, s.usages),
	}
	r.all.init(s.functions, s.windows)
	for i := range r.stripes {
		r.stripes[i].init(r)
	}
	return r
}

// Started returns when the recorder was made: since when its counts have grown.
func (r *Recorder) Started() time.Time { return r.started }

// Record counts a call, at the time at which it ended.
func (r *Recorder) Record(ctx context.Context, e faas.Execution) {
	s := r.lock()
	c := s.cell(&e, false)
	r.counter.Add(&c.used, &e)
	c.counts.at(s, triggerOf(e.Origin.Trigger), endOf(&e)).add(&e)
	r.unlock(s)
	if r.settings.exemplar != nil {
		r.exemplify(ctx, &e)
	}
}

// RecordOverrun counts what a runaway used beyond its call, at the present time.
func (r *Recorder) RecordOverrun(_ context.Context, o faas.Overrun) {
	now := time.Now()
	e := faas.Execution{Function: o.Function, Version: o.Version, Tenant: o.Tenant, Memory: o.Memory}
	s := r.lock()
	defer r.unlock(s)
	c := s.cell(&e, true)
	r.counter.AddOverrun(&c.used, now, &o)
	p := c.counts.at(s, otherTrigger, now.Unix())
	p.overruns++
	p.overrun.add(o.Duration)
}

// Refused counts a refusal, at the present time. Refusals of names that are not registered
// are counted under the empty name, since callers choose them.
func (r *Recorder) Refused(_ context.Context, ref faas.Refusal) {
	var key seriesKey
	if ref.Version != "" { // else no function of that name is registered
		key = seriesKey{ref.Function, ref.Version}
	}
	s := r.lock()
	defer r.unlock(s)
	p := s.series(key).at(s, otherTrigger, time.Now().Unix())
	p.refused++
	p.refusals.add(RefusalCount{ref.Kind, r.all.reason(ref.Reason), 1})
}

// Decided counts a change of scale, at the present time. It is to be given to
// faas.WithDecisions. Changes of the router's capacity are counted under the empty name.
func (r *Recorder) Decided(d faas.Decision) {
	if d.From == d.To { // a move of an alias
		return
	}
	s := r.lock()
	defer r.unlock(s)
	p := s.series(seriesKey{d.Function, d.Version}).at(s, otherTrigger, time.Now().Unix())
	if d.To > d.From {
		p.grown++
	} else {
		p.shrunk++
	}
}

// lock returns a locked stripe, if possible one that no other goroutine is using: first the
// one that this processor used last, then any that is free. If there is none it waits for
// one. Between lock and unlock nothing waits and no foreign code runs.
func (r *Recorder) lock() *stripe {
	s, _ := r.idle.Get().(*stripe)
	if s != nil && s.mu.TryLock() {
		return s
	}
	for range r.stripes {
		s = &r.stripes[r.next.Add(1)%uint32(len(r.stripes))] // as many as there are processors
		if s.mu.TryLock() {
			return s
		}
	}
	s.mu.Lock()
	return s
}

// unlock releases a stripe, and gives it back to this processor's part of the pool.
func (r *Recorder) unlock(s *stripe) {
	s.mu.Unlock()
	r.idle.Put(s)
}

// endOf returns the second, since 1970, in which a call ended.
func endOf(e *faas.Execution) int64 {
	return e.Start.Unix() + int64((uint64(e.Start.Nanosecond())+uint64(max(e.Duration, 0)))/1e9) // less than 2⁶⁴, and the quotient less than 2⁶³
}
