package admission

// This file has the rules of loans. A loan is a slot that a running call lends to a call below
// it: a nested call that it has made, directly or through other nested calls. When the borrower
// ends, the slot comes back to the lender.

// lender returns the call that has lent h the slot; h must have borrowed it.
func (h *Hold) lender(which uint8) *Hold {
	if h.tracking != nil {
		if p := h.lending(which).lender; p != nil {
			return p
		}
	}
	return h.parent
}

// canLend reports whether h can lend its slot of the class, or of the version: h still has
// that slot, and has not lent it. h must have tracking.
func (h *Hold) canLend(which uint8) bool {
	return !h.released() && h.lending(which).borrower == nil && (which == ofClass || h.version.isLimited())
}

// hasTenantPlace reports whether the slot of the class that h uses comes with a place in the
// limit of t's tenant. The place is h's own, or that of a call above it that has lent h the
// slot. All these calls wait for h, and would wait for the call that borrows from h: the
// limit sees them as one call.
func (h *Hold) hasTenantPlace(t *tenantQueue) bool {
	for k := h; ; k = k.lender(ofClass) {
		if k.tracking.counts && k.tracking.queue == t {
			return true
		}
		if k.loan&ofClass == 0 {
			return false
		}
	}
}

// findClassLender returns the call above h from which h can borrow a slot of its class, or
// nil. It is the nearest call of the same class that has not lent its slot. If the tenant of
// t is at its limit, the slot must come with a place in that limit.
func (h *Hold) findClassLender(t *tenantQueue) *Hold {
	permitted := h.class().queue.belowLimit(t)
	for p := h.parent; p != nil; p = p.parent {
		if p.class() == h.class() && p.canLend(ofClass) && (permitted || p.hasTenantPlace(t)) {
			return p
		}
	}
	return nil
}

// findVersionLender returns the call above h from which h can borrow a slot of its version,
// or nil. It is the nearest call of the same version that has not lent its slot.
func (h *Hold) findVersionLender() *Hold {
	if h.parent == nil || !h.version.isLimited() {
		return nil
	}
	for p := h.parent; p != nil; p = p.parent {
		if p.version == h.version && p.canLend(ofVersion) {
			return p
		}
	}
	return nil
}

// canBorrowGroup reports whether h's parent can lend its slot of the group. Whether the
// parent has ended need not be checked: when it ends, its waiting children become roots,
// which have no parent.
func (h *Hold) canBorrowGroup() bool {
	return h.parent != nil && h.parent.tracking.groupBorrower == nil
}

// borrow makes h use p's slot of the class, or of the version.
func (h *Hold) borrow(which uint8, p *Hold) {
	h.loan |= which
	if p != h.parent {
		h.track()
		h.lending(which).lender = p
	}
	p.lending(which).borrower = h
	p.updateLenders()
}

// updateLenders puts h into the list lenders of its class, or takes it out. h is in that list
// exactly while it can lend a slot, of the class or of its version, to a waiting call below
// it. h is counted in the lenders of its version's line while it can lend its slot of the
// version to a waiting call below it.
func (h *Hold) updateLenders() {
	tr := h.tracking
	lendsVersion := h.canLend(ofVersion) && tr.claimsOf(h.version).waiters.len > 0
	switch {
	case lendsVersion && !tr.lendsVersion:
		h.version.line.lenders++
	case tr.lendsVersion && !lendsVersion:
		h.version.line.lenders--
	}
	tr.lendsVersion = lendsVersion
	switch lists := lendsVersion || h.canLend(ofClass) && tr.hasClaims(); {
	case !lists:
		tr.inLenders.remove()
	case tr.inLenders.in == nil:
		tr.inLenders.value = h
		h.class().lenders.push(&tr.inLenders)
	}
}

// Lender returns the call above h that has lent h the slot of its version. It is nil if h has
// taken its own slot, or if the version has no limit. h must have been acquired.
func (h *Hold) Lender() *Hold {
	if h.loan&ofVersion == 0 {
		return nil
	}
	return h.lender(ofVersion)
}

// owner returns the call that took h's slot from the pool: h itself, or the last call on the
// chain of lenders.
func (h *Hold) owner(which uint8) *Hold {
	for h.loan&which != 0 {
		if which == ofGroup {
			h = h.parent
		} else {
			h = h.lender(which)
		}
	}
	return h
}

// returnSlot gives h's slot of the class or of the version back to the pool or, if h borrowed
// it, to its lender. It does nothing while h still has its slots, or while another call
// borrows the slot from h; in the second case h still counts against its tenant's limit. A
// lender that has given up its own slots passes the slot on in the same way.
func (h *Hold) returnSlot(which uint8) {
	if !h.released() || h.tracking != nil && h.lending(which).borrower != nil || which == ofVersion && !h.version.isLimited() {
		return
	}
	if which == ofClass {
		h.uncount()
	}
	if h.loan&which == 0 {
		h.returnOwn(which)
		return
	}
	p := h.lender(which)
	p.lending(which).borrower = nil
	if p.released() {
		p.returnSlot(which)
		return
	}
	p.updateLenders()
	h.version.refresh()
	g := h.class().group // the caller's dispatch offers the slot to a waiting call below p
	if which == ofClass {
		g.classLenders = append(g.classLenders, p)
	} else {
		g.versionLenders = append(g.versionLenders, p)
	}
}

// returnOwn gives back a slot of the class or of the version that h took from the pool.
func (h *Hold) returnOwn(which uint8) {
	if tr := h.tracking; tr != nil {
		h.lending(which).returned = true
		if tr.waitersBelow > 0 {
			h.uses(which).blocked--
		}
	}
	if which == ofClass {
		h.class().groupSurplus++
	}
	h.countSlots(which, -1)
	h.version.giveBack(which == ofVersion, which == ofClass)
}

// returnGroup does for the slot of the group what returnSlot does for the other two.
func (h *Hold) returnGroup() {
	if !h.released() || h.tracking != nil && h.tracking.groupBorrower != nil {
		return
	}
	g := h.class().group
	if h.loan&ofGroup == 0 {
		h.countSlots(ofGroup, -1)
		g.slots.dec()
		h.class().groupSurplus--
		h.class().groupSlotReturned()
		return
	}
	p := h.parent
	p.tracking.groupBorrower = nil
	if p.released() {
		p.returnGroup()
		return
	}
	g.groupLenders = append(g.groupLenders, p) // the caller's dispatch offers the slot to a waiting child of p
}

// offerGroup lends h's slot of the group, which has come back, to the first child that can
// use it.
func (h *Hold) offerGroup() {
	if h.tracking.groupBorrower != nil {
		return // it is lent again: do not make each of many siblings look at all others
	}
	for w := range h.tracking.waiting.all() {
		if w.admit() {
			return
		}
	}
}

// offerClass lends h's slot of the class, which a borrower has given back, to the first of the
// waiting calls nested below h that can use it.
func (h *Hold) offerClass() {
	if !h.canLend(ofClass) {
		return
	}
	for w := range h.tracking.claimants() {
		if w.admit() {
			return
		}
	}
}

// offerVersion lends h's slot of the version, which a borrower has given back, to the first
// waiting call nested below h that can use it.
func (h *Hold) offerVersion() {
	if !h.canLend(ofVersion) {
		return
	}
	for w := range h.tracking.claimsOf(h.version).waiters.all() {
		if w.admit() {
			return
		}
	}
}

// keeps reports whether h took its slot of the class or of the version from the pool and has
// not given it back.
func (h *Hold) keeps(which uint8) bool {
	return h.loan&which == 0 && !h.lending(which).returned && (which == ofClass || h.version.isLimited())
}
