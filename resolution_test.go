package faas_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestACallWritesWhatItWasGivenTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		faas.Register(r, "f", double)
		for how, call := range byName {
			var to faas.Resolution
			_, err := call(faas.WithResolution(t.Context(), &to), r, "f")
			require.NoError(t, err, how)
			assert.Equal(t, faas.Resolution{Function: "f", Version: "$LATEST"}, to, how)
		}
	})
}

// The caller wants to learn about its own call, and not about the handler's nested calls.
func TestANestedCallWritesNoResolution(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		inner := faas.Register(r, "inner", double)
		outer := faas.Register(r, "outer", func(ctx context.Context, in int) (int, error) { return inner.Invoke(ctx, in) })
		var to faas.Resolution
		ctx := faas.WithOrigin(faas.WithResolution(t.Context(), &to), faas.Origin{RequestID: "r-1", Key: "k"})

		_, err := outer.Invoke(ctx, 1)

		require.NoError(t, err)
		assert.Equal(t, "outer", to.Function)
	})
}

func TestARefusedCallWritesWhatItWasGivenToOnceItHasAskedForAdmission(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		faas.Register(r, "f", double, faas.WithConcurrency(0))
		for how, call := range byName {
			var to faas.Resolution
			ctx := faas.WithPriority(faas.WithTenant(faas.WithResolution(t.Context(), &to), "a"), 1)
			_, err := call(ctx, r, "f")
			assertRefused(t, err, faas.ErrOverloaded, faas.ReasonOff)
			assert.Equal(t, "f", to.Function, how)

			to = faas.Resolution{}
			_, err = call(ctx, r, "unknown")
			assert.ErrorIs(t, err, faas.ErrNotFound, how)
			assert.Zero(t, to, how)
		}
	})
}
