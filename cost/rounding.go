package cost

import (
	"math/big"
	"math/bits"
	"time"
)

// Rounding is how a provider rounds the duration of each call. Books with equal Roundings are
// priced from the same sums of a ledger. The zero value rounds to whole nanoseconds, which
// changes nothing.
type Rounding struct {
	// Granularity is the step: the duration is rounded up to a multiple of it. 0 or less
	// means 1 ns.
	Granularity time.Duration
	// Minimum is the least time that a call is billed for.
	Minimum time.Duration
	// Init is set if the initialization of an instance is billed too: it is added to the
	// call's duration, and the sum is rounded.
	Init bool
}

// Quanta returns how many granularities a call is billed for. Negative durations count
// as 0, and no duration overflows.
func (r Rounding) Quanta(duration, init time.Duration) uint64 {
	alone := nonNegative(duration)
	return quanta(&r, alone, alone+nonNegative(init)) // two numbers of 63 bits: their sum fits into 64
}

// quanta does what Quanta does, from the duration alone and the duration with the
// initialization. A ledger computes these two only once for all its rules.
func quanta(r *Rounding, alone, withInit uint64) uint64 {
	total := alone
	if r.Init {
		total = withInit
	}
	return roundUp(max(total, nonNegative(r.Minimum)), r.Granularity)
}

// overrunQuanta returns how many granularities an overrun is billed for. No minimum applies,
// since the call that the overrun continues has been billed for that.
func (r Rounding) overrunQuanta(d time.Duration) uint64 {
	return roundUp(nonNegative(d), r.Granularity)
}

// roundUp returns total in granularities, rounded up. It divides before it adds, because
// total + granularity could overflow.
func roundUp(total uint64, granularity time.Duration) uint64 {
	by := uint64(max(granularity, 1)) // not negative
	whole := total / by
	if total != whole*by {
		whole++
	}
	return whole
}

// count is an unsigned 128-bit sum. It can't overflow: a call adds less than 2⁶⁴, and
// there are fewer than 2⁶⁴ calls, since one each nanosecond would take 584 years.
type count struct{ hi, lo uint64 } //nolint:recvcheck // added to in place, and read from copies

// add adds n.
func (c *count) add(n uint64) {
	var carry uint64
	c.lo, carry = bits.Add64(c.lo, n, 0)
	c.hi += carry
}

// plus adds another sum.
func (c *count) plus(d count) {
	var carry uint64
	c.lo, carry = bits.Add64(c.lo, d.lo, 0)
	c.hi, _ = bits.Add64(c.hi, d.hi, carry)
}

// nonNegative returns a duration in nanoseconds. A negative duration, which a clock that was put
// back can cause, counts as 0.
func nonNegative(d time.Duration) uint64 {
	return uint64(max(d, 0)) // not negative
}

func (c count) big() *big.Int {
	n := new(big.Int).SetUint64(c.hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(c.lo))
}
