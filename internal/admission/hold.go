package admission

import (
	"sync/atomic"
	"time"
)

// Phases of a hold.
const (
	untracked = iota // it may end on the fast path
	tracked          // it has waited, is counted by a tenant's limit, is stuck, is a background call or has nested calls: it ends under g.mu
	replaced         // its slots are given back, but its handler still runs
	ended
)

// Hold is one call's slots: one of its class, one of the group and, if its version has a
// limit, one of the version. A Hold belongs to one call: do not copy it or use it for another
// call. Its zero value is ready for [Version.Acquire] or [Version.TryAcquire]. Once one of
// these has returned, the methods of the Hold may be called concurrently.
type Hold struct {
	version    *Version // its class is version.class, see Hold.class
	parent     *Hold    // the call that made this one, nil if it had ended; guarded by g.mu
	tracking   *tracking
	phase      atomic.Uint32
	loan       uint8 // which slots are borrowed: ofGroup, ofClass, ofVersion; guarded by g.mu
	stuck      bool  // guarded by g.mu
	background bool  // constant once it has a slot or waits
}

// class returns the class of h's version. It is not a field because every call contains a
// Hold, which is to stay small.
func (h *Hold) class() *Class { return h.version.class }

const (
	ofGroup   = 1 << iota // borrowed from parent
	ofClass               // borrowed from the nearest call above that is of the same class
	ofVersion             // borrowed from the nearest call above that is of the same version
)

// lendable returns the kinds of slots that can be lent to any call below, and not only to a
// child. g.mu need not be held.
func lendable() [2]uint8 { return [...]uint8{ofClass, ofVersion} }

// tracking is the state of a hold that only some calls need: those that make nested calls,
// have waited, are stuck, or are of a class with a limit for tenants. Each slot of the hold
// is lent to one call at a time. A lent slot comes back to h and not to the pool, so a call
// always gets back what it lent. Guarded by g.mu.
type tracking struct {
	queue     *tenantQueue  // the queue of its tenant, if the call has waited there or is counted there
	startedAt time.Duration // when it got its slots

	groupBorrower *Hold // the child that uses its slot of the group
	classSlot     lending
	versionSlot   lending // not used if the version has no limit

	waiting            list[*waiter] // children that wait
	claims             claims        // by waiting calls below it, of the same class
	inLenders          node[*Hold]   // in class.lenders
	waitersBelow       int32         // waiters among the calls below, at any depth
	candidatesBelow    int32         // deadlock candidates that h waits for
	placeUsersHeldBack int32         // users of its place in the tenant's limit that wait for candidates
	stuckOnGroup       int32         // stuck calls that use its slot of the group, see lending.stuckUsers
	counts             bool          // the call is counted in queue.running
	lendsVersion       bool          // the call is counted in line.lenders
}

// lending is the state of one slot, of the class or of the version, that a call uses: from
// which call it is borrowed, and to which call it is lent.
type lending struct {
	lender        *Hold // the call above that lent it, unless that is the parent or the slot is the call's own
	borrower      *Hold // the call below to which it is lent
	usersHeldBack int32 // calls that use it and wait for deadlock candidates
	stuckUsers    int32 // stuck calls that use it: this call and those below that borrow it
	returned      bool  // the call took it from the pool and has given it back
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

// started records that h, whose tenant's queue is t, has its slots. If h borrows its slot of
// the class from a call that the limit of the same tenant counts, h is not counted again: the
// lender waits for h, so the limit sees the two as one call.
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

// charge adds the time for which h has had its slot to the time that its tenant has used.
// There is no charge while no call waits, because then h took nothing from another tenant.
// There is none for a borrowed slot, because the call that owns it is charged.
func (h *Hold) charge() {
	q := h.class().queue
	if t := h.tracking.queue; t != nil && q.len > 0 && h.loan&ofClass == 0 {
		q.charge(t.tenant, h.class().group.now()-h.tracking.startedAt)
	}
}

// uncount removes h from its tenant's running calls. The caller must then call Class.refresh.
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

// take takes all the slots that h needs, or none. It returns 0 if it has taken them, and otherwise the first
// slot that was missing: ofVersion, ofClass or ofGroup. It borrows where it can, since a loan takes
// nothing from other calls. At the limit of its tenant h misses the slot of the class. t is the queue of h's tenant; it may be nil if the class has no
// limit for tenants and h does not come from the queue. The caller must then call Version.refresh.
func (h *Hold) take(t *tenantQueue) (missing uint8) {
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
	if own&ofClass != 0 && !c.queue.belowLimit(t) {
		return ofClass
	}
	if missing = h.takeOwn(own); missing != 0 {
		return missing
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
	return 0
}

// takeOwn takes the slots named in own from the pools: all of them, or none. It returns the slot that is
// missing, or 0.
func (h *Hold) takeOwn(own uint8) (missing uint8) {
	for which := uint8(ofVersion); which > 0; which >>= 1 {
		if own&which == 0 || h.slots(which).inc() {
			continue
		}
		for taken := which << 1; taken <= ofVersion; taken <<= 1 {
			if own&taken != 0 {
				h.slots(taken).dec()
			}
		}
		return which
	}
	return 0
}

// Release ends the call and gives its slots back: to the pool, or to the call that lent them.
// A slot that h has lent stays with the borrower until the borrower ends. Call Release once
// for each hold that was acquired, also after Replace.
func (h *Hold) Release() {
	// A child that borrows swaps the phase to tracked, under g.mu, before it reads anything
	// of h (see makeLendable). So if the swap here succeeds, no other goroutine reads h.
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
// can have them. The call lends no slot from then on. It ends only with Release.
func (h *Hold) Replace() {
	g := h.class().group
	g.mu.Lock()
	defer g.mu.Unlock()
	h.end(replaced)
	g.dispatch()
}

// Ended reports whether the call has ended. A call whose Request names h as its parent after
// that is a root call.
func (h *Hold) Ended() bool { return h.phase.Load() == ended }

// released reports whether h has given up its slots, by Release or Replace. g.mu need not be
// held.
func (h *Hold) released() bool { return h.phase.Load() >= replaced }

// end gives up h's slots. The children of h that wait become root calls, which have no parent.
// The caller must call dispatch next, which gives the slots to waiters. h.charge is called before
// h.returnSlot: returnSlot takes h off its tenant's running calls, and a tenant's queue without
// calls may be deleted. A later charge would find no queue.
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

// makeLendable prepares h for nested calls. It reports false if h has given up its slots. The
// compare-and-swap makes lending safe: Release on the fast path swaps the same word. So if
// the swap here succeeds, Release takes g.mu, and h cannot end while g.mu is held.
func (h *Hold) makeLendable() bool {
	if !h.phase.CompareAndSwap(untracked, tracked) && h.phase.Load() != tracked {
		return false
	}
	if h.tracking == nil {
		h.tracking = &tracking{}
	}
	return true
}

// track makes h end under g.mu: a call that has waited must be charged to its tenant, and one
// that a tenant's limit counts must be uncounted. It is called before another goroutine can
// reach h, so a store is enough and no compare-and-swap is needed. A call that got its slot
// at once is neither charged nor uncounted, and does not pay for track.
func (h *Hold) track() {
	if h.tracking == nil {
		h.tracking = &tracking{}
		h.phase.Store(tracked)
	}
}

// MarkStuck marks the call as stuck: its handler has outlived the call for so long that it
// may never return. When all slots of the class, the version or the group are stuck, the
// calls that wait for them are refused with ErrStuck, and so are later calls that find no
// slot. A slot that the call borrows counts as stuck too, since it comes free only when both
// calls have ended. Release removes the mark. After Release or Replace, MarkStuck does
// nothing.
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

// addStuck adds n, which is 1 or -1, to the number of stuck calls that use each of h's slots.
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
// come back to zero, and 0 otherwise. So the caller can also count how many such counts are
// not zero. For example, a slot that two stuck calls share is one stuck slot.
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
