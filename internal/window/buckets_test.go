package window_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/window"
)

// records is the model of Buckets: it has the sum of each bucket that was ever written to.
type records struct {
	size        int64 // the length of the window, in buckets
	sums        map[int64]float64
	first, last int64
}

func (r *records) add(i int64, v float64) {
	if len(r.sums) == 0 || i-r.last >= r.size {
		*r = records{size: r.size, sums: map[int64]float64{}, first: i, last: i}
	}
	if i <= r.last-r.size {
		return
	}
	r.first, r.last = min(r.first, i), max(r.last, i)
	r.sums[i] += v
}

func (r *records) linear(now int64) float64 {
	now = max(now, r.last)
	total, n := 0.0, 0
	for i := now - r.size + 1; i <= r.last; i++ {
		total += r.sums[i]
		if i >= r.first {
			n++
		}
	}
	if len(r.sums) == 0 || now-r.last >= r.size {
		return 0
	}
	// A bucket before the first was too old to be written to, or it would be the first.
	return total / float64(n)
}

func (r *records) weighted(now int64, smoothing float64) float64 {
	now = max(now, r.last)
	total := 0.0
	for age := int64(0); age < r.size && len(r.sums) > 0; age++ {
		total += r.sums[now-age] * smoothing * math.Pow(1-smoothing, float64(age))
	}
	return total
}

func TestBucketsAverageWhatWasRecorded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 20).Draw(t, "size")
		granularity := rapid.Int64Range(1, 30).Draw(t, "granularity")
		short := rapid.Int64Range(0, granularity-1).Draw(t, "short") // by how much the span is shorter than a whole number of buckets
		b := window.NewBuckets(time.Duration(size*granularity-short), time.Duration(granularity))
		r := &records{size: size}
		now := rapid.Int64Range(-1000, 1000).Draw(t, "start")
		t.Repeat(map[string]func(*rapid.T){
			"record": func(t *rapid.T) {
				at := now + rapid.Int64Range(-2*size*granularity, granularity).Draw(t, "lag")
				v := float64(rapid.IntRange(0, 100).Draw(t, "v"))
				b.Add(at, v)
				r.add(floor(at, granularity)/granularity, v)
			},
			"wait": func(t *rapid.T) { now += rapid.Int64Range(0, 2*size*granularity).Draw(t, "wait") },
			"": func(t *rapid.T) {
				i := floor(now, granularity) / granularity
				require.InDelta(t, r.linear(i), b.Average(now), 1.0001e-6)
				require.LessOrEqual(t, b.Average(now), r.linear(i)+1e-9, "it is rounded down")
				require.InDelta(t, r.weighted(i, b.Smoothing()), b.Weighted(now), 1e-9)
			},
		})
	})
}

func TestTheLatestBucketHasAFifthOfTheWeightAtTheLeast(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 0.2, window.NewBuckets(time.Hour, time.Second).Smoothing(), 0)
	require.InDelta(t, 0.9999, window.NewBuckets(time.Second, time.Second).Smoothing(), 1e-12)
}
