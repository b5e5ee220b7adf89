package admission

// This file holds what a call lends to the calls below it, and what it borrows.

// lender returns the call whose slot h uses; h must have borrowed it.
func (h *Hold) lender(which uint8) *Hold {
	if h.tracking != nil {
		if p := h.lending(which).lender; p != nil {
			return p
		}
	}
	return h.parent
}

// canLend reports whether h, which nested calls were made from, has its slot of the class,
// or of the version, to lend.
func (h *Hold) canLend(which uint8) bool {
	return !h.released() && h.lending(which).borrower == nil && (which == ofClass || h.version.isLimited())
}

// hasTenantPlace reports whether the slot of the class that h uses comes with a place in the
// limit of t's tenant. The place is h's own, or that of a call above it that has lent h the
// slot. All of them wait for h, and so for the call that h would lend to: to the limit they
// are one call.
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

// findClassLender returns the call above h whose slot of the class h can borrow, or nil: the
// nearest of the same class that has not lent it. If the tenant of t is at its limit, the
// slot must come with a place in it.
func (h *Hold) findClassLender(t *tenantQueue) *Hold {
	permitted := h.class().queue.belowLimit(t)
	for p := h.parent; p != nil; p = p.parent {
		if p.class() == h.class() && p.canLend(ofClass) && (permitted || p.hasTenantPlace(t)) {
			return p
		}
	}
	return nil
}

// findVersionLender returns the call above h whose slot of the version h can borrow, or nil:
// the nearest of the same version that has not lent it.
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

// canBorrowGroup reports whether h's parent can lend its slot of the group. There is no need
// to ask whether the parent has ended: when it ends, its waiting children become roots, which
// have no parent.
func (h *Hold) canBorrowGroup() bool {
	return h.parent != nil && h.parent.tracking.groupBorrower == nil
}

// borrow makes h use p's slot.
func (h *Hold) borrow(which uint8, p *Hold) {
	h.loan |= which
	if p != h.parent {
		h.track()
		h.lending(which).lender = p
	}
	p.lending(which).borrower = h
	p.updateLenders()
}

// updateLenders puts h into the lenders of its class, or takes it out. h is in there exactly
// while it can lend a slot, of the class or of its version, and has calls below that wait
// for one. It is counted in the lenders of its version while it can lend a slot of that.
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

// owner returns the call that took the slot that h uses from the pool: h itself, or the end
// of the chain of lenders.
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

// returnSlot gives h's slot of the class or of the version back, once h has given it up and
// no call borrows it from h: to the pool, or to its lender. A lender that has given up its
// slots too returns it in turn. Until then h counts against its tenant's limit.
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
	g := h.class().group // dispatch follows, and offers the slot to a call below that waits
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

// returnGroup does for the slot of the group what returnSlot does for the others.
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

// offerVersion admits the waiter that borrows h's slot of the version, if one can.
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

// keeps reports whether h has taken a slot of the class or of the version from the pool and
// not given it back.
func (h *Hold) keeps(which uint8) bool {
	return h.loan&which == 0 && !h.lending(which).returned && (which == ofClass || h.version.isLimited())
}
