package faas_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func onShutdown(t *testing.T, r *faas.Router, name string, f func(context.Context) error) (remove func()) {
	t.Helper()
	remove, err := r.OnShutdown(name, f)
	require.NoError(t, err)
	return remove
}

func TestHooksOfShutdownRunAtOnceAndWhileCallsAreAdmitted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", double)
		for _, name := range []string{"server", "source"} {
			onShutdown(t, r, name, func(ctx context.Context) error {
				deadline, ok := ctx.Deadline()
				assert.True(t, ok, "it has Shutdown's context")
				assert.Equal(t, time.Now().Add(time.Minute), deadline)
				time.Sleep(time.Second)
				_, err := f.Invoke(context.Background(), 1)
				return err
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.NoError(t, r.Shutdown(ctx))
		assert.Equal(t, time.Second, time.Since(start), "both at once")
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrClosed)
	})
}

func TestHooksOfShutdownAreCalledOnceAndEachShutdownHearsTheirErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		lost, calls := errors.New("lost"), 0
		onShutdown(t, r, "source", func(context.Context) error { time.Sleep(time.Second); calls++; return lost })
		onShutdown(t, r, "well", func(context.Context) error { return nil })
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				err := r.Shutdown(t.Context())
				assert.ErrorIs(t, err, lost)
				assert.ErrorContains(t, err, `OnShutdown "source"`)
				assert.NotContains(t, err.Error(), "well")
			})
		}
		both.Wait()
		assert.Equal(t, 1, calls)
	})
}

func TestAHookOfShutdownThatFailsKeepsNothingFromEnding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		release := make(chan struct{})
		onShutdown(t, r, "panics", func(context.Context) error { panic("hook") })
		onShutdown(t, r, "exits", func(context.Context) error { exit(); return nil })
		onShutdown(t, r, "hangs", func(context.Context) error { <-release; return nil })
		onShutdown(t, r, "shuts down", func(ctx context.Context) error { return r.Shutdown(ctx) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		err := r.Shutdown(ctx)

		var p *faas.PanicError
		require.ErrorAs(t, err, &p)
		require.ErrorIs(t, err, faas.ErrExited)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, faas.ErrInput, "Shutdown called by a hook")
		assert.ErrorContains(t, err, `"hangs" has not returned`)
		assert.Equal(t, uint64(1), r.Stats().HookPanics)
		_, err = r.OnShutdown("late", func(context.Context) error { return nil })
		require.ErrorIs(t, err, faas.ErrClosed)
		close(release)
		synctest.Wait()
	})
}

func TestAHookOfShutdownCanBeTakenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		remove := onShutdown(t, r, "server", func(context.Context) error { return errors.New("called") })
		remove()
		remove()
		_, err := r.OnShutdown("nothing", nil)
		require.ErrorIs(t, err, faas.ErrInput)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestHooksOfShutdownComeAndGoWhileItBegins(t *testing.T) {
	t.Parallel()
	for range 50 {
		r := router(t)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 10 {
					if remove, err := r.OnShutdown("x", func(context.Context) error { return nil }); err == nil {
						remove()
					}
				}
			})
		}
		all.Go(func() { assert.NoError(t, r.Shutdown(context.Background())) })
		all.Wait()
	}
}
