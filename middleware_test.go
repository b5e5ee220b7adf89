package faas_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

var errTest = errors.New("boom")

func TestMiddlewaresWrapTheRoutersOutermost(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		var steps []string
		composed := 0
		step := func(name string) faas.Option {
			return faas.WithMiddleware(func(next faas.Runner) faas.Runner {
				composed++
				return func(ctx context.Context, inv faas.Invocation) error {
					steps = append(steps, "+"+name)
					err := next(context.WithValue(ctx, key{name}, inv.Function), inv)
					steps = append(steps, "-"+name)
					return err
				}
			})
		}
		r := router(t, step("a"), step("b"))
		f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
			steps = append(steps, "f")
			assert.Equal(t, "f", ctx.Value(key{"c"}))
			return double(ctx, n)
		}, append(opts, step("c"))...)
		for range 2 {
			steps = nil
			out, err := f.Invoke(t.Context(), 2)
			require.NoError(t, err)
			assert.Equal(t, 4, out)
			assert.Equal(t, []string{"+a", "+b", "+c", "f", "-c", "-b", "-a"}, steps)
		}
		assert.Equal(t, 3, composed, "once each, at registration")
		faas.Register(r, "g", double)
		assert.Equal(t, 5, composed, "options of one function do not reach another")
	})
}

func TestWhatAMiddlewareAnswersIsTheCallsAnswer(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		fails := func(context.Context, int) (int, error) { return 7, errTest }
		for name, c := range map[string]struct {
			handler faas.Handler[int, int]
			m       func(next faas.Runner) faas.Runner
			out     int
			outcome faas.Outcome
			err     error
		}{
			"passes": {double, func(next faas.Runner) faas.Runner { return next }, 2, faas.OK, nil},
			"refuses": {double, func(faas.Runner) faas.Runner {
				return func(context.Context, faas.Invocation) error { return errTest }
			}, 0, faas.Failed, errTest},
			"swallows": {fails, func(next faas.Runner) faas.Runner {
				return func(ctx context.Context, inv faas.Invocation) error { _ = next(ctx, inv); return nil }
			}, 7, faas.OK, nil},
			"turns-bad": {double, func(next faas.Runner) faas.Runner {
				return func(ctx context.Context, inv faas.Invocation) error { _ = next(ctx, inv); return errTest }
			}, 0, faas.Failed, errTest},
		} {
			m := &recorder{}
			f := faas.Register(router(t, faas.WithMeter(m)), name, c.handler, append(opts, faas.WithMiddleware(c.m))...)
			out, err := f.Invoke(t.Context(), 1)
			assert.Equal(t, c.out, out, name)
			assert.Equal(t, c.err, err, name)
			assert.Equal(t, c.outcome, m.last(t).Outcome, name)
		}
	})
}

func TestNextRunsOnce(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		runs := 0
		f := faas.Register(router(t), "f", func(context.Context, int) (int, error) { runs++; return runs, nil },
			append(opts, faas.WithMiddleware(func(next faas.Runner) faas.Runner {
				return func(ctx context.Context, inv faas.Invocation) error {
					assert.NoError(t, next(ctx, inv))
					assert.ErrorContains(t, next(ctx, inv), "second time")
					return nil
				}
			}))...)
		for want := 1; want < 4; want++ {
			out, err := f.Invoke(t.Context(), 0)
			require.NoError(t, err)
			assert.Equal(t, want, out)
		}
	})
}

func TestNilWithoutACompletedNextIsAFailure(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		for name, c := range map[string]struct {
			m    func(next faas.Runner) faas.Runner
			text string
		}{
			"never called": {func(faas.Runner) faas.Runner {
				return func(context.Context, faas.Invocation) error { return nil }
			}, "next has not returned"},
			"recovered": {func(next faas.Runner) faas.Runner {
				return func(ctx context.Context, inv faas.Invocation) error {
					defer func() { _ = recover() }()
					return next(ctx, inv)
				}
			}, "next has not returned"},
			"foreign context": {func(next faas.Runner) faas.Runner {
				return func(_ context.Context, inv faas.Invocation) error { return next(context.Background(), inv) }
			}, "not derived"},
		} {
			m := &recorder{}
			f := faas.Register(router(t, faas.WithMeter(m)), "f", func(context.Context, int) (int, error) { panic("x") }, append(opts, faas.WithMiddleware(c.m))...)
			_, err := f.Invoke(t.Context(), 1)
			require.ErrorContains(t, err, c.text, name)
			assert.Equal(t, faas.Failed, m.last(t).Outcome, name)
			assert.Equal(t, err, m.last(t).Err, name)
		}
	})
}

func TestAMiddlewareThatLeavesTheHandlerRunningElsewhere(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		started, open, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		f := faas.Register(router(t), "f", func(_ context.Context, n *int) (int, error) {
			close(started)
			<-open
			defer close(done)
			return *n, nil // the race detector reports it if the call's memory is used again
		}, append(opts, faas.WithMiddleware(func(next faas.Runner) faas.Runner {
			return func(ctx context.Context, inv faas.Invocation) error {
				if inv.Tenant == "wait" {
					return next(ctx, inv)
				}
				go func() { _ = next(ctx, inv) }()
				<-started
				return errTest
			}
		}))...)
		one, two := 1, 2
		_, err := f.Invoke(t.Context(), &one)
		require.ErrorIs(t, err, errTest)
		close(open)
		<-done
		started, done = make(chan struct{}), make(chan struct{})
		out, err := f.Invoke(faas.WithTenant(t.Context(), "wait"), &two)
		require.NoError(t, err)
		assert.Equal(t, 2, out)
	})
}

func TestAPanickingMiddlewareIsThePanicOfTheCall(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		f := faas.Register(router(t, faas.WithMeter(m)), "f", double, append(opts, faas.WithMiddleware(func(faas.Runner) faas.Runner {
			return func(context.Context, faas.Invocation) error { panic("middle") }
		}))...)
		_, err := f.Invoke(t.Context(), 1)
		var p *faas.PanicError
		require.ErrorAs(t, err, &p)
		assert.Equal(t, "middle", p.Value)
		assert.Equal(t, faas.Panicked, m.last(t).Outcome)
	})
}

func TestNextAfterTheMiddlewareRunsNothing(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		late := make(chan func() error, 1)
		f := faas.Register(router(t), "f", func(context.Context, int) (int, error) { t.Error("ran"); return 0, nil },
			append(opts, faas.WithMiddleware(func(next faas.Runner) faas.Runner {
				return func(ctx context.Context, inv faas.Invocation) error {
					late <- func() error { return next(ctx, inv) }
					return errTest
				}
			}))...)
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, errTest)
		require.ErrorContains(t, (<-late)(), "after it had returned")
	})
}
