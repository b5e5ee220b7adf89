package faas_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

type (
	userField   struct{}
	localeField struct{}
	otherField  struct{}
)

func TestCarryKeysLetsTheseValuesThroughAndNoOther(t *testing.T) {
	t.Parallel()
	keys := []any{userField{}, localeField{}, "text"}
	r := router(t, faas.WithContext(faas.CarryKeys(keys...)))
	keys[0] = otherField{} // CarryKeys has copied the slice, so this has no effect
	seen := func(ctx context.Context) [4]any {
		return [4]any{ctx.Value(userField{}), ctx.Value(localeField{}), ctx.Value("text"), ctx.Value(otherField{})}
	}
	inner := faas.Register(r, "inner", faas.NoInput(func(ctx context.Context) ([4]any, error) { return seen(ctx), nil }))
	outer := faas.Register(r, "outer", faas.NoInput(func(ctx context.Context) ([2][4]any, error) {
		below, err := inner.Invoke(ctx, struct{}{})
		return [2][4]any{seen(ctx), below}, err
	}))
	ctx := context.WithValue(context.WithValue(t.Context(), userField{}, "ana"), otherField{}, "no")
	ctx = context.WithValue(ctx, "text", 7) //nolint:revive,staticcheck // a key of any type
	got, err := outer.Invoke(ctx, struct{}{})
	require.NoError(t, err)
	want := [4]any{"ana", nil, 7, nil}
	assert.Equal(t, [2][4]any{want, want}, got)

	bare, err := inner.Invoke(t.Context(), struct{}{})
	require.NoError(t, err)
	assert.Equal(t, [4]any{}, bare)
}

func TestAKeyThatIsNoneIsAMistakeOfSetUp(t *testing.T) {
	t.Parallel()
	for _, key := range []any{nil, []int{1}, map[string]int{}, func() {}, struct{ s []int }{}} {
		func() {
			defer func() {
				err, ok := recover().(*faas.Error)
				if assert.True(t, ok, "%T", key) {
					require.ErrorIs(t, err, faas.ErrInput)
					assert.ErrorContains(t, err, "can be compared")
				}
			}()
			faas.CarryKeys(userField{}, key)
		}()
	}
	f := faas.Register(router(t), "f", double, faas.WithContext(faas.CarryKeys()))
	_, err := f.Invoke(t.Context(), 1)
	require.NoError(t, err, "no keys carry nothing")
}
