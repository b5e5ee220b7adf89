package traffic

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// rotation gives turns to shares. The turn that a caller takes from the counter is its
// place in the order, and the pick is a function of the turn: so the picks are as even
// with any number of callers as with one.
//
// Two shares: the second has had ⌊n·w/W + ½⌋ of the first n turns, where w is its weight
// and W the sum. Any k consecutive turns then have ⌊k·w/W⌋ or one more of it: less than one
// from the exact part. It is the line of Bresenham ("Algorithm for computer control of a
// digital plotter", IBM Systems Journal 4, 1965), and a balanced word in the sense of
// Morse and Hedlund ("Symbolic dynamics II", American Journal of Mathematics 62, 1940).
//
// More shares: after any number of turns each has had less than one more or less than its
// exact part, so that any consecutive turns are less than two from it. See schedule.
type rotation struct {
	taken atomic.Uint64 // how many turns have been taken
	page  atomic.Pointer[page]

	weight, sum uint64 // of two shares: the weight of the second, and the sum; sum 0: there are others than two
}

// pageSize is how many picks are computed at once.
const pageSize = 1024

func (r *rotation) init(shares []Share) {
	switch len(shares) {
	case 1: // Next knows the answer
	case 2:
		r.weight, r.sum = shares[1].Weight, shares[0].Weight+shares[1].Weight
	default:
		r.page.Store(newSchedule(shares).firstPage())
	}
}

// Next takes the next turn, and returns the index of the share that has it.
func (s *Split) Next() int {
	if len(s.shares) == 1 {
		return 0
	}
	// The page is loaded before the turn is taken. A goroutine moves page on after it has
	// taken a turn of the next one, so the page that is loaded never begins after the turn.
	p := s.page.Load()
	n := s.taken.Add(1) - 1
	if s.sum > 0 {
		return s.ofTwo(n)
	}
	for n >= p.end {
		after := p.after()
		s.page.CompareAndSwap(p, after) // false if another goroutine did it
		p = after
	}
	return int(p.picks[n%uint64(len(p.picks))])
}

// ofTwo is 1 if turn n is the second share's: if ⌊x·w/W + ½⌋ grows from x = n to n + 1.
// It has a period of W, so that the product of n mod W and w has 128 bits at most.
func (r *rotation) ofTwo(n uint64) int {
	hi, lo := bits.Mul64(n%r.sum, r.weight)
	lo, carry := bits.Add64(lo, r.sum/2, 0)
	if bits.Rem64(hi+carry, lo, r.sum) >= r.sum-r.weight {
		return 1
	}
	return 0
}

// page holds the picks of consecutive turns. Pages begin at multiples of their length.
// Each refers to the next, and none to the one before, which is garbage once no goroutine
// is on it.
type page struct {
	picks []int32
	end   uint64 // the first turn after it
	rest  *schedule

	once sync.Once // guards next
	next *page
}

// after returns the page that follows, and computes it for the first that asks.
func (p *page) after() *page {
	p.once.Do(func() { p.next, p.rest = p.rest.page(p.end, pageSize), nil })
	return p.next
}

// schedule computes the picks of three shares or more, one after the other.
//
// To find an order in which each share is always less than one turn from its exact part
// is the chairman assignment problem (R. Tijdeman, "The chairman assignment problem",
// Discrete Mathematics 32, 1980). A share of weight w in a sum of W keeps to it exactly if
// its m-th turn, counted from 0, is one of ⌊m·W/w⌋ … ⌈(m+1)·W/w⌉ − 1. Those windows, and
// that turns exist which keep to all of them, are from S. Baruah, N. Cohen, C. Plaxton and
// D. Varvel, "Proportionate progress: a notion of fairness in resource allocation",
// Algorithmica 15, 1996. Whenever there is such an order, giving each turn to the open
// window that closes first finds one (W. Horn, "Some simple scheduling algorithms", Naval
// Research Logistics Quarterly 21, 1974): that is what pick does.
type schedule struct {
	tracks []track
	sum    uint64
}

// track is the window of a share's next turn. The exact times are fractions over the
// share's weight w: open + openPart/w and shut + shutPart/w.
type track struct {
	weight, step, stepPart uint64 // a window opens W/w = step + stepPart/w after the one before
	open, openPart         uint64
	shut, shutPart         uint64
}

// newSchedule divides the weights by their greatest common divisor, which makes the period
// as short as it can be. Sums above 2⁶² are halved until they are not, so that no sum below
// overflows: then a part is wrong by less than one turn in 2⁴⁰.
func newSchedule(shares []Share) *schedule {
	s := &schedule{tracks: make([]track, len(shares))}
	divisor, shift := uint64(0), 0
	for _, sh := range shares {
		divisor = gcd(sh.Weight, divisor)
	}
	for s.sum = total(shares, divisor, shift); s.sum > 1<<62; s.sum = total(shares, divisor, shift) {
		shift++
	}
	for i, sh := range shares {
		w := scaled(sh.Weight, divisor, shift)
		s.tracks[i] = track{weight: w, step: s.sum / w, stepPart: s.sum % w, shut: s.sum / w, shutPart: s.sum % w}
	}
	return s
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// scaled is a weight divided and shifted, and never 0.
func scaled(weight, divisor uint64, shift int) uint64 { return max(1, weight/divisor>>shift) }

// total is the sum of the scaled weights, or the largest number if that is less.
func total(shares []Share, divisor uint64, shift int) (sum uint64) {
	for _, sh := range shares {
		var carry uint64
		if sum, carry = bits.Add64(sum, scaled(sh.Weight, divisor, shift), 0); carry > 0 {
			return math.MaxUint64
		}
	}
	return sum
}

// firstPage holds the whole period if that is short, and has no end then: after a period
// each share has had exactly its part, and all begins again.
func (s *schedule) firstPage() *page {
	if s.sum > pageSize {
		return s.page(0, pageSize)
	}
	p := s.page(0, int(s.sum))
	p.end, p.rest = math.MaxUint64, nil
	return p
}

// page picks for n turns from begin on. The page takes s over.
func (s *schedule) page(begin uint64, n int) *page {
	p := &page{picks: make([]int32, n), end: begin + uint64(n), rest: s}
	for i := range p.picks {
		p.picks[i] = s.pick(begin + uint64(i))
	}
	return p
}

// pick gives turn n to the open window that closes first. There is always an open one:
// the windows that close within a period are as many as its turns, and all are kept to.
func (s *schedule) pick(n uint64) int32 {
	best, soonest := 0, uint64(math.MaxUint64)
	for i := range s.tracks {
		if t := &s.tracks[i]; t.open <= n && t.end() < soonest {
			best, soonest = i, t.end()
		}
	}
	s.tracks[best].advance()
	return int32(best)
}

// end is the first turn after the window.
func (t *track) end() uint64 {
	if t.shutPart > 0 {
		return t.shut + 1
	}
	return t.shut
}

// advance goes on to the next window. It overlaps the one before by one turn, unless
// that ended with a whole number.
func (t *track) advance() {
	t.open, t.openPart = t.shut, t.shutPart
	t.shut += t.step
	if t.shutPart += t.stepPart; t.shutPart >= t.weight {
		t.shutPart -= t.weight
		t.shut++
	}
}
