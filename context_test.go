package faas_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

type key struct{ name string }

// modes runs a test twice: with a handler on a worker, and with an inline handler.
func modes(t *testing.T, f func(t *testing.T, opts ...faas.FunctionOption)) {
	t.Helper()
	t.Parallel()
	t.Run("worker", func(t *testing.T) { bubble(t, func(t *testing.T) { f(t) }) })
	t.Run("inline", func(t *testing.T) { bubble(t, func(t *testing.T) { f(t, faas.WithInline()) }) })
}

func TestAHandlerSeesTheInvocationAndNoValueOfTheCaller(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t, faas.WithTimeout(3*time.Second), faas.WithMemory(1<<20), faas.WithLabels(map[string]string{"a": "b"}))
		f := faas.Register(r, "f", func(ctx context.Context, _ struct{}) (faas.Invocation, error) {
			assert.Nil(t, ctx.Value(key{"secret"}))
			inv, ok := faas.FromContext(ctx)
			assert.True(t, ok)
			d, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, inv.Deadline, d)
			return inv, nil
		}, opts...)
		start := time.Now()
		ctx := faas.WithTenant(context.WithValue(t.Context(), key{"secret"}, 1), "acme")
		inv, err := f.Invoke(ctx, struct{}{})
		require.NoError(t, err)
		assert.Equal(t, faas.Invocation{
			ID: inv.ID, Function: "f", Version: "$LATEST", Tenant: "acme", Labels: map[string]string{"a": "b"},
			Attempt: 1, Start: start, Deadline: start.Add(3 * time.Second), Timeout: 3 * time.Second, Memory: 1 << 20,
		}, inv)
		assert.EqualValues(t, 7, inv.ID.Version())
		assert.Equal(t, uuid.RFC4122, inv.ID.Variant())
		sec, nsec := inv.ID.Time().UnixTime()
		assert.WithinDuration(t, start, time.Unix(sec, nsec), time.Millisecond)
		_, ok := faas.FromContext(ctx)
		assert.False(t, ok, "outside of a call")
	})
}

func TestTheDeadlineIsTheEarlierOne(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t, faas.WithTimeout(3*time.Second))
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (time.Duration, error) {
			inv, _ := faas.FromContext(ctx)
			return inv.Deadline.Sub(inv.Start), nil
		}, opts...)
		for _, c := range []struct{ caller, want time.Duration }{{time.Second, time.Second}, {time.Minute, 3 * time.Second}} {
			ctx, cancel := context.WithTimeout(t.Context(), c.caller)
			got, err := f.Invoke(ctx, 0)
			cancel()
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		}
	})
}

func TestAnEndlessTimeoutDoesNotOverflow(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t)
		f := faas.Register(r, "f", double, append(opts, faas.WithTimeout(1<<63-1))...)
		time.Sleep(time.Hour)
		out, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, 2, out)
	})
}

func TestAHandlersContextEndsWithTheCall(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t)
		var kept, child context.Context
		ended := make(chan struct{})
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			kept = ctx //nolint:fatcontext // some handlers keep their context like this
			var cancel context.CancelFunc
			child, cancel = context.WithCancel(ctx)
			t.Cleanup(cancel)
			context.AfterFunc(ctx, func() { close(ended) })
			stopped := context.AfterFunc(ctx, func() { t.Error("was stopped") })
			assert.True(t, stopped())
			assert.False(t, stopped(), "only once")
			require.NoError(t, ctx.Err())
			return 0, nil
		}, opts...)
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		<-kept.Done()
		<-child.Done()
		<-ended
		require.ErrorIs(t, kept.Err(), context.Canceled)
		late := make(chan struct{})
		stop := context.AfterFunc(kept, func() { close(late) })
		<-late
		assert.False(t, stop(), "it has run")
	})
}

func TestAHandlersContextEndsAtTheDeadlineAndWithTheCaller(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t, faas.WithTimeout(time.Second))
		why := make(chan error, 1)
		wait := faas.Register(r, "wait", func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			why <- ctx.Err()
			return 0, ctx.Err()
		}, opts...)
		poll := faas.Register(r, "poll", func(ctx context.Context, _ int) (int, error) {
			for ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			why <- ctx.Err()
			return 0, ctx.Err()
		}, opts...)
		for _, f := range []*faas.Function[int, int]{wait, poll} {
			_, err := f.Invoke(t.Context(), 0)
			require.ErrorIs(t, err, faas.ErrTimeout)
			require.ErrorIs(t, <-why, context.DeadlineExceeded)

			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, err = f.Invoke(ctx, 0)
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, faas.ErrTimeout)
			require.ErrorIs(t, <-why, context.Canceled)
		}
	})
}

func TestAChildContextCostsNoGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			synctest.Wait() // until everything that the first call starts has started
			before := goroutines(t)
			for range 100 {
				_, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
			}
			synctest.Wait()
			return goroutines(t) - before, nil
		})
		n, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}

func TestWithContextCarriesValuesOver(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		carry := func(k key) faas.Option {
			return faas.WithContext(func(caller, fresh context.Context) context.Context {
				_, ok := fresh.Deadline()
				assert.False(t, ok, "the call has not begun")
				return context.WithValue(fresh, k, caller.Value(k))
			})
		}
		var seen any
		m := faas.MeterFunc(func(ctx context.Context, _ faas.Execution) {
			seen = ctx.Value(key{"trace"})
			assert.NoError(t, ctx.Err())
		})
		r := router(t, carry(key{"trace"}), faas.WithMeter(m))
		f := faas.Register(r, "f", func(ctx context.Context, _ int) ([2]any, error) {
			_, ok := ctx.Deadline()
			assert.True(t, ok)
			return [2]any{ctx.Value(key{"trace"}), ctx.Value(key{"user"})}, nil
		}, append(opts, carry(key{"user"}))...)
		ctx := context.WithValue(context.WithValue(t.Context(), key{"trace"}, "t1"), key{"user"}, "u1")
		out, err := f.Invoke(ctx, 0)
		require.NoError(t, err)
		assert.Equal(t, [2]any{"t1", "u1"}, out)
		assert.Equal(t, "t1", seen)
	})
}

func TestWithContextMayDeriveACancelableContext(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t, faas.WithTimeout(time.Second), faas.WithContext(func(_, fresh context.Context) context.Context {
			ctx, cancel := context.WithCancel(fresh)
			t.Cleanup(cancel)
			return ctx
		}))
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() }, opts...)
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrTimeout)
	})
}

func TestWithContextFailsClosed(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		for name, carry := range map[string]func(caller, fresh context.Context) context.Context{
			"panics":      func(_, _ context.Context) context.Context { panic("no") },
			"nil":         func(_, _ context.Context) context.Context { return nil },
			"not derived": func(caller, _ context.Context) context.Context { return caller },
		} {
			r := router(t)
			f := faas.Register(r, name[:3], func(context.Context, int) (int, error) { t.Error(name); return 0, nil }, append(opts, faas.WithContext(carry))...)
			_, err := f.Invoke(t.Context(), 0)
			require.ErrorIs(t, err, faas.ErrDenied, name)
			assert.EqualValues(t, 1, f.Info().Rejected[faas.ReasonDenied], name)
			assert.Zero(t, f.Info().Admitted)
		}
	})
}

func TestTheTenantIsInherited(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		leaf := faas.Register(r, "leaf", func(ctx context.Context, _ int) (string, error) {
			inv, _ := faas.FromContext(ctx)
			return inv.Tenant, nil
		}, opts...)
		root := faas.Register(r, "root", func(ctx context.Context, _ int) (string, error) {
			own, err := leaf.Invoke(ctx, 0)
			assert.NoError(t, err)
			other, err := leaf.Invoke(faas.WithTenant(ctx, "other"), 0)
			return own + "," + other, err
		}, opts...)
		out, err := root.Invoke(faas.WithTenant(faas.WithTenant(t.Context(), "x"), "acme"), 0)
		require.NoError(t, err)
		assert.Equal(t, "acme,other", out)
		var tenants []string
		for _, e := range m.all() {
			tenants = append(tenants, e.Tenant)
		}
		assert.Equal(t, []string{"acme", "other", "acme"}, tenants)
	})
}

func TestStartFollowsTheWallClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		f := faas.Register(router(t, faas.WithMeter(m)), "f", func(context.Context, int) (int, error) { time.Sleep(5 * time.Second); return 0, nil })
		for range 3 {
			time.Sleep(700 * time.Millisecond)
			start := time.Now()
			_, err := f.Invoke(t.Context(), 0)
			require.NoError(t, err)
			assert.Equal(t, start, m.last(t).Start)
			assert.Equal(t, 5*time.Second, m.last(t).Duration)
		}
	})
}
