package observe_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

// runsOf returns the histogram of calls with these durations.
func runsOf(all ...time.Duration) observe.Histogram {
	rec := observe.NewRecorder()
	for _, d := range all {
		rec.Record(context.Background(), faas.Execution{Function: "f", Version: "1", Duration: d})
	}
	for s := range rec.Snapshot() {
		return s.Run
	}
	return observe.Histogram{}
}

func TestQuantilesAreWithinAFortiethOfExactForFiveDistributions(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, next := range map[string]func() float64{ // in milliseconds
		"uniform":     func() float64 { return 1 + 99*random.Float64() },
		"exponential": func() float64 { return 20 * random.ExpFloat64() },
		"log-normal":  func() float64 { return math.Exp(1.5 * random.NormFloat64()) },
		"two humps":   func() float64 { return []float64{1, 250}[random.IntN(2)] * (1 + random.Float64()/5) },
		"Pareto":      func() float64 { return math.Pow(1-random.Float64(), -1/1.2) },
	} {
		t.Run(name, func(t *testing.T) {
			exact := make([]time.Duration, 50_000)
			for i := range exact {
				exact[i] = time.Duration(next() * 1e6)
			}
			h := runsOf(exact...)
			slices.Sort(exact)
			for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
				want := exact[int(q*float64(len(exact)))]
				assert.InEpsilon(t, want, h.Quantile(q), 0.025, "%v", q)
			}
			assert.InEpsilon(t, float64(sumOf(exact))/1e9, h.Seconds(), 1e-12)
			assert.Equal(t, sumOf(exact)/time.Duration(len(exact)), h.Mean())
		})
	}
}

func sumOf(all []time.Duration) (sum time.Duration) {
	for _, d := range all {
		sum += d
	}
	return sum
}

func TestADurationIsInItsBucket(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Min(0).Draw(t, "duration") >> rapid.IntRange(0, 62).Draw(t, "shift"))
		h := runsOf(d)
		all := slices.Collect(h.Buckets())
		require.Len(t, all, 1)
		b := all[0]
		assert.LessOrEqual(t, b.From, d)
		assert.True(t, d < b.To || d == math.MaxInt64, "%d < %d", d, b.To)
		assert.EqualValues(t, 1, b.Count)
		assert.InDelta(t, float64(d), float64(h.Quantile(0.5)), float64(d)*0.016)
	})
}

func TestMergedHistogramsAreThatOfAllDurations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOf(rapid.Map(rapid.Int64Range(0, 1<<40), func(n int64) time.Duration { return time.Duration(n) }))
		a, b := some.Draw(t, "a"), some.Draw(t, "b")
		merged, other, want := runsOf(a...), runsOf(b...), runsOf(slices.Concat(a, b)...)
		kept := slices.Collect(merged.Buckets())
		before := merged
		merged.Merge(&other)
		assert.Equal(t, want.Count(), merged.Count())
		assert.Equal(t, slices.Collect(want.Buckets()), slices.Collect(merged.Buckets()))
		assert.InDelta(t, want.Seconds(), merged.Seconds(), 0)
		assert.Equal(t, kept, slices.Collect(before.Buckets()), "a copy that was made before")
	})
}

func TestAnEmptyHistogramHasNoQuantile(t *testing.T) {
	t.Parallel()
	var h observe.Histogram
	assert.Zero(t, h.Quantile(0.99))
	assert.Zero(t, h.Mean())
	one := runsOf(time.Second)
	for _, q := range []float64{-1, 0, 1, 2} {
		assert.InEpsilon(t, time.Second, one.Quantile(q), 0.016)
	}
	zero := runsOf(-time.Second)
	assert.Zero(t, zero.Quantile(1), "a clock that was put back")
}

func TestASumOfManyLongDurationsDoesNotOverflow(t *testing.T) {
	t.Parallel()
	h := runsOf(math.MaxInt64, math.MaxInt64, math.MaxInt64)
	assert.InEpsilon(t, 3*float64(math.MaxInt64)/1e9, h.Seconds(), 1e-12)
	assert.Equal(t, time.Duration(math.MaxInt64), h.Mean())
}

func TestMergeAllIsMergeOfOneAfterTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.SliceOfN(rapid.Map(rapid.Int64Min(-1), func(n int64) time.Duration { return time.Duration(n) }), 0, 20)
		into, one := runsOf(durations.Draw(t, "into")...), observe.Histogram{}
		var all []*observe.Histogram
		one.Merge(&into)
		for _, of := range rapid.SliceOfN(durations, 0, 5).Draw(t, "all") {
			h := runsOf(of...)
			all = append(all, &h)
			one.Merge(&h)
		}
		into.MergeAll(slices.Values(all))
		require.Equal(t, one.Count(), into.Count())
		require.Equal(t, one.Mean(), into.Mean())
		require.Equal(t, slices.Collect(one.Buckets()), slices.Collect(into.Buckets()))
	})
}
