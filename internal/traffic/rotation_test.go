package traffic_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/traffic"
)

// split makes a Split of versions 1, 2, 3 … with these weights.
func split(weights ...uint64) *traffic.Split {
	shares := make([]traffic.Share, len(weights))
	for i, w := range weights {
		shares[i] = traffic.Share{Version: i + 1, Weight: w}
	}
	return traffic.New("resize", shares)
}

// turns takes n turns, and returns the picks.
func turns(s *traffic.Split, n int) []int {
	picks := make([]int, n)
	for i := range picks {
		picks[i] = s.Next()
	}
	return picks
}

// deviation returns the largest difference between the turns that a share has in picks and its
// exact part. The result is a fraction, so that sums that a float64 can't hold are compared exactly.
func deviation(picks []int, weights []uint64) *big.Rat {
	counts, sum, most := make([]int64, len(weights)), new(big.Int), new(big.Rat)
	for _, p := range picks {
		counts[p]++
	}
	for _, w := range weights {
		sum.Add(sum, new(big.Int).SetUint64(w))
	}
	for i, w := range weights {
		exact := new(big.Rat).SetFrac(new(big.Int).Mul(new(big.Int).SetUint64(w), big.NewInt(int64(len(picks)))), sum)
		if d := exact.Abs(exact.Sub(exact, big.NewRat(counts[i], 1))); d.Cmp(most) > 0 {
			most = d
		}
	}
	return most
}

// requireBelow asserts that in any `run` consecutive picks each share is less than bound from its exact part.
func requireBelow(t require.TestingT, bound int64, picks []int, run int, weights []uint64) {
	for i := range len(picks) - run + 1 {
		d := deviation(picks[i:i+run], weights)
		require.Negative(t, d.Cmp(big.NewRat(bound, 1)), "weights %v, turns %d to %d: %s from exact", weights, i, i+run, d.FloatString(3))
	}
}

// weightsOf draws weights of every size: percent, coprime, huge.
func weightsOf(t *rapid.T, least, most int) []uint64 {
	largest := rapid.SampledFrom([]uint64{1, 3, 100, 1009, 1 << 20, 1 << 40, math.MaxInt64}).Draw(t, "largest")
	return rapid.SliceOfN(rapid.Uint64Range(1, largest), least, most).Draw(t, "weights")
}

func TestAnyRunOfTurnsOfTwoSharesIsLessThanOneFromExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := weightsOf(t, 2, 2)
		s := split(weights...)
		s.SkipTo(rapid.Uint64Range(0, 1<<62).Draw(t, "turn"))
		picks := turns(s, 300)
		requireBelow(t, 1, picks, 100, weights)
		requireBelow(t, 1, picks, rapid.IntRange(1, 300).Draw(t, "run"), weights)
	})
}

func TestAnyRunOfTurnsOfMoreSharesIsLessThanTwoFromExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := weightsOf(t, 3, 12)
		picks := turns(split(weights...), 300)
		requireBelow(t, 2, picks, 100, weights)
		for n := range picks {
			require.Negative(t, deviation(picks[:n], weights).Cmp(big.NewRat(1, 1)), "the first %d turns of %v", n, weights)
		}
	})
}

// The picks of large sums are computed in pages. A run of turns over the edge of a page is as even
// as any other.
func TestARunOfTurnsOverPagesIsAsEvenAsAnyOther(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]uint64{
		{1, 1_000_003, 999_983}, {7919, 104729, 1, 1299709}, {math.MaxInt64, math.MaxInt64, math.MaxInt64}, {math.MaxInt64, 1, 1, 1 << 61},
	} {
		picks := turns(split(weights...), 4500)
		for n := 0; n < len(picks); n += 13 {
			require.Negative(t, deviation(picks[:n], weights).Cmp(big.NewRat(1, 1)), "the first %d turns of %v", n, weights)
		}
		requireBelow(t, 2, picks[900:1200], 100, weights)
		requireBelow(t, 2, picks[4000:4200], 100, weights)
	}
}

// A share with one part in two million gets exactly one turn in two million: it is neither
// forgotten nor rounded up.
func TestARareShareHasItsOneTurnInAPeriod(t *testing.T) {
	t.Parallel()
	const period = 200_001
	for name, s := range map[string]*traffic.Split{"of two": split(period-1, 1), "of three": split(100_000, 100_000, 1)} {
		rare := 0
		for range 3 * period {
			if v := s.Next(); v == 2 || name == "of two" && v == 1 {
				rare++
			}
		}
		assert.Equal(t, 3, rare, name)
	}
}

func TestAPeriodRepeatsAndIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint64Range(1, 150), 1, 6).Draw(t, "weights")
		period := 0
		for _, w := range weights {
			period += int(w)
		}
		picks := turns(split(weights...), 3*period)
		require.Zero(t, deviation(picks[:period], weights).Sign())
		require.Equal(t, picks[:period], picks[period:2*period])
		require.Equal(t, picks[:period], picks[2*period:])
	})
}

func TestEqualWeightsTakeTurnsWhateverTheirSize(t *testing.T) {
	t.Parallel()
	for _, w := range []uint64{1, 7, 1 << 40, math.MaxInt64} {
		assert.Equal(t, []int{0, 1, 2, 0, 1, 2, 0, 1, 2}, turns(split(w, w, w), 9), "weight %d", w)
		assert.Len(t, slices.Compact(turns(split(w, w), 9)), 9, "weight %d: two alternate", w)
	}
	assert.Equal(t, []int{0, 0, 0}, turns(split(5), 3))
}

// Eight goroutines together take the same turns that one would take. So what holds for runs of
// turns of one goroutine also holds for theirs, in the order of the counter.
func TestManyCallersTakeTheTurnsThatOneWouldTake(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]uint64{{9, 1}, {math.MaxInt64, 12345}, {5, 3, 2}, {999_983, 1_000_003, 77}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			t.Parallel()
			const callers, each = 8, 5_000
			s, counts := split(weights...), make([][]int, callers)
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					counts[c] = make([]int, len(weights))
					for range each {
						counts[c][s.Next()]++
					}
				})
			}
			wg.Wait()

			want, got := make([]int, len(weights)), make([]int, len(weights))
			for _, p := range turns(split(weights...), callers*each) {
				want[p]++
			}
			for _, of := range counts {
				for i, n := range of {
					got[i] += n
				}
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestATurnAllocatesNothing(t *testing.T) {
	for _, weights := range [][]uint64{{1}, {9, 1}, {5, 3, 2}} {
		s := split(weights...)
		assert.Zero(t, testing.AllocsPerRun(1000, func() { s.Next() }), "weights %v", weights)
		assert.Zero(t, testing.AllocsPerRun(1000, func() { s.For("customer-17") }), "weights %v", weights)
	}
	large := split(999_983, 1_000_003, 77)
	assert.Zero(t, testing.AllocsPerRun(5000, func() { large.Next() }), "less than one in a call") // AllocsPerRun rounds down
}

func FuzzRotation(f *testing.F) {
	f.Add(uint64(90), uint64(10), uint64(0), uint64(0), uint64(0))
	f.Add(uint64(1), uint64(1), uint64(1), uint64(1), uint64(5))
	f.Add(uint64(math.MaxInt64), uint64(math.MaxInt64-1), uint64(3), uint64(1<<61), uint64(1<<50))
	f.Fuzz(func(t *testing.T, a, b, c, d, turn uint64) {
		var weights []uint64
		for _, w := range []uint64{a, b, c, d} {
			if w &= math.MaxInt64; w > 0 {
				weights = append(weights, w)
			}
		}
		if len(weights) < 2 {
			return
		}
		s, bound := split(weights...), int64(2)
		if len(weights) == 2 {
			s.SkipTo(turn >> 1)
			bound = 1
		}
		requireBelow(t, bound, turns(s, 110), 100, weights)
	})
}

func BenchmarkSplit(b *testing.B) {
	for name, s := range map[string]*traffic.Split{
		"of two": split(90, 10), "of three": split(80, 15, 5), "of three, a large sum": split(999_983, 1_000_003, 77),
	} {
		b.Run("Next/"+name, func(b *testing.B) {
			for b.Loop() {
				_ = s.Next()
			}
		})
		b.Run("For/"+name, func(b *testing.B) {
			for b.Loop() {
				_ = s.For("customer-17")
			}
		})
	}
}
