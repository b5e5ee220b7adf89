package faas_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// plant builds and counts instances. A call on an instance sleeps as long as its input says, and
// returns the number of the instance.
type plant struct {
	initTime time.Duration
	fails    func(nth int) error // or nil

	mu     sync.Mutex // guards the fields below
	built  int
	open   int
	most   int
	closed map[int]int
	busy   map[int]int // how many calls run on each instance
	packed int         // the highest number of calls on one instance
}

func (p *plant) init(ctx context.Context) (faas.Handler[time.Duration, int], func(context.Context) error, error) {
	p.mu.Lock()
	p.built++
	n := p.built
	p.mu.Unlock()
	if p.initTime > 0 {
		select {
		case <-time.After(p.initTime):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	if p.fails != nil {
		if err := p.fails(n); err != nil {
			return nil, nil, err
		}
	}
	p.count(n, 1)
	return func(_ context.Context, d time.Duration) (int, error) {
		p.enter(n, 1)
		defer p.enter(n, -1)
		if d > 0 {
			time.Sleep(d)
		}
		return n, nil
	}, func(context.Context) error { p.count(n, -1); return nil }, nil
}

func (p *plant) enter(n, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy == nil {
		p.busy = map[int]int{}
	}
	p.busy[n] += by
	p.packed = max(p.packed, p.busy[n])
	if by > 0 && p.closed[n] > 0 {
		panic("a call in an instance that is closed")
	}
}

func (p *plant) count(n, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open += by
	p.most = max(p.most, p.open)
	if p.closed == nil {
		p.closed = map[int]int{}
	}
	if by < 0 {
		p.closed[n]++
		if p.busy[n] > 0 {
			panic("closed while a call has it")
		}
	}
}

// check closes the router and asserts that each instance was closed once.
func (p *plant) check(t *testing.T, r *faas.Router) {
	t.Helper()
	require.NoError(t, r.Shutdown(context.Background()))
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Zero(t, p.open, "all are closed")
	for n, times := range p.closed {
		assert.Equal(t, 1, times, "instance %d is closed once", n)
	}
}

func (p *plant) counts() (built, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.built, p.open
}

func TestTheColdCallWaitsForItsInstanceAndSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, meter := &plant{initTime: time.Second}, &recorder{}
		r := router(t, faas.WithMeter(meter), faas.WithTimeout(2*time.Second))
		f := faas.RegisterInit(r, "f", p.init)
		start := time.Now()
		n, err := f.Invoke(t.Context(), 1500*time.Millisecond)
		require.NoError(t, err, "the timeout is the handler's, not the init's")
		assert.Equal(t, 1, n)
		assert.Equal(t, 2500*time.Millisecond, time.Since(start))
		e := meter.last(t)
		assert.True(t, e.Cold)
		assert.Equal(t, time.Second, e.Init)
		assert.Equal(t, time.Second, e.Queued)
		assert.Equal(t, 1500*time.Millisecond, e.Duration)
		assert.True(t, e.Start.Equal(start.Add(time.Second)))

		n, err = f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		e = meter.last(t)
		assert.False(t, e.Cold)
		assert.Zero(t, e.Init)
		p.check(t, r)
	})
}

func TestTheInstanceUsedLastIsUsedNext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init)
		var wg sync.WaitGroup
		for i := range 3 { // the calls end in this order
			wg.Go(func() { _, _ = f.Invoke(t.Context(), time.Duration(i+1)*time.Millisecond) })
			synctest.Wait()
		}
		wg.Wait()
		for range 5 {
			n, err := f.Invoke(t.Context(), 0)
			require.NoError(t, err)
			assert.Equal(t, 3, n)
		}
		p.check(t, r)
	})
}

func TestOneNeedIsInitializedOnceAndAFreedPlaceIsTakenFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, meter := &plant{initTime: time.Minute}, &recorder{}
		r := router(t, faas.WithMeter(meter), faas.WithInitTimeout(time.Hour))
		f := faas.RegisterInit(r, "f", p.init, faas.WithMinInstances(1))
		go func() { _, _ = f.Invoke(t.Context(), time.Second) }()
		synctest.Wait()
		start := time.Now()
		n, err := f.Invoke(t.Context(), 0) // an instance of its own would take a minute
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, time.Second, time.Since(start))
		e := meter.last(t)
		assert.False(t, e.Cold)
		assert.Equal(t, time.Second, e.Queued)
		_, _ = f.Invoke(t.Context(), 0)
		built, _ := p.counts()
		assert.Equal(t, 2, built)
		p.check(t, r)
	})
}

func TestAnInstanceServesAsManyCallsAsItMay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{initTime: time.Second}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init, faas.WithInstanceConcurrency(10))
		var wg sync.WaitGroup
		for range 25 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), time.Millisecond); assert.NoError(t, err) })
		}
		wg.Wait()
		built, _ := p.counts()
		assert.Equal(t, 3, built, "three are needed for 25")
		assert.Equal(t, 10, p.packed)
		p.check(t, r)
	})
}

func TestThereAreNeverMoreInstancesThanAllowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{initTime: time.Millisecond}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init, faas.WithInstanceConcurrency(2), faas.WithMaxInstances(3))
		var wg sync.WaitGroup
		start := time.Now()
		for range 60 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), time.Second); assert.NoError(t, err) })
		}
		wg.Wait()
		assert.Equal(t, 10*time.Second+time.Millisecond, time.Since(start), "six at once")
		assert.Equal(t, 3, p.most)
		p.check(t, r)
	})
}

func TestAFailedInitFailsTheCallsThatWaitedForIt(t *testing.T) {
	boom := errors.New("boom")
	for name, broken := range map[string]faas.Init[int, int]{
		"an error": func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			time.Sleep(time.Second)
			return nil, nil, boom
		},
		"a panic": func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			time.Sleep(time.Second)
			panic(boom)
		},
		"Goexit": func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			time.Sleep(time.Second)
			exit()
			return nil, nil, nil
		},
		"nothing": func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			time.Sleep(time.Second)
			return nil, nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				meter := &recorder{}
				r := router(t, faas.WithMeter(meter))
				f := faas.RegisterInit(r, "f", broken)
				_, err := f.Invoke(t.Context(), 1)
				require.ErrorIs(t, err, faas.ErrInit)
				if name == "an error" || name == "a panic" {
					require.ErrorIs(t, err, boom)
				}
				e := meter.last(t)
				assert.Equal(t, faas.InitFailed, e.Outcome)
				assert.Equal(t, err, e.Err)
				assert.Equal(t, time.Second, e.Init)
				assert.Zero(t, e.Duration)
				assert.True(t, e.Cold)

				_, err = f.Invoke(t.Context(), 1)
				require.ErrorIs(t, err, faas.ErrInit)
				var refused *faas.Error
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, faas.ReasonInit, refused.Reason)
				assert.Equal(t, 100*time.Millisecond, refused.RetryAfter)
				assert.Len(t, meter.all(), 1, "it was refused")
			})
		})
	}
}

func TestInitIsTriedAgainAfterPausesThatDouble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := true
		p := &plant{fails: func(int) error {
			if down {
				return errors.New("down")
			}
			return nil
		}}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init)
		start := time.Now()
		var tries []time.Duration
		for range 400 {
			before, _ := p.counts()
			_, err := f.Invoke(t.Context(), 0)
			require.ErrorIs(t, err, faas.ErrInit)
			if after, _ := p.counts(); after > before {
				tries = append(tries, time.Since(start))
			}
			time.Sleep(100 * time.Millisecond)
		}
		assert.Equal(t, []time.Duration{0, 100e6, 300e6, 700e6, 1500e6, 3100e6, 6300e6, 12700e6, 25500e6}, tries)
		down = false
		time.Sleep(time.Minute)
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		p.check(t, r)
	})
}

func TestAFailedInitHarmsNoCallThatOthersCanServe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{initTime: time.Second, fails: func(nth int) error {
			if nth == 2 {
				return errors.New("the second")
			}
			return nil
		}}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init)
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() { _, err := f.Invoke(t.Context(), time.Hour); assert.ErrorIs(t, err, faas.ErrTimeout) })
		synctest.Wait()
		wg.Go(func() { _, err := f.Invoke(t.Context(), 0); assert.ErrorIs(t, err, faas.ErrInit) })
		time.Sleep(1050 * time.Millisecond)
		_, err = f.Invoke(t.Context(), 0) // no instance may be built, so the call waits for the existing one
		require.NoError(t, err)
		wg.Wait()
	})
}

func TestAnInitThatIsLateIsNotWaitedForAndIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var closed atomic.Int32
		r := router(t)
		f := faas.RegisterInit(r, "f", func(ctx context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			d, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, 5*time.Second, time.Until(d))
			time.Sleep(time.Hour) // ignores its context
			return double, func(context.Context) error { closed.Add(1); return nil }, nil
		}, faas.WithInitTimeout(5*time.Second), faas.WithMaxInstances(1))
		start := time.Now()
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrInit)
		assert.Equal(t, 5*time.Second, time.Since(start))
		require.NoError(t, r.Shutdown(t.Context()), "which waits for it")
		assert.Equal(t, time.Hour, time.Since(start))
		assert.EqualValues(t, 1, closed.Load())
	})
}

func TestACallerMayLeaveWhileItsInstanceIsMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, meter := &plant{initTime: time.Minute}, &recorder{}
		r := router(t, faas.WithMeter(meter), faas.WithInitTimeout(time.Hour))
		f := faas.RegisterInit(r, "f", p.init)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.Invoke(ctx, 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, faas.Canceled, meter.last(t).Outcome)
		time.Sleep(10 * time.Second)
		start := time.Now()
		n, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, 1, n, "it takes over what was begun")
		assert.Equal(t, 49*time.Second, time.Since(start))
		p.check(t, r)
	})
}

func TestAMinimumIsReadyWhenRegisterReturnsAndKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, meter := &plant{initTime: time.Second}, &recorder{}
		r := router(t, faas.WithMeter(meter))
		start := time.Now()
		f := faas.RegisterInit(r, "f", p.init, faas.WithMinInstances(3))
		assert.Equal(t, time.Second, time.Since(start), "all at once")
		_, open := p.counts()
		assert.Equal(t, 3, open)
		assert.Equal(t, 3, f.Info().Ready)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), 3*time.Second); assert.NoError(t, err) })
		}
		wg.Wait()
		cold := 0
		for _, e := range meter.all() {
			if e.Cold {
				cold++
			}
		}
		assert.Equal(t, 2, cold)
		time.Sleep(time.Hour)
		_, open = p.counts()
		assert.Equal(t, 3, open)
		p.check(t, r)
	})
}

func TestARegistrationWhoseMinimumFailsRegistersNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{fails: func(nth int) error {
			if nth == 2 {
				return errors.New("boom")
			}
			return nil
		}}
		r := router(t)
		_, err := faas.TryRegisterInit(r, "f", p.init, faas.WithMinInstances(3))
		require.ErrorIs(t, err, faas.ErrInit)
		_, err = r.Info("f")
		require.ErrorIs(t, err, faas.ErrNotFound)
		p.check(t, r)
	})
}

func TestWithoutCallsNothingIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		before := goroutines(t)
		p := &plant{}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _, _ = f.Invoke(t.Context(), time.Second) })
		}
		wg.Wait()
		assert.Equal(t, 20, f.Info().Ready)
		time.Sleep(10 * time.Minute)
		_, open := p.counts()
		assert.Zero(t, open)
		assert.Zero(t, f.Info().Instances)
		assert.Equal(t, before, goroutines(t))
		p.check(t, r)
	})
}

func TestKeepAliveKeepsAnInstanceLongerThanThePolicyWould(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init, faas.WithKeepAlive(30*time.Minute))
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		time.Sleep(29 * time.Minute)
		_, open := p.counts()
		assert.Equal(t, 1, open)
		time.Sleep(2 * time.Minute)
		_, open = p.counts()
		assert.Zero(t, open)
		p.check(t, r)
	})
}

func TestAnInstanceWhoseHandlerPanickedServesNoMore(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": exit} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				built, closed := 0, 0
				r := router(t)
				f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[bool, int], func(context.Context) error, error) {
					built++
					n := built
					return func(_ context.Context, bad bool) (int, error) {
						if bad {
							end()
						}
						return n, nil
					}, func(context.Context) error { closed++; return nil }, nil
				})
				for want := 1; want < 4; want++ {
					n, err := f.Invoke(t.Context(), false)
					require.NoError(t, err)
					assert.Equal(t, want, n)
					_, err = f.Invoke(t.Context(), true)
					require.Error(t, err)
					synctest.Wait()
					assert.Equal(t, want, closed)
				}
			})
		})
	}
}

func TestARunawayKeepsItsInstanceUntilItEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{}
		r := router(t, faas.WithTimeout(time.Second))
		f := faas.RegisterInit(r, "f", p.init)
		_, err := f.Invoke(t.Context(), time.Hour)
		require.ErrorIs(t, err, faas.ErrTimeout)
		n, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		require.NoError(t, r.Remove("f"))
		synctest.Wait()
		_, open := p.counts()
		assert.Equal(t, 1, open)
		time.Sleep(2 * time.Hour)
		p.check(t, r)
	})
}

func TestAReplacementOfARunawayGetsAnInstanceBeyondTheMaximum(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{}
		r := router(t, faas.WithTimeout(time.Second), faas.WithRunaways(1))
		f := faas.RegisterInit(r, "f", p.init, faas.WithMaxInstances(1))
		_, err := f.Invoke(t.Context(), time.Hour)
		require.ErrorIs(t, err, faas.ErrTimeout)
		n, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		time.Sleep(2 * time.Hour)
		p.check(t, r)
	})
}

func TestARecursiveCallRunsInItsParentsInstance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		built := 0
		var f *faas.Function[int, int]
		f = faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			built++
			return func(ctx context.Context, n int) (int, error) {
				if n == 0 {
					return built, nil
				}
				return f.Invoke(ctx, n-1)
			}, nil, nil
		}, faas.WithMaxInstances(1))
		n, err := f.Invoke(t.Context(), 10)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Zero(t, f.Info().InFlight)
		n, err = f.Invoke(t.Context(), 3)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

func TestARemovedFunctionsInstancesGoWithItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &plant{}
		r := router(t)
		f := faas.RegisterInit(r, "f", p.init, faas.WithKeepAlive(time.Hour), faas.WithMinInstances(2), faas.WithMaxInstances(3))
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), time.Second); assert.NoError(t, err) })
		}
		synctest.Wait()
		require.NoError(t, r.Remove("f"))
		wg.Wait()
		synctest.Wait()
		_, open := p.counts()
		assert.Zero(t, open)
		p.check(t, r)
	})
}

func TestCloseEndsTheWaitForAnInstance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, meter := &plant{initTime: time.Minute}, &recorder{}
		r := router(t, faas.WithMeter(meter), faas.WithInitTimeout(time.Hour))
		f := faas.RegisterInit(r, "f", p.init)
		errs := make(chan error, 1)
		go func() { _, err := f.Invoke(t.Context(), 0); errs <- err }()
		synctest.Wait()
		require.NoError(t, r.Close())
		require.ErrorIs(t, <-errs, faas.ErrClosed)
		assert.Equal(t, faas.Canceled, meter.last(t).Outcome)
		p.check(t, r)
	})
}

func TestShutdownWaitsForCloseFuncsAndNamesWhatWouldNotClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faas.New()
		slow := func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			return double, func(context.Context) error { time.Sleep(5 * time.Second); return nil }, nil
		}
		f := faas.RegisterInit(r, "stubborn", slow)
		_, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = r.Shutdown(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `"stubborn"`)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestACloseFuncThatPanicsIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			return double, func(context.Context) error { panic("boom") }, nil
		})
		_, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		require.NoError(t, r.Shutdown(t.Context()))
		assert.EqualValues(t, 1, r.Stats().HookPanics)
	})
}

// With FAAS_SOAK this makes a million rounds. It runs in real time, on as many processors as
// there are.
func TestRacesBetweenTheLastReleaseAnIdleCloseAndANewArrival(t *testing.T) {
	t.Parallel()
	calls := 20_000
	if os.Getenv("FAAS_SOAK") != "" {
		calls = 1_000_000
	}
	before := runtime.NumGoroutine()
	p := &plant{}
	r := faas.New()
	f := faas.RegisterInit(r, "f", p.init, faas.WithInstanceConcurrency(4), faas.WithScaler(none{}))
	var wg sync.WaitGroup
	const callers = 8
	for range callers {
		wg.Go(func() {
			for range calls / callers {
				_, err := f.Invoke(context.Background(), 0)
				assert.NoError(t, err)
				if rand.IntN(4) == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	info := f.Info()
	assert.EqualValues(t, calls/callers*callers, info.Admitted)
	p.check(t, r)
	assert.LessOrEqual(t, p.packed, 4)
	assert.Greater(t, p.built, calls/1000, "instances came and went")
	spin(func() bool { return runtime.NumGoroutine() <= before+callers })
}

// none is a policy that wants no instances: an instance that a call has started is dropped as soon
// as it is idle.
type none struct{}

func (none) Desired(_ faas.Load, s faas.State) (faas.Target, faas.State) {
	return faas.Target{Rule: "none"}, s
}
