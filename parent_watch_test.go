package faas_test

import (
	"context"
	"errors"
	"fmt"
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

// enough is a number of calls in a row after which their context is watched.
const enough = 20

// often calls f until the worker watches ctx.
func often(t *testing.T, f *faas.Function[int, int], ctx context.Context) { //nolint:revive // t comes first in every helper
	t.Helper()
	for range enough {
		_, err := f.Invoke(ctx, 0)
		require.NoError(t, err)
	}
}

// sleepy is a handler that sleeps for this many seconds, and does not look at its context.
func sleepy(_ context.Context, seconds int) (int, error) {
	time.Sleep(time.Duration(seconds) * time.Second)
	return seconds, nil
}

func TestACallIsLeftWhenItsContextEndsHoweverOftenThatHasCome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for before := range enough {
			m := &recorder{}
			r := router(t, faas.WithMeter(m))
			f := faas.Register(r, "f", sleepy)
			ctx, cancel := context.WithCancelCause(t.Context())
			for range before {
				_, err := f.Invoke(ctx, 0)
				require.NoError(t, err)
			}
			start := time.Now()
			time.AfterFunc(time.Second, func() { cancel(errGone) })
			_, err := f.Invoke(ctx, 10)
			require.ErrorIs(t, err, context.Canceled, before)
			require.ErrorIs(t, err, errGone, before)
			assert.Equal(t, time.Second, time.Since(start), before)
			assert.Equal(t, faas.Canceled, m.last(t).Outcome)
			assert.Equal(t, 1, f.Info().Runaways)
			time.Sleep(time.Minute)
			assertBalanced(t, r, m, before)
		}
	})
}

// The caller's context ends at each step of a call in turn: before the call, in a
// gate, while the call waits for a slot, in its handler, in its meter, and after the call.
func TestAContextThatCameOftenMayEndAtEachStepOfACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for step, want := range map[string]error{
			"before": context.Canceled, "gate": context.Canceled, "queue": context.Canceled, "handler": context.Canceled, "meter": nil, "after": nil,
		} {
			m := &recorder{}
			ctx, cancel := context.WithCancelCause(t.Context())
			var armed atomic.Value
			end := func(here string) {
				if armed.Load() == here {
					cancel(errGone)
				}
			}
			r := router(t, faas.WithMeter(m), faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) { end("meter") })))
			f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
				end("handler")
				return sleepy(ctx, n)
			}, faas.WithConcurrency(1), faas.WithQueueTimeout(time.Hour), faas.WithTimeout(time.Hour),
				faas.WithGate(gateFunc(func(faas.Invocation) { end("gate") })))
			often(t, f, ctx)
			if step == "queue" {
				go func() { _, _ = f.Invoke(context.Background(), 10) }()
				synctest.Wait()
				time.AfterFunc(time.Second, func() { end("queue") })
			}
			armed.Store(step)
			end("before")
			_, err := f.Invoke(ctx, 1)
			armed.Store("")
			if want == nil {
				require.NoError(t, err, step)
			} else {
				require.ErrorIs(t, err, want, step)
				require.ErrorIs(t, err, errGone, step)
			}
			cancel(errGone)
			synctest.Wait()
			time.Sleep(time.Minute)
			_, err = f.Invoke(t.Context(), 1) // the next call is not affected
			require.NoError(t, err, step)
			assertBalanced(t, r, m, step)
		}
	})
}

// A watch may fire when no call runs. Then the next call, with another context, must not be affected.
func TestAContextThatEndsBetweenTwoCallsDisturbsNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.Register(r, "f", sleepy)
		other, leave := context.WithCancel(t.Context())
		defer leave()
		for range 5 {
			ctx, cancel := context.WithCancelCause(t.Context())
			often(t, f, ctx)
			cancel(errGone)
			synctest.Wait()
			_, err := f.Invoke(ctx, 0)
			require.ErrorIs(t, err, errGone)
			for _, next := range []context.Context{other, context.Background()} {
				got, err := f.Invoke(next, 2)
				require.NoError(t, err)
				assert.Equal(t, 2, got)
			}
		}
		assertBalanced(t, r, m)
	})
}

// slowEnd is a context whose Err blocks once the context has ended. Meanwhile its caller is about
// to leave the call, but has not left.
type slowEnd struct {
	context.Context

	leaving chan struct{}
}

func (s slowEnd) Err() error {
	err := s.Context.Err()
	if err != nil {
		<-s.leaving
	}
	return err
}

// The watch has woken the caller of the first call, but that call gets its answer nevertheless,
// because its handler was first. The next call on the same worker had looked at the context before
// its end, and must learn of the end, too.
func TestACallLearnsOfAnEndThatTheCallBeforeWasToldOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Hour))
		hold := make(chan struct{})
		var shut atomic.Bool
		f := faas.Register(r, "f", sleepy, faas.WithGate(gateFunc(func(faas.Invocation) {
			if shut.Load() {
				<-hold
			}
		})))
		parent, cancel := context.WithCancel(t.Context())
		ctx := slowEnd{parent, make(chan struct{})}
		often(t, f, ctx)

		first := make(chan error, 1)
		go func() { _, err := f.Invoke(ctx, 2); first <- err }()
		synctest.Wait() // the first call runs
		shut.Store(true)
		second := make(chan error, 1)
		go func() { _, err := f.Invoke(ctx, 3000); second <- err }()
		synctest.Wait() // the second call is in its gate
		time.Sleep(time.Second)
		cancel()
		synctest.Wait() // the first caller was woken, and calls Err
		time.Sleep(2 * time.Second)
		close(ctx.leaving)
		require.NoError(t, <-first, "its handler had returned")

		start := time.Now()
		close(hold)
		require.ErrorIs(t, <-second, context.Canceled)
		assert.Zero(t, time.Since(start))
	})
}

func TestManyCallsOfOneContextAreLeftAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 200
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.Register(r, "f", sleepy, faas.WithTimeout(time.Hour))
		ctx, cancel := context.WithCancelCause(t.Context())
		start := time.Now()
		time.AfterFunc(time.Minute, func() { cancel(errGone) })
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				for range enough { // all at once, so that each call has a worker of its own
					_, err := f.Invoke(ctx, 1)
					assert.NoError(t, err)
				}
				_, err := f.Invoke(ctx, 1000)
				assert.ErrorIs(t, err, errGone)
				assert.Equal(t, time.Minute, time.Since(start))
			})
		}
		wg.Wait()
		assert.Equal(t, n, f.Info().Runaways)
		time.Sleep(time.Hour)
		assertBalanced(t, r, m)
	})
}

// mapped is a context that can't be compared.
type mapped struct {
	context.Context

	values map[any]any
}

// lagging is a context whose Done closes before its Err returns an error.
type lagging struct{ context.Context }

func (lagging) Err() error { return nil }

// hidden is a context whose kind package context does not know.
type hidden struct {
	context.Context

	ask func(key any) any
}

func (h hidden) Value(key any) any {
	if _, ok := key.(*int); ok {
		return h.ask(key)
	}
	return h.Context.Value(key)
}

func TestAContextOfAnyKindMayComeOften(t *testing.T) {
	bubble(t, func(t *testing.T) {
		never := func() context.Context { return context.Background() }
		fresh := func(ctx context.Context) func() context.Context {
			return func() context.Context {
				return guest{done: func() <-chan struct{} {
					done := make(chan struct{})
					context.AfterFunc(ctx, func() { close(done) })
					return done
				}, err: ctx.Err}
			}
		}
		same := func(wrap func(context.Context) context.Context) func(context.Context) func() context.Context {
			return func(ctx context.Context) func() context.Context {
				wrapped := wrap(ctx)
				return func() context.Context { return wrapped }
			}
		}
		for name, make := range map[string]func(context.Context) func() context.Context{
			"a Done for each call":  fresh,
			"no Done":               func(context.Context) func() context.Context { return never },
			"not comparable":        same(func(ctx context.Context) context.Context { return mapped{ctx, map[any]any{}} }),
			"an Err that lags":      same(func(ctx context.Context) context.Context { return lagging{ctx} }),
			"a kind of its own":     same(func(ctx context.Context) context.Context { return hidden{ctx, func(any) any { return nil }} }),
			"a Value that panics":   same(func(ctx context.Context) context.Context { return hidden{ctx, func(any) any { panic("no") }} }),
			"a Value of another":    same(func(ctx context.Context) context.Context { return hidden{ctx, t.Context().Value} }),
			"a tenant's":            same(func(ctx context.Context) context.Context { return faas.WithTenant(ctx, "acme") }),
			"with values":           same(func(ctx context.Context) context.Context { return context.WithValue(ctx, heldKey{}, 1) }),
			"with a later deadline": same(func(ctx context.Context) context.Context { return deadlined(t, ctx) }),
		} {
			m := &recorder{}
			r := router(t, faas.WithMeter(m))
			f := faas.Register(r, "f", sleepy, faas.WithTimeout(time.Minute))
			ctx, cancel := context.WithCancel(t.Context())
			next := make(ctx)
			for range enough {
				_, err := f.Invoke(next(), 0)
				require.NoError(t, err, name)
			}
			start := time.Now()
			time.AfterFunc(time.Second, cancel)
			_, err := f.Invoke(next(), 100)
			if name == "no Done" {
				require.ErrorIs(t, err, faas.ErrTimeout)
				assert.Equal(t, time.Minute, time.Since(start))
			} else {
				require.ErrorIs(t, err, context.Canceled, name)
				assert.Equal(t, time.Second, time.Since(start), name)
			}
			time.Sleep(time.Hour)
			assertBalanced(t, r, m, name)
		}
	})
}

func deadlined(t *testing.T, ctx context.Context) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	t.Cleanup(cancel)
	return ctx
}

// If each of these contexts had a watch, package context would start a goroutine for each worker.
func TestAContextOfAnUnknownKindIsNotWatchedByGoroutines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		count := func(ctx context.Context) int {
			r := router(t)
			f := faas.Register(r, "f", sleepy)
			before := goroutines(t)
			often(t, f, ctx)
			synctest.Wait()
			return goroutines(t) - before
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		assert.Equal(t, count(context.Background()), count(hidden{ctx, func(any) any { return nil }}))
	})
}

// When a worker is about to watch the context, its Value is called with the key of package
// context. The call has its slot by then.
func TestAContextThatExitsWhenItIsToBeWatchedLosesNoSlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.Register(r, "f", sleepy, faas.WithConcurrency(1))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		exits := 0
		bad := hidden{ctx, func(any) any { exits++; exit(); return nil }}
		for range 3 * enough {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = f.Invoke(bad, 0)
			}()
			<-done
		}
		assert.Positive(t, exits, "it was asked")
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assertBalanced(t, r, m)
	})
}

// collected runs the garbage collector until it has found all objects. In a bubble the clock does
// not move meanwhile, so collected counts its tries.
func (w *ward) collected() bool {
	for range 200 {
		if w.left.Load() == 0 {
			return true
		}
		runtime.GC()
		runtime.Gosched()
	}
	return false
}

// parent returns a context that holds an object; nothing else refers to that object.
func (w *ward) parent() (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithValue(context.Background(), heldKey{}, w.object()))
}

func TestAnIdleWorkerKeepsItsLastContextForASecondAtMost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", sleepy)
		w := &ward{}
		func() {
			ctx, cancel := w.parent()
			often(t, f, ctx)
			_ = cancel // not called: only the worker's watch could hold the context
		}()
		time.Sleep(time.Second)
		assert.True(t, w.collected())
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
	})
}

// The cases are what keeps a worker from being idle.
func TestAWorkerThatIsNotIdleKeepsOnlyTheContextOfItsCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, run := range map[string]func(t *testing.T, f *faas.Function[int, int], ctx context.Context, cancel context.CancelFunc){
			"another call": func(_ *testing.T, f *faas.Function[int, int], _ context.Context, _ context.CancelFunc) {
				go func() { _, _ = f.Invoke(context.Background(), 1000) }()
			},
			"a runaway": func(t *testing.T, f *faas.Function[int, int], ctx context.Context, cancel context.CancelFunc) {
				time.AfterFunc(time.Millisecond, cancel)
				_, err := f.Invoke(ctx, 1000)
				require.ErrorIs(t, err, context.Canceled)
			},
			"a runaway that timed out": func(t *testing.T, f *faas.Function[int, int], ctx context.Context, _ context.CancelFunc) {
				_, err := f.Invoke(faas.WithOrigin(ctx, faas.Origin{Timeout: time.Millisecond}), 1000)
				require.ErrorIs(t, err, faas.ErrTimeout)
			},
			"nothing, since its handler has panicked": func(t *testing.T, f *faas.Function[int, int], ctx context.Context, _ context.CancelFunc) {
				_, err := f.Invoke(ctx, -1)
				require.ErrorAs(t, err, new(*faas.PanicError))
			},
		} {
			r := router(t)
			f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
				if n < 0 {
					panic("negative")
				}
				return sleepy(ctx, n)
			}, faas.WithTimeout(time.Hour))
			w := &ward{}
			func() {
				ctx, cancel := w.parent()
				often(t, f, ctx)
				run(t, f, ctx, cancel)
			}()
			synctest.Wait()
			assert.True(t, w.collected(), name)
			time.Sleep(time.Hour)
		}
	})
}

func TestAClosedRouterWatchesNoContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		w := &ward{}
		func() {
			ctx, cancel := w.parent()
			often(t, faas.Register(r, "f", sleepy), ctx)
			_ = cancel
		}()
		require.NoError(t, r.Close())
		assert.True(t, w.collected())
	})
}

// Whatever a call does when its context ends, it ends once, and its caller gets an answer.
func TestCallsOfContextsThatEndAtAnyMomentEndOnce(t *testing.T) {
	t.Parallel()
	m := &recorder{}
	r := router(t, faas.WithMeter(m))
	f := faas.Register(r, "f", func(_ context.Context, n int) (int, error) {
		for range n % 3 {
			runtime.Gosched()
		}
		return n, nil
	}, faas.WithConcurrency(8), faas.WithQueueTimeout(time.Hour), faas.WithTimeout(time.Hour))
	for range 40 {
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for n := 0; ; n++ {
					if i == 0 && n == 3*enough {
						cancel(errGone)
					}
					got, err := f.Invoke(ctx, n)
					if err != nil {
						assert.ErrorIs(t, err, errGone)
						return
					}
					assert.Equal(t, n, got)
				}
			})
		}
		wg.Wait()
		cancel(nil)
	}
	spin(func() bool { return f.Info().Runaways == 0 && f.Info().InFlight == 0 })
	assertBalanced(t, r, m)
}

// A handler that waits for its context learns of the end, and its answer is ignored.
func TestAHandlerBelowAContextThatCameOftenHearsOfItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		heard := make(chan error, 1)
		f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
			if n > 0 {
				<-ctx.Done()
				heard <- fmt.Errorf("%w, %w", ctx.Err(), context.Cause(ctx))
			}
			return n, nil
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		often(t, f, ctx)
		time.AfterFunc(time.Second, func() { cancel(errGone) })
		_, err := f.Invoke(ctx, 1)
		require.ErrorIs(t, err, errGone)
		got := <-heard
		assert.True(t, errors.Is(got, context.Canceled) && errors.Is(got, errGone), got)
	})
}
