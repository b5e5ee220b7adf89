package admission

import (
	"sync/atomic"
	"time"
)

// Phases of a hold.
const (
	plain    = iota // nothing has to be known of it: it may end on the fast path
	shared          // it has waited, is counted, stuck, or asked to lend: it ends under the lock
	replaced        // its slot is given back, and the call goes on
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

// family is what a hold needs once nested calls are made from it, or it has a
// lane; guarded by the group's lock. A loan goes to one child at a time and never
// to the pool, so that a parent always gets back what it lent.
type family struct {
	lane   *lane         // of its tenant: where it has waited, or is counted
	since  time.Duration // when it came out of there
	counts bool          // among lane.busy

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

// prepare makes h one that ends under the lock, as long as nobody else knows it:
// what has waited is charged to its tenant, and what is counted has to be taken off. A
// call that has found a slot at once is neither, and costs neither.
func (h *Hold) prepare() {
	if h.family == nil {
		h.family = &family{}
		h.phase.Store(shared)
	}
}

// begin notes that h, which has its slot, came out of lane l.
func (h *Hold) begin(l *lane, rides bool) {
	q := &h.class.queue
	h.family.lane, h.family.since = l, h.class.group.now()
	if q.limit > 0 && !rides {
		h.family.counts = true
		l.busy++
	}
}

// rides tells whether h can have its parent's slot of the class, which counts
// for the same tenant already: the two are one call to its limit.
func (h *Hold) rides(l *lane) bool {
	return h.class.queue.limit > 0 && h.loanAtHome() && h.kindred(l)
}

// kindred tells whether the slot of h's parent is of h's class and counts for
// its tenant.
func (h *Hold) kindred(l *lane) bool {
	return h.parent.class == h.class && h.parent.owner(ofClass).family.lane == l
}

// charge has the tenant pay for the time that h has had its slot, if others
// wait: without them it has taken nothing from anybody.
func (h *Hold) charge() {
	q := &h.class.queue
	if l := h.family.lane; l != nil && q.len > 0 && h.loan&ofClass == 0 {
		q.charge(l.tenant, h.class.group.now()-h.family.since)
	}
}

// uncount counts h out of its tenant's calls. The class is to be refreshed
// afterwards.
func (h *Hold) uncount() {
	f, c := h.family, h.class
	if !f.counts {
		return
	}
	f.counts = false
	if f.below > 0 {
		f.lane.blocked--
	}
	c.queue.leave(f.lane)
	if f.lane.begging > 0 {
		c.group.roomy = append(c.group.roomy, c)
	}
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
	if what&ofClass == 0 {
		h.class.apart--
	}
	return true
}

// Release ends the call, and gives its slot back: to the pool, or to the parent
// that lent it. What h itself has lent stays with the child until that one ends. To
// be called once for each acquired hold.
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
	if h.phase.CompareAndSwap(replaced, ended) {
		return
	}
	h.end(ended)
	g.dispatch()
}

// Replace gives the slot of a call back that goes on, for another to take its
// place. The call has nothing to lend any more, and is not over before Release.
func (h *Hold) Replace() {
	g := h.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	h.end(replaced)
	g.dispatch()
}

// Over tells whether the call has ended. What it makes from then on is a root.
func (h *Hold) Over() bool { return h.phase.Load() == ended }

// gone tells whether h has given up its slot.
func (h *Hold) gone() bool { return h.phase.Load() >= replaced }

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
	c.gave()
	g.dispatch()
}

func (h *Hold) end(as uint32) {
	if h.gone() {
		panic("admission: a hold is released twice")
	}
	h.phase.Store(as)
	if h.stuck {
		h.stick(-1)
	}
	f := h.family
	if f == nil {
		h.giveBack()
		return
	}
	h.charge()
	for w := range f.waiting.all() {
		w.orphan()
	}
	if h.loan&ofClass != 0 { // or else it counts until its slot of the class is back
		h.uncount()
		h.class.refresh()
	}
	if f.lent == nil {
		h.giveBack()
	} else {
		h.putClass()
	}
}

// Stick says that the call that has the slot has outlived its invocation for so
// long that it may never end. When all slots are held so, those that wait are refused
// with ErrStuck, and from then on those that come and find none. A borrowed slot
// counts as its owner's, which does not come free before both have ended. Release
// unsticks; after it, or Replace, Stick does nothing.
func (h *Hold) Stick() {
	g := h.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.stuck || !h.share() {
		return
	}
	h.stick(1)
	h.class.despair()
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
	if *count < 0 {
		panic("admission: a count fell below zero")
	}
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
		h.class.apart--
		h.class.gave()
		return
	}
	p := h.parent
	p.family.lent = nil
	if p.gone() {
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
		if !k.gone() {
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
		o.uncount()
	}
	o.class.apart++
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
