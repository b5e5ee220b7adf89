package admission_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

// patience is longer than any test takes. A call that has waited for that long was forgotten.
const patience = 24 * time.Hour

// call is an Acquire on a goroutine of its own, inside a bubble.
type call struct {
	hold     admission.Hold
	err      error
	answered atomic.Bool // set after err was written; err may be read once it is true
	cancel   context.CancelFunc
}

// begin makes a root call, or a nested call of parent. It returns when the call has a slot,
// was refused or waits in the queue.
func begin(t *testing.T, c acquirer, parent *call) *call {
	t.Helper()
	k := launch(t.Context(), c, parent, admission.Request{Wait: patience})
	synctest.Wait()
	return k
}

// acquirer is a version or, in tests without versions, a class.
type acquirer interface {
	Acquire(ctx context.Context, h *admission.Hold, r admission.Request) error
}

func launch(ctx context.Context, c acquirer, parent *call, r admission.Request) *call {
	k := &call{}
	ctx, k.cancel = context.WithCancel(ctx)
	if parent != nil {
		r.Parent = &parent.hold
	}
	go func() {
		k.err = c.Acquire(ctx, &k.hold, r)
		k.answered.Store(true)
	}()
	return k
}

func (k *call) waits() bool { return !k.answered.Load() }
func (k *call) runs() bool  { return k.answered.Load() && k.err == nil }

// end gives the call's slot back, and returns when all waiters that can run have been
// admitted.
func (k *call) end() {
	k.hold.Release()
	synctest.Wait()
}

func (k *call) refused() error {
	if !k.answered.Load() {
		return nil
	}
	return k.err
}

func runs(t *testing.T, ks ...*call) {
	t.Helper()
	for i, k := range ks {
		require.NoError(t, k.refused(), "call %d", i)
		require.False(t, k.waits(), "call %d waits", i)
	}
}

func waits(t *testing.T, ks ...*call) {
	t.Helper()
	for i, k := range ks {
		require.True(t, k.waits(), "call %d does not wait: %v", i, k.err)
	}
}

func refused(t *testing.T, want error, ks ...*call) {
	t.Helper()
	for i, k := range ks {
		require.ErrorIs(t, k.refused(), want, "call %d", i)
	}
}

func end(ks ...*call) {
	for _, k := range ks {
		k.end()
	}
}

// quiet asserts that the group and the classes have no slots in use, no waiters and no
// tenants.
func quiet(t *testing.T, g *admission.Group, cs ...*admission.Class) {
	t.Helper()
	assert.NoError(t, g.Quiet(cs...))
}
