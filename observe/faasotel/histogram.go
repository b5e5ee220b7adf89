package faasotel

import (
	"encoding/hex"
	"iter"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/inproc/faas/observe"
)

// bounds returns the bounds that the convention requires, in seconds.
func bounds() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
}

// histograms has the points of one instrument. Only one of its fields is used.
type histograms struct {
	explicit    []metricdata.HistogramDataPoint[float64]
	exponential []metricdata.ExponentialHistogramDataPoint[float64]
}

// add adds a point: the counts in n without those in told, which were exported before.
func (h *histograms) add(c *collection, of attribute.Set, n, told *observe.Histogram, exemplars []observe.Exemplar) {
	count, sum := n.Count()-told.Count(), max(n.Seconds()-told.Seconds(), 0)
	more := difference(n, told)
	marked := marks(exemplars, c.since)
	if c.exponential {
		p := exponential(more)
		p.Attributes, p.StartTime, p.Time, p.Count, p.Sum, p.Exemplars = of, c.since, c.now, count, sum, marked
		h.exponential = append(h.exponential, p)
		return
	}
	limits := bounds()
	h.explicit = append(h.explicit, metricdata.HistogramDataPoint[float64]{
		Attributes: of, StartTime: c.since, Time: c.now, Count: count, Sum: sum, Exemplars: marked,
		Bounds: limits, BucketCounts: explicit(more, limits),
	})
}

func (h *histograms) data(c *collection) metricdata.Aggregation {
	if c.exponential {
		return metricdata.ExponentialHistogram[float64]{DataPoints: h.exponential, Temporality: c.temporality}
	}
	return metricdata.Histogram[float64]{DataPoints: h.explicit, Temporality: c.temporality}
}

// difference yields the buckets of n, minus the counts of told, which is an earlier state of the
// same histogram. Counts only grow, so no difference is negative.
func difference(n, told *observe.Histogram) iter.Seq[observe.Bucket] {
	return func(yield func(observe.Bucket) bool) {
		before := map[time.Duration]uint64{}
		for b := range told.Buckets() {
			before[b.From] = b.Count
		}
		for b := range n.Buckets() {
			if b.Count -= before[b.From]; b.Count > 0 && !yield(b) {
				return
			}
		}
	}
}

// explicit counts durations by upper bounds, which are inclusive. A bucket of the recorder is
// counted by its middle, so each duration is taken for one that differs by at most 1.6 %.
func explicit(all iter.Seq[observe.Bucket], limits []float64) []uint64 {
	counts := make([]uint64, len(limits)+1)
	for b := range all {
		i, _ := slices.BinarySearch(limits, b.Mid().Seconds())
		counts[i] += b.Count
	}
	return counts
}

// The scale of exponential histograms: each bound is the one before times 2 ^ (2 ^ -scale).
const (
	finest      = 4 // buckets are 4.4 % wide; the recorder's own are 1.6 to 3.1 % wide
	mostBuckets = 160
)

// exponential counts durations, in seconds, in exponential buckets.
func exponential(all iter.Seq[observe.Bucket]) (p metricdata.ExponentialHistogramDataPoint[float64]) {
	byIndex := map[int32]uint64{}
	low, high := int32(math.MaxInt32), int32(math.MinInt32)
	for b := range all {
		if b.Mid() == 0 {
			p.ZeroCount += b.Count
			continue
		}
		i := int32(math.Ceil(math.Ldexp(math.Log2(b.Mid().Seconds()), finest))) - 1
		byIndex[i] += b.Count
		low, high = min(low, i), max(high, i)
	}
	p.Scale = finest
	if len(byIndex) == 0 {
		return p
	}
	for high-low >= mostBuckets { // halve the resolution: each two buckets become one
		low, high, p.Scale = low>>1, high>>1, p.Scale-1
	}
	p.PositiveBucket.Offset, p.PositiveBucket.Counts = low, make([]uint64, high-low+1)
	for i, n := range byIndex {
		p.PositiveBucket.Counts[i>>(finest-p.Scale)-low] += n
	}
	return p
}

// marks returns the exemplars of the calls that ended at since or later.
func marks(all []observe.Exemplar, since time.Time) (marked []metricdata.Exemplar[float64]) {
	for _, e := range all {
		if id, err := hex.DecodeString(e.Trace); err == nil && !e.Time.Before(since) {
			marked = append(marked, metricdata.Exemplar[float64]{Time: e.Time, Value: e.Run.Seconds(), TraceID: id})
		}
	}
	return marked
}
