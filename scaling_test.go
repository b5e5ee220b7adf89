package faas_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// script is a policy for tests: a func that returns the answer to a load, and keeps no state.
type script func(l faas.Load) faas.Target

func (f script) Desired(l faas.Load, s faas.State) (faas.Target, faas.State) { return f(l), s }

// pass lets time pass, and waits until all timers that are due have run.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// need wants as many instances as the present calls need.
func need(l faas.Load) faas.Target {
	return faas.Target{N: (l.InFlight + l.Queued + l.Per - 1) / l.Per, Rule: "need"}
}

func TestACallThatFindsNoFreeSlotGrowsItsFunctionAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		meter := &recorder{}
		r := router(t, faas.WithMeter(meter))
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(script(need)))
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), 10*time.Millisecond); assert.NoError(t, err) })
		}
		start := time.Now()
		wg.Wait()
		assert.Equal(t, 10*time.Millisecond, time.Since(start))
		for _, e := range meter.all() {
			require.Zero(t, e.Queued)
		}
		assert.Equal(t, 1000, f.Info().Instances)
		pass(2 * time.Second)
		assert.Zero(t, f.Info().Instances)
		assert.Equal(t, 1, f.Info().Limit, "a call from zero is let in")
	})
}

// generous wants as many instances as the present calls need, and lets further calls grow
// the function without asking (UpTo).
func generous(asked *atomic.Int64, upto int) script {
	return func(l faas.Load) faas.Target {
		asked.Add(1)
		t := need(l)
		if l.Arrival {
			t.UpTo = upto
		}
		return t
	}
}

func TestABurstAsksAPolicyOnceThatLetsItGrow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked atomic.Int64
		var mu sync.Mutex
		var told []faas.Decision
		r := router(t, faas.WithDecisions(func(d faas.Decision) { mu.Lock(); defer mu.Unlock(); told = append(told, d) }))
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(generous(&asked, 100)), faas.WithMaxInstances(80), faas.WithInstanceConcurrency(2))
		var wg sync.WaitGroup
		for range 150 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), time.Second); assert.NoError(t, err) })
		}
		synctest.Wait()
		assert.EqualValues(t, 1, asked.Load())
		assert.Equal(t, 150, f.Info().InFlight)
		assert.Equal(t, 75, f.Info().Instances)
		assert.Len(t, told, 75, "each step is told")
		for _, d := range told {
			assert.Equal(t, d.From+1, d.To)
			assert.Equal(t, "need", d.Rule)
			assert.True(t, d.Load.Arrival)
		}
		kept, err := r.Decisions("f")
		require.NoError(t, err)
		require.Len(t, kept, 1, "and one is kept")
		assert.Equal(t, [2]int{0, 75}, [2]int{kept[0].From, kept[0].To})

		for range 15 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), time.Second); assert.NoError(t, err) })
		}
		synctest.Wait()
		assert.Equal(t, 80, f.Info().Instances, "the limits bound what it lets them")
		assert.Equal(t, 5, f.Info().Queued)
		wg.Wait()
		pass(2 * time.Second)
		assert.Zero(t, f.Info().Instances)
		before := asked.Load()
		_, err = f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, before+1, asked.Load(), "an answer holds until the next one")
	})
}

func TestALoweredLimitBoundsWhatCallsMayGrowTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked atomic.Int64
		r := router(t)
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(generous(&asked, 100)))
		for range 5 {
			go func() { _, _ = f.Invoke(t.Context(), time.Second) }()
		}
		synctest.Wait()
		require.Equal(t, 5, f.Info().Instances)
		require.NoError(t, r.SetConcurrency("f", 7))
		for range 5 {
			go func() { _, _ = f.Invoke(t.Context(), time.Second) }()
		}
		synctest.Wait()
		assert.Equal(t, 7, f.Info().Instances)
		assert.Equal(t, 3, f.Info().Queued)
		pass(4 * time.Second)
	})
}

func TestInstancesThatCallsGrewByStayUntilThePolicySaysOtherwise(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked atomic.Int64
		p := &plant{}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init, faas.WithScaler(generous(&asked, 10)))
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, err := f.Invoke(t.Context(), time.Duration(1+i)*100*time.Millisecond)
				assert.NoError(t, err)
			})
			synctest.Wait() // calls that come at once may all ask before there is an answer
		}
		wg.Wait()
		assert.EqualValues(t, 1, asked.Load())
		assert.Equal(t, 10, f.Info().Ready, "those that are idle too")
		pass(2 * time.Second)
		assert.Zero(t, f.Info().Ready)
	})
}

func TestAPolicysAnswerIsHeldAgainstTheLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var wants atomic.Int64
		wants.Store(100)
		var seen faas.Load
		r := router(t, faas.WithCapacity(50))
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(script(func(l faas.Load) faas.Target { seen = l; return faas.Target{N: int(wants.Load())} })),
			faas.WithMinInstances(2), faas.WithMaxInstances(10), faas.WithInstanceConcurrency(3))
		assert.Equal(t, 2, f.Info().Instances)
		assert.Equal(t, 6, f.Info().Limit)
		go func() { _, _ = f.Invoke(t.Context(), time.Minute) }()
		pass(2001 * time.Millisecond)
		assert.Equal(t, 10, f.Info().Instances)
		assert.Equal(t, 30, f.Info().Limit)
		assert.Equal(t, math.MaxInt32, f.Info().Concurrency)
		assert.Equal(t, 2, seen.Min)
		assert.Equal(t, 10, seen.Max)
		assert.Equal(t, 3, seen.Per)

		require.NoError(t, r.SetConcurrency("f", 7), "the user's limit bounds it")
		assert.Equal(t, 7, f.Info().Limit)
		assert.Equal(t, 7, f.Info().Concurrency)
		pass(2001 * time.Millisecond)
		assert.Equal(t, 3, f.Info().Instances, "seven calls have no use for more")
		wants.Store(2)
		pass(4001 * time.Millisecond)
		assert.Equal(t, []int{6, 7}, []int{f.Info().Limit, f.Info().Concurrency})
		wants.Store(100)
		pass(2001 * time.Millisecond)
		require.NoError(t, r.SetConcurrency("f", 1000))
		require.NoError(t, r.SetCapacity(20))
		pass(2001 * time.Millisecond)
		assert.Equal(t, 7, f.Info().Instances, "nor has the router's capacity")

		wants.Store(0)
		pass(2001 * time.Millisecond)
		assert.Equal(t, 2, f.Info().Instances)
		wants.Store(-1)
		pass(2001 * time.Millisecond)
		assert.Equal(t, 2, f.Info().Instances, "that is no answer")
	})
}

func TestAPolicySeesTheWindowsItAsksFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen faas.Load
		r := router(t)
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(windowed{func(l faas.Load) faas.Target {
			if !l.Arrival { // arrivals may ask at the same time, ticks may not
				seen = l
			}
			return need(l)
		}}))
		go func() { _, _ = f.Invoke(t.Context(), 4*time.Second) }()
		go func() { _, _ = f.Invoke(t.Context(), 8*time.Second) }()
		pass(10*time.Second + time.Millisecond)
		assert.InDelta(t, 1.2, seen.Stable, 0.01, "two for 4 s and one for another 4, of 10")
		assert.Zero(t, seen.Burst)
	})
}

type windowed struct{ script }

func (windowed) Windows() (stable, burst time.Duration) { return 20 * time.Second, 2 * time.Second }

func TestAWindowThatCantBeIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		for _, w := range [][2]time.Duration{{0, 0}, {time.Second, 2 * time.Second}, {2 * time.Hour, time.Minute}, {time.Minute, time.Millisecond}} {
			_, err := faas.TryRegister(r, "f", double, faas.WithScaler(panes{w[0], w[1]}))
			require.ErrorIs(t, err, faas.ErrInput)
		}
	})
}

type panes [2]time.Duration

func (p panes) Windows() (stable, burst time.Duration) { return p[0], p[1] }
func (panes) Desired(_ faas.Load, s faas.State) (faas.Target, faas.State) {
	return faas.Target{}, s
}

func TestAPolicysMemoryIsItsLastAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(counting{}))
		for range 5 {
			_, err := f.Invoke(t.Context(), 0)
			require.NoError(t, err)
		}
		pass(4 * time.Second)
		all, err := r.Decisions("f")
		require.NoError(t, err)
		assert.Equal(t, "question 3", all[len(all)-1].Rule)
	})
}

// counting counts in its state how often it was called, and wants that many instances.
type counting struct{}

func (counting) Desired(_ faas.Load, s faas.State) (faas.Target, faas.State) {
	n, _ := s.(int)
	return faas.Target{N: n + 1, Rule: fmt.Sprint("question ", n+1)}, n + 1
}

func TestAPolicyThatPanicsChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", double, faas.WithScaler(script(func(faas.Load) faas.Target { panic("boom") })))
		n, err := f.Invoke(t.Context(), 2)
		require.NoError(t, err)
		assert.Equal(t, 4, n)
		assert.EqualValues(t, 1, r.Stats().HookPanics)
	})
}

func TestEveryChangeOfScaleIsADecisionThatSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		var told []faas.Decision
		r := faas.New(faas.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			faas.WithDecisions(func(d faas.Decision) { told = append(told, d) }))
		defer r.Close()
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(script(need)), faas.WithMaxInstances(2))
		start := time.Now()
		for range 3 { // one after the other, because decisions about concurrent calls may be reported in any order
			go func() { _, _ = f.Invoke(t.Context(), 3*time.Second) }()
			synctest.Wait()
		}
		pass(10 * time.Second)
		require.Len(t, told, 4)
		assert.Equal(t, 0, told[0].From)
		assert.Equal(t, 1, told[0].To)
		assert.True(t, told[0].Load.Arrival)
		assert.Equal(t, "need", told[0].Rule)
		assert.Equal(t, 2, told[1].To)
		assert.Equal(t, 1, told[2].To)
		assert.Equal(t, start.Add(4*time.Second), told[2].Time)
		assert.Equal(t, 0, told[3].To)
		assert.Equal(t, 4, strings.Count(log.String(), "faas: scaled"))

		kept, err := r.Decisions("f")
		require.NoError(t, err)
		require.Len(t, kept, 3, "growth call by call is one entry")
		assert.Equal(t, 0, kept[0].From)
		assert.Equal(t, 2, kept[0].To)
		assert.Equal(t, told[2:], kept[1:])

		_, err = r.Decisions("g")
		require.ErrorIs(t, err, faas.ErrNotFound)
	})
}

func TestTheLast64DecisionsAreKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(counting{}), faas.WithTimeout(time.Hour))
		go func() { _, _ = f.Invoke(t.Context(), 10*time.Minute) }()
		pass(201 * time.Second)
		all, err := r.Decisions("f")
		require.NoError(t, err)
		require.Len(t, all, 64)
		for i, d := range all {
			assert.Equal(t, 38+i, d.To)
		}
	})
}

func TestAFunctionAtRestIsAskedNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := 0
		r := router(t)
		p := script(func(l faas.Load) faas.Target { asked++; return need(l) })
		f := faas.Register(r, "f", sleepFor, faas.WithScaler(p))
		_, err := f.Invoke(t.Context(), time.Second)
		require.NoError(t, err)
		pass(2 * time.Minute)
		atRest := asked
		assert.LessOrEqual(t, atRest, 32, "until its window is empty")
		pass(24 * time.Hour)
		assert.Equal(t, atRest, asked)
		_, err = f.Invoke(t.Context(), 3*time.Second)
		require.NoError(t, err)
		assert.Greater(t, asked, atRest)
	})
}

func TestTenThousandIdleFunctionsHoldNoGoroutineAndNoTwoKiBEach(t *testing.T) {
	const n = 10_000
	r := faas.New()
	before := runtime.NumGoroutine()
	var was, is runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&was)
	idle := faas.Init[int, int](func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
		return double, nil, nil
	})
	for i := range n {
		faas.RegisterInit(r, fmt.Sprint("f", i), idle)
	}
	runtime.GC()
	runtime.ReadMemStats(&is)
	assert.Less(t, (is.HeapAlloc-was.HeapAlloc)/n, uint64(2048))
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
	require.NoError(t, r.Close())
}

// It is not parallel: it measures the heap of the process.
func TestAnIdleFunctionTakesAtMostAKiBAlsoWithItsOptions(t *testing.T) { //nolint:paralleltest // see above
	const n = 10_000
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("f", i)
	}
	for _, c := range []struct {
		what string
		opts func(i int) []faas.FunctionOption
	}{
		{"without options", func(int) []faas.FunctionOption { return nil }},
		{"with options", func(i int) []faas.FunctionOption {
			return []faas.FunctionOption{faas.WithTimeout(time.Second + time.Duration(i)), faas.WithConcurrency(1 + i), faas.WithMemory(1 + int64(i))}
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := faas.New()
			before := heapInUse()
			for i, name := range names {
				faas.Register(r, name, func(_ context.Context, n int) (int, error) { return n, nil }, c.opts(i)...)
			}
			each := (heapInUse() - before) / n
			t.Logf("%d bytes for each function", each)
			assert.LessOrEqual(t, each, int64(1024))
			require.NoError(t, r.Close())
		})
	}
}

func TestALimitIsNeverOvershotWhileItChanges(t *testing.T) {
	t.Parallel()
	var inFlight, most atomic.Int64
	r := faas.New(faas.WithQueue(1000))
	defer r.Close()
	f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
		return func(context.Context, int) (int, error) {
			n := inFlight.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			runtime.Gosched()
			inFlight.Add(-1)
			return 0, nil
		}, nil, nil
	}, faas.WithMaxInstances(8), faas.WithScaler(script(func(l faas.Load) faas.Target { return faas.Target{N: rand.IntN(20)} })))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = r.SetConcurrency("f", 1+rand.IntN(8))
				runtime.Gosched()
			}
		}
	})
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 1000 {
				_, err := f.Invoke(context.Background(), 0)
				assert.NoError(t, err)
			}
		})
	}
	callers.Wait()
	close(stop)
	wg.Wait()
	assert.LessOrEqual(t, most.Load(), int64(8))
}

func TestTheRoutersCapacityFollowsAPolicy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var wants atomic.Int64
		wants.Store(3)
		var seen faas.Load
		var told []faas.Decision
		r := router(t, faas.WithCapacity(10), faas.WithDecisions(func(d faas.Decision) { told = append(told, d) }),
			faas.WithCapacityScaler(script(func(l faas.Load) faas.Target { seen = l; return faas.Target{N: int(wants.Load()), Rule: "saturated"} })))
		f := faas.Register(r, "f", sleepFor)
		for range 12 {
			go func() { _, _ = f.Invoke(t.Context(), 3*time.Second) }()
		}
		pass(2500 * time.Millisecond)
		assert.Equal(t, 3, r.Stats().Capacity)
		assert.Equal(t, 10, seen.InFlight)
		assert.Equal(t, 2, seen.Queued)
		assert.Equal(t, 10, seen.Max)
		all, err := r.Decisions("")
		require.NoError(t, err)
		require.Len(t, all, 1)
		assert.Equal(t, told, all)
		assert.Equal(t, "saturated", all[0].Rule)
		assert.Empty(t, all[0].Function)
		require.NoError(t, r.SetCapacity(5))
		wants.Store(1000)
		pass(2 * time.Second)
		assert.Equal(t, 5, r.Stats().Capacity, "what the user has set bounds it")
		wants.Store(0)
		pass(2 * time.Second)
		assert.Equal(t, 1, r.Stats().Capacity)
		wants.Store(5)
		synctest.Wait()
		pass(10 * time.Second)
		assert.Equal(t, 5, r.Stats().Capacity, "it comes back when the router is at rest")
	})
}
