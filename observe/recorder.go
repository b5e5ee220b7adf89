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

// Recorder counts calls, and other code reads the counts later: an exporter for Prometheus, a
// page, an analysis. It is a [faas.Meter] and a [faas.OverrunMeter]: pass it to faas.WithMeter,
// and its method Refused to faas.WithRefusals. One recorder may serve several routers.
//
// Record takes no lock that other processors use. It allocates only for a new function, a new
// tenant, or a duration in a new power of two. A call with a recorder takes 1.05 to 1.13 times
// as long as with a meter that does nothing (BenchmarkRecorder in bench/).
//
// A reader gets exact counts of everything that was recorded before the read. Counts only grow,
// and stay when a function is removed. A function and version takes about 10 KB. A tenant of a
// function takes about 300 bytes for each processor that has recorded it. For points over time
// see [WithWindows]. [WithFunctions], [WithTenants] and [WithUsages] bound how many functions
// and tenants are counted by name. Those that come after that are counted under [Other], which
// takes a lock that all processors share; those that were there keep their counts. A Recorder
// has no goroutine and no timer. All methods may be called concurrently.
type Recorder struct {
	settings recorderSettings
	counter  *cost.Counter
	started  time.Time
	stripes  []stripe
	// idle holds *stripe. It returns the stripe that this processor has used last, which is in
	// the processor's cache.
	idle   sync.Pool
	next   atomic.Uint32 // the last stripe that lock has tried, for a processor that got none from idle
	owners owners
	all    allSeries
}

// RecorderOption is an option of [NewRecorder]. Nil options are ignored.
type RecorderOption interface{ applyRecorder(*recorderSettings) }

type recorderOption func(*recorderSettings)

func (o recorderOption) applyRecorder(s *recorderSettings) { o(s) }

// recorderSettings has the values of the options.
type recorderSettings struct {
	books                      []*cost.Book
	functions, tenants, usages int
	windows                    int // bytes
	exemplar                   func(ctx context.Context) string
}

// WithBooks sets the price lists whose rounding rules are applied when usage is counted. Only
// by these books can the usage be priced, see [Recorder.Spend]. By default there are none, and
// usage has calls and durations without a price.
func WithBooks(books ...*cost.Book) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.books = append(s.books, books...) })
}

// WithTenants sets how many tenants are counted by name. Calls of further tenants are counted
// under [Other]. n < 0 counts as 0. The default is 10,000.
func WithTenants(n int) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.tenants = max(n, 0) })
}

// WithFunctions sets how many functions and versions are counted by name. Those that come later
// are counted together, as the function [Other] without a version. It bounds the memory of a
// host that makes up names. n < 0 counts as 0. The default is 10,000.
func WithFunctions(n int) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.functions = max(n, 0) })
}

// WithUsages sets how many pairs of a function and a tenant are counted by name, over all
// functions. These are the entries of [Recorder.Usage]: 10,000 tenants that each call 1,000
// functions would make ten million. Further tenants of a function are counted there under
// [Other]. Declared memories and overruns never share an entry, since their prices differ. n <
// 0 counts as 0. The default is 100,000.
func WithUsages(n int) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.usages = max(n, 0) })
}

// WithWindows sets how many bytes the points of [Recorder.Live] may take, over all functions.
// With 0 there are no points. The default is 64 MiB.
func WithWindows(bytes int) RecorderOption {
	return recorderOption(func(s *recorderSettings) { s.windows = max(bytes, 0) })
}

// WithExemplar keeps exemplars: calls that can be looked up, for example in a tracing system. f
// returns the name of a call's trace, or the empty string if the call is not sampled. It gets
// the context that [faas.Meter].Record gets, and must not block. For each function and version,
// the recorder keeps the last such call of about each duration, see [Series.Exemplars]. f is
// called after the call is counted; if f panics, the call is not kept.
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

// Started returns when the recorder was made, which is when its counts were zero.
func (r *Recorder) Started() time.Time { return r.started }

// Record counts a call. The call is in the point of the time at which it ended.
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

// RecordOverrun counts what a runaway has used after the end of its call, at the present time.
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

// Refused counts a refusal, at the present time. If the name is not registered, the refusal is
// counted under the empty name, since callers may make up any number of names.
func (r *Recorder) Refused(_ context.Context, ref faas.Refusal) {
	var key seriesKey
	if ref.Version != "" { // empty: the name is not registered
		key = seriesKey{ref.Function, ref.Version}
	}
	s := r.lock()
	defer r.unlock(s)
	p := s.series(key).at(s, otherTrigger, time.Now().Unix())
	p.refused++
	reason := r.all.reason(ref.Reason)
	p.refusals.add(RefusalCount{ref.Kind, reason, 1})
	if ref.Version != "" {
		s.refuse(&ref, reason)
	}
}

// Decided counts a change of scale, at the present time. Pass it to faas.WithDecisions. Changes
// of the router's capacity are counted under the empty name.
func (r *Recorder) Decided(d faas.Decision) {
	if d.From == d.To { // an alias was moved
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

// lock returns a locked stripe. It tries the stripe that this processor has used last, then
// each of the others, to find one that is not locked. If all are locked, it waits for one. Code
// between lock and unlock must not wait and must not call foreign code.
func (r *Recorder) lock() *stripe {
	s, _ := r.idle.Get().(*stripe)
	if s != nil && s.mu.TryLock() {
		return s
	}
	for range r.stripes {
		s = &r.stripes[r.next.Add(1)%uint32(len(r.stripes))] // there are as many stripes as processors
		if s.mu.TryLock() {
			return s
		}
	}
	s.mu.Lock()
	return s
}

// unlock unlocks a stripe, and puts it into this processor's part of the pool.
func (r *Recorder) unlock(s *stripe) {
	s.mu.Unlock()
	r.idle.Put(s)
}

// endOf returns the second, since 1970, in which a call ended.
func endOf(e *faas.Execution) int64 {
	return e.Start.Unix() + int64((uint64(e.Start.Nanosecond())+uint64(max(e.Duration, 0)))/1e9) // the sum is less than 2⁶⁴, and the quotient less than 2⁶³
}
