package admission

import "sync/atomic"

// Phases of a hold.
const (
	plain  = iota // no nested call has touched it: it may end on the fast path
	shared        // it has lent, or been asked to: it ends under the lock
	ended
)

// Hold is one call's slot. It belongs to the call, is never reused, and its
// zero value is ready for [Class.Acquire] or [Class.TryAcquire].
type Hold struct {
	class  *Class
	parent *Hold // the call that made this one, if it could lend; guarded by the group's lock
	family *family
	phase  atomic.Uint32
	loan   uint8 // what is borrowed from parent; guarded by the group's lock
}

const (
	ofGroup = 1 << iota
	ofClass
)

// family is what a hold needs once nested calls are made from it; guarded by
// the group's lock. A loan goes to one child at a time and never to the pool,
// so that a parent always gets back what it lent.
type family struct {
	lent     *Hold // the child that has the loan
	waiting  []*waiter
	below    int  // waiters among the descendants
	classPut bool // the class's half is back already
}

// share readies h for lending, or is false if it has ended.
func (h *Hold) share() bool {
	if h.phase.CompareAndSwap(plain, shared) {
		h.family = &family{}
		return true
	}
	return h.phase.Load() == shared
}

// loanAtHome tells whether h's parent has its slot of the group to lend.
func (h *Hold) loanAtHome() bool {
	p := h.parent
	return p != nil && p.family.lent == nil && p.phase.Load() == shared
}

// take gets h a slot of c and of its group, borrowing from the parent what
// it can; the lock is held.
func (h *Hold) take(c *Class) bool {
	home := h.loanAtHome()
	if home && h.parent.class == c {
		return h.borrow(ofGroup | ofClass)
	}
	if !c.word.inc() {
		return false
	}
	if home {
		return h.borrow(ofGroup)
	}
	if c.group.word.inc() {
		return true
	}
	c.word.dec()
	return false
}

func (h *Hold) borrow(what uint8) bool {
	h.loan = what
	h.parent.family.lent = h
	return true
}

// Release gives the slot back: to the pool, or to the parent that lent it.
// What h itself has lent stays with the child until that one ends. To be
// called once for each acquired hold.
func (h *Hold) Release() {
	c, g := h.class, h.class.group
	// A child that borrows makes the phase shared under the lock before it
	// reads anything of h, so whoever wins this swap ends h undisturbed.
	if h.parent == nil && h.phase.CompareAndSwap(plain, ended) {
		if !c.word.fastDec() {
			g.mu.Lock()
			c.word.dec()
			g.word.dec()
			c.refresh()
			g.dispatch()
			g.mu.Unlock()
		} else if !g.word.fastDec() {
			g.mu.Lock()
			g.word.dec()
			g.dispatch()
			g.mu.Unlock()
		}
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	h.end()
	g.dispatch()
}

func (h *Hold) end() {
	h.phase.Store(ended)
	f := h.family
	if f == nil {
		h.giveBack()
		return
	}
	f.waiting = nil // they wait on, but no longer for a loan
	if f.lent == nil {
		h.giveBack()
	} else if f.lent.loan&ofClass == 0 {
		h.putClass()
	}
}

// Stick says whether the call that has the slot has outlived its invocation
// and may never end. While all slots are held so, Acquire refuses with ErrStuck
// instead of queueing. A borrowed slot is not counted: its owner's is.
func (h *Hold) Stick(on bool) {
	g := h.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	n := -1
	if on {
		n = 1
	}
	if h.loan&ofClass == 0 {
		h.class.stuck += n
	}
	if h.loan&ofGroup == 0 {
		g.stuck += n
	}
}

// giveBack returns what h has, once it has ended and nothing of it is lent.
func (h *Hold) giveBack() {
	h.putClass()
	if h.loan&ofGroup == 0 {
		h.class.group.word.dec()
		return
	}
	p := h.parent
	p.family.lent = nil
	if p.phase.Load() == ended {
		p.giveBack()
		return
	}
	p.offer()
}

func (h *Hold) putClass() {
	if h.loan&ofClass != 0 {
		return
	}
	if f := h.family; f != nil {
		if f.classPut {
			return
		}
		f.classPut = true
		if f.below > 0 {
			h.class.blocked--
		}
	}
	h.class.word.dec()
	h.class.refresh()
}

// offer gives the loan that came home to the first child that can use it.
func (h *Hold) offer() {
	for _, w := range h.family.waiting {
		if c := w.hold.class; w.hold.take(c) {
			w.leave(nil)
			c.refresh()
			return
		}
	}
}

// ownsClass tells whether h itself keeps a slot of its class busy.
func (h *Hold) ownsClass() bool { return h.loan&ofClass == 0 && !h.family.classPut }
