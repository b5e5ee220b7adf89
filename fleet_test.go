package faas

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A nested call has borrowed its parent's slot, and the parent ends before the
// call has joined it in its instance.
func TestAnInstanceThatIsClosedTakesNoNestedCall(t *testing.T) {
	t.Parallel()
	r := New()
	f := RegisterInit(r, "f", func(context.Context) (Handler[int, int], func(context.Context) error, error) {
		return func(_ context.Context, in int) (int, error) { return in, nil }, nil, nil
	})
	_, err := f.Invoke(t.Context(), 1)
	require.NoError(t, err)
	fleet := f.core.scaling.fleet
	in := fleet.warmest()
	require.NotNil(t, in)
	require.True(t, fleet.join(in))
	fleet.leave(in, false, 0)
	require.NoError(t, r.Remove("f"))
	assert.False(t, fleet.join(in))
	live, ready := fleet.count()
	assert.Zero(t, live+ready)
	require.NoError(t, r.Close())
}
