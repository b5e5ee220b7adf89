package faas_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
)

// calls makes n calls one after the other, and returns which version each ran.
func calls(t require.TestingT, f *faas.Function[int, int], n int) []int {
	ran := make([]int, n)
	for i := range ran {
		v, err := f.Invoke(context.Background(), 0)
		require.NoError(t, err)
		ran[i] = v
	}
	return ran
}

func TestAnyHundredCallsAreDividedByTheWeights(t *testing.T) {
	t.Parallel()
	r := router(t)
	for v := range 5 {
		publish(r, v+1)
	}
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.SampledFrom([]int{100, 1009, math.MaxInt}).Draw(rt, "most")
		weights := faas.Weights{}
		for v := range rapid.IntRange(2, 5).Draw(rt, "versions") {
			weights[v+1] = rapid.IntRange(1, most).Draw(rt, "weight")
		}
		require.NoError(rt, r.SetAlias("f", "live", weights))
		bound, sum := 2.0, 0.0
		if len(weights) == 2 {
			bound = 1
		}
		for _, w := range weights {
			sum += float64(w)
		}
		ran := calls(rt, handleOf(t, r, "f:live"), 250)
		for i := range len(ran) - 100 {
			counts := map[int]int{}
			for _, v := range ran[i : i+100] {
				counts[v]++
			}
			for v, w := range weights {
				require.InDelta(rt, 100*float64(w)/sum, counts[v], bound+1e-9, "%v: calls %d to %d, version %d", weights, i, i+100, v)
			}
		}
	})
}

// One counter gives the order of resolution. So eight callers together get the same versions that
// one caller would get alone.
func TestEightCallersAreDividedAsOneIs(t *testing.T) {
	t.Parallel()
	const each = 1250
	for name, weights := range map[string]faas.Weights{
		"two": {1: 90, 2: 10}, "two, coprime": {1: 1009, 2: 13}, "three": {1: 5, 2: 3, 3: 2}, "three, large": {1: 1 << 30, 2: 1<<30 + 1, 3: 12345},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := aliased(t, 3, weights)
			live := handleOf(t, r, "f:live")
			var counts [4]atomic.Int64
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for _, v := range calls(t, live, each) {
						counts[v].Add(1)
					}
				})
			}
			all.Wait()
			sum, bound := 0.0, float64(min(2, len(weights)-1))
			for _, w := range weights {
				sum += float64(w)
			}
			for v, w := range weights {
				assert.InDelta(t, 8*each*float64(w)/sum, counts[v].Load(), bound, "version %d", v)
			}
		})
	}
}

// A change of the description alone does not begin the alias's rotation anew.
func TestARotationGoesOnWhenOnlyTheDescriptionChanges(t *testing.T) {
	t.Parallel()
	r := aliased(t, 2, faas.Weights{1: 99, 2: 1})
	live, seen := handleOf(t, r, "f:live"), 0
	for i := range 1000 {
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 99, 2: 1}, faas.WithDescription(strconv.Itoa(i))))
		if calls(t, live, 1)[0] == 2 {
			seen++
		}
	}
	assert.Equal(t, 10, seen)
}

// Signature, Info and DryRun only read: they take no turn.
func TestLookingAtAnAliasTakesNoTurn(t *testing.T) {
	t.Parallel()
	r := aliased(t, 2, faas.Weights{1: 1, 2: 2})
	live := handleOf(t, r, "f:live")
	for range 5 {
		s, err := r.Signature("f:live")
		require.NoError(t, err)
		assert.Equal(t, []string{"f", "2"}, []string{s.Name, s.Version}, "the version with most of the calls")
		i, err := r.Info("f:live")
		require.NoError(t, err)
		assert.Equal(t, "2", i.Version)
		assert.Equal(t, "2", live.Info().Version)
		require.NoError(t, r.DryRun(t.Context(), "f:live"))
		ran := calls(t, live, 3)
		slices.Sort(ran)
		assert.Equal(t, []int{1, 2, 2}, ran)
	}
}

func TestAStickyAliasGoesByKeyThenByTenantThenInTurn(t *testing.T) {
	t.Parallel()
	r := router(t)
	publish(r, 1)
	publish(r, 2)
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1, 2: 1}, faas.WithSticky()))
	live := handleOf(t, r, "f:live")
	home := func(ctx context.Context) int {
		first, err := live.Invoke(ctx, 0)
		require.NoError(t, err)
		for range 5 {
			again, err := live.Invoke(ctx, 0)
			require.NoError(t, err)
			require.Equal(t, first, again)
		}
		return first
	}
	keyed := func(key string) context.Context {
		return faas.WithOrigin(faas.WithTenant(t.Context(), "everyone"), faas.Origin{Key: key})
	}
	counts := map[int]int{}
	for i := range 200 {
		name := fmt.Sprintf("customer-%d", i)
		v := home(faas.WithTenant(t.Context(), name))
		require.Equal(t, v, home(keyed(name)), "a key and a tenant of one name")
		counts[v]++
	}
	assert.InDelta(t, 100, counts[1], 30)
	ran := calls(t, live, 10)
	assert.NotEqual(t, ran[0], ran[1], "with neither, calls take turns")
}

// A nested call has its parent's key, and so has a nested call that is made by an alias.
func TestAStickyAliasGoesByTheKeyOfTheCallAbove(t *testing.T) {
	t.Parallel()
	r := router(t)
	publish(r, 1)
	publish(r, 2)
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1, 2: 1}, faas.WithSticky()))
	live := handleOf(t, r, "f:live")
	outer := faas.Register(r, "outer", func(ctx context.Context, in int) (int, error) { return live.Invoke(ctx, in) })
	for i := range 50 {
		ctx := faas.WithOrigin(t.Context(), faas.Origin{Key: fmt.Sprint("k", i)})
		direct, err := live.Invoke(ctx, 0)
		require.NoError(t, err)
		nested, err := outer.Invoke(ctx, 0)
		require.NoError(t, err)
		assert.Equal(t, direct, nested, "key %d", i)
	}
}

// 10,000 keys are called through the router while a release goes on and is taken back.
func TestARaisedWeightTakesNoKeyBack(t *testing.T) {
	t.Parallel()
	r := router(t)
	publish(r, 1)
	publish(r, 2)
	const keys = 10_000
	homes := func(w faas.Weights) []int {
		require.NoError(t, r.SetAlias("f", "live", w, faas.WithSticky()))
		live, at := handleOf(t, r, "f:live"), make([]int, keys)
		for i := range at {
			v, err := live.Invoke(faas.WithTenant(context.Background(), "t"+strconv.Itoa(i)), 0)
			require.NoError(t, err)
			at[i] = v
		}
		return at
	}
	before := homes(faas.Weights{1: 100, 2: 0})
	was := before
	for _, percent := range []int{1, 10, 50} {
		is, moved := homes(faas.Weights{1: 100 - percent, 2: percent}), 0
		for k := range is {
			require.False(t, was[k] == 2 && is[k] == 1, "key %d goes back", k)
			if is[k] == 2 {
				moved++
			}
		}
		assert.InDelta(t, percent, 100*float64(moved)/float64(keys), 2)
		was = is
	}
	assert.Equal(t, before, homes(faas.Weights{1: 100, 2: 0}))
}

// foreignValue is a context whose Value panics. A sticky alias calls Value to find the key.
type foreignValue struct{ context.Context }

func (foreignValue) Value(any) any { panic("no values here") }

func TestABadContextHarmsItsOwnCallOfAStickyAliasOnly(t *testing.T) {
	t.Parallel()
	r := router(t)
	publish(r, 1)
	publish(r, 2)
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1, 2: 1}, faas.WithSticky()))
	live := handleOf(t, r, "f:live")
	_, err := live.Invoke(foreignValue{t.Context()}, 0)
	assertRefused(t, err, context.Canceled, faas.ReasonQueueCanceled)
	_, err = live.Invoke(nil, 0) //nolint:staticcheck // a nil context is what is tested
	assertRefused(t, err, faas.ErrInput, faas.ReasonInput)
	_, err = live.Invoke(t.Context(), 0)
	assert.NoError(t, err)
}
