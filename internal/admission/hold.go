package admission

import (
	"sync/atomic"
	"time"
)

// Phases of a hold.
const (
	untracked = iota // it may end on the fast path
	tracked          // it has waited, is counted, is stuck, in the background or has nested calls: it ends under g.mu
	replaced         // its slots are given back, and its handler still runs
	ended
)

// Hold is one call's slots: one of its class, one of the group and, if its version has a
// limit, one of that. It belongs to the call, must not be copied or used for another call,
// and its zero value is ready for [Version.Acquire] or [Version.TryAcquire]. Once one of these
// has returned, its methods may be called concurrently.
type Hold struct {
	version    *Version // and with it the class, see Hold.class
	parent     *Hold    // the call that made this one, nil if it had ended; guarded by g.mu
	tracking   *tracking
	phase      atomic.Uint32
	loan       uint8 // which slots are borrowed: ofGroup, ofClass, ofVersion; guarded by g.mu
	stuck      bool  // guarded by g.mu
	background bool  // constant once it has a slot or waits
}

// class returns the class of h's version. It is no field, since a Hold is a part of each call.
func (h *Hold) class() *Class { return h.version.class }

const (
	ofGroup   = 1 << iota // borrowed from parent
	ofClass               // borrowed from the nearest call above of the class
	ofVersion             // borrowed from the nearest call above of the version
)

// lendable returns the kinds of slots that are lent to calls further below than a child. It
// need not hold g.mu.
func lendable() [2]uint8 { return [...]uint8{ofClass, ofVersion} }

// tracking is what is known of a hold once nested calls are made from it, once it has
// waited, or if its class has a limit for tenants. Each of its slots is lent to one call at
// a time, and comes back to h and not to the pool, so that a call always gets back what it
// lent. Guarded by g.mu.
type tracking struct {
	queue     *tenantQueue  // its tenant's: it has waited there, or is counted there
	startedAt time.Duration // when it got its slots

	groupBorrower *Hold // the child that uses its slot of the group
	classSlot     lending
	versionSlot   lending // not used if the version has no limit

	waiting            list[*waiter] // children that wait
	claims             claims        // of calls below, of the same class
	inLenders          node[*Hold]   // in class.lenders
	waitersBelow       int32         // waiters among the calls below, at any depth
	candidatesBelow    int32         // deadlock candidates that h waits for
	placeUsersHeldBack int32         // users of its place in the tenant's limit that wait for candidates
	stuckOnGroup       int32         // as lending.stuckUsers, of its slot of the group
	counts             bool          // it is counted in queue.running
	lendsVersion       bool          // it is counted in line.lenders
}

// lending is what becomes of one of a call's slots.
type lending struct {
	lender        *Hold // the call above whose slot it is, if it is borrowed and not the parent's
	borrower      *Hold // the call below that uses it
	usersHeldBack int32 // users of it that wait for deadlock candidates
	stuckUsers    int32 // stuck calls that use it, directly or by loans
	returned      bool  // it is back in the pool
}

func (h *Hold) lending(which uint8) *lending {
	if which == ofVersion {
		return &h.tracking.versionSlot
	}
	return &h.tracking.classSlot
}

func (h *Hold) uses(which uint8) *slotUses {
	if which == ofVersion {
		return &h.version.uses
	}
	return &h.class().uses
}

func (h *Hold) slots(which uint8) *counter {
	switch which {
	case ofVersion:
		return &h.version.slots
	case ofClass:
		return &h.class().slots
	}
	return &h.class().group.slots
}

// started notes that h, of tenant queue t, has its slots. A call that uses the slot of a
// call which the tenant's limit counts is not counted again: the two are one call to the
// limit, since the upper one waits.
func (h *Hold) started(t *tenantQueue) {
	q := h.class().queue
	h.tracking.queue, h.tracking.startedAt = t, h.class().group.now()
	if q.limit > 0 && (h.loan&ofClass == 0 || !h.lender(ofClass).hasTenantPlace(t)) {
		h.tracking.counts = true
		t.running++
		if h.background {
			t.background++
		}
	}
}

// charge makes the tenant pay for the time that h has had its slot. While no call waits
// there is no charge: h took nothing from another tenant.
func (h *Hold) charge() {
	q := h.class().queue
	if t := h.tracking.queue; t != nil && q.len > 0 && h.loan&ofClass == 0 {
		q.charge(t.tenant, h.class().group.now()-h.tracking.startedAt)
	}
}

// uncount removes h from its tenant's running calls. refresh of the class must follow.
func (h *Hold) uncount() {
	tr, c := h.tracking, h.class()
	if tr == nil || !tr.counts {
		return
	}
	tr.counts = false
	if tr.waitersBelow > 0 {
		tr.queue.blocked--
	}
	if h.background {
		tr.queue.background--
	}
	c.queue.callEnded(tr.queue)
	c.noteRoom()
}

// take takes all the slots that h needs, or none. It borrows what it can, since that takes
// nothing from other calls. t is the queue of h's tenant; nil if the class has no limit for
// tenants and h does not come from the queue. refresh of the version must follow.
func (h *Hold) take(t *tenantQueue) bool {
	c, lender, versionLender, own := h.class(), h.findClassLender(t), h.findVersionLender(), uint8(0)
	if h.version.isLimited() && versionLender == nil {
		own |= ofVersion
	}
	if lender == nil {
		own |= ofClass
	}
	if !h.canBorrowGroup() {
		own |= ofGroup
	}
	if own&ofClass != 0 && !c.queue.belowLimit(t) || !h.takeOwn(own) {
		return false
	}
	h.countSlots(own, 1)
	if lender != nil {
		h.borrow(ofClass, lender)
	}
	if versionLender != nil {
		h.borrow(ofVersion, versionLender)
	}
	if own&ofGroup == 0 {
		h.loan |= ofGroup
		h.parent.tracking.groupBorrower = h
	}
	switch own & (ofGroup | ofClass) {
	case ofClass:
		c.groupSurplus--
	case ofGroup:
		c.groupSurplus++
	}
	return true
}

// takeOwn takes slots from the pools: all of those in own, or none.
func (h *Hold) takeOwn(own uint8) bool {
	for which := uint8(ofVersion); which > 0; which >>= 1 {
		if own&which == 0 || h.slots(which).inc() {
			continue
		}
		for which <<= 1; which <= ofVersion; which <<= 1 {
			if own&which != 0 {
				h.slots(which).dec()
			}
		}
		return false
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
		h.version.release()
		return
	}
	g := h.class().group
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
	g := h.class().group
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

// end gives up h's slots, and lets the waiters below h go on without it; dispatch must
// follow. The charge comes before returnSlot. That takes h off its tenant's running calls,
// and a tenant's queue without calls may be forgotten, before the charge went to it.
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
		h.returnSlot(ofVersion)
		h.returnSlot(ofClass)
		h.returnGroup()
		return
	}
	h.charge()
	for w := range tr.waiting.all() {
		w.becomeRoot()
	}
	h.updateLenders()
	h.returnSlot(ofVersion)
	h.returnSlot(ofClass)
	h.returnGroup()
	h.reclassifyClaims()
}

// makeLendable prepares h for nested calls, or reports false if it has ended. The swap is
// what makes lending safe: Release on the fast path swaps the same word, so if this swap
// wins, h ends under g.mu, and while g.mu is held h does not end.
func (h *Hold) makeLendable() bool {
	if !h.phase.CompareAndSwap(untracked, tracked) && h.phase.Load() != tracked {
		return false
	}
	if h.tracking == nil {
		h.tracking = &tracking{}
	}
	return true
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

// MarkStuck says that the call's handler has outlived the call for so long that it may never
// return. When all slots of the class, the version or the group are stuck, the calls that
// wait for them are refused with ErrStuck, and so are those that come later and find no slot.
// A slot that the call borrows counts as stuck, since it does not come free before both calls
// have ended. Release takes the mark away. After Release or Replace, MarkStuck does nothing.
func (h *Hold) MarkStuck() {
	g := h.class().group
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.stuck || !h.makeLendable() {
		return
	}
	h.addStuck(1)
	h.version.refuseIfStuck()
}

// addStuck adds n, which is 1 or -1, to the stuck users of the slots that h uses.
func (h *Hold) addStuck(n int32) {
	h.stuck = n > 0
	for _, which := range lendable() {
		if which == ofVersion && !h.version.isLimited() {
			continue
		}
		o := h.owner(which)
		o.uses(which).stuck += addAcrossZero(&o.lending(which).stuckUsers, n)
	}
	o := h.owner(ofGroup)
	o.class().group.stuck += int(addAcrossZero(&o.tracking.stuckOnGroup, n))
}

// addAcrossZero adds n, which is 1 or -1, to *count. It returns n if *count has left zero or
// come back to it, else 0. So a caller can keep a second count, of how many counts are not
// zero. For example: a slot that two stuck calls share is one stuck slot.
func addAcrossZero(count *int32, n int32) int32 {
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
