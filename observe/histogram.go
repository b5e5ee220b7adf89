package observe

import (
	"iter"
	"math/bits"
	"time"
)

// Histogram counts durations by their length. It is log-linear: between each power of two, in
// nanoseconds, and the next there are 32 buckets of equal width, so that a duration is known to
// within 1.6 %, whatever its size. All histograms have the same bounds, so any two can be
// merged. Only Merge and MergeAll change a Histogram; a copy may be read while another copy is
// merged into. The zero value is empty. A negative duration counts as 0.
type Histogram struct {
	count   uint64
	sum     sum
	buckets []bucket // sorted by index, none of them empty; never written to, since copies share it
}

// bucket is a bucket of a Histogram that is not empty.
type bucket struct {
	index uint16
	n     uint64
}

// Bucket is a bucket of a [Histogram]. Count durations were at least From and less than To.
type Bucket struct {
	From, To time.Duration
	Count    uint64
}

// Mid returns a duration in the middle of the bucket: at most 1.6 % from any in the bucket.
func (b Bucket) Mid() time.Duration { return b.From + (b.To-b.From-1)/2 }

// Count returns the number of durations.
func (h *Histogram) Count() uint64 { return h.count }

// Seconds returns the sum of the durations in seconds. The only error is the rounding to a
// float64.
func (h *Histogram) Seconds() float64 { return h.sum.seconds() }

// Mean returns the average of the durations, or 0 if there are none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	q, _ := bits.Div64(h.sum.hi, h.sum.lo, h.count) // no duration needs 64 bits, so neither does the average, and Div64 can't overflow
	return time.Duration(q)
}

// Quantile returns a duration that is longer than the fraction q of all durations: for example,
// q = 0.99 is the 99th percentile. It is within 1.6 % of the duration of that rank. A q below 0
// counts as 0, and above 1 as 1. The quantile of an empty histogram is 0.
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

// Merge adds the durations of o. It does not change o.
func (h *Histogram) Merge(o *Histogram) {
	h.count += o.count
	h.sum.plus(o.sum)
	h.buckets = mergeBuckets(h.buckets, o.buckets)
}

// MergeAll adds the durations of all of them, as calls of [Histogram.Merge] would. For many
// histograms it is much faster.
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

// mergeBuckets returns the sums of two sorted slices. If one is empty, it returns the other
// without a copy, since buckets are never written to.
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

// The buckets. Octave 0 has the durations below 32 ns, in buckets of one nanosecond. Octave n >
// 0 begins at 32 << (n-1) ns, and its buckets are 1 << (n-1) ns wide. The last octave ends with
// the largest time.Duration.
const (
	perOctave = 32
	octaves   = 59
)

// indexOf returns the index of a duration's bucket.
func indexOf(d time.Duration) uint16 {
	v := uint64(max(d, 0))
	if v < perOctave {
		return uint16(v)
	}
	shift := bits.Len64(v) - 6 // 0 to 57; v>>shift has 6 bits
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
	return Bucket{From: time.Duration(from), To: 1<<63 - 1} // the last bucket
}

// counts is a histogram that is being recorded. It allocates the buckets of an octave when a
// duration falls into it, so that a function's histogram has only a few octaves.
type counts struct {
	zeros   uint64 // durations of 0, which are most waits
	sum     sum
	used    uint64 // has a bit for each octave that is not empty
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

// take returns what was counted, and sets the counts to zero. It keeps the memory of the
// octaves. A bucket of 32 bits is enough, since take is called about once a second.
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

// sum is an unsigned sum of durations in nanoseconds, of 128 bits. A sum of 64 bits would
// overflow after three weeks of 10,000 calls at once.
type sum struct{ hi, lo uint64 } //nolint:recvcheck // added to in place, and read from copies

func (s *sum) add(d time.Duration) { s.plus(sum{lo: uint64(max(d, 0))}) }

func (s *sum) plus(o sum) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi += o.hi + carry
}

func (s sum) seconds() float64 { return (float64(s.hi)*(1<<64) + float64(s.lo)) / 1e9 }

// coarse returns a copy of h with pairs of buckets joined, which takes less memory.
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
