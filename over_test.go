package faas_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// keeps registers a function that keeps its context for use after the call, but without the
// context's cancellation.
func keeps(r *faas.Router, kept *context.Context, opts ...faas.FunctionOption) *faas.Function[int, faas.Invocation] {
	return faas.Register(r, "outer", func(ctx context.Context, _ int) (faas.Invocation, error) {
		*kept = context.WithoutCancel(ctx) //nolint:fatcontext // the context has to outlive its call
		inv, _ := faas.FromContext(ctx)
		return inv, nil
	}, opts...)
}

func TestACallFromAnEndedCallsContextIsARootForDraining(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var kept context.Context
		inner := faas.Register(r, "inner", sleepFor)
		_, err := keeps(r, &kept).Invoke(t.Context(), 1)
		require.NoError(t, err)
		var all sync.WaitGroup
		done := make(chan struct{})
		for range 4 { // so that one call is always in progress
			all.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if _, err := inner.Invoke(kept, time.Millisecond); err != nil {
						assert.ErrorIs(t, err, faas.ErrClosed)
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		began := time.Now()
		require.NoError(t, r.Shutdown(t.Context()))
		assert.LessOrEqual(t, time.Since(began), 2*time.Millisecond)
		close(done)
		all.Wait()
		assert.ErrorIs(t, r.DryRun(kept, "inner"), faas.ErrClosed)
	})
}

func TestACallFromAnEndedCallsContextIsARootForSlots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithCapacity(1), faas.WithConcurrency(1))
		var kept context.Context
		inner := faas.Register(r, "inner", sleepFor)
		_, err := keeps(r, &kept).Invoke(t.Context(), 1)
		require.NoError(t, err)
		var all sync.WaitGroup
		began := time.Now()
		for range 3 {
			all.Go(func() {
				_, err := inner.Invoke(kept, time.Second)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 3*time.Second, time.Since(began), "each in the one slot there is")
	})
}

// If such a call had no parent, a handler could escape a bill or a limit by making its calls later.
func TestACallFromAnEndedCallsContextKeepsParentDepthAndTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithMaxDepth(3))
		var kept context.Context
		outer, err := keeps(r, &kept).Invoke(faas.WithTenant(t.Context(), "acme"), 1)
		require.NoError(t, err)
		var deeper context.Context
		inner := faas.Register(r, "inner", func(ctx context.Context, _ int) (faas.Invocation, error) {
			deeper = context.WithoutCancel(ctx) //nolint:fatcontext // the context has to outlive its call
			inv, _ := faas.FromContext(ctx)
			return inv, nil
		})
		first, err := inner.Invoke(kept, 0)
		require.NoError(t, err)
		assert.Equal(t, outer.ID, first.Parent)
		assert.Equal(t, "acme", first.Tenant)
		second, err := inner.Invoke(deeper, 0)
		require.NoError(t, err)
		assert.Equal(t, first.ID, second.Parent)
		assert.Equal(t, 2, second.Depth)
		_, err = inner.Invoke(deeper, 0)
		require.ErrorIs(t, err, faas.ErrDepth)
	})
}

// The runaway's call is over for its caller, but its handler still runs and makes calls.
func TestARunawayLendsItsSlotUntilItsHandlerReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithCapacity(1), faas.WithConcurrency(1))
		inner := faas.Register(r, "inner", sleepFor)
		var errs []error
		var f *faas.Function[int, int]
		f = faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			time.Sleep(2 * time.Second)
			_, again := f.Invoke(context.WithoutCancel(ctx), 0)
			_, other := inner.Invoke(context.WithoutCancel(ctx), time.Second)
			errs = []error{again, other}
			return 0, nil
		}, faas.WithTimeout(time.Second))
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		require.NoError(t, r.Shutdown(context.Background()), "what it calls is part of what is drained")
		assert.Equal(t, []error{nil, nil}, errs)
	})
}

func TestAReplacedRunawayIsPartOfWhatIsDrained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		inner := faas.Register(r, "inner", double)
		var late error
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			time.Sleep(2 * time.Second)
			_, late = inner.Invoke(context.WithoutCancel(ctx), 0)
			return 0, nil
		}, faas.WithTimeout(time.Second), faas.WithRunaways(1))
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		require.NoError(t, r.Shutdown(context.Background()))
		assert.NoError(t, late)
	})
}

// Shutdown leaves out the invocation of the context that it gets. If that invocation has ended,
// Shutdown must not leave out another one instead.
func TestShutdownWithAnEndedCallsContextWaitsForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var kept context.Context
		f := faas.Register(r, "f", func(ctx context.Context, d time.Duration) (int, error) {
			kept = context.WithoutCancel(ctx) //nolint:fatcontext // the context has to outlive its call
			time.Sleep(d)
			return 0, nil
		}, faas.WithTimeout(time.Hour))
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		ended := kept
		answer := make(chan error, 1)
		go func() { _, err := f.Invoke(t.Context(), time.Minute); answer <- err }()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.Shutdown(ended))
		assert.Equal(t, time.Minute, time.Since(began))
		require.NoError(t, <-answer)
	})
}

// A chain that leaves a router and comes back is one chain.
func TestAChainThroughAnotherRouterLendsItsSlots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, two := router(t, faas.WithCapacity(1), faas.WithConcurrency(1)), router(t, faas.WithCapacity(1))
		var a *faas.Function[int, int]
		b := faas.Register(two, "b", func(ctx context.Context, n int) (int, error) { return a.Invoke(ctx, n-1) })
		a = faas.Register(one, "a", func(ctx context.Context, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			return b.Invoke(ctx, n)
		})
		began := time.Now()
		_, err := a.Invoke(t.Context(), 5)
		require.NoError(t, err)
		assert.Zero(t, time.Since(began))
	})
}

// A handler takes 5 ms to return after its context has ended. A call that comes 2 ms after
// the first caller left waits for 3 ms.
func TestACallThatComesWhileACanceledHandlerUnwindsWaits(t *testing.T) {
	for name, opt := range map[string]faas.RouterOption{"function": faas.WithConcurrency(1), "router": faas.WithCapacity(1)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := faas.Register(router(t, opt), "f", func(ctx context.Context, d time.Duration) (int, error) {
					select {
					case <-time.After(d):
						return 1, nil
					case <-ctx.Done():
						time.Sleep(5 * time.Millisecond)
						return 0, ctx.Err()
					}
				})
				ctx, cancel := context.WithCancel(t.Context())
				gone := make(chan error, 1)
				go func() { _, err := f.Invoke(ctx, time.Hour); gone <- err }()
				synctest.Wait()
				cancel()
				require.ErrorIs(t, <-gone, context.Canceled)
				assert.Equal(t, 1, f.Info().Runaways, "from settlement")
				time.Sleep(2 * time.Millisecond)
				asked := time.Now()
				_, err := f.Invoke(t.Context(), time.Millisecond)
				require.NoError(t, err)
				assert.Equal(t, 4*time.Millisecond, time.Since(asked))
			})
		})
	}
}

// When the last slot becomes stuck, calls that wait are refused, and calls that come
// later are refused at once, until a handler returns.
func TestWhenTheLastSlotIsStuckThoseThatWaitAreRefused(t *testing.T) {
	for name, opts := range map[string][]faas.RouterOption{
		"function": {faas.WithConcurrency(2)},
		"router":   {faas.WithCapacity(2)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				opts := append(opts, faas.WithStuck(3*time.Second, nil), faas.WithTimeout(time.Second), faas.WithQueueTimeout(time.Hour))
				r := router(t, opts...)
				f := faas.Register(r, "f", deafFor(time.Minute))
				other := f // the function whose handlers hold the stuck slots
				if name == "router" {
					other = faas.Register(r, "other", double)
				}
				began := time.Now()
				invoke := func(f *faas.Function[int, int]) chan error {
					got := make(chan error, 1)
					go func() { _, err := f.Invoke(t.Context(), 1); got <- err }()
					synctest.Wait()
					return got
				}
				first := invoke(f)
				time.Sleep(500 * time.Millisecond)
				second := invoke(f)
				require.ErrorIs(t, <-first, faas.ErrTimeout)
				require.ErrorIs(t, <-second, faas.ErrTimeout)
				waiting := invoke(other)
				err := <-waiting
				assertRefused(t, err, faas.ErrOverloaded, faas.ReasonRunaways)
				assert.Equal(t, 4500*time.Millisecond, time.Since(began), "3 s after the second has ended")
				_, err = other.Invoke(t.Context(), 1)
				assertRefused(t, err, faas.ErrOverloaded, faas.ReasonRunaways)
				assert.Equal(t, 4500*time.Millisecond, time.Since(began), "at once")
				time.Sleep(time.Minute)
				third := invoke(other)
				if name == "function" {
					require.ErrorIs(t, <-third, faas.ErrTimeout, "the handlers have returned")
				} else {
					require.NoError(t, <-third)
				}
			})
		})
	}
}

func TestWithoutAGraceARunawayIsStuckAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithStuck(0, nil), faas.WithTimeout(time.Second), faas.WithConcurrency(1))
		f := faas.Register(r, "f", deafFor(time.Minute))
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		began := time.Now()
		_, err = f.Invoke(t.Context(), 1)
		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonRunaways)
		assert.Zero(t, time.Since(began))
	})
}
