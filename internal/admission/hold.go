package admission

import (
	"sync/atomic"
	"time"
)

// Phases of a hold.
const (
	untracked = iota // it may end on the fast path
	tracked          // it has waited, is counted, is stuck or has nested calls: it ends under g.mu
	replaced         // its slots are given back, and its handler still runs
	ended
)

// Hold is one call's pair of slots, one of its class and one of the group. It belongs to the
// call, must not be copied or used for another call, and its zero value is ready for
// [Version.Acquire] or [Version.TryAcquire]. Once one of these has returned, its methods may be
// called concurrently.
type Hold struct {
	class    *Class
	version  *Version // of class
	parent   *Hold    // the call that made this one, nil if it had ended; guarded by g.mu
	tracking *tracking
	phase    atomic.Uint32
	loan     uint8 // which slots are borrowed: ofGroup, ofClass; guarded by g.mu
	stuck    bool  // guarded by g.mu
}

const (
	ofGroup = 1 << iota // borrowed from parent
	ofClass             // borrowed from classLender
)

// tracking is what is known of a hold once nested calls are made from it, once it has
// waited, or if its class has a limit for tenants. Each of its two slots is lent to one call
// at a time, and comes back to h and not to the pool, so that a call always gets back what
// it lent. Guarded by g.mu.
type tracking struct {
	queue     *tenantQueue  // its tenant's: it has waited there, or is counted there
	startedAt time.Duration // when it got its slots
	counts    bool          // it is counted in queue.running

	classLender   *Hold // the call above whose slot of the class it uses, if not its parent
	groupBorrower *Hold // the child that uses its slot of the group
	classBorrower *Hold // the call below that uses its slot of the class

	waiting            list[*waiter] // children that wait
	claims             list[*waiter] // the claims of calls below, of the same class, in order of arrival
	inLenders          node[*Hold]   // in class.lenders
	waitersBelow       int           // waiters among the calls below, at any depth
	candidatesBelow    int           // deadlock candidates that h waits for
	slotUsersHeldBack  int           // users of its slot of the class that wait for candidates
	placeUsersHeldBack int           // likewise, of its place in the tenant's limit
	classReturned      bool          // its slot of the class is back in the pool
	stuckOnClass       int           // stuck calls that use its slot of the class, directly or by loans
	stuckOnGroup       int           // likewise, its slot of the group
}

// started notes that h, of tenant queue t, has its slots. A call that uses the slot of a
// call which the tenant's limit counts is not counted again: the two are one call to the
// limit, since the upper one waits.
func (h *Hold) started(t *tenantQueue) {
	q := &h.class.queue
	h.tracking.queue, h.tracking.startedAt = t, h.class.group.now()
	if q.limit > 0 && (h.loan&ofClass == 0 || !h.classLender().hasTenantPlace(t)) {
		h.tracking.counts = true
		t.running++
	}
}

// charge makes the tenant pay for the time that h has had its slot. While no call waits
// there is no charge: h took nothing from another tenant.
func (h *Hold) charge() {
	q := &h.class.queue
	if t := h.tracking.queue; t != nil && q.len > 0 && h.loan&ofClass == 0 {
		q.charge(t.tenant, h.class.group.now()-h.tracking.startedAt)
	}
}

// uncount removes h from its tenant's running calls. refresh of the class must follow.
func (h *Hold) uncount() {
	tr, c := h.tracking, h.class
	if tr == nil || !tr.counts {
		return
	}
	tr.counts = false
	if tr.waitersBelow > 0 {
		tr.queue.blocked--
	}
	c.queue.callEnded(tr.queue)
	if c.nested.len > 0 {
		c.group.withRoom = append(c.group.withRoom, c)
	}
}

// take takes a slot of the class and one of the group for h, or neither. It borrows what it
// can, since that takes nothing from other calls. t is the queue of h's tenant; nil if the
// class has no limit for tenants and h does not come from the queue. refresh of the class
// must follow.
func (h *Hold) take(t *tenantQueue) bool {
	c, lender, borrowsGroup := h.class, h.findClassLender(t), h.canBorrowGroup()
	if lender == nil && (!c.queue.belowLimit(t) || !c.slots.inc()) {
		return false
	}
	if !borrowsGroup && !c.group.slots.inc() {
		if lender == nil {
			c.slots.dec()
		}
		return false
	}
	if lender != nil {
		h.borrowClass(lender)
	}
	if borrowsGroup {
		h.loan |= ofGroup
		h.parent.tracking.groupBorrower = h
	}
	switch {
	case borrowsGroup && lender == nil:
		c.groupSurplus--
	case !borrowsGroup && lender != nil:
		c.groupSurplus++
	}
	return true
}

// Release ends the call and gives its slots back: to the pool, or to the call that lent
// them. What h has lent stays with the borrower until that one ends. Call it once for each
// hold that was acquired, also after Replace.
func (h *Hold) Release() {
	// A child that borrows swaps the phase to tracked, under g.mu, before it reads
	// anything of h (see makeLendable). So if this swap wins, no other goroutine
	// reads h.
	if h.parent == nil && h.phase.CompareAndSwap(untracked, ended) {
		h.class.release()
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

// Replace gives the slots of a call back while its handler still runs, so that another call
// can have them. The call lends no more. It has not ended before Release.
func (h *Hold) Replace() {
	g := h.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	h.end(replaced)
	g.dispatch()
}

// Ended reports whether the call has ended. Calls that are made with its context from then
// on are roots.
func (h *Hold) Ended() bool { return h.phase.Load() == ended }

// released reports whether h has given up its slots, by Release or Replace. g.mu need not be
// held.
func (h *Hold) released() bool { return h.phase.Load() >= replaced }

// release gives back both slots of a call that ends on the fast path. It takes g.mu only if
// a call waits for one of them. g.mu must not be held.
func (c *Class) release() {
	g, classGiven := c.group, c.slots.fastDec()
	if classGiven && g.slots.fastDec() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !classGiven {
		c.returnSlot()
	}
	g.slots.dec()
	c.groupSlotReturned()
	g.dispatch()
}

// end gives up h's slots, and lets the waiters below h go on without it; dispatch must
// follow. The charge comes before returnClass, which takes h off its tenant's running calls:
// the tenant's queue, to which the charge goes, may be forgotten when no call is left in it.
func (h *Hold) end(as uint32) {
	if h.released() {
		panic("admission: a hold is released twice")
	}
	h.phase.Store(as)
	if h.stuck {
		h.addStuck(-1)
	}
	tr := h.tracking
	if tr == nil {
		h.returnClass()
		h.returnGroup()
		return
	}
	h.charge()
	for w := range tr.waiting.all() {
		w.becomeRoot()
	}
	h.updateLenders()
	h.returnClass()
	h.returnGroup()
	h.reclassifyClaims()
}

// makeLendable prepares h for nested calls, or reports false if it has ended. The swap is
// what makes lending safe: Release on the fast path swaps the same word, so if this swap
// wins, h ends under g.mu, and while g.mu is held h does not end.
func (h *Hold) makeLendable() bool {
	if h.phase.CompareAndSwap(untracked, tracked) {
		h.tracking = &tracking{}
		return true
	}
	return h.phase.Load() == tracked
}

// track makes h end under g.mu: a call that has waited must be charged to its tenant, and
// one that a tenant's limit counts must be uncounted. It is called before another goroutine
// knows h, so that a plain store is enough. A call that got its slot at once needs neither,
// and pays for neither.
func (h *Hold) track() {
	if h.tracking == nil {
		h.tracking = &tracking{}
		h.phase.Store(tracked)
	}
}

// classLender returns the call whose slot of the class h uses; h must have borrowed it.
func (h *Hold) classLender() *Hold {
	if h.tracking != nil && h.tracking.classLender != nil {
		return h.tracking.classLender
	}
	return h.parent
}

// canLendClass reports whether h, which nested calls were made from, has its slot of the
// class to lend.
func (h *Hold) canLendClass() bool { return !h.released() && h.tracking.classBorrower == nil }

// hasTenantPlace reports whether the slot of the class that h uses comes with a place in the
// limit of t's tenant. The place is h's own, or that of a call above it that has lent h the
// slot. All of them wait for h, and so for the call that h would lend to: to the limit they
// are one call.
func (h *Hold) hasTenantPlace(t *tenantQueue) bool {
	for k := h; ; k = k.classLender() {
		if k.tracking.counts && k.tracking.queue == t {
			return true
		}
		if k.loan&ofClass == 0 {
			return false
		}
	}
}

// findClassLender returns the call above h whose slot of the class h can borrow, or nil: the
// nearest of the same class that has not lent it. If the tenant of t is at its limit, the
// slot must come with a place in it.
func (h *Hold) findClassLender(t *tenantQueue) *Hold {
	permitted := h.class.queue.belowLimit(t)
	for p := h.parent; p != nil; p = p.parent {
		if p.class == h.class && p.canLendClass() && (permitted || p.hasTenantPlace(t)) {
			return p
		}
	}
	return nil
}

// canBorrowGroup reports whether h's parent can lend its slot of the group. There is no need
// to ask whether the parent has ended: when it ends, its waiting children become roots, which
// have no parent.
func (h *Hold) canBorrowGroup() bool {
	return h.parent != nil && h.parent.tracking.groupBorrower == nil
}

// borrowClass makes h use p's slot of the class.
func (h *Hold) borrowClass(p *Hold) {
	h.loan |= ofClass
	if p != h.parent {
		h.track()
		h.tracking.classLender = p
	}
	p.tracking.classBorrower = h
	p.updateLenders()
}

// updateLenders puts h into the lenders of its class, or takes it out. h is in there exactly
// while it can lend its slot of the class and has calls below that wait for one.
func (h *Hold) updateLenders() {
	tr := h.tracking
	switch lists := tr.claims.len > 0 && h.canLendClass(); {
	case !lists:
		tr.inLenders.remove()
	case tr.inLenders.in == nil:
		tr.inLenders.value = h
		h.class.lenders.push(&tr.inLenders)
	}
}

// Lender returns the call above h whose slot of the class h uses, or nil if h has its own. h
// must have been acquired.
func (h *Hold) Lender() *Hold {
	if h.loan&ofClass == 0 {
		return nil
	}
	return h.classLender()
}

// owner returns the call that took the slot that h uses from the pool: h itself, or the end
// of the chain of lenders.
func (h *Hold) owner(which uint8) *Hold {
	for h.loan&which != 0 {
		if which == ofClass {
			h = h.classLender()
		} else {
			h = h.parent
		}
	}
	return h
}

// returnClass gives h's slot of the class back, once h has given it up and no call borrows
// it from h: to the pool, or to its lender. A lender that has given up its slots too returns
// it in turn. Until then h counts against its tenant's limit.
func (h *Hold) returnClass() {
	if !h.released() || h.tracking != nil && h.tracking.classBorrower != nil {
		return
	}
	h.uncount()
	if h.loan&ofClass == 0 {
		h.returnOwnClassSlot()
		return
	}
	p := h.classLender()
	p.tracking.classBorrower = nil
	if p.released() {
		p.returnClass()
		return
	}
	p.updateLenders()
	h.class.refresh()
	g := h.class.group
	g.classLenders = append(g.classLenders, p) // dispatch follows, and offers the slot to a call below that waits
}

// returnOwnClassSlot gives back a slot of the class that h took from the pool.
func (h *Hold) returnOwnClassSlot() {
	c := h.class
	if tr := h.tracking; tr != nil {
		tr.classReturned = true
		if tr.waitersBelow > 0 {
			c.blocked--
		}
	}
	c.groupSurplus++
	c.returnSlot()
}

// returnGroup does for the slot of the group what returnClass does for that of the class.
func (h *Hold) returnGroup() {
	if !h.released() || h.tracking != nil && h.tracking.groupBorrower != nil {
		return
	}
	g := h.class.group
	if h.loan&ofGroup == 0 {
		g.slots.dec()
		h.class.groupSurplus--
		h.class.groupSlotReturned()
		return
	}
	p := h.parent
	p.tracking.groupBorrower = nil
	if p.released() {
		p.returnGroup()
		return
	}
	g.groupLenders = append(g.groupLenders, p) // dispatch follows, and offers the slot to a child that waits
}

// offerGroup lends h's slot of the group, which has come back, to the first child that can
// use it.
func (h *Hold) offerGroup() {
	if h.tracking.groupBorrower != nil {
		return // spares each of many siblings a look at all the others
	}
	for w := range h.tracking.waiting.all() {
		if w.admit() {
			return
		}
	}
}

// offerClass lends h's slot of the class, which has come back, to the first call below that
// can use it.
func (h *Hold) offerClass() {
	if !h.canLendClass() {
		return
	}
	for w := range h.tracking.claims.all() {
		if w.admit() {
			return
		}
	}
}

// keepsClassSlot reports whether h has taken a slot of its class from the pool and not given
// it back.
func (h *Hold) keepsClassSlot() bool { return h.loan&ofClass == 0 && !h.tracking.classReturned }

// MarkStuck says that the call's handler has outlived the call for so long that it may never
// return. When all slots of the class or the group are stuck, the calls that wait are
// refused with ErrStuck, and so are those that come later and find no slot. A slot that the
// call borrows counts as stuck, since it does not come free before both calls have ended.
// Release takes the mark away. After Release or Replace, MarkStuck does nothing.
func (h *Hold) MarkStuck() {
	g := h.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.stuck || !h.makeLendable() {
		return
	}
	h.addStuck(1)
	h.class.refuseIfStuck()
}

// addStuck adds n, which is 1 or -1, to the stuck users of the slots that h uses.
func (h *Hold) addStuck(n int) {
	h.stuck = n > 0
	o := h.owner(ofClass)
	o.class.stuck += addAcrossZero(&o.tracking.stuckOnClass, n)
	o = h.owner(ofGroup)
	o.class.group.stuck += addAcrossZero(&o.tracking.stuckOnGroup, n)
}

// addAcrossZero adds n, which is 1 or -1, to *count. It returns n if *count has left zero or
// come back to it, else 0. So a caller can keep a second count, of how many counts are not
// zero. For example: a slot that two stuck calls share is one stuck slot.
func addAcrossZero(count *int, n int) int {
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
