package admission

import "iter"

// claim links a waiter to one of the calls above it that could lend it a slot of its class,
// or of its version.
type claim struct {
	inClaims node[*waiter]
	on       *Hold
}

// claims are the claims on one call by calls of one version, in the order of arrival.
type claims struct {
	version *Version
	waiters merged
	next    *claims // those of another version
}

// claimsOf returns the claims by calls of v, and makes a list of them if there is none.
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

// claimants yields the waiters with a claim in the order of their arrival. It leaves those
// out that a loan alone can't help, by whole lists, so that many of them cost nothing. The
// loop body may take the waiter that it was given out of its lists, and no other.
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

// needLoan reports whether a loan could help some of the waiters. It could not if their
// version is full and no call can lend its slot; nor if they lack neither a slot of the
// class nor of the version, and so only one of the group.
func (l *claims) needLoan() bool {
	if l.waiters.len == 0 || !l.version.mayServe() {
		return false
	}
	c := l.version.class
	return c.queue.limit > 0 || !c.slots.hasRoom() || !l.version.hasRoom()
}

// oldestClaims returns the list whose next waiter came first, or nil at the end of all.
func (tr *tracking) oldestClaims() (oldest *merged) {
	for l := &tr.claims; l != nil; l = l.next {
		oldest = oldest.older(&l.waiters)
	}
	return oldest
}

// merged is the place in one of several lists of waiters. Each list is in the order of
// arrival, and the loop over all of them visits the waiters in that order, as in a merge.
type merged struct {
	list[*waiter]
	at *node[*waiter] // the next; nil: at the end
}

// start goes to the first waiter or, if the list is left out, to the end.
func (l *merged) start(takesPart bool) {
	if l.at = nil; takesPart {
		l.at = l.head
	}
}

// step returns the next waiter, and goes on.
func (l *merged) step() *waiter {
	w := l.at.value
	l.at = l.at.next
	return w
}

// older returns the list, l or m, whose next waiter came first. l may be nil.
func (l *merged) older(m *merged) *merged {
	if m.at == nil || l != nil && l.at.value.sequence < m.at.value.sequence {
		return l
	}
	return m
}

// claim registers w with the calls above it that could lend it a slot of its class, or of
// its version.
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
	w.claims = make([]claim, 0, n) // never grows: its elements are in lists, and must not move
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

// lacksOnlyGroup reports whether w could run if it had a slot of the group, and needs a loan
// for that: there is no slot of its class, or of its version, that it could have for its
// own.
func (w *waiter) lacksOnlyGroup() bool {
	h, c := w.hold, w.hold.class()
	classFree := c.slots.hasRoom() && c.queue.belowLimit(w.queue)
	versionFree := h.version.hasRoom()
	if classFree && versionFree {
		return false
	}
	return (classFree || h.findClassLender(w.queue) != nil) && (versionFree || h.findVersionLender() != nil)
}
