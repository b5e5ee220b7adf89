package window

import (
	"math"
	"time"
)

// Buckets divides time into buckets, sums the values of each bucket, and averages
// the sums, as TimedFloat64Buckets and WeightedFloat64Buckets of Knative do. A
// value counts in the bucket that contains its time.
type Buckets struct {
	sums        ring[float64]
	granularity int64
	first       int64 // the bucket of the first value, ever or since a whole window without values
	written     bool
	smoothing   float64
}

// NewBuckets returns empty buckets over the last span. Both arguments must be positive.
func NewBuckets(span, granularity time.Duration) *Buckets {
	n := cellsFor(span, granularity)
	return &Buckets{
		sums:        ring[float64]{cells: make([]float64, n)},
		granularity: int64(granularity),
		smoothing:   smoothing(n),
	}
}

// smoothing returns the weight of the latest bucket. It is such that the weights of all n
// buckets add up to 99.99 %. It is at least a fifth, because with very many
// buckets the weighted average would otherwise be nearly equal to their mean.
func smoothing(n int) float64 {
	return max(0.2, 1-math.Pow(1-0.9999, 1/float64(n)))
}

// Smoothing returns the weight of the latest bucket in the weighted average. The bucket before
// has the same share of the remaining weight, and so on. For example, with 0.2 the weights
// are 0.2, 0.16, 0.128 and so on.
func (b *Buckets) Smoothing() float64 { return b.smoothing }

// Add records a value. now may be earlier than the time of a previous Add by less than
// the span; a value that is older still is dropped.
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

// silent returns the number of buckets from the one that was last written to the one of now. It
// is 0 if the last is later than now. ok is false if the last is not in the window.
func (b *Buckets) silent(now int64) (n int64, ok bool) {
	n = max(0, floorDiv(now, b.granularity)-b.sums.head)
	return n, b.written && n < b.sums.size()
}

// Average returns the mean of the sums. It covers the buckets from that of the first value to
// that of the last value, as far as they are in the window that ends now. Empty buckets between
// them count as zero. Buckets after the last value do not count, because their values
// may still arrive.
//
// The result is rounded down to six decimals. Otherwise the rounding errors of a long addition
// could turn, for example, the load of exactly four instances into that of five.
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

// Weighted returns the exponentially weighted average, see Smoothing. Empty buckets
// count as zero, including those after the last value.
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
