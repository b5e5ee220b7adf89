package measure

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/inproc/faas/bench/peers"
)

// Mode is how many goroutines call at once.
type Mode struct {
	Name    string
	PerProc int // goroutines for each GOMAXPROCS; 0 is one caller in all
}

// Modes are the numbers of callers that every peer is measured with.
var Modes = []Mode{{"seq", 0}, {"par1", 1}, {"par8", 8}, {"par64", 64}}

// Callers returns the number of goroutines of m. It does not exceed the limit that the peers
// are built with, because above it they would refuse and queue calls.
func (m Mode) Callers() int {
	if m.PerProc == 0 {
		return 1
	}
	return m.Parallelism() * runtime.GOMAXPROCS(0)
}

// Parallelism returns the number of goroutines for each GOMAXPROCS, as
// testing.B.SetParallelism takes it.
func (m Mode) Parallelism() int {
	return max(1, min(m.PerProc, peers.Default.Limit/runtime.GOMAXPROCS(0)))
}

// Rate is the cost of calls.
type Rate struct {
	Calls  int
	Wall   time.Duration // of all calls together
	CPU    float64       // ns for each call
	Bytes  float64       // allocated by each call
	Allocs float64       // of each call
}

// PerSecond returns the throughput.
func (r Rate) PerSecond() float64 { return float64(r.Calls) / r.Wall.Seconds() }

// Throughput calls for d from a number of callers, after a warm-up.
func Throughput(call peers.Call, callers int, d time.Duration) (Rate, error) {
	if _, err := callFor(call, callers, d/5); err != nil {
		return Rate{}, err
	}
	var m0, m1 runtime.MemStats
	runtime.GC() // this peer must not pay for the garbage of the peer before
	runtime.ReadMemStats(&m0)
	cpu, start := CPU(), time.Now()
	n, err := callFor(call, callers, d)
	wall := time.Since(start)
	cpu = CPU() - cpu
	runtime.ReadMemStats(&m1)
	if err != nil {
		return Rate{}, err
	}
	per := func(x float64) float64 { return x / float64(n) }
	return Rate{
		Calls: n, Wall: wall, CPU: per(float64(cpu)),
		Bytes:  per(float64(m1.TotalAlloc - m0.TotalAlloc)),
		Allocs: per(float64(m1.Mallocs - m0.Mallocs)),
	}, nil
}

// callFor makes calls for d, and returns how many it made.
func callFor(call peers.Call, callers int, d time.Duration) (int, error) {
	var stop atomic.Bool
	defer time.AfterFunc(d, func() { stop.Store(true) }).Stop()
	if callers == 1 {
		return callUntil(&stop, call) // on this goroutine, so that no other one takes processor time
	}
	counts := make([]int, callers)
	var g errgroup.Group
	for c := range counts {
		g.Go(func() (err error) {
			counts[c], err = callUntil(&stop, call)
			return err
		})
	}
	err := g.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, err
}

func callUntil(stop *atomic.Bool, call peers.Call) (int, error) {
	ctx := context.Background()
	n := 0
	for !stop.Load() || n == 0 {
		if err := call(ctx, n); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// samplesPerCaller is how many samples Latency keeps of each caller: the newest ones. The
// memory for them is allocated before the clock starts, because growing slices would make
// garbage during the measurement.
const samplesPerCaller = 1 << 14

// Latency makes calls for d. Each of the callers waits for its answer before it calls again.
// Latency returns the times of single calls, sorted.
func Latency(call peers.Call, callers int, d time.Duration) ([]time.Duration, error) {
	if _, err := callFor(call, callers, d/5); err != nil {
		return nil, err
	}
	rings := make([][]time.Duration, callers)
	for c := range rings {
		rings[c] = make([]time.Duration, samplesPerCaller)
	}
	runtime.GC()
	var g errgroup.Group
	end := time.Now().Add(d)
	for c := range rings {
		g.Go(func() error {
			n, err := timeUntil(end, call, rings[c])
			rings[c] = rings[c][:min(n, samplesPerCaller)]
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := slices.Concat(rings...)
	slices.Sort(all)
	return all, nil
}

func timeUntil(end time.Time, call peers.Call, ring []time.Duration) (int, error) {
	ctx := context.Background()
	for n := 0; ; {
		start := time.Now()
		err := call(ctx, n)
		done := time.Now()
		if err != nil {
			return n, err
		}
		ring[n%len(ring)] = done.Sub(start)
		n++
		if !done.Before(end) {
			return n, nil
		}
	}
}

// The handler of Lateness ignores its context and takes lateHandler; the deadline is
// at lateTimeout. latePause lets the handler end before the next call, so that the
// number of handlers does not grow.
const (
	lateTimeout = 5 * time.Millisecond
	lateHandler = 100 * time.Millisecond
	latePause   = 110 * time.Millisecond
)

// Lateness lets p host a handler that ignores its context, and makes some rounds of calls
// from a number of callers. It returns, sorted, how long after the deadline each call
// returned. A peer that does not enforce the deadline is as late as the handler.
func Lateness(p peers.Peer, callers, rounds int) ([]time.Duration, error) {
	deaf := func(_ context.Context, in peers.In) (peers.Out, error) {
		time.Sleep(lateHandler)
		return peers.Out{Sum: in.A + in.B}, nil
	}
	inst := p.New(deaf, peers.Config{Timeout: lateTimeout, Limit: peers.Default.Limit})
	defer inst.Close()
	late := make([]time.Duration, callers*rounds)
	var g errgroup.Group
	for c := range callers {
		g.Go(func() error {
			for r := range rounds {
				start := time.Now()
				err := inst.Call(context.Background(), r)
				late[c*rounds+r] = time.Since(start) - lateTimeout
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					return err
				}
				time.Sleep(latePause)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(late)
	return late, nil
}
