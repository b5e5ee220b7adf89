package admission

import "iter"

// claim links a waiter to one of the calls above it that could lend it a slot of its class,
// or of its version.
type claim struct {
	inClaims node[*waiter]
	on       *Hold
}

// claims lists the waiters of one version that have a claim on the same call, in order of
// arrival.
type claims struct {
	version *Version
	waiters merged
	next    *claims // the list for another version
}

// claimsOf returns the list of claims by calls of v. It makes the list if there is none.
func (tr *tracking) claimsOf(v *Version) *claims {
	for l := &tr.claims; ; l = l.next {
		if l.version == nil {
			l.version = v
		}
		if l.version == v {
			return l
		}
		if l.next == nil {
			l.next = &claims{}
		}
	}
}

func (tr *tracking) hasClaims() bool {
	for l := &tr.claims; l != nil; l = l.next {
		if l.waiters.len > 0 {
			return true
		}
	}
	return false
}

// claimants yields the waiters that have a claim on the call, in order of arrival. There is one
// list of them for each version. If no waiter of a version could run with a borrowed slot (see
// needLoan), its list is skipped as a whole, so that its waiters cost nothing. The loop body may
// remove from its lists only the waiter that it was given.
func (tr *tracking) claimants() iter.Seq[*waiter] {
	return func(yield func(*waiter) bool) {
		for l := &tr.claims; l != nil; l = l.next {
			l.waiters.start(l.needLoan())
		}
		for l := tr.oldestClaims(); l != nil; l = tr.oldestClaims() {
			if !yield(l.step()) {
				return
			}
		}
	}
}

// needLoan reports whether a loan, which is a borrowed slot, could let some of the waiters run.
// It could not if their version is full and no call can lend its slot. Nor could it if the
// class and the version both have free slots and tenants have no limit: then the waiters lack
// only a slot of the group.
func (l *claims) needLoan() bool {
	if l.waiters.len == 0 || !l.version.mayServe() {
		return false
	}
	c := l.version.class
	return c.queue.limit > 0 || !c.slots.hasRoom() || !l.version.hasRoom()
}

// oldestClaims returns the list whose next waiter arrived first, or nil if all are at the
// end.
func (tr *tracking) oldestClaims() (oldest *merged) {
	for l := &tr.claims; l != nil; l = l.next {
		oldest = oldest.older(&l.waiters)
	}
	return oldest
}

// merged is a list of waiters, in order of arrival, with the position of a loop in it.
// Several such lists can be visited as one: oldestClaims finds the list whose next waiter is
// the oldest.
type merged struct {
	list[*waiter]
	at *node[*waiter] // the next waiter; nil at the end
}

// start sets the position to the first waiter, or to the end if the list takes no part.
func (l *merged) start(takesPart bool) {
	if l.at = nil; takesPart {
		l.at = l.head
	}
}

// step returns the next waiter and moves the position past it.
func (l *merged) step() *waiter {
	w := l.at.value
	l.at = l.at.next
	return w
}

// older returns the list, l or m, whose next waiter arrived first. l may be nil.
func (l *merged) older(m *merged) *merged {
	if m.at == nil || l != nil && l.at.value.sequence < m.at.value.sequence {
		return l
	}
	return m
}

// claim adds w to the claims on each call above it that could lend it a slot of its class, or
// of its version.
func (w *waiter) claim() {
	n := 0
	for p := w.hold.parent; p != nil; p = p.parent {
		if p.class() == w.hold.class() && !p.released() {
			n++
		}
	}
	if n == 0 {
		return
	}
	w.claims = make([]claim, 0, n) // never grows: its elements are linked into lists and must not move
	for p := w.hold.parent; p != nil; p = p.parent {
		if p.class() == w.hold.class() && !p.released() {
			w.claims = append(w.claims, claim{on: p})
			c := &w.claims[len(w.claims)-1]
			c.inClaims.value = w
			p.tracking.claimsOf(w.hold.version).waiters.push(&c.inClaims)
			p.updateLenders()
		}
	}
}

// lacksOnlyGroup reports whether w could run on a loan (a borrowed slot) if it got a slot of the
// group: its class, its version or both have no free slot, and calls above w can lend each slot
// that is not free.
func (w *waiter) lacksOnlyGroup() bool {
	h, c := w.hold, w.hold.class()
	classFree := c.slots.hasRoom() && c.queue.belowLimit(w.queue)
	versionFree := h.version.hasRoom()
	if classFree && versionFree {
		return false
	}
	return (classFree || h.findClassLender(w.queue) != nil) && (versionFree || h.findVersionLender() != nil)
}
