package cost

import (
	"math/bits"
	"slices"
	"time"

	"github.com/inproc/faas"
)

// Rounding is how a provider rounds the duration of each call. Two books with
// equal ones are rated from the same sums. The zero value rounds to the next
// nanosecond, which is none.
type Rounding struct {
	Granularity time.Duration // the duration is rounded up to a multiple of it; 0 and less: 1 ns
	Minimum     time.Duration // and is at least this
	Init        bool          // initialization is billed with the handler's time, and rounded as one
}

// Quanta returns how many granularities a call is billed for. Negative
// durations count as 0, and none overflows.
func (r Rounding) Quanta(duration, init time.Duration) uint64 {
	alone := nonNegative(duration)
	return quanta(&r, alone, alone+nonNegative(init)) // two of 63 bits fit into 64
}

// quanta is Quanta of a duration, and of that and the initialization. A ledger
// works these out once for all its rules.
func quanta(r *Rounding, alone, withInit uint64) uint64 {
	total := alone
	if r.Init {
		total = withInit
	}
	return roundUp(max(total, nonNegative(r.Minimum)), r.Granularity)
}

// beyond is Quanta for time that continues a call: the minimum was its.
func (r Rounding) beyond(d time.Duration) uint64 { return roundUp(nonNegative(d), r.Granularity) }

func roundUp(total uint64, granularity time.Duration) uint64 {
	by := uint64(max(granularity, 1)) // not negative
	whole := total / by
	if total != whole*by {
		whole++
	}
	return whole
}

// rule says which sum of its calls a book is rated from. A ledger keeps equal ones
// once.
type rule struct {
	of counted
	Rounding
	allowance uint64 // of bytes: what is not counted of each call
}

// counted is what of a call a rule adds up.
type counted uint8

const (
	countTime      counted = iota // its duration, rounded
	countProcessor                // its processor time, rounded; where that is not known, its duration
	countBytes                    // bytes of its output
)

// quanta is what a rule adds for a call that used so much processor time.
func (r *rule) quanta(processor, bytes uint64) uint64 {
	if r.of == countBytes {
		return bytes - min(bytes, r.allowance)
	}
	return roundUp(processor, r.Granularity)
}

// rules are what a ledger adds up for each call. Those of durations stand apart,
// since all books have one and few have another.
type rules struct {
	time  []Rounding
	other []rule
}

// rulesOf are the distinct rules of the books that hold at an instant.
func rulesOf(books []*Book, at time.Time) *rules {
	all := new(rules)
	for _, b := range books {
		for _, r := range b.at(at).rules() {
			switch {
			case r.of == countTime && !slices.Contains(all.time, r.Rounding):
				all.time = append(all.time, r.Rounding)
			case r.of != countTime && !slices.Contains(all.other, r):
				all.other = append(all.other, r)
			}
		}
	}
	return all
}

func (r *rules) len() int { return len(r.time) + len(r.other) }

// add adds a call to the sums of other rules. Of processor time these are what
// measured calls have used less (modulo 2¹²⁸) than their durations, which the sum of
// durations with the same rounding has: so a call that was not measured costs nothing
// here. An overrun is not measured, and has no output.
func (r *rules) add(sums []count, e *faas.Execution, measured bool, processor uint64) {
	for i := range r.other {
		switch o := &r.other[i]; {
		case o.of == countBytes:
			sums[i].add(o.quanta(0, uint64(max(e.BytesOut, 0))))
		case measured:
			less, borrow := bits.Sub64(o.quanta(processor, 0), o.quanta(nonNegative(e.Duration), 0), 0)
			sums[i].plus(count{hi: -borrow, lo: less})
		}
	}
}

// sums are those of a cell, each with its rule.
func (r *rules) sums(quanta []count) []sum {
	all := make([]sum, 0, len(quanta))
	for i, t := range r.time {
		all = append(all, sum{rule{Rounding: t}, quanta[i]})
	}
	for i, o := range r.other {
		n := quanta[len(r.time)+i]
		if o.of == countProcessor {
			n.plus(quanta[slices.Index(r.time, o.Rounding)])
		}
		all = append(all, sum{o, n})
	}
	return all
}

// sizing is how a provider rounds declared memory.
type sizing struct {
	minimum, step, maximum int64   // bytes; step ≥ 1; maximum 0: none
	sizes                  []int64 // in place of those three: the sizes there are, ascending, multiples of step
}

// most is the most memory that is sold; 0: no bound.
func (s sizing) most() int64 {
	if n := len(s.sizes); n > 0 {
		return s.sizes[n-1]
	}
	return s.maximum
}

// steps returns how many steps of memory are billed; false: more than is sold.
func (s sizing) steps(memory int64) (int64, bool) {
	for _, size := range s.sizes {
		if memory <= size {
			return size / s.step, true
		}
	}
	if len(s.sizes) > 0 || s.maximum > 0 && memory > s.maximum {
		return 0, false
	}
	memory = max(memory, s.minimum, 0)
	steps := memory / s.step
	if memory%s.step != 0 {
		steps++
	}
	return steps, true
}

// share is one line of a table from memory to processors.
type share struct {
	memory int64 // bytes: up to this much …
	milli  int64 // … has so many thousandths of a vCPU
}

// shareOf returns the thousandths of a vCPU that come with the memory; false:
// more than the table has.
func shareOf(table []share, memory int64) (int64, bool) {
	for _, s := range table {
		if memory <= s.memory {
			return s.milli, true
		}
	}
	return 0, false
}

// count is an unsigned 128-bit sum. It can't overflow here: a call adds less
// than 2⁶⁴, and there are fewer than 2⁶⁴ calls, since they are counted in 64
// bits and one a nanosecond takes 584 years.
type count struct{ hi, lo uint64 } //nolint:recvcheck // added to in place, and read from copies

func (c *count) add(n uint64) {
	var carry uint64
	c.lo, carry = bits.Add64(c.lo, n, 0)
	c.hi += carry
}

func (c *count) plus(d count) {
	var carry uint64
	c.lo, carry = bits.Add64(c.lo, d.lo, 0)
	c.hi, _ = bits.Add64(c.hi, d.hi, carry)
}
