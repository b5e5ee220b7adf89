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
	loan   uint8 // what is borrowed; guarded by the group's lock
	stuck  bool  // guarded by the group's lock
}

const (
	ofGroup = 1 << iota // from parent
	ofClass             // from lender
)

// family is what a hold needs once nested calls are made from it, or it has a
// lane; guarded by the group's lock. Each half of its slot is lent to one call at a
// time and never to the pool, so that a call always gets back what it lent.
type family struct {
	lane   *lane         // of its tenant: where it has waited, or is counted
	since  time.Duration // when it came out of there
	counts bool          // among lane.busy

	lender *Hold // the call above whose slot of the class it uses; nil: its parent, if any
	lent   *Hold // the child that has the group's half
	heir   *Hold // the call below that uses the class's half

	waiting    list[*waiter] // children
	claims     list[*waiter] // calls below, of the same class, in the order of arrival
	offer      node[*Hold]   // in its class's lenders
	below      int           // waiters among the descendants
	pins       int           // see cycle.go
	slotPins   int           // likewise
	placePins  int           // likewise
	classPut   bool          // the class's half is back already
	stuckClass int           // stuck calls that use the class's half, by loans too
	stuckGroup int           // and the group's
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
func (h *Hold) begin(l *lane) {
	q := &h.class.queue
	h.family.lane, h.family.since = l, h.class.group.now()
	if q.limit > 0 && (h.loan&ofClass == 0 || !h.lender().hasPlace(l)) {
		h.family.counts = true
		l.busy++
	}
}

// lender is the call whose slot of the class h uses; h has borrowed it.
func (h *Hold) lender() *Hold {
	if h.family != nil && h.family.lender != nil {
		return h.family.lender
	}
	return h.parent
}

// lends tells whether h, which has nested calls, has its slot of the class to lend.
func (h *Hold) lends() bool { return !h.gone() && h.family.heir == nil }

// hasPlace tells whether the slot of the class that h uses comes with a place in
// the limit of l's tenant: h's own, or that of a call above that has lent the slot. All
// those wait for h, and so for the call that it would go to, which is one
// call with them to the limit.
func (h *Hold) hasPlace(l *lane) bool {
	for k := h; ; k = k.lender() {
		if k.family.counts && k.family.lane == l {
			return true
		}
		if k.loan&ofClass == 0 {
			return false
		}
	}
}

// lenderFor finds the call above h whose slot of the class h can use: the nearest
// of the class that has not lent it. If the tenant of lane l is at its limit, it has
// to come with a place.
func (h *Hold) lenderFor(l *lane) *Hold {
	permitted := h.class.queue.permits(l)
	for p := h.parent; p != nil; p = p.parent {
		if p.class == h.class && p.lends() && (permitted || p.hasPlace(l)) {
			return p
		}
	}
	return nil
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
	if f == nil || !f.counts {
		return
	}
	f.counts = false
	if f.below > 0 {
		f.lane.blocked--
	}
	c.queue.leave(f.lane)
	if c.nested.len > 0 {
		c.group.roomy = append(c.group.roomy, c)
	}
}

// loanAtHome tells whether h's parent has its slot of the group to lend. A
// parent that ends makes orphans of the children that wait, so that the parent
// of one that asks has not ended.
func (h *Hold) loanAtHome() bool {
	return h.parent != nil && h.parent.family.lent == nil
}

// take gets h, of lane l, a slot of its class and of its group, borrowing what it
// can: to be lent a slot costs nobody else one. The lock is held; the class is to be
// refreshed afterwards.
func (h *Hold) take(l *lane) bool {
	c, lender, home := h.class, h.lenderFor(l), h.loanAtHome()
	if lender == nil && (!c.queue.permits(l) || !c.word.inc()) {
		return false
	}
	if !home && !c.group.word.inc() {
		if lender == nil {
			c.word.dec()
		}
		return false
	}
	if lender != nil {
		h.borrow(lender)
	}
	if home {
		h.loan |= ofGroup
		h.parent.family.lent = h
	}
	switch {
	case home && lender == nil:
		c.apart--
	case !home && lender != nil:
		c.apart++
	}
	return true
}

// borrow has h use the class's half of p's slot.
func (h *Hold) borrow(p *Hold) {
	h.loan |= ofClass
	if p != h.parent {
		h.prepare()
		h.family.lender = p
	}
	p.family.heir = h
	p.list()
}

// list keeps h among the lenders of its class exactly while it has a slot of the
// class to lend, and calls below wait that could use it.
func (h *Hold) list() {
	f := h.family
	switch lists := f.claims.len > 0 && h.lends(); {
	case !lists:
		f.offer.leave()
	case f.offer.in == nil:
		f.offer.value = h
		h.class.lenders.push(&f.offer)
	}
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

// Ended tells whether the call has ended. What it makes from then on is a root.
func (h *Hold) Ended() bool { return h.phase.Load() == ended }

// gone tells whether h has given up its slot.
func (h *Hold) gone() bool { return h.phase.Load() >= replaced }

// Lender is the call above h, acquired, whose slot of the class h uses, or nil: then
// it has one of its own.
func (h *Hold) Lender() *Hold {
	if h.loan&ofClass == 0 {
		return nil
	}
	return h.lender()
}

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
		h.putClass()
		h.putGroup()
		return
	}
	h.charge()
	for w := range f.waiting.all() {
		w.orphan()
	}
	h.list()
	h.putClass()
	h.putGroup()
	h.disown()
}

// MarkStuck says that the call that has the slot has outlived its invocation for so
// long that it may never end. When all slots are held so, those that wait are refused
// with ErrStuck, and from then on those that come and find none. A borrowed slot
// counts as its owner's, which does not come free before both have ended. Release
// unsticks; after it, or Replace, MarkStuck does nothing.
func (h *Hold) MarkStuck() {
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
		if half == ofClass {
			h = h.lender()
		} else {
			h = h.parent
		}
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

// putClass gives the class's half of h's slot back once h has ended and no call has
// it from h: to the pool, or to the call that lent it, which gives it back in turn if
// it has ended. Until then h counts for its tenant.
func (h *Hold) putClass() {
	if !h.gone() || h.family != nil && h.family.heir != nil {
		return
	}
	h.uncount()
	if h.loan&ofClass == 0 {
		h.putSlot()
		return
	}
	p := h.lender()
	p.family.heir = nil
	if p.gone() {
		p.putClass()
		return
	}
	p.list()
	h.class.refresh()
	g := h.class.group
	g.returned = append(g.returned, p) // dispatch follows, and offers it to the next that waits
}

// putSlot gives a slot of the class back that is h's own.
func (h *Hold) putSlot() {
	c := h.class
	if f := h.family; f != nil {
		f.classPut = true
		if f.below > 0 {
			c.blocked--
		}
	}
	c.apart++
	c.free()
}

// putGroup does for the group's half what putClass does for the class's.
func (h *Hold) putGroup() {
	if !h.gone() || h.family != nil && h.family.lent != nil {
		return
	}
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
		p.putGroup()
		return
	}
	g.homes = append(g.homes, p) // dispatch follows, and offers it to the next child
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

// offerClass does that for the class's half, and the calls below that wait for it.
func (h *Hold) offerClass() {
	if !h.lends() {
		return
	}
	for w := range h.family.claims.all() {
		if w.admit() {
			return
		}
	}
}

// ownsClass tells whether h itself keeps a slot of its class busy.
func (h *Hold) ownsClass() bool { return h.loan&ofClass == 0 && !h.family.classPut }

// disown has the calls below that wait, in a class with a limit for tenants, go on
// without h, which has ended: those that counted on a place that came with its slot
// wait for their tenant's limit from now on, as any other.
func (h *Hold) disown() {
	if h.class.queue.limit == 0 || h.family.claims.len == 0 {
		return
	}
	for w := range h.family.claims.all() {
		if w.beg(); w.begs && w.lane.blocked > 0 {
			w.refuse(ErrCycle)
			h.class.refresh()
		}
	}
	h.class.unknot()
}
