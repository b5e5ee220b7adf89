package admission

import (
	"math"
	"sync/atomic"
)

// Unlimited is the limit of a class that only its group limits.
const Unlimited = math.MaxInt32

const (
	usedMask = 1<<31 - 1 // bits 0–30: slots in use
	slowBit  = 1 << 31   // a call waits: slots are taken, given back and resized under g.mu
	limitPos = 32        // bits 32–62: the limit
	shutBit  = 1 << 63   // slots are taken under g.mu, but given back without it
)

// counter is a count of slots, its limit and two flags in one atomic word. So the
// compare-and-swap that takes a slot also sees a resize, a new waiter and a close: the limit
// cannot be exceeded, and once a call waits, no slot is given back without g.mu.
type counter struct{ v atomic.Uint64 }

func used(v uint64) int  { return int(v & usedMask) }
func limit(v uint64) int { return int(v >> limitPos & usedMask) }

// fastInc takes a slot. It reports false if none is free or if taking one needs g.mu. g.mu
// need not be held.
func (n *counter) fastInc() bool {
	for {
		v := n.v.Load()
		if v&(slowBit|shutBit) != 0 || used(v) >= limit(v) {
			return false
		}
		if n.v.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

// fastDec gives a slot back. It reports false if that needs g.mu because a call waits. g.mu
// need not be held.
func (n *counter) fastDec() bool {
	for {
		v := n.v.Load()
		if v&slowBit != 0 {
			return false
		}
		if n.v.CompareAndSwap(v, minusOne(v)) {
			return true
		}
	}
}

// inc takes a slot if one is free, whether or not a flag is set. It loops although g.mu is
// held: while the slow bit is not set, the fast paths of other goroutines change the word
// too.
func (n *counter) inc() bool {
	for {
		v := n.v.Load()
		if used(v) >= limit(v) {
			return false
		}
		if n.v.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

// dec gives a slot back, whether or not a flag is set.
func (n *counter) dec() {
	for v := n.v.Load(); !n.v.CompareAndSwap(v, minusOne(v)); v = n.v.Load() {
	}
}

// minusOne returns v with one slot fewer in use. If none is in use it panics: the subtraction
// would borrow from the bits of the limit and the flags, and the router would refuse all
// calls for ever or admit too many, without an error that shows why. Only a bug of this
// module can cause it, so the panic ends the process with the stack of the function that gave
// the slot back.
func minusOne(v uint64) uint64 {
	if used(v) == 0 {
		panic("admission: a slot is given back that was not taken")
	}
	return v - 1
}

func (n *counter) hasRoom() bool { v := n.v.Load(); return used(v) < limit(v) }
func (n *counter) used() int     { return used(n.v.Load()) }
func (n *counter) limit() int    { return limit(n.v.Load()) }

// setFlag sets or clears a flag. It writes only if the flag changes, because each write makes
// other goroutines retry their compare-and-swap.
func (n *counter) setFlag(bit uint64, on bool) {
	switch was := n.v.Load()&bit != 0; {
	case on && !was:
		n.v.Or(bit)
	case was && !on:
		n.v.And(^bit)
	}
}

// resize sets the limit, clamped to 0 … [Unlimited].
func (n *counter) resize(to int) {
	for v := n.v.Load(); !n.v.CompareAndSwap(v, withLimit(v, to)); v = n.v.Load() {
	}
}

// fastResize is like resize, but reports false if that needs g.mu because a call waits. g.mu
// need not be held.
func (n *counter) fastResize(to int) bool {
	for {
		v := n.v.Load()
		if v&slowBit != 0 {
			return false
		}
		if v == withLimit(v, to) || n.v.CompareAndSwap(v, withLimit(v, to)) {
			return true
		}
	}
}

func withLimit(v uint64, n int) uint64 {
	n = min(max(n, 0), Unlimited)
	return v&^(usedMask<<limitPos) | uint64(n)<<limitPos
}
