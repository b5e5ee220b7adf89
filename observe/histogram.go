package observe

import (
	"iter"
	"math/bits"
	"time"
)

// Histogram is how often durations of about each length were seen. It is log-linear:
// between each power of two, in nanoseconds, and the next there are 32 buckets of one
// width, so that a duration is known to within 1.6 %, whatever its size. The bounds are the
// same for all histograms, so that any two can be merged. It is a value that does not
// change but by Merge; the zero value is empty. A copy may be read while another is merged
// into. A negative duration counts as 0.
type Histogram struct {
	count   uint64
	sum     sum
	buckets []bucket // by index, none of them empty; never written to
}

// bucket counts the durations of one bucket.
type bucket struct {
	index uint16
	n     uint64
}

// Bucket is a bucket of a [Histogram] that is not empty: it has Count durations of at
// least From and less than To.
type Bucket struct {
	From, To time.Duration
	Count    uint64
}

// Mid is the duration that stands for all of the bucket: at most 1.6 % from any of them.
func (b Bucket) Mid() time.Duration { return b.From + (b.To-b.From-1)/2 }

// Count returns how many durations there are.
func (h *Histogram) Count() uint64 { return h.count }

// Seconds returns the sum of the durations in seconds. It is exact but for the rounding to
// a float64.
func (h *Histogram) Seconds() float64 { return h.sum.seconds() }

// Mean returns the average; 0 if there are no durations.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	q, _ := bits.Div64(h.sum.hi, h.sum.lo, h.count) // no duration has 64 bits, so nor has their average
	return time.Duration(q)
}

// Quantile returns the duration below which the part q of all durations is: for example
// 0.99 for the 99th percentile. It is within 1.6 % of the duration of that rank. q below 0
// counts as 0, and above 1 as 1. Of an empty histogram it is 0.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(min(max(q, 0), 1) * float64(h.count))
	rank = min(rank, max(h.count, 1)-1)
	for _, b := range h.buckets {
		if rank < b.n {
			return boundsOf(b.index).Mid()
		}
		rank -= b.n
	}
	return 0
}

// Merge adds what o has, which is not changed.
func (h *Histogram) Merge(o *Histogram) {
	h.count += o.count
	h.sum.plus(o.sum)
	h.buckets = mergeBuckets(h.buckets, o.buckets)
}

// MergeAll adds what all of them have, as [Histogram.Merge] of one after the other does. For
// many it costs a small part of that.
func (h *Histogram) MergeAll(all iter.Seq[*Histogram]) {
	var dense [octaves * perOctave]uint64
	add := func(o *Histogram) {
		for _, b := range o.buckets {
			dense[b.index] += b.n
		}
	}
	add(h)
	for o := range all {
		add(o)
		h.count += o.count
		h.sum.plus(o.sum)
	}
	h.buckets = nil
	for i, n := range dense {
		if n > 0 {
			h.buckets = append(h.buckets, bucket{uint16(i), n})
		}
	}
}

// mergeBuckets returns the sums of two sorted slices. Where one is empty that is the other:
// buckets are never written to.
func mergeBuckets(a, b []bucket) []bucket {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	all := make([]bucket, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].index < b[0].index:
			all, a = append(all, a[0]), a[1:]
		case a[0].index > b[0].index:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, bucket{a[0].index, a[0].n + b[0].n}), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// Buckets yields the buckets that are not empty, the shortest durations first.
func (h *Histogram) Buckets() iter.Seq[Bucket] {
	return func(yield func(Bucket) bool) {
		for _, b := range h.buckets {
			at := boundsOf(b.index)
			at.Count = b.n
			if !yield(at) {
				return
			}
		}
	}
}

// The buckets. Octave 0 is the durations below 32 ns, one bucket for each nanosecond.
// Octave n > 0 begins at 32 << (n-1) ns and has buckets of a width of 1 << (n-1) ns. The
// last octave ends with the longest duration that there is.
const (
	perOctave = 32
	octaves   = 59
)

// indexOf returns the bucket of a duration.
func indexOf(d time.Duration) uint16 {
	v := uint64(max(d, 0))
	if v < perOctave {
		return uint16(v)
	}
	shift := bits.Len64(v) - 6 // 0 to 57: then v>>shift has 6 bits
	return uint16(shift*perOctave) + uint16(v>>shift)
}

// boundsOf returns the bounds of a bucket.
func boundsOf(index uint16) Bucket {
	octave, sub := index/perOctave, int64(index%perOctave)
	if octave == 0 {
		return Bucket{From: time.Duration(sub), To: time.Duration(sub + 1)}
	}
	from, width := (perOctave+sub)<<(octave-1), int64(1)<<(octave-1)
	if to := from + width; to > 0 {
		return Bucket{From: time.Duration(from), To: time.Duration(to)}
	}
	return Bucket{From: time.Duration(from), To: 1<<63 - 1} // the last one
}

// counts is a histogram that is being recorded. An octave gets its buckets when it is
// first needed, so that a histogram of a function takes a few of them.
type counts struct {
	zeros   uint64 // durations of 0, which most waits are
	sum     sum
	used    uint64 // a bit for each octave that is not empty
	octaves [octaves]*[perOctave]uint32
}

// add counts one duration.
func (c *counts) add(d time.Duration) {
	if d <= 0 {
		c.zeros++
		return
	}
	i := indexOf(d)
	octave := i / perOctave
	o := c.octaves[octave]
	if o == nil {
		o = new([perOctave]uint32)
		c.octaves[octave] = o
	}
	o[i%perOctave]++
	c.used |= 1 << octave
	c.sum.add(d)
}

// take returns what was counted, and begins anew. It keeps the memory of the octaves. A
// bucket holds 32 bits: the counts are taken about each second.
func (c *counts) take() Histogram {
	h := Histogram{count: c.zeros, sum: c.sum}
	if c.zeros > 0 {
		h.buckets = append(h.buckets, bucket{0, c.zeros})
	}
	for left := c.used; left != 0; left &= left - 1 {
		octave := bits.TrailingZeros64(left)
		for sub, n := range c.octaves[octave] {
			if n > 0 {
				h.buckets = append(h.buckets, bucket{uint16(octave*perOctave + sub), uint64(n)})
				h.count += uint64(n)
			}
		}
		*c.octaves[octave] = [perOctave]uint32{}
	}
	c.zeros, c.used, c.sum = 0, 0, sum{}
	return h
}

// sum is an unsigned sum of durations in nanoseconds, of 128 bits: 10,000 calls at once fill
// 64 bits in three weeks.
type sum struct{ hi, lo uint64 } //nolint:recvcheck // added to in place, and read from copies

func (s *sum) add(d time.Duration) { s.plus(sum{lo: uint64(max(d, 0))}) }

func (s *sum) plus(o sum) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi += o.hi + carry
}

func (s sum) seconds() float64 { return (float64(s.hi)*(1<<64) + float64(s.lo)) / 1e9 }

// coarse returns h with its buckets in pairs, for what is kept for long.
func (h *Histogram) coarse() Histogram {
	c := Histogram{count: h.count, sum: h.sum, buckets: make([]bucket, 0, len(h.buckets))}
	for _, b := range h.buckets {
		b.index &^= 1
		if n := len(c.buckets); n > 0 && c.buckets[n-1].index == b.index {
			c.buckets[n-1].n += b.n
			continue
		}
		c.buckets = append(c.buckets, b)
	}
	return c
}
