package admission

import (
	"math"
	"sync/atomic"
)

// Unlimited is the limit of a class that only its group bounds.
const Unlimited = math.MaxInt32

const (
	usedMask = 1<<31 - 1 // bits 0–30: slots in use
	slowBit  = 1 << 31   // somebody waits: every change goes through the group's lock
	limitPos = 32        // bits 32–62: the limit
	shutBit  = 1 << 63   // nobody may enter without the lock
)

// word is a counter with its limit and two flags in one atomic value, so that
// a resize, a waiter's arrival and a close are seen by the very
// compare-and-swap that takes a slot: the limit can't be overshot, and a slot
// can't be given back behind the back of somebody who has begun to wait.
type word struct{ v atomic.Uint64 }

func used(v uint64) int  { return int(v & usedMask) }
func limit(v uint64) int { return int(v >> limitPos & usedMask) }

// fastInc takes a slot unless that needs the lock.
func (w *word) fastInc() bool {
	for {
		v := w.v.Load()
		if v&(slowBit|shutBit) != 0 || used(v) >= limit(v) {
			return false
		}
		if w.v.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

// fastDec gives a slot back unless that needs the lock.
func (w *word) fastDec() bool {
	for {
		v := w.v.Load()
		if v&slowBit != 0 {
			return false
		}
		if w.v.CompareAndSwap(v, less(v)) {
			return true
		}
	}
}

// inc takes a slot if there is one, whatever the flags; the lock is held.
// It is still a loop: fast paths may be at work on a word whose slow bit is
// not set.
func (w *word) inc() bool {
	for {
		v := w.v.Load()
		if used(v) >= limit(v) {
			return false
		}
		if w.v.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

// dec gives a slot back, whatever the flags; the lock is held.
func (w *word) dec() {
	for v := w.v.Load(); !w.v.CompareAndSwap(v, less(v)); v = w.v.Load() {
	}
}

// less is v with a slot fewer in use. Fewer than none would borrow from the flags
// and the limit: the router would refuse all calls for ever, or let in too many,
// and nothing would tell why. It is never a caller's fault but one of this module,
// so it ends the process, in tests and elsewhere, with the stack of who gave back
// what it did not have.
func less(v uint64) uint64 {
	if used(v) == 0 {
		panic("admission: a slot is given back that was not taken")
	}
	return v - 1
}

func (w *word) room() bool { v := w.v.Load(); return used(v) < limit(v) }
func (w *word) used() int  { return used(w.v.Load()) }
func (w *word) limit() int { return limit(w.v.Load()) }

// set raises or lowers a flag; the lock is held. It writes only what changes,
// because others are spinning on the word.
func (w *word) set(bit uint64, on bool) {
	switch was := w.v.Load()&bit != 0; {
	case on && !was:
		w.v.Or(bit)
	case was && !on:
		w.v.And(^bit)
	}
}

// resize sets the limit, to the nearest that there can be; the lock is held.
func (w *word) resize(n int) {
	for v := w.v.Load(); !w.v.CompareAndSwap(v, withLimit(v, n)); v = w.v.Load() {
	}
}

// fastResize does that unless it needs the lock, because somebody waits.
func (w *word) fastResize(n int) bool {
	for {
		v := w.v.Load()
		if v&slowBit != 0 {
			return false
		}
		if v == withLimit(v, n) || w.v.CompareAndSwap(v, withLimit(v, n)) {
			return true
		}
	}
}

func withLimit(v uint64, n int) uint64 {
	n = min(max(n, 0), Unlimited)
	return v&^(usedMask<<limitPos) | uint64(n)<<limitPos
}
