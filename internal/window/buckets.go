package window

import (
	"math"
	"time"
)

// Buckets sums values by the bucket of time that they were recorded in, and
// averages the sums, as TimedFloat64Buckets and WeightedFloat64Buckets of Knative
// do. A time is counted to the bucket in which it lies.
type Buckets struct {
	sums        ring[float64]
	granularity int64
	first       int64 // bucket of the first value, of all or after a window without any
	written     bool
	smoothing   float64
}

// NewBuckets returns empty buckets over the last span. Both are positive.
func NewBuckets(span, granularity time.Duration) *Buckets {
	n := cellsFor(span, granularity)
	return &Buckets{
		sums:        ring[float64]{cells: make([]float64, n)},
		granularity: int64(granularity),
		smoothing:   smoothing(n),
	}
}

// smoothing is how much the latest bucket counts: enough for all n to have 99.99
// % of the weight together, and not below a fifth, because over very many
// buckets it would come down to their mean.
func smoothing(n int) float64 {
	return max(0.2, 1-math.Pow(1-0.9999, 1/float64(n)))
}

// Smoothing is the share of the latest bucket in the weighted average; the one
// before has that share of the rest, and so on.
func (b *Buckets) Smoothing() float64 { return b.smoothing }

// Add records a value. It may come late, by less than the span; one that comes
// later is dropped.
func (b *Buckets) Add(now int64, v float64) {
	i := floorDiv(now, b.granularity)
	switch {
	case !b.written, i-b.sums.head >= b.sums.size():
		b.sums.head = i
		clear(b.sums.cells)
		b.first, b.written = i, true
	case i <= b.sums.head-b.sums.size():
		return
	case i > b.sums.head:
		b.sums.advance(i, 0)
	}
	b.first = min(b.first, i)
	*b.sums.at(i) += v
}

// silent is how many buckets have passed since the last that was written, none if
// it is ahead of now; ok is false if it is out of the window.
func (b *Buckets) silent(now int64) (n int64, ok bool) {
	n = max(0, floorDiv(now, b.granularity)-b.sums.head)
	return n, b.written && n < b.sums.size()
}

// Average is the mean of the sums from the first value's bucket to the last's, at
// most of a window that ends now. Buckets in between that got nothing count as
// zero; those after the last value do not count, as what would fill them may be
// late.
//
// It is rounded down at the sixth decimal: the noise of a long addition must not
// turn what four instances serve into the load of five.
func (b *Buckets) Average(now int64) float64 {
	silent, ok := b.silent(now)
	if !ok {
		return 0
	}
	total := b.sums.sum(b.sums.head+silent-b.sums.size()+1, b.sums.head)
	n := min(b.sums.head-b.first+1, b.sums.size()-silent)
	const decimals = 1e6
	return math.Floor(total/float64(n)*decimals) / decimals
}

// Weighted is the exponentially weighted average: see Smoothing. Buckets that got
// nothing count as zero, also those after the last value.
func (b *Buckets) Weighted(now int64) float64 {
	silent, ok := b.silent(now)
	if !ok {
		return 0
	}
	weight := b.smoothing * math.Pow(1-b.smoothing, float64(silent))
	total := 0.0
	for i := b.sums.head; i > b.sums.head+silent-b.sums.size(); i-- {
		total += *b.sums.at(i) * weight
		weight *= 1 - b.smoothing
	}
	return total
}
