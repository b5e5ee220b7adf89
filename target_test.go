package faas_test

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// asks is a gate made of a func.
type asks func(inv faas.Invocation) error

func (a asks) Admit(_ context.Context, inv faas.Invocation) error { return a(inv) }
func (asks) Done(faas.Invocation, *faas.Execution)                {}

// byName are the ways to call a function by its name, with the output as text.
var byName = map[string]func(ctx context.Context, r *faas.Router, name string) (string, error){
	"Invoke": func(ctx context.Context, r *faas.Router, name string) (string, error) {
		out, err := r.Invoke(ctx, name, []byte("0"))
		return string(out), err
	},
	"InvokeStream": func(ctx context.Context, r *faas.Router, name string) (string, error) {
		out, in := io.Pipe()
		var err error
		go func() { err = r.InvokeStream(ctx, name, []byte("0"), in); in.Close() }()
		text, _ := io.ReadAll(out)
		return string(text), err
	},
}

// goes registers "f" with gates. The last gate removes the function during the function's first
// call, and then calls instead.
func goes(t *testing.T, r *faas.Router, g faas.Gate, instead func()) {
	t.Helper()
	var once sync.Once
	faas.Register(r, "f", func(context.Context, int) (int, error) { return 1, nil }, faas.WithGate(g, asks(func(faas.Invocation) error {
		once.Do(func() {
			assert.NoError(t, r.Remove("f"))
			instead()
		})
		return nil
	})))
}

// The function is removed when its gates have admitted the call, and before the call has its slot. A
// call by name then goes to the function that has the name by then, and Done of the removed
// function's gates is called with nil.
func TestACallByNameWhoseFunctionIsReplacedWhileItsGatesAreAskedRunsTheNewOne(t *testing.T) {
	for how, call := range byName {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var told steps
				m := &recorder{}
				r := router(t, faas.WithMeter(m), faas.WithRefusals(func(_ context.Context, ref faas.Refusal) { t.Errorf("refused: %v", ref.Err) }))
				goes(t, r, gate{name: "first", steps: &told}, func() {
					faas.Register(r, "f", func(context.Context, int) (int, error) { return 2, nil })
				})

				out, err := call(t.Context(), r, "f")

				require.NoError(t, err)
				assert.Equal(t, "2", out)
				assert.Equal(t, []string{"?first", "refused first"}, told.list())
				assert.Len(t, m.all(), 1)
				s := r.Stats()
				assert.EqualValues(t, 1, s.Admitted)
				assert.Empty(t, s.Rejected)
				require.NoError(t, r.Shutdown(t.Context()), "no call is left over")
			})
		})
	}
}

func TestACallByNameWhoseFunctionIsRemovedWhileItsGatesAreAskedIsRefusedOnce(t *testing.T) {
	for how, call := range byName {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := router(t)
				goes(t, r, asks(func(faas.Invocation) error { return nil }), func() {})

				_, err := call(t.Context(), r, "f")

				assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
				assert.Equal(t, map[faas.Reason]uint64{faas.ReasonNotFound: 1}, r.Stats().Rejected)
			})
		})
	}
}

// A handle is bound to its registration: its call goes to no other.
func TestACallByHandleWhoseFunctionIsReplacedIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		goes(t, r, asks(func(faas.Invocation) error { return nil }), func() { faas.Register(r, "f", double) })
		f, err := faas.Lookup[int, int](r, "f")
		require.NoError(t, err)

		_, err = f.Invoke(t.Context(), 0)

		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
	})
}
