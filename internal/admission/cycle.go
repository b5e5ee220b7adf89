package admission

import (
	"iter"
	"slices"
)

// The wait-for graph. A nested call that waits, w, waits for a slot of its class: for
// one to come free, or for one that a call above it has lent to come home. The calls
// above w wait for w. A slot does not come back, to the pool or to who lent it, while
// one of those that use it waits so: its owner, the call that has it from the owner, and
// so on. So there is a deadlock where each of some waiters has neither a slot of its
// class nor one lent by a call above it that is free of the others.
//
// The greatest set of such waiters is found by suspecting all that could be in it, with
// counts of what they pin, and absolving those that have something to hope for; what
// they alone had pinned is hope for others. A chain alone is never in it: a call of
// a class that is among those above it finds the nearest of them with its slot at home,
// since each has lent it at most once, along the chain, to one that is nearer.
//
// The group's slots need no search: whoever waits for one has a sibling with
// the loan, and if that one never ends, some class is the reason.
//
// A tenant's limit comes in two ways. A waiter that may ride, because a call above it
// has a place of its tenant's to lend with its slot, is in the search: it hopes for that
// slot to come home, or for a slot and a place. All others beg: as long as one does, the
// calls that its tenant's limit counts make no nested call wait. So each of them will
// end, and the limit is never the reason why one does not. See ties.
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

// beg notes how w, a nested call, may have to wait for its tenant's limit, though
// there be room at present; it is asked again when a call above it has ended.
func (w *waiter) beg() {
	w.bare()
	switch c := w.hold.class; {
	case c.queue.limit == 0:
	case w.mayRide():
		w.rides = true
		c.riders++
	default:
		w.begs = true
		w.lane.begging++
	}
}

// bare takes back what beg has noted.
func (w *waiter) bare() {
	if w.rides {
		w.rides = false
		w.hold.class.riders--
	}
	if w.begs {
		w.begs = false
		w.lane.begging--
	}
}

func (w *waiter) mayRide() bool {
	for _, c := range w.claims {
		if !c.on.gone() && c.on.hasPlace(w.lane) {
			return true
		}
	}
	return false
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
	if !c.mayDeadlock() { // nearly always; and it costs no search
		return nil
	}
	var suspects []*waiter
	for k := range g.waiting.all() {
		if !k.mayDeadlock() {
			continue
		}
		for w := range k.nested.all() {
			w.accuse()
			suspects = append(suspects, w)
		}
	}
	suspects = c.acquit(suspects)
	found := c.culprit()
	for _, w := range suspects {
		w.absolve()
	}
	return found
}

// acquit absolves the suspects that have something to hope for, and then those that
// only they had kept from it, until that is settled for c. It answers those left.
func (c *Class) acquit(suspects []*waiter) []*waiter {
	for again := true; again && c.suspects > 0; {
		again = false
		suspects = slices.DeleteFunc(suspects, func(w *waiter) bool {
			if !w.hasHope() {
				return false
			}
			w.absolve()
			again = true
			return true
		})
	}
	return suspects
}

// culprit is the newest suspect of c that pins a slot of a class that suspects wait
// for: others only suffer.
func (c *Class) culprit() (newest *waiter) {
	for w := range c.nested.all() {
		if !w.suspect {
			continue
		}
		for h := range w.blocks() {
			if h.class.suspects > 0 {
				newest = w
			}
		}
	}
	return newest
}

// mayDeadlock tells whether all slots of c may be pinned, or some that riders wait
// for; blocked counts some that are not, never fewer.
func (c *Class) mayDeadlock() bool {
	return c.riders > 0 || c.blocked > 0 && c.nested.len > 0 && !c.word.room() && c.blocked >= c.word.used()
}

func (w *waiter) accuse() {
	w.suspect = true
	w.hold.class.suspects++
	for h := range w.blocks() {
		h.pin(1)
	}
}

func (w *waiter) absolve() {
	w.suspect = false
	w.hold.class.suspects--
	for h := range w.blocks() {
		h.pin(-1)
	}
}

// pin counts h among the calls that wait for suspects, n being 1, or takes it out; and
// with it the slot of the class that it uses, and the places that come with that.
func (h *Hold) pin(n int) {
	if n = step(&h.family.pins, n); n == 0 {
		return
	}
	for {
		if f := h.family; f.counts {
			f.lane.pinned += step(&f.placePins, n)
		}
		if h.loan&ofClass == 0 {
			h.class.pinned += step(&h.family.slotPins, n)
			return
		}
		h = h.lender()
	}
}

// hasHope tells whether w would be served if all calls ended that wait for no
// suspect.
func (w *waiter) hasHope() bool {
	c, l := w.hold.class, w.lane
	limited := w.rides && !c.queue.permits(l) && l.pinned >= l.busy
	if !limited && (c.word.room() || c.pinned < c.word.used()) {
		return true
	}
	for _, k := range w.claims {
		if p := k.on; !p.gone() && (!limited || p.hasPlace(l)) && p.comesHome() {
			return true
		}
	}
	return false
}

// comesHome tells whether those that use the slot of the class that h has lent wait
// for no suspect.
func (h *Hold) comesHome() bool {
	for k := h.family.heir; k != nil && k.family != nil; k = k.family.heir {
		if k.family.pins > 0 {
			return false
		}
	}
	return true
}

// blocks yields the calls above w that can't end before w is served.
func (w *waiter) blocks() iter.Seq[*Hold] {
	return func(yield func(*Hold) bool) {
		waits := true // h for w
		for h := w.hold; h.parent != nil; h = h.parent {
			waits = h.isWaitedFor(waits)
			if waits && !yield(h.parent) || !waits && h.loan&ofGroup == 0 {
				return // or nobody above waits for h, or has lent it anything
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
	return !p.gone() && (waits || h.loan&ofGroup != 0 && p.family.waiting.len > 0)
}
