package bench

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/bench/measure"
)

// host is a way to run a handler; done ends it.
type host struct {
	name string
	open func(h func()) (call, done func())
}

// hosts has four ways: a goroutine for each call, and faas with a fixed limit, a scaled limit
// and instances.
var hosts = []host{
	{"goroutine", func(h func()) (call, done func()) {
		return func() {
			ended := make(chan struct{}, 1)
			go func() { h(); ended <- struct{}{} }()
			<-ended
		}, func() {}
	}},
	{"fixed", register()},
	{"scaled", register(faas.WithScaler(faas.ConcurrencyScaler{}))},
	{"instances", func(h func()) (call, done func()) {
		r := faas.New()
		f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			return typed(h), nil, nil
		})
		return caller(f), func() { _ = r.Close() }
	}},
}

func register(opts ...faas.FunctionOption) func(h func()) (call, done func()) {
	return func(h func()) (call, done func()) {
		r := faas.New()
		return caller(faas.Register(r, "f", typed(h), opts...)), func() { _ = r.Close() }
	}
}

func typed(h func()) faas.Handler[int, int] {
	return func(_ context.Context, in int) (int, error) { h(); return in, nil }
}

func caller(f *faas.Function[int, int]) func() {
	return func() {
		if _, err := f.Invoke(context.Background(), 1); err != nil {
			panic(err)
		}
	}
}

// BenchmarkBurst is the time from the first to the last start of 1,000 handlers, when
// 1,000 callers come at the same time to a function that has never been called. The
// hosts take turns; an "op" is 20 rounds, and each metric is a host's median. Run it
// with -benchtime 1x.
func BenchmarkBurst(b *testing.B) {
	const calls, rounds = 1000, 20
	for range b.N {
		took := make([][]float64, len(hosts))
		for range rounds {
			for i, h := range hosts {
				took[i] = append(took[i], float64(burst(h, calls))/1e6)
			}
		}
		for i, h := range hosts {
			b.ReportMetric(measure.Median(took[i]), h.name+"-ms")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// burst runs one round of BenchmarkBurst.
func burst(h host, calls int) time.Duration {
	runtime.GC() // this round must not pay for the garbage of the one before
	began, first, last := time.Now(), atomic.Int64{}, atomic.Int64{}
	call, done := h.open(func() {
		at := int64(time.Since(began))
		first.CompareAndSwap(0, at)
		for was := last.Load(); was < at && !last.CompareAndSwap(was, at); was = last.Load() {
		}
		time.Sleep(10 * time.Millisecond)
	})
	defer done()
	gate, parked, ended := make(chan struct{}), sync.WaitGroup{}, sync.WaitGroup{}
	parked.Add(calls)
	for range calls {
		ended.Go(func() {
			parked.Done()
			<-gate
			call()
		})
	}
	parked.Wait()
	close(gate)
	ended.Wait()
	return time.Duration(last.Load() - first.Load())
}

// BenchmarkPaced is the time from a call's arrival to its handler's start while slots
// are free: 4,000 calls a round, one each 100 µs, each on a new goroutine. The hosts
// take turns; an "op" is 10 rounds, and each metric is the median of a host's p99. Run
// it with -benchtime 1x.
func BenchmarkPaced(b *testing.B) {
	const rounds = 10
	for range b.N {
		p99 := make([][]float64, len(hosts))
		for range rounds {
			for i, h := range hosts {
				p99[i] = append(p99[i], float64(paced(h))/1e3)
			}
		}
		for i, h := range hosts {
			b.ReportMetric(measure.Median(p99[i]), h.name+"-p99-µs")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// paced returns the p99 of one round. The first tenth of the calls does not count:
// those calls start workers and instances.
func paced(h host) time.Duration {
	const calls, warm, pace = 4000, 400, 100 * time.Microsecond
	runtime.GC()
	waits, started, ended := make([]time.Duration, 0, calls), make(chan time.Time, 1), sync.WaitGroup{}
	call, done := h.open(func() { started <- time.Now() })
	defer done()
	next := time.Now()
	for i := range calls {
		next = next.Add(pace)
		for time.Now().Before(next) {
			runtime.Gosched()
		}
		arrived := time.Now()
		ended.Go(call)
		if wait := (<-started).Sub(arrived); i >= warm {
			waits = append(waits, wait)
		}
	}
	ended.Wait()
	slices.Sort(waits)
	return measure.Quantile(waits, .99)
}
