package admission

import "iter"

// Calls wait for themselves where every slot of a class is held by a call that
// waits, itself or through its nested calls, for such a class in its turn. The
// greatest set of classes with that property is found by suspecting all that
// could have it and acquitting those that have a slot free of it; each waiter
// is looked at twice, however many classes there are.
//
// The group's slots need no search: whoever waits for one has a sibling with
// the loan, and if that one never ends, some class is the reason.
//
// A tenant's limit is left out of that. Instead, as long as a nested call waits
// for one, the calls that it counts make no nested call wait: so each of them
// will end, and the limit is never the reason why one does not. See ties.
//
// A handler that makes a nested call in a goroutine of its own, and would have
// returned without it, counts as waiting: from outside the two look alike.

// knots tells whether w, which has just joined the line, makes calls wait for
// themselves: those for its class or, where its parent's loan has been left
// further down, any, since its parent begins to wait for that only now.
func (w *waiter) knots() bool {
	c := w.hold.class
	if !w.hold.parent.left() {
		return c.group.cycle(c) != nil
	}
	for k := range c.group.waiting.all() {
		if c.group.cycle(k) != nil {
			return true
		}
	}
	return false
}

// beg notes that w, a nested call, may have to wait for its tenant's limit,
// though there be room at present. One that has only its parent's own slot of
// the class to wait for does not: see rides.
func (w *waiter) beg() {
	h, l := w.hold, w.lane
	if h.class.queue.limit > 0 && !h.kindred(l) {
		w.begs = true
		l.begging++
	}
}

// ties tells whether w, which has just joined the line, makes one wait whom a
// nested call may wait for by its tenant's limit. That one may be about to end
// all the same: this is the third reason why a call may be refused that would
// not have waited for ever.
func (w *waiter) ties() bool {
	if w.begs && w.lane.blocked > 0 {
		return true
	}
	for a := w.hold.parent; a != nil; a = a.parent {
		if a.family.counts && a.family.lane.begging > 0 {
			return true
		}
	}
	return false
}

// left tells whether somebody down the line of h's loan has ended and left it
// with a child.
func (h *Hold) left() bool {
	for h.family != nil && h.family.lent != nil {
		if h = h.family.lent; h.gone() {
			return true
		}
	}
	return false
}

// unknot refuses nested calls that wait for c, the newest first, until none of
// them waits for itself. Such a knot is tied by the arrival of a waiter, which
// enter refuses, or by the loss of a slot, when the class is resized or is over
// its limit and loses the last call that could have ended: that is for unknot.
func (c *Class) unknot() {
	for w := c.group.cycle(c); w != nil; w = c.group.cycle(c) {
		w.refuse(ErrCycle)
		c.refresh()
	}
}

// cycle returns the newest of the nested calls that wait for c and, by that,
// for themselves; or nil.
func (g *Group) cycle(c *Class) *waiter {
	if !c.allBlocked() { // nearly always; and it costs no search
		return nil
	}
	var suspects []*Class
	for k := range g.waiting.all() {
		if k.allBlocked() {
			k.suspect = true
			k.pin(1)
			suspects = append(suspects, k)
		}
	}
	c.acquit(suspects)
	found := c.culprit()
	for _, k := range suspects {
		k.absolve()
	}
	return found
}

// acquit strikes out the classes that have a slot that no suspect pins, and
// then those that only the struck out ones had pinned, until that is settled
// for c.
func (c *Class) acquit(suspects []*Class) {
	for again := true; again && c.suspect; {
		again = false
		for _, k := range suspects {
			if k.suspect && k.pinned < k.word.used() {
				k.absolve()
				again = true
			}
		}
	}
}

func (c *Class) absolve() {
	if c.suspect {
		c.suspect = false
		c.pin(-1)
	}
}

func (c *Class) culprit() (newest *waiter) {
	if !c.suspect {
		return nil
	}
	for w := range c.nested.all() {
		for h := range w.pins() {
			if h.class.suspect {
				newest = w
			}
		}
	}
	return newest
}

// allBlocked tells whether all slots of c may be pinned; blocked counts some
// that pins does not, never fewer.
func (c *Class) allBlocked() bool {
	return c.blocked > 0 && c.nested.len > 0 && !c.word.room() && c.blocked >= c.word.used()
}

// pin adds n to the suspects that pin each slot that a waiter for c pins, and
// keeps count of the slots with any.
func (c *Class) pin(n int) {
	for w := range c.nested.all() {
		for h := range w.pins() {
			h.class.pinned += step(&h.family.pins, n)
		}
	}
}

// pins yields the holds whose slot of their class is not given back before w
// is served: those of the calls that wait for w, and those lent to them.
//
// A call for its parent's own class pins none. It gets the loan once the
// sibling that has it ends; if that one never does, some other waiter is the
// reason.
func (w *waiter) pins() iter.Seq[*Hold] {
	return func(yield func(*Hold) bool) {
		if w.recursive() {
			return
		}
		waits, inUse := true, true // h for w; h's class's slot by one who does
		for h := w.hold; h.parent != nil; h = h.parent {
			p := h.parent
			if waits = h.isWaitedFor(waits); !waits && h.loan == 0 {
				return // nobody above waits for h, or has lent it anything
			}
			inUse = waits || inUse && h.loan&ofClass != 0
			if inUse && p.ownsClass() && !yield(p) {
				return
			}
		}
	}
}

// isWaitedFor tells whether h's parent waits for h, which itself waits or does
// not: as the caller of h, or as the caller of others that wait for the loan
// that h has left with a child of its own. They could go without, with a slot
// of the group, but there may never be one: that those are not counted is the
// second reason why a call may be refused that would not have waited for ever.
func (h *Hold) isWaitedFor(waits bool) bool {
	p := h.parent
	return !p.gone() && (waits || h.loan != 0 && p.family.waiting.len > 0)
}
