package faas_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// gate is a Gate that records its calls, and returns what its func returns.
type gate struct {
	name  string
	steps *steps
	admit func(ctx context.Context, inv faas.Invocation) error
}

func (g gate) Admit(ctx context.Context, inv faas.Invocation) error {
	g.steps.add("?" + g.name)
	if g.admit == nil {
		return nil
	}
	return g.admit(ctx, inv)
}

func (g gate) Done(_ faas.Invocation, e *faas.Execution) {
	if e == nil {
		g.steps.add("refused " + g.name)
	} else {
		g.steps.add(e.Outcome.String() + " " + g.name)
	}
}

func TestGatesAreAskedInOrderAndToldInReverse(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		var told steps
		ok := func(name string) faas.Option { return faas.WithGate(gate{name: name, steps: &told}) }
		f := faas.Register(router(t, ok("a"), ok("b")), "f", func(context.Context, error) (int, error) { return 0, nil }, append(opts, ok("c"))...)
		_, err := f.Invoke(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"?a", "?b", "?c", "OK c", "OK b", "OK a"}, told.list())
	})
}

func TestAGateSeesTheCallersContextAndACallThatHasNotBegun(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		var told steps
		seen := faas.Invocation{}
		g := gate{steps: &told, admit: func(ctx context.Context, inv faas.Invocation) error {
			assert.Equal(t, 1, ctx.Value(key{"user"}))
			seen = inv
			return nil
		}}
		f := faas.Register(router(t), "f", func(ctx context.Context, _ int) (faas.Invocation, error) {
			inv, _ := faas.FromContext(ctx)
			return inv, nil
		}, append(opts, faas.WithGate(g))...)
		inv, err := f.Invoke(context.WithValue(t.Context(), key{"user"}, 1), 0)
		require.NoError(t, err)
		assert.Equal(t, inv.ID, seen.ID)
		assert.Zero(t, seen.Start)
		assert.Zero(t, seen.Deadline)
	})
}

func TestAGateThatSaysNoEndsTheCall(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		own := errors.New("not you")
		for name, c := range map[string]struct {
			admit  func(context.Context, faas.Invocation) error
			reason faas.Reason
			is     []error
			panics uint64
		}{
			"error": {func(context.Context, faas.Invocation) error { return own }, faas.ReasonDenied, []error{own, faas.ErrDenied}, 0},
			"panic": {func(context.Context, faas.Invocation) error { panic(own) }, faas.ReasonDenied, []error{own, faas.ErrDenied}, 1},
			"choice": {func(context.Context, faas.Invocation) error {
				return &faas.Error{Reason: "rate", RetryAfter: time.Minute, Err: faas.ErrOverloaded}
			}, "rate", []error{faas.ErrOverloaded}, 0},
		} {
			var told steps
			m := &recorder{}
			r := router(t, faas.WithMeter(m), faas.WithGate(gate{name: "a", steps: &told}, gate{name: "b", steps: &told, admit: c.admit}, gate{name: "c", steps: &told}))
			f := faas.Register(r, "f", func(context.Context, int) (int, error) { t.Error(name); return 0, nil }, opts...)
			_, err := f.Invoke(t.Context(), 0)
			for _, is := range c.is {
				require.ErrorIs(t, err, is, name)
			}
			var e *faas.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, c.reason, e.Reason, name)
			assert.Equal(t, name == "choice", e.RetryAfter == time.Minute)
			assert.Equal(t, []string{"?a", "?b", "refused a"}, told.list(), name)
			assert.Equal(t, map[faas.Reason]uint64{c.reason: 1}, f.Info().Rejected, name)
			assert.Equal(t, c.panics, r.Stats().HookPanics, name)
			assert.Empty(t, m.all(), name)
		}
	})
}

func TestAGateIsToldOfACallThatIsRefusedAfterIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told steps
		f := faas.Register(router(t, faas.WithGate(gate{name: "a", steps: &told})), "f",
			func(ctx context.Context, _ int) (int, error) { time.Sleep(time.Second); return 0, nil }, faas.WithConcurrency(1), faas.WithQueue(0))
		done := make(chan error)
		go func() { _, err := f.Invoke(t.Context(), 0); done <- err }()
		synctest.Wait()
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrOverloaded)
		assert.Equal(t, []string{"?a", "?a", "refused a"}, told.list())
		require.NoError(t, <-done)
		assert.Equal(t, "OK a", told.list()[3])
	})
}

func TestAGateThatPanicsAfterwardsChangesNothing(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t, faas.WithGate(rude{}))
		f := faas.Register(r, "f", double, opts...)
		out, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, 2, out)
		assert.EqualValues(t, 1, r.Stats().HookPanics)
	})
}

type rude struct{}

func (rude) Admit(context.Context, faas.Invocation) error { return nil }
func (rude) Done(faas.Invocation, *faas.Execution)        { panic("done") }
