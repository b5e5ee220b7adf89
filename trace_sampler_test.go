package faas_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// chooses is a sampler that chooses the calls of one function. Its Untraced returns the call's ID
// for spanKey.
type chooses struct {
	function string
	random   uint64 // of the last call; the tests call one after the other
}

func (s *chooses) Sample(_ context.Context, function string, random uint64) bool {
	s.random = random
	return function == s.function
}

func (*chooses) Untraced(id uuid.UUID, key any) any {
	if key == (spanKey{}) {
		return id
	}
	return nil
}

// tells registers a function that returns the value of its context for spanKey. If its input is a
// function, it calls that one instead and returns the answer.
func tells(r *faas.Router, name string) *faas.Function[*faas.Function[int, any], any] {
	return faas.Register(r, name, func(ctx context.Context, below *faas.Function[int, any]) (any, error) {
		if below != nil {
			return below.Invoke(ctx, 0)
		}
		return ctx.Value(spanKey{}), nil
	})
}

func TestOnlyCallsThatTheSamplerChoosesAreTraced(t *testing.T) {
	t.Parallel()
	made, sampler := &spans{}, &chooses{function: "chosen"}
	r := router(t, faas.WithTracing(made.ask), faas.WithTraceSampler(sampler))
	leaf := faas.Register(r, "leaf", func(ctx context.Context, _ int) (any, error) { return ctx.Value(spanKey{}), nil })
	middle := faas.Register(r, "middle", func(ctx context.Context, _ int) (any, error) { return leaf.Invoke(ctx, 0) })
	chosen, other := tells(r, "chosen"), tells(r, "other")

	got, err := other.Invoke(t.Context(), nil)
	require.NoError(t, err)
	alone, ok := got.(uuid.UUID)
	assert.True(t, ok && alone != uuid.Nil)
	assert.Empty(t, made.all)

	var top uuid.UUID
	root := faas.Register(r, "root", func(ctx context.Context, _ int) (any, error) {
		inv, _ := faas.FromContext(ctx)
		top = inv.ID
		return middle.Invoke(ctx, 0)
	})
	got, err = root.Invoke(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, any(top), got, "the topmost call answers for its whole chain")

	got, err = chosen.Invoke(t.Context(), middle)
	require.NoError(t, err)
	span := made.only(t)
	assert.Equal(t, any(span), got, "below a traced call its Trace answers")
	assert.Equal(t, "chosen", span.inv.Function)
}

func TestTheSamplerKnowsTheRandomPartOfTheID(t *testing.T) {
	t.Parallel()
	made, sampler := &spans{}, &chooses{function: "f"}
	f := faas.Register(router(t, faas.WithTracing(made.ask), faas.WithTraceSampler(sampler)), "f", double)
	_, err := f.Invoke(t.Context(), 1)
	require.NoError(t, err)
	id := made.only(t).inv.ID
	assert.Equal(t, sampler.random>>2, binary.BigEndian.Uint64(id[8:])&(1<<62-1))
	assert.Equal(t, id, made.ended(t).ID)
}

// does is a sampler whose Sample calls do.
type does struct {
	chooses

	do func()
}

func (s *does) Sample(context.Context, string, uint64) bool { s.do(); return true }

func TestASamplerThatPanicsTracesNothing(t *testing.T) {
	t.Parallel()
	made := &spans{}
	r := router(t, faas.WithTracing(made.ask), faas.WithTraceSampler(&does{do: func() { panic("no") }}))
	got, err := faas.Register(r, "f", double).Invoke(t.Context(), 2)
	require.NoError(t, err)
	assert.Equal(t, 4, got)
	assert.Empty(t, made.all)
	assert.EqualValues(t, 1, r.Stats().HookPanics)
}

func TestASamplerThatExitsLeavesNoCallBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTracing((&spans{}).ask), faas.WithTraceSampler(&does{do: exit}))
		f := faas.Register(r, "f", double)
		require.ErrorIs(t, within(func() error { _, err := f.Invoke(t.Context(), 1); return err }), errEnded)
		assert.Zero(t, r.Stats().InFlight)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestEachDeliveryOfAJobIsAskedAbout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		made := &spans{}
		f := faas.Register(router(t, faas.WithTracing(made.ask), faas.WithTraceSampler(&chooses{})), "f", double)
		job, err := f.Send(t.Context(), 2)
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, job.ID(), made.only(t).inv.Job)
	})
}
