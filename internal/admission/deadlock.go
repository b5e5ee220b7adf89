package admission

import (
	"iter"
	"slices"
)

// Deadlock detection. The wait-for graph has these edges. A waiting nested call, w, waits for a slot
// of its class: for one that comes free, or for one that a call above it has lent and that comes
// back. If its version has a limit, w waits for a slot of the version in the same two ways. The
// calls above w (its parent, the parent's parent, and so on) wait for w. A slot does not come back,
// to the pool or to its lender, while one of the calls that use it waits: the call that took it from
// the pool, the one that borrowed it, and so on. So some waiters are in a deadlock if none of them
// can get all its slots, free or lent, before another of them has ended.
//
// The largest set of such waiters is found by elimination. (This is the reduction of a resource
// graph: Holt, "Some Deadlock Properties of Computer Systems", 1972.) At first all waiters that
// could be in it are candidates, and we count the slots that they hold back: the slots of the calls
// that wait for them. Then each candidate that can be served although the others hold back their
// slots is eliminated. The slots that only it held back may serve another candidate. This goes on
// until nothing changes. The candidates that are left are the deadlock. A waiter holds no slot, so
// it is enough that each slot that it needs comes free at some time: when all calls outside the
// deadlock have ended, all those slots are free at once.
//
// A single chain of calls is never in a deadlock. Take a call that has calls of its own class
// above it. Each of these lends its slot to one call at most, and that call is further down
// the chain. So the nearest of them has not lent its slot, and can lend it to the call. The
// same holds for the version.
//
// The group's slots need no search. A nested call waits for one only while a sibling borrows
// the slot of their parent. If that sibling never ends, the reason is a slot of some class or
// version.
//
// A nested call can wait for its tenant's limit in two ways:
//
//   - A call above it can lend it a slot with a place in that limit (usesLentSlot). The
//     waiter takes part in the search: it can be served when that slot comes back, or by
//     another slot if the limit has room.
//   - No call above it can lend such a slot (waitsForTenantLimit). While there is such a
//     waiter, no call that the limit counts may have a nested call waiting. So every call
//     that the limit counts will end, and the limit never causes a deadlock. See
//     deadlocksByLimit.
//
// In three cases a call is refused although it would not have waited for ever. The first: a
// handler makes a nested call on another goroutine, and would return before that call does.
// It counts as waiting for the call, because admission cannot see the difference. The other
// two cases are described at parentWaits and deadlocksByLimit.

// deadlocks reports whether w, which has just been added to its queue, completes a deadlock.
// Usually it is enough to search w's own class. But a sibling of w that borrowed the parent's
// slot of the group may have ended and left the slot to its own child. Then all classes are
// searched, because w's parent counts as waiting for that child only since w waits (see
// parentWaits).
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

// classifyWait records in which of the two ways described above the nested call w could wait
// for its tenant's limit, even while the limit has room. It is called again when a call above
// w has ended.
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

// unclassifyWait undoes classifyWait.
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
// rule: while a call waits for its tenant's limit, no call that the limit counts may have a
// nested call waiting. The rule is stricter than necessary, since the counted call may be
// about to end. This is the third of the three cases in which a call is refused although it
// would not have waited for ever.
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
// in a deadlock. It is called when c has lost a slot, which may complete a deadlock. c loses
// a slot when its limit is lowered, or when a call ends while c is over its limit: that call
// may have been the last one that could end. (The arrival of a waiter may complete a deadlock
// too; enter refuses that waiter.)
func (c *Class) breakCycles() {
	for w := c.group.findDeadlock(c); w != nil; w = c.group.findDeadlock(c) {
		w.refuse(ErrCycle)
		c.refresh()
	}
}

// findDeadlock returns the waiter for c that is to be refused to break a deadlock, or nil if
// the waiters for c are in no deadlock.
func (g *Group) findDeadlock(c *Class) *waiter {
	if !c.mayDeadlock() { // nearly always the case, and saves the search
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

// eliminateServable removes candidates that can be served, then those that can be served once
// the first have ended, and so on. It stops early when no candidate is left that waits for c,
// since only the waiters for c matter here. It returns the candidates that are left.
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

// deadlockVictim returns the newest candidate that waits for c and holds back a slot for
// which some candidate waits. Refusing a candidate that holds back no such slot would free
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

// noteWanted adds n, which is 1 or -1, to the field uses.wanted of w's class if no slot of the
// class will come free for w, and to that of w's version if no slot of the version will. The set
// of candidates must be the same at the call with 1 and at the call with -1.
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

// mayDeadlock is the cheap test before the search. It reports whether waiters could hold back
// all slots of c, all those of one of its versions, or a lent slot with a place in a tenant's
// limit. It may report true although there is no deadlock, since the count blocked includes
// slots that come back by themselves. If there is a deadlock it always reports true.
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

// addCandidate makes w a candidate: from then on, the calls that wait for w count as calls
// that do not end.
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
// number is above zero, h holds back the slots of the class and of the version that it uses.
// With the slot of the class it holds back the places in a tenant's limit of all calls on its
// chain of lenders. Two calls that use one slot hold back one slot, and not two, because
// addAcrossZero passes on only a change from zero or to zero.
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

// canBeServed reports whether w would be admitted once all calls that wait for no candidate
// have ended.
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

// willComeFree reports whether a slot is free, or is in use but not held back by a candidate.
// It is also true if the limit is 0, which shows as no slot in use and yet no room: a limit
// of 0 is set on purpose, and a call that waits until it is raised is in no deadlock.
func (u *slotUses) willComeFree(slots *counter) bool {
	used := slots.used()
	return slots.hasRoom() || int(u.heldBack) < used || used == 0
}

// loanWillReturn reports whether the slot that h has lent will come back to h: none of the
// calls that use it waits for a candidate.
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
		waits := true // whether h waits for w; at first h is w's own call
		for h := w.hold; h.parent != nil; h = h.parent {
			waits = h.parentWaits(waits)
			if waits && !yield(h.parent) || !waits && h.loan&ofGroup == 0 {
				return // no call above waits for h to end, or for a slot that h has borrowed
			}
		}
	}
}

// parentWaits reports whether h's parent, p, waits for h. A p that has given up its slots does
// not. Any other p waits for h in two cases:
//
//   - waits is true: h itself waits, for a slot or for a call below it, and p is its caller.
//   - h has borrowed p's slot of the group, and other children of p wait, perhaps for that
//     slot. h may have ended by then, and have left the slot to a child of its own.
//
// In the second case the other children could also run with another slot of the group. But such
// a slot may never come free, so p counts as waiting for h. This is the second of the three cases in
// which a call is refused although it would not have waited for ever.
func (h *Hold) parentWaits(waits bool) bool {
	p := h.parent
	return !p.released() && (waits || h.loan&ofGroup != 0 && p.tracking.waiting.len > 0)
}

// reclassifyClaims is called when h has ended. If its class has a limit for tenants, it
// classifies the waiters below h of the same class again. A waiter that could have borrowed
// h's slot, together with h's place in the limit of their tenant, may have to wait for that
// limit from then on.
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
