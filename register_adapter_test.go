package faas_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestAHandlerWithoutInputOrOutputIsRegisteredAsItIs(t *testing.T) {
	t.Parallel()
	r := router(t)
	failed := errors.New("failed")
	type key struct{}
	sent := 0
	send := faas.Register(r, "send", faas.NoOutput(func(_ context.Context, n int) error {
		if n < 0 {
			return failed
		}
		sent += n
		return nil
	}))
	count := faas.Register(r, "count", faas.NoInput(func(ctx context.Context) (string, error) {
		v, _ := ctx.Value(key{}).(string)
		return v, nil
	}), faas.WithContext(faas.CarryKeys(key{})))
	sweep := faas.RegisterInit(r, "sweep", func(context.Context) (faas.Handler[struct{}, struct{}], func(context.Context) error, error) {
		return faas.NoInputOrOutput(func(context.Context) error { return failed }), nil, nil
	})

	_, err := send.Invoke(t.Context(), 2)
	require.NoError(t, err)
	_, err = send.Invoke(t.Context(), -1)
	assert.Same(t, failed, err, "untouched")
	out, err := r.Invoke(t.Context(), "send", []byte("3"))
	require.NoError(t, err)
	assert.JSONEq(t, `{}`, string(out))
	assert.Equal(t, 5, sent)

	got, err := count.Invoke(context.WithValue(t.Context(), key{}, "carried"), struct{}{})
	require.NoError(t, err)
	assert.Equal(t, "carried", got, "the context is the call's")
	for _, payload := range []string{"", "{}", "null"} {
		out, err = r.Invoke(t.Context(), "count", []byte(payload))
		require.NoError(t, err, payload)
		assert.JSONEq(t, `""`, string(out))
	}
	_, err = sweep.Invoke(t.Context(), struct{}{})
	assert.Same(t, failed, err)
	_, err = faas.Lookup[int, struct{}](r, "send")
	require.NoError(t, err)
}

func TestAnAdapterOfANilFuncIsNil(t *testing.T) {
	t.Parallel()
	r := router(t)
	_, err := faas.TryRegister(r, "f", faas.NoOutput[int](nil))
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = faas.TryRegister(r, "f", faas.NoInput[int](nil))
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = faas.TryRegister(r, "f", faas.NoInputOrOutput(nil))
	require.ErrorIs(t, err, faas.ErrInput)
}

func TestAPanicWithoutOutputIsACallsPanic(t *testing.T) {
	t.Parallel()
	f := faas.Register(router(t), "f", faas.NoOutput(func(context.Context, int) error { panic("bug") }))
	_, err := f.Invoke(t.Context(), 1)
	assert.Equal(t, faas.Panicked, faas.EndOf(err, "f").Outcome)
}
