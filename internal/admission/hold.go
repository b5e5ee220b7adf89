package admission

import "sync/atomic"

// Phases of a hold.
const (
	plain  = iota // no nested call has touched it: it may end on the fast path
	shared        // it has lent, been asked to, or is stuck: it ends under the lock
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
	stuck  bool  // guarded by the group's lock
}

const (
	ofGroup = 1 << iota
	ofClass
)

// family is what a hold needs once nested calls are made from it; guarded by
// the group's lock. A loan goes to one child at a time and never to the pool,
// so that a parent always gets back what it lent.
type family struct {
	lent       *Hold // the child that has the loan
	waiting    list[*waiter]
	below      int  // waiters among the descendants
	pins       int  // see cycle.go
	classPut   bool // the class's half is back already
	stuckClass int  // stuck calls that use the class's half, by loans too
	stuckGroup int  // and the group's
}

// share readies h for lending, or is false if it has ended.
func (h *Hold) share() bool {
	if h.phase.CompareAndSwap(plain, shared) {
		h.family = &family{}
		return true
	}
	return h.phase.Load() == shared
}

// loanAtHome tells whether h's parent has its slot of the group to lend. A
// parent that ends makes orphans of the children that wait, so that the parent
// of one that asks has not ended.
func (h *Hold) loanAtHome() bool {
	return h.parent != nil && h.parent.family.lent == nil
}

// take gets h a slot of its class and of its group, borrowing from the parent
// what it can; the lock is held. The class is to be refreshed afterwards.
func (h *Hold) take() bool {
	c, home := h.class, h.loanAtHome()
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
	// A child that borrows makes the phase shared under the lock before it
	// reads anything of h, so whoever wins this swap ends h undisturbed.
	if h.parent == nil && h.phase.CompareAndSwap(plain, ended) {
		h.class.give()
		return
	}
	g := h.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	h.end()
	g.dispatch()
}

// BorrowsClass tells whether h, acquired, has its class's half of the slot from
// its parent, of the same class, which so can't end its own use of it before h.
func (h *Hold) BorrowsClass() bool { return h.loan&ofClass != 0 }

// give gives both halves of a slot back, without the lock if nobody waits.
func (c *Class) give() {
	g, classGiven := c.group, c.word.fastDec()
	if classGiven && g.word.fastDec() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !classGiven {
		c.free()
	}
	g.word.dec()
	g.dispatch()
}

func (h *Hold) end() {
	h.phase.Store(ended)
	if h.stuck {
		h.stick(-1)
	}
	f := h.family
	if f == nil {
		h.giveBack()
		return
	}
	for w := range f.waiting.all() {
		w.orphan()
	}
	if f.lent == nil {
		h.giveBack()
	} else {
		h.putClass()
	}
}

// Stick says whether the call that has the slot has outlived its invocation
// and may never end. While all slots are held so, Acquire refuses with ErrStuck
// instead of queueing. A borrowed slot counts as its owner's, which does not
// come free before both have ended. Release unsticks; after it Stick does
// nothing.
func (h *Hold) Stick(on bool) {
	g := h.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.stuck == on || !h.share() {
		return
	}
	if on {
		h.stick(1)
	} else {
		h.stick(-1)
	}
}

func (h *Hold) stick(n int) {
	h.stuck = n > 0
	o := h.owner(ofClass)
	o.class.stuck += step(&o.family.stuckClass, n)
	o = h.owner(ofGroup)
	o.class.group.stuck += step(&o.family.stuckGroup, n)
}

// owner is the hold whose half of a slot h uses.
func (h *Hold) owner(half uint8) *Hold {
	for h.loan&half != 0 {
		h = h.parent
	}
	return h
}

// step adds n to count, and answers n where that begins or ends at zero: what
// is counted where only "some or none" matters.
func step(count *int, n int) int {
	was := *count
	*count += n
	if was == 0 || *count == 0 {
		return n
	}
	return 0
}

// giveBack returns what h has, once it has ended and nothing of it is lent.
func (h *Hold) giveBack() {
	h.putClass()
	g := h.class.group
	if h.loan&ofGroup == 0 {
		g.word.dec()
		return
	}
	p := h.parent
	p.family.lent = nil
	if p.phase.Load() == ended {
		p.giveBack()
		return
	}
	g.homes = append(g.homes, p) // dispatch follows, and offers it to the next child
}

// putClass gives the class's half that h used back once all have ended that
// have it: the owner, and the line of those to whom it was lent. The group's
// half may still be with a child.
func (h *Hold) putClass() {
	o := h.owner(ofClass)
	for k := o; k != nil; k = k.heir() {
		if k.phase.Load() != ended {
			return
		}
	}
	if f := o.family; f != nil {
		if f.classPut {
			return
		}
		f.classPut = true
		if f.below > 0 {
			o.class.blocked--
		}
	}
	o.class.free()
}

// heir is the child that has the class's half from h, or nil.
func (h *Hold) heir() *Hold {
	if h.family == nil || h.family.lent == nil || h.family.lent.loan&ofClass == 0 {
		return nil
	}
	return h.family.lent
}

// offer gives the loan that came home to the first child that can use it, if
// none has it yet.
func (h *Hold) offer() {
	if h.family.lent != nil {
		return // or else each sibling would look at all the others
	}
	for w := range h.family.waiting.all() {
		if w.admit() {
			return
		}
	}
}

// ownsClass tells whether h itself keeps a slot of its class busy.
func (h *Hold) ownsClass() bool { return h.loan&ofClass == 0 && !h.family.classPut }
