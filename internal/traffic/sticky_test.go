package traffic_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/traffic"
)

// keys returns n keys as they occur in practice: numbered names, whose bytes differ little.
func keys(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("customer-%d", i)
	}
	return all
}

// homes returns which share each key belongs to.
func homes(s *traffic.Split, keys []string) []int {
	at := make([]int, len(keys))
	for i, k := range keys {
		at[i] = s.For(k)
	}
	return at
}

func TestKeysAreDividedByWeightWithinTwoPoints(t *testing.T) {
	t.Parallel()
	all := keys(10_000)
	for _, weights := range [][]uint64{
		{9, 1}, {99, 1}, {1, 1}, {1, 1, 1}, {50, 30, 15, 5}, {1, 2, 3, 4, 5, 6, 7, 8}, {math.MaxInt64, math.MaxInt64 / 3, 1},
	} {
		counts, sum := make([]int, len(weights)), 0.0
		for _, home := range homes(split(weights...), all) {
			counts[home]++
		}
		for _, w := range weights {
			sum += float64(w)
		}
		for i, w := range weights {
			assert.InDelta(t, 100*float64(w)/sum, 100*float64(counts[i])/float64(len(all)), 2, "points, weights %v, share %d", weights, i)
		}
	}
}

// One weight is changed at a time, a hundred times, over 10,000 keys. Keys move only to a
// share whose weight was raised, or away from a share whose weight was lowered.
func TestARaisedWeightMovesNoKeyAwayFromItsShare(t *testing.T) {
	t.Parallel()
	all := keys(10_000)
	rapid.Check(t, func(t *rapid.T) {
		changes := 3 // rapid repeats this 100 times
		weights := rapid.SliceOfN(rapid.Uint64Range(1, 1000), 2, 5).Draw(t, "weights")
		was := homes(split(weights...), all)
		for range changes {
			i := rapid.IntRange(0, len(weights)-1).Draw(t, "share")
			old := weights[i]
			weights[i] = rapid.Uint64Range(1, 1000).Draw(t, "weight")
			is := homes(split(weights...), all)
			for k := range all {
				if was[k] == is[k] {
					continue
				}
				if weights[i] > old {
					require.Equal(t, i, is[k], "%s moves to another share than the raised one", all[k])
				} else {
					require.Equal(t, i, was[k], "%s moves away from another share than the lowered one", all[k])
				}
			}
			was = is
		}
	})
}

func TestAChangeThatIsUndoneLeavesEachKeyWhereItWas(t *testing.T) {
	t.Parallel()
	all := keys(1000)
	before := homes(split(90, 10), all)
	require.NotEqual(t, before, homes(split(50, 50), all))
	assert.Equal(t, before, homes(split(90, 10), all))
	assert.Equal(t, before, homes(split(900, 100), all), "the same shares in other numbers")
}

// A key belongs to the same share in each process and in each release.
func TestWhereAKeyBelongsIsFixed(t *testing.T) {
	t.Parallel()
	s := split(1, 1, 1, 1)
	got := ""
	for _, k := range keys(24) {
		got += fmt.Sprint(s.For(k))
	}
	assert.Equal(t, "012331202312200120311033", got)
}

// The new versions of different functions are not tried on the same customers first.
func TestFunctionsDivideTheSameKeysDifferently(t *testing.T) {
	t.Parallel()
	shares := []traffic.Share{{Version: 1, Weight: 1}, {Version: 2, Weight: 1}}
	a, b, same := traffic.New("resize", shares), traffic.New("mail", shares), 0
	for _, k := range keys(10_000) {
		if a.For(k) == b.For(k) {
			same++
		}
	}
	assert.InDelta(t, 5000, same, 200)
}

// The number u of a share and a key does not change when other shares come and go.
func TestAShareThatGoesGivesItsKeysAwayAndNoOthers(t *testing.T) {
	t.Parallel()
	three := traffic.New("resize", []traffic.Share{{Version: 1, Weight: 5}, {Version: 2, Weight: 3}, {Version: 7, Weight: 2}})
	two := traffic.New("resize", []traffic.Share{{Version: 1, Weight: 5}, {Version: 7, Weight: 2}})
	for _, k := range keys(10_000) {
		switch three.For(k) {
		case 0:
			require.Equal(t, 0, two.For(k))
		case 2:
			require.Equal(t, 1, two.For(k))
		}
	}
}
