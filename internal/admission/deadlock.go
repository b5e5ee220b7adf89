package admission

import (
	"iter"
	"slices"
)

// Deadlock detection. The wait-for graph has these edges. A nested call that waits, w, waits
// for a slot of its class: one that comes free, or one that a call above it has lent and
// that comes back. If its version has a limit, w waits for a slot of that in the same two
// ways. The calls above w wait for w. A slot does not come back, to the pool or to its
// lender, while one of the calls that use it waits: the call that took it from the pool, the
// one that borrowed it, and so on. So some waiters are in a deadlock if none of them can get
// all its slots, free or lent, before another of them has ended.
//
// The largest set of such waiters is found by elimination. (This is the reduction of a
// resource graph: Holt, "Some Deadlock Properties of Computer Systems", 1972.) At first all
// waiters that could be in it are candidates, and we count the slots that they hold back.
// Then each candidate that can be served in spite of that is eliminated. The slots that only
// it held back may serve another, until nothing changes. What is left is the deadlock.
// Since a waiter holds nothing, it is enough that each of its slots comes free at some time:
// when all calls outside the deadlock have ended, all those slots are free at once.
//
// A chain of calls alone is never in one. A call whose class is among those above it finds
// the nearest of them able to lend: each has lent its slot at most once, along the chain, to
// one that is nearer. The same holds for its version.
//
// The group's slots need no search. A nested call that waits for one has a sibling that
// borrows their parent's. If the sibling never ends, some class is the reason.
//
// A nested call can wait for its tenant's limit in two ways:
//
//   - A call above it can lend it a slot with a place in that limit (usesLentSlot). It takes
//     part in the search: it can be served when that slot comes back, or by another slot if
//     the limit has room.
//   - No call above it can (waitsForTenantLimit). While there is such a waiter, no call that
//     the limit counts may have a nested call waiting. So each of those will end, and the
//     limit is never the reason why one does not. See deadlocksByLimit.
//
// A call is refused although it would not have waited for ever in three cases. The first: a
// handler that makes a nested call on a goroutine of its own, and would return without it,
// counts as waiting for it, since from outside the two look alike. The others stand at
// parentWaits and deadlocksByLimit.

// deadlocks reports whether w, which has just been added to its queue, completes a deadlock.
// Usually it is enough to look at its own class. If a call that used its parent's slot of
// the group has ended and left it to a child, all classes are looked at, because w's parent
// waits for that child from now on only.
func (w *waiter) deadlocks() bool {
	c := w.hold.class()
	if !w.hold.parent.loanOutlivesUser() {
		return c.group.findDeadlock(c) != nil
	}
	for k := range c.group.waiting.all() {
		if c.group.findDeadlock(k) != nil {
			return true
		}
	}
	return false
}

// classifyWait notes in which of the two ways (see above) w, a nested call, could wait for
// its tenant's limit, also while the limit has room. It is called again when a call above w
// has ended.
func (w *waiter) classifyWait() {
	w.unclassifyWait()
	switch c := w.hold.class(); {
	case c.queue.limit == 0:
	case w.canUseLentSlot():
		w.usesLentSlot = true
		c.lentSlotWaiters++
	default:
		w.waitsForTenantLimit = true
		w.queue.limitWaiters++
	}
}

// unclassifyWait takes back what classifyWait has noted.
func (w *waiter) unclassifyWait() {
	if w.usesLentSlot {
		w.usesLentSlot = false
		w.hold.class().lentSlotWaiters--
	}
	if w.waitsForTenantLimit {
		w.waitsForTenantLimit = false
		w.queue.limitWaiters--
	}
}

// canUseLentSlot reports whether a call above w can lend it a slot that comes with a place
// in the limit of w's tenant, now or once the slot has come back.
func (w *waiter) canUseLentSlot() bool {
	for _, c := range w.claims {
		if !c.on.released() && c.on.hasTenantPlace(w.queue) {
			return true
		}
	}
	return false
}

// deadlocksByLimit reports whether w, which has just been added to its queue, breaks this
// rule: while a call waits for its tenant's limit, no call that the limit counts may have
// a nested call waiting. The rule is stricter than it must be, since the counted call may
// be about to end. It is the third reason why a call may be refused that would not have
// waited for ever.
func (w *waiter) deadlocksByLimit() bool {
	if w.waitsForTenantLimit && w.queue.blocked > 0 {
		return true
	}
	for a := w.hold.parent; a != nil; a = a.parent {
		if a.tracking.counts && a.tracking.queue.limitWaiters > 0 {
			return true
		}
	}
	return false
}

// loanOutlivesUser reports whether a call that borrowed h's slot of the group, directly or
// through other borrowers, has ended and left it to a child.
func (h *Hold) loanOutlivesUser() bool {
	for h.tracking != nil && h.tracking.groupBorrower != nil {
		if h = h.tracking.groupBorrower; h.released() {
			return true
		}
	}
	return false
}

// breakCycles refuses nested calls that wait for c, the newest first, until none of them is
// in a deadlock. It is called when c has lost a slot, which may complete a deadlock. A slot
// is lost when the limit is lowered, or when a call ends while c is over its limit: that may
// have been the last call that could end. (The arrival of a waiter may complete a deadlock,
// too. Then enter refuses that waiter.)
func (c *Class) breakCycles() {
	for w := c.group.findDeadlock(c); w != nil; w = c.group.findDeadlock(c) {
		w.refuse(ErrCycle)
		c.refresh()
	}
}

// findDeadlock returns the deadlock victim among the waiters for c, or nil if no deadlock
// keeps them waiting.
func (g *Group) findDeadlock(c *Class) *waiter {
	if !c.mayDeadlock() { // nearly always, and spares the search
		return nil
	}
	suspects := g.suspects()
	suspects = c.eliminateServable(suspects)
	found := c.deadlockVictim(suspects)
	for _, w := range suspects {
		w.eliminate()
	}
	return found
}

// suspects makes candidates of all waiters that could be in a deadlock, and returns them.
func (g *Group) suspects() (all []*waiter) {
	for k := range g.waiting.all() {
		byClass := k.slotsMayDeadlock()
		for v := range k.queue.versions.all() {
			if !byClass && !v.mayDeadlock() {
				continue
			}
			for w := range v.line.nested.all() {
				w.addCandidate()
				all = append(all, w)
			}
		}
	}
	return all
}

// eliminateServable removes candidates that can be served, then those that can be served
// once the first have ended, and so on. It stops early when no candidate waits for c, since
// only those matter here. It returns the candidates that are left.
func (c *Class) eliminateServable(suspects []*waiter) []*waiter {
	for again := true; again && c.candidates > 0; {
		again = false
		suspects = slices.DeleteFunc(suspects, func(w *waiter) bool {
			if !w.canBeServed() {
				return false
			}
			w.eliminate()
			again = true
			return true
		})
	}
	return suspects
}

// deadlockVictim returns the newest of the candidates that wait for c and keep a slot from
// coming back for which another candidate waits. To refuse any other candidate would free
// nothing.
func (c *Class) deadlockVictim(candidates []*waiter) (newest *waiter) {
	for _, w := range candidates {
		w.noteWanted(1)
	}
	for _, w := range candidates {
		if w.hold.class() == c && (newest == nil || newest.sequence < w.sequence) && w.holdsBackWanted() {
			newest = w
		}
	}
	for _, w := range candidates {
		w.noteWanted(-1)
	}
	return newest
}

// noteWanted adds n, which is 1 or -1, to the candidates that wait in vain for slots of w's
// class, and of its version. Candidates must not change between the two.
func (w *waiter) noteWanted(n int32) {
	if !w.canGetClass() {
		w.hold.class().uses.wanted += n
	}
	if !w.canGetVersion() {
		w.hold.version.uses.wanted += n
	}
}

// holdsBackWanted reports whether a call that waits for w has a slot for which candidates
// wait.
func (w *waiter) holdsBackWanted() bool {
	for h := range w.blockedCallers() {
		if h.class().uses.wanted > 0 || h.version.uses.wanted > 0 {
			return true
		}
	}
	return false
}

// mayDeadlock is the cheap test before the search. It reports whether waiters could hold
// back all slots of c, all those of one of its versions, or a lent slot with a place in a
// tenant's limit. It may be true without a deadlock, since blocked also counts slots that
// come back by themselves. It is never false when there is one.
func (c *Class) mayDeadlock() bool {
	if c.nested == 0 {
		return false
	}
	if c.slotsMayDeadlock() {
		return true
	}
	for v := range c.queue.versions.all() {
		if v.mayDeadlock() {
			return true
		}
	}
	return false
}

func (c *Class) slotsMayDeadlock() bool {
	return c.lentSlotWaiters > 0 || c.nested > 0 && c.uses.mayDeadlock(&c.slots)
}

func (v *Version) mayDeadlock() bool {
	return v.isLimited() && v.line.nested.len > 0 && v.uses.mayDeadlock(&v.slots)
}

func (u *slotUses) mayDeadlock(slots *counter) bool {
	return u.blocked > 0 && !slots.hasRoom() && int(u.blocked) >= slots.used()
}

// addCandidate makes w a candidate: from here on the calls above it count as calls that do
// not end.
func (w *waiter) addCandidate() {
	w.candidate = true
	w.hold.class().candidates++
	for h := range w.blockedCallers() {
		h.holdBack(1)
	}
}

// eliminate undoes addCandidate.
func (w *waiter) eliminate() {
	w.candidate = false
	w.hold.class().candidates--
	for h := range w.blockedCallers() {
		h.holdBack(-1)
	}
}

// holdBack adds n, which is 1 or -1, to the number of candidates that h waits for. While that
// is above zero, h holds back the slots of the class and of the version that it uses, and
// with the class's the place that each call on its chain of lenders has in a tenant's limit.
// Two calls that use one slot hold back one slot, and not two: addAcrossZero passes on only a
// change from zero or to it.
func (h *Hold) holdBack(n int32) {
	if n = addAcrossZero(&h.tracking.candidatesBelow, n); n == 0 {
		return
	}
	for k := h; ; k = k.lender(ofClass) {
		if tr := k.tracking; tr.counts {
			tr.queue.heldBack += int(addAcrossZero(&tr.placeUsersHeldBack, n))
		}
		if k.loan&ofClass == 0 {
			break
		}
	}
	for _, which := range lendable() {
		o := h.owner(which)
		o.uses(which).heldBack += addAcrossZero(&o.lending(which).usersHeldBack, n)
	}
}

// canBeServed reports whether w would be admitted if all calls ended that wait for no
// candidate.
func (w *waiter) canBeServed() bool { return w.canGetClass() && w.canGetVersion() }

func (w *waiter) canGetClass() bool {
	c, t := w.hold.class(), w.queue
	limited := w.usesLentSlot && !c.queue.belowLimit(t) && t.heldBack >= t.running
	if !limited && c.uses.willComeFree(&c.slots) {
		return true
	}
	for _, k := range w.claims {
		if p := k.on; !p.released() && (!limited || p.hasTenantPlace(t)) && p.loanWillReturn(ofClass) {
			return true
		}
	}
	return false
}

func (w *waiter) canGetVersion() bool {
	v := w.hold.version
	if !v.isLimited() || v.uses.willComeFree(&v.slots) {
		return true
	}
	for _, k := range w.claims {
		if p := k.on; !p.released() && p.version == v && p.loanWillReturn(ofVersion) {
			return true
		}
	}
	return false
}

// willComeFree reports whether there is a slot, or one that no candidate holds back. Where
// none is in use and there is no room, the limit is 0. It was set on purpose, and a call
// that waits for it to be raised is in no deadlock.
func (u *slotUses) willComeFree(slots *counter) bool {
	used := slots.used()
	return slots.hasRoom() || int(u.heldBack) < used || used == 0
}

// loanWillReturn reports whether none of the calls that use the slot that h has lent waits
// for a candidate.
func (h *Hold) loanWillReturn(which uint8) bool {
	for k := h.lending(which).borrower; k != nil && k.tracking != nil; k = k.lending(which).borrower {
		if k.tracking.candidatesBelow > 0 {
			return false
		}
	}
	return true
}

// blockedCallers yields the calls above w that cannot end before w is served.
func (w *waiter) blockedCallers() iter.Seq[*Hold] {
	return func(yield func(*Hold) bool) {
		waits := true // whether h waits for w
		for h := w.hold; h.parent != nil; h = h.parent {
			waits = h.parentWaits(waits)
			if waits && !yield(h.parent) || !waits && h.loan&ofGroup == 0 {
				return // no call above waits for h, for its end or for a slot that it has borrowed
			}
		}
	}
}

// parentWaits reports whether h's parent, p, waits for h. It does not if p has given up its
// slots. Otherwise there are two cases in which it does:
//
//   - waits is set: h itself waits, for a slot or for a call below it. p is its caller.
//   - h has borrowed p's slot of the group, and other children of p wait, perhaps for that
//     slot. h may have ended by then, and have left the slot to a child of its own.
//
// In the second case those children could also run with another slot of the group. But there
// may never be one, so p is counted as waiting for h. This is the second of the three cases
// in which a call is refused that would not have waited for ever.
func (h *Hold) parentWaits(waits bool) bool {
	p := h.parent
	return !p.released() && (waits || h.loan&ofGroup != 0 && p.tracking.waiting.len > 0)
}

// reclassifyClaims lets the waiters below h, in a class with a limit for tenants, wait on
// without h, which has ended. A waiter that could have used the place that comes with h's
// slot may have to wait for its tenant's limit from now on.
func (h *Hold) reclassifyClaims() {
	if h.class().queue.limit == 0 || !h.tracking.hasClaims() {
		return
	}
	for l := &h.tracking.claims; l != nil; l = l.next {
		for w := range l.waiters.all() {
			if w.classifyWait(); w.waitsForTenantLimit && w.queue.blocked > 0 {
				w.refuse(ErrCycle)
				h.class().refresh()
			}
		}
	}
	h.class().breakCycles()
}
