package faashttp_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

const executedVersion = "Faas-Executed-Version"

func TestAnAnswerSaysWhichVersionHasRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithTimeout(time.Second))
		faas.Register(r, "f", echo)
		faas.Register(r, "f", echo, faas.WithVersion(1))
		faas.Register(r, "f", echo, faas.WithVersion(12))
		faas.RegisterStream(r, "lines", func(_ context.Context, _ any, w io.Writer) error { _, err := w.Write([]byte("a")); return err }, faas.WithVersion(3))
		faas.Register(r, "fails", func(context.Context, any) (any, error) { return nil, errors.New("no") }, faas.WithVersion(4))
		faas.Register(r, "late", func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, nil }, faas.WithVersion(5))
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1, 12: 1}))
		require.NoError(t, r.SetAlias("f", "now", faas.Weights{0: 1}))
		require.NoError(t, r.SetAlias("lines", "live", faas.Weights{3: 1}))
		h := faashttp.Handler(r)
		for _, c := range []struct {
			name   string
			status int
			want   string
		}{
			{"f", 200, ""}, {"f:now", 200, "$LATEST"}, {"f:1", 200, "1"}, {"f:12", 200, "12"}, {"lines:live", 200, "3"}, {"fails:4", 500, "4"}, {"late:5", 504, "5"},
		} {
			w := do(t, h, "POST", "/fn/"+c.name, "1")
			assert.Equal(t, c.status, w.Code, c.name)
			assert.Equal(t, c.want, w.Header().Get(executedVersion), c.name)
		}
		assert.Equal(t, "3", do(t, h, "POST", "/fn/lines:3", "1", "Accept: text/event-stream").Header().Get(executedVersion))
		for range 20 {
			w := do(t, h, "POST", "/fn/f:live", "1")
			all := m.Executions()
			assert.Equal(t, all[len(all)-1].Version, w.Header().Get(executedVersion))
		}
	})
}

func TestARefusalSaysNothingOfAVersion(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	faas.Register(r, "off", echo, faas.WithVersion(1), faas.WithConcurrency(0))
	faas.Register(r, "denied", echo, faas.WithVersion(1), faas.WithGate(noOne{}))
	h := faashttp.Handler(r)
	for name, status := range map[string]int{"off:1": 429, "denied:1": 404, "f:1": 404} {
		w := do(t, h, "POST", "/fn/"+name, "1")
		assert.Equal(t, status, w.Code, name)
		assert.NotContains(t, w.Header(), executedVersion)
	}
	assert.NotContains(t, do(t, h, "POST", "/fn/denied:1", "{").Header(), executedVersion)
}

// noOne is a gate that admits no call.
type noOne struct{}

func (noOne) Admit(context.Context, faas.Invocation) error { return errors.New("no") }
func (noOne) Done(faas.Invocation, *faas.Execution)        {}
