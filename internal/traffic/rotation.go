package traffic

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// rotation assigns turns to shares. A caller takes a turn, which is a number, from a counter.
// The pick (the share that has the turn) is a function of that number alone. So the picks are
// as even with many concurrent callers as with one.
//
// With two shares, the second gets ⌊n·w/W + ½⌋ of the first n turns, where w is its weight
// and W the sum of both weights. Then it gets ⌊k·w/W⌋ or one more of any k consecutive turns:
// that differs by less than one from its exact part k·w/W. This is the line of Bresenham
// ("Algorithm for computer control of a digital plotter", IBM Systems Journal 4, 1965), and a
// balanced word in the sense of Morse and Hedlund ("Symbolic dynamics II", American Journal of
// Mathematics 62, 1940).
//
// With more shares, the number of turns that a share has had differs by less than one from its
// exact part at any time. So in any consecutive turns it differs by less than two. See schedule.
type rotation struct {
	taken atomic.Uint64 // how many turns have been taken
	page  atomic.Pointer[page]

	weight, sum uint64 // if there are two shares: the weight of the second, and the sum of both; otherwise 0
}

// pageSize is how many picks are computed at once.
const pageSize = 1024

func (r *rotation) init(shares []Share) {
	switch len(shares) {
	case 1: // Next always returns 0
	case 2:
		r.weight, r.sum = shares[1].Weight, shares[0].Weight+shares[1].Weight
	default:
		r.page.Store(newSchedule(shares).firstPage())
	}
}

// Next takes the next turn, and returns the index of the share that has the turn.
func (s *Split) Next() int {
	if len(s.shares) == 1 {
		return 0
	}
	// The page is loaded before the turn is taken. A goroutine stores the next page only after it
	// has taken a turn of that page. So the page that is loaded here never begins after turn n.
	p := s.page.Load()
	n := s.taken.Add(1) - 1
	if s.sum > 0 {
		return s.ofTwo(n)
	}
	for n >= p.end {
		after := p.after()
		s.page.CompareAndSwap(p, after) // fails if another goroutine has stored it
		p = after
	}
	return int(p.picks[n%uint64(len(p.picks))])
}

// ofTwo returns 1 if turn n belongs to the second share, that is, if ⌊x·w/W + ½⌋ grows from
// x = n to x = n + 1. This repeats after W turns, so n mod W is used in place of n, and the
// product with w has at most 128 bits.
func (r *rotation) ofTwo(n uint64) int {
	hi, lo := bits.Mul64(n%r.sum, r.weight)
	lo, carry := bits.Add64(lo, r.sum/2, 0)
	if bits.Rem64(hi+carry, lo, r.sum) >= r.sum-r.weight {
		return 1
	}
	return 0
}

// page holds the picks of consecutive turns. Pages begin at multiples of their length.
// Each page refers to the next one and not to the previous one, so that the previous page is
// garbage once no goroutine uses it.
type page struct {
	picks []int32
	end   uint64 // the first turn after the page
	rest  *schedule

	once sync.Once // guards next
	next *page
}

// after returns the page that follows. The first call computes it.
func (p *page) after() *page {
	p.once.Do(func() { p.next, p.rest = p.rest.page(p.end, pageSize), nil })
	return p.next
}

// schedule computes the picks of three shares or more, one after the other.
//
// The order must keep each share less than one turn from its exact part at any time. To find
// such an order is the chairman assignment problem (R. Tijdeman, "The chairman assignment
// problem", Discrete Mathematics 32, 1980). It can be stated with windows of turns. A share of
// weight w in a sum of W meets the condition exactly if its m-th turn, counted from 0, lies in
// the window ⌊m·W/w⌋ … ⌈(m+1)·W/w⌉ − 1. S. Baruah, N. Cohen, C. Plaxton and D. Varvel give
// these windows and prove that an order exists in which all shares keep to them
// ("Proportionate progress: a notion of fairness in resource allocation", Algorithmica 15,
// 1996). If such an order exists, one is found by giving each turn to the share whose window is
// open and closes first (W. Horn, "Some simple scheduling algorithms", Naval Research Logistics
// Quarterly 21, 1974). That is what pick does.
type schedule struct {
	tracks []track
	sum    uint64
}

// track is the window of a share's next turn. The exact limits of the window are fractions with
// the share's weight w as denominator: open + openPart/w and shut + shutPart/w.
type track struct {
	weight, step, stepPart uint64 // each window opens W/w = step + stepPart/w turns after the previous one
	open, openPart         uint64
	shut, shutPart         uint64
}

// newSchedule divides the weights by their greatest common divisor, which makes the period
// as short as possible. If their sum is above 2⁶², the weights are halved until it is not, so that
// no sum computed later overflows. Then a share's part is wrong by less than one turn in 2⁴⁰.
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

// scaled returns a weight divided by divisor and halved shift times; the result is never 0.
func scaled(weight, divisor uint64, shift int) uint64 { return max(1, weight/divisor>>shift) }

// total returns the sum of the scaled weights, or the largest uint64 if the sum overflows.
func total(shares []Share, divisor uint64, shift int) (sum uint64) {
	for _, sh := range shares {
		var carry uint64
		if sum, carry = bits.Add64(sum, scaled(sh.Weight, divisor, shift), 0); carry > 0 {
			return math.MaxUint64
		}
	}
	return sum
}

// firstPage returns the first page. If the period is short, the page holds the whole period
// and has no end: after a period each share has had exactly its part, and the picks repeat.
func (s *schedule) firstPage() *page {
	if s.sum > pageSize {
		return s.page(0, pageSize)
	}
	p := s.page(0, int(s.sum))
	p.end, p.rest = math.MaxUint64, nil
	return p
}

// page returns the picks for n turns from begin on. The new page owns s from then on.
func (s *schedule) page(begin uint64, n int) *page {
	p := &page{picks: make([]int32, n), end: begin + uint64(n), rest: s}
	for i := range p.picks {
		p.picks[i] = s.pick(begin + uint64(i))
	}
	return p
}

// pick gives turn n to the share whose window is open and closes first. There is always an open
// window: a period has as many windows as turns, and each window gets a turn.
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

// end returns the first turn after the window.
func (t *track) end() uint64 {
	if t.shutPart > 0 {
		return t.shut + 1
	}
	return t.shut
}

// advance moves to the share's next window. This window overlaps the previous one by one turn,
// unless the previous one ended at a whole number.
func (t *track) advance() {
	t.open, t.openPart = t.shut, t.shutPart
	t.shut += t.step
	if t.shutPart += t.stepPart; t.shutPart >= t.weight {
		t.shutPart -= t.weight
		t.shut++
	}
}
