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

func sleepFor(_ context.Context, d time.Duration) (bool, error) { time.Sleep(d); return true, nil }

func TestShutdownDrainsWhatRunsAndWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithConcurrency(1))
		f := faas.Register(r, "f", sleepFor)
		errs := make(chan error, 3)
		for range 3 {
			go func() { _, err := f.Invoke(t.Context(), time.Second); errs <- err }()
		}
		synctest.Wait()
		start := time.Now()
		done := make(chan error)
		go func() { done <- r.Shutdown(t.Context()) }()
		synctest.Wait()
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrClosed, "no call that comes later runs")
		require.NoError(t, <-done)
		assert.Equal(t, 3*time.Second, time.Since(start))
		for range 3 {
			require.NoError(t, <-errs)
		}
		require.NoError(t, r.Shutdown(t.Context()), "idempotent")
		require.NoError(t, r.Close())
		_, err = faas.TryRegister(r, "g", double)
		require.ErrorIs(t, err, faas.ErrClosed)
	})
}

func TestCallsOfADrainingHandlerAreAdmitted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		leaf := faas.Register(r, "leaf", double)
		root := faas.Register(r, "root", func(ctx context.Context, n int) (int, error) {
			time.Sleep(time.Second)
			return leaf.Invoke(ctx, n)
		})
		done := make(chan error)
		go func() {
			out, err := root.Invoke(t.Context(), 1)
			assert.Equal(t, 2, out)
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
		require.NoError(t, <-done)
	})
}

func TestShutdownAtItsEndCancelsAndNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		deaf := faas.Register(r, "deaf", sleepFor)
		good := faas.Register(r, "good", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		waits := faas.Register(r, "waits", sleepFor, faas.WithConcurrency(1))
		errs := make(chan error, 6)
		for range 2 {
			go func() { _, err := deaf.Invoke(t.Context(), 20*time.Second); errs <- err }()
			go func() { _, err := waits.Invoke(t.Context(), 20*time.Second); errs <- err }()
		}
		go func() { _, err := good.Invoke(t.Context(), 0); errs <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := r.Shutdown(ctx)
		assert.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `"deaf" (2), "good" (1), "waits" (1)`)
		for range 5 {
			require.ErrorIs(t, <-errs, faas.ErrClosed)
		}
		assert.Len(t, m.all(), 4)
		for _, e := range m.all() {
			assert.Equal(t, faas.Canceled, e.Outcome)
			assert.Equal(t, time.Second, e.Duration)
		}
		assert.EqualValues(t, 1, waits.Info().Rejected[faas.ReasonClosed])
	})
}

func TestShutdownWaitsForRunaways(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", sleepFor, faas.WithTimeout(time.Second))
		_, err := f.Invoke(t.Context(), time.Minute)
		require.ErrorIs(t, err, faas.ErrTimeout)
		start := time.Now()
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, 59*time.Second, time.Since(start))
	})
}

func TestCloseSettlesEverythingAtOnce(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.Register(r, "f", sleepFor, append(opts, faas.WithConcurrency(2))...)
		errs := make(chan error, 4)
		for range 4 {
			go func() { _, err := f.Invoke(t.Context(), 20*time.Second); errs <- err }()
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, r.Close())
		assert.Zero(t, time.Since(start))
		assert.Len(t, m.all(), 2)
		for range 4 {
			require.ErrorIs(t, <-errs, faas.ErrClosed)
		}
		assert.EqualValues(t, 2, r.Stats().Rejected[faas.ReasonClosed])
	})
}

func TestAHandlerMayShutItsRouterDown(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		for _, limit := range []time.Duration{time.Second, time.Hour} {
			r := router(t, faas.WithTimeout(2*time.Hour))
			other := faas.Register(r, "other", sleepFor)
			stop := faas.Register(r, "stop", func(ctx context.Context, d time.Duration) (bool, error) {
				ctx, cancel := context.WithTimeout(ctx, d)
				defer cancel()
				return true, r.Shutdown(ctx)
			}, opts...)
			root := faas.Register(r, "root", func(ctx context.Context, d time.Duration) (bool, error) { return stop.Invoke(ctx, d) }, opts...)
			done := make(chan error)
			go func() { _, err := other.Invoke(t.Context(), time.Minute); done <- err }()
			synctest.Wait()
			start := time.Now()
			ok, err := root.Invoke(t.Context(), limit)
			if limit == time.Second {
				require.ErrorContains(t, err, `"other" (1)`)
				require.NotContains(t, err.Error(), "root")
				require.ErrorIs(t, <-done, faas.ErrClosed)
				continue
			}
			require.NoError(t, err)
			assert.True(t, ok)
			assert.Equal(t, time.Minute, time.Since(start))
			require.NoError(t, <-done)
		}
	})
}

func TestShutdownBelowARunawayDoesNotWaitForIt(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t)
		stop := faas.Register(r, "stop", func(ctx context.Context, _ int) (int, error) {
			time.Sleep(5 * time.Second) // root's call times out meanwhile, and its handler waits for this one
			return 1, r.Shutdown(ctx)
		}, opts...)
		var out int
		var err error
		root := faas.Register(r, "root", func(ctx context.Context, _ int) (int, error) {
			out, err = stop.Invoke(context.WithoutCancel(ctx), 0)
			return out, err
		}, append(opts, faas.WithTimeout(time.Second))...)
		_, timeout := root.Invoke(t.Context(), 0)
		require.ErrorIs(t, timeout, faas.ErrTimeout)
		require.NoError(t, r.Shutdown(t.Context()), "elsewhere it waits for the runaway")
		require.NoError(t, err)
		assert.Equal(t, 1, out)
	})
}

func TestShutdownBelowARunawayWaitsForTheOthersOfItsFunction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var took time.Duration
		stop := faas.Register(r, "stop", func(ctx context.Context, _ int) (int, error) {
			time.Sleep(5 * time.Second)
			start := time.Now()
			err := r.Shutdown(ctx)
			took = time.Since(start)
			return 0, err
		}, faas.WithTimeout(time.Hour))
		root := faas.Register(r, "root", func(ctx context.Context, stops bool) (int, error) {
			if stops {
				return stop.Invoke(context.WithoutCancel(ctx), 0)
			}
			time.Sleep(time.Minute)
			return 0, nil
		}, faas.WithTimeout(time.Second))
		var calls sync.WaitGroup
		for _, stops := range []bool{true, false} {
			calls.Go(func() {
				_, err := root.Invoke(t.Context(), stops)
				assert.ErrorIs(t, err, faas.ErrTimeout)
			})
		}
		calls.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, 55*time.Second, took)
	})
}

func TestShutdownInARunawayWhoseContextHasEndedWaitsForRecords(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		slow := faas.MeterFunc(func(ctx context.Context, e faas.Execution) { time.Sleep(time.Second); m.Record(ctx, e) })
		r := router(t, faas.WithMeter(slow))
		recorded := make(chan int, 1)
		f := faas.Register(r, "f", func(ctx context.Context, stops bool) (int, error) {
			if !stops {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			time.Sleep(5 * time.Second)
			err := r.Shutdown(ctx)
			recorded <- len(m.all())
			return 0, err
		})
		var calls sync.WaitGroup
		calls.Go(func() { _, _ = f.Invoke(t.Context(), false) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.Invoke(ctx, true)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		calls.Wait()
		assert.Equal(t, 2, <-recorded, "that of the runaway, and that of the call that Shutdown canceled")
	})
}

func TestAHandlerThatClosesItsRouterIsCanceledLikeTheOthers(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t)
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			assert.NoError(t, r.Close())
			return 0, ctx.Err()
		}, opts...)
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrClosed)
	})
}

func TestShutdownNeedsAContext(t *testing.T) {
	t.Parallel()
	r := router(t)
	require.ErrorIs(t, r.Shutdown(nil), faas.ErrInput) //nolint:staticcheck // a nil context is what is tested
	_, err := faas.Register(r, "f", double).Invoke(t.Context(), 1)
	require.NoError(t, err, "and nothing has begun")
}

func TestIdleWorkersEndAndComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", sleepFor)
		idle := goroutines(t)
		for range 3 {
			done := make(chan error, 50)
			for range cap(done) {
				go func() { _, err := f.Invoke(t.Context(), time.Second); done <- err }()
			}
			for range cap(done) {
				require.NoError(t, <-done)
			}
			assert.Greater(t, goroutines(t), idle+50)
			time.Sleep(30 * time.Second)
			synctest.Wait()
			assert.Equal(t, idle, goroutines(t), "no worker, and not the pool's own two")
		}
	})
}
