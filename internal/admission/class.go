package admission

import (
	"iter"
	"sync/atomic"
	"time"
)

// Class is one function's limit and its bounded queue of calls that wait. Tenants take turns
// in the queue by the time that they use, and share its places when it is full. Each
// tenant's calls are served by priority, then by arrival. Only a call that can borrow its
// parent's slot of the group may pass calls that cannot. Make one with [Group.NewClass]. All
// its methods may be called concurrently.
type Class struct {
	slots  counter
	group  *Group
	base   Version      // beside the counter, see Version.Entered
	queued atomic.Int32 // the queue's length, to be read without g.mu; written under it

	// Guarded by g.mu.
	bound           int           // of the queue: as many live calls may wait, and more while background calls have slots
	queue           *tenantQueues // the group's empty one, which is not written to, until ownQueue is needed
	lenders         list[*Hold]   // calls that can lend a slot of c, or of their version, to calls in queue
	inWaiting       node[*Class]  // in group.waiting
	uses            slotUses
	nested          int32 // the nested calls in queue
	lentSlotWaiters int32 // waiters with usesLentSlot, see deadlock.go
	candidates      int32 // deadlock candidates that wait for c
	background      int32 // slots that background calls hold
	hadRoom         bool  // when refresh last looked, and calls waited
	canServe        bool  // there is room, and a waiter whose tenant is below its limit and whose version has room
	removed         bool
	off             bool
	share
	_ [16]byte // a size that the allocator aligns to cache lines: the words that every call writes stand on one
}

// NewClass returns a class that runs at most n calls at once ([Unlimited]: as many as the
// group allows) and whose queue has room for queue calls. Its weight is 1 and its floor 0.
func (g *Group) NewClass(n, queue int) *Class {
	c := &Class{group: g, bound: queue, queue: &g.noQueue, share: share{weight: 1}}
	c.inWaiting.value = c
	c.slots.resize(n)
	c.base.class = c
	g.mu.Lock()
	defer g.mu.Unlock()
	c.turn = g.nextTurn()
	return c
}

// Used returns the number of slots in use, Limit the number of slots there are, and Queued
// the number of calls that wait.
func (c *Class) Used() int   { return c.slots.used() }
func (c *Class) Limit() int  { return c.slots.limit() }
func (c *Class) Queued() int { return int(c.queued.Load()) }

// Resize changes the number of slots. Calls that have one keep it. Waiters are admitted at
// once if there is room for them. With no slots all calls wait; [Class.SetEnabled] refuses
// them instead. While no call waits it costs a compare-and-swap.
func (c *Class) Resize(n int) {
	// A call that begins to wait at the same time sets the slow bit before it reads
	// the counter (see refresh). So it sees the new limit, or fastResize sees the bit.
	if c.slots.fastResize(n) {
		return
	}
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.slots.resize(n)
	c.base.slotsChanged()
}

// LimitTenants limits how many calls of one tenant run at once, n ≥ 1. Call it before the
// class's first call. From then on all calls of the class take g.mu.
func (c *Class) LimitTenants(n int) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.ownQueue().limit = n
	c.updateShutBit()
}

// ownQueue returns the class's queue to be written to, and makes it if there is none. Most
// classes have never had a call that waits, and go without.
func (c *Class) ownQueue() *tenantQueues {
	if c.queue == &c.group.noQueue {
		c.queue = &tenantQueues{}
	}
	return c.queue
}

// Remove refuses calls from then on with ErrRemoved, and gives up the floor. Calls that wait
// go on.
func (c *Class) Remove() {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.removed = true
	c.group.reserved -= c.reserved
	c.reserved = 0
	c.updateShutBit()
	c.refresh()
}

// SetEnabled turns the class off, or on again; it is on at first. While it is off all calls
// are refused with ErrOff. So are those that wait, since they cannot know whether it will be
// on again in their time. Calls that run go on.
func (c *Class) SetEnabled(on bool) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.off = !on
	c.updateShutBit()
	if c.off {
		c.refuseAll(ErrOff)
	}
}

// updateShutBit keeps calls off the fast path while admission depends on more than free
// slots.
func (c *Class) updateShutBit() { c.slots.setFlag(shutBit, c.removed || c.off || c.queue.limit > 0) }

// refuseAll refuses all calls that wait.
func (c *Class) refuseAll(why error) {
	for _, w := range c.queue.all() {
		w.refuse(why)
	}
	c.refresh()
}

// Request says which call asks for a slot.
type Request struct {
	Parent   *Hold         // of the call that makes this one; nil, or one that has ended, for a root
	Tenant   string        // in whose queue it waits, and whose limit counts it
	Priority int           // among the waiting calls of that tenant; the highest goes first
	Wait     time.Duration // at most

	// Background says that this is a root call for which no caller waits. It takes its
	// tenant's turn as any other and has no place in the bounded queue: it neither fills
	// it nor is displaced from it. While it has a slot, one more call of others may wait,
	// if that one could run without it. It is also admitted while the group drains,
	// because the owner of the group decides which such calls still run.
	//
	// The calls below it are background calls too, whatever this says. Of those as many
	// may wait as there are places in the queue, beside the others.
	Background bool
}

// enter takes a slot at once (nil, nil), refuses the call (an error), or returns the waiter
// that it has added to the queue. It locks g.mu.
func (v *Version) enter(h *Hold, r Request) (*waiter, error) {
	c, g := v.class, v.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	h.version = v
	if err := v.refusal(r); err != nil {
		return nil, err
	}
	if r.Parent != nil && r.Parent.makeLendable() {
		h.parent = r.Parent
	}
	if r.Background || h.parent != nil && h.parent.background {
		h.runsBehind()
	}
	// No waiter could use the slots that are free here: dispatch would have admitted it.
	// So a new call that finds them passes no other. refresh follows because a class that
	// was ready may have no slot left: a nested call that has its parent's slot of the
	// group may have taken the last one of the class.
	if c.takeAtOnce(h, r.Tenant) {
		v.refresh()
		return nil, nil
	}
	if v.isStuck() {
		return nil, ErrStuck
	}
	victim, why := v.mayNotWait(h, r)
	if why != nil {
		return nil, why
	}
	w := newWaiter(h, r.Priority)
	w.enqueue(r.Tenant)
	c.keepOrRefuse(w, victim)
	return w, nil
}

// keepOrRefuse completes the arrival of w, which is in the queue. If w would be part of a
// deadlock, w itself is refused, and no other call is displaced for it. If not, and the queue
// now has one call too many, victim is displaced. victim stays if the queue has room again:
// enqueue may have admitted w or another waiter.
func (c *Class) keepOrRefuse(w, victim *waiter) {
	switch {
	case w.inNested.in != nil && (w.deadlocks() || w.deadlocksByLimit()):
		w.refuse(ErrCycle)
	case victim != nil && c.isFull(w.hold.version, w.queue.tenant, 0):
		victim.refuse(ErrDisplaced)
	}
	w.publishQueued()
	w.hold.version.refresh()
}

// takeAtOnce takes a slot for a call that has just arrived, if there is one.
func (c *Class) takeAtOnce(h *Hold, tenant string) bool {
	if c.queue.limit == 0 {
		return h.take(nil)
	}
	t := c.queue.queueOf(tenant)
	if h.take(t) {
		h.track()
		h.started(t)
		c.queue.parkAtLimit(t)
		return true
	}
	c.queue.forgetIfIdle(t)
	return false
}

// refresh brings the slow bit, canServe and the class's rank in g.ready up to date. It must
// follow each change of the class's queue, counter or share; where a version's slots or
// waiters have changed too, Version.refresh must.
//
// The slow bit is set before the counter is read, and that order matters. A call that ends
// at the same time on the fast path either gives its slot back before the bit is set, and
// then hasRoom sees it; or its fastDec finds the bit and the call takes g.mu.
func (c *Class) refresh() {
	c.slots.setFlag(slowBit, c.queue.len > 0)
	room := c.queue.len > 0 && c.slots.hasRoom()
	if room && !c.hadRoom {
		c.noteRoom()
	}
	c.hadRoom = room
	c.canServe = room && c.queue.eligible > 0
	if c.canServe || c.lenders.len > 0 && c.nextBorrower() != nil {
		c.group.markReady(c)
	} else {
		c.group.unmarkReady(c)
	}
}

// noteRoom has dispatch look at the class's nested waiters: there is room that they may have
// lacked.
func (c *Class) noteRoom() {
	if c.nested > 0 {
		c.group.withRoom = append(c.group.withRoom, c)
	}
}

// admitGroupBorrowers admits the waiters that need no slot of the group, because their
// parent can lend its own.
func (c *Class) admitGroupBorrowers() {
	for w := range c.nestedWaiters() {
		if !c.slots.hasRoom() && c.lenders.len == 0 {
			return
		}
		if w.hold.canBorrowGroup() {
			w.admit()
		}
	}
}

// nestedWaiters yields the nested calls that wait, in the order of their arrival, but for
// those whose version has no slot for them. The loop body may admit the waiter that it was
// given, and no other.
func (c *Class) nestedWaiters() iter.Seq[*waiter] {
	return func(yield func(*waiter) bool) {
		for v := range c.queue.versions.all() {
			v.line.nested.start(true)
		}
		for {
			var oldest *merged
			for v := range c.queue.versions.all() {
				if !v.mayServe() {
					v.line.nested.start(false)
				}
				oldest = oldest.older(&v.line.nested)
			}
			if oldest == nil || !yield(oldest.step()) {
				return
			}
		}
	}
}

// nextWaiter returns the waiter that gets the next slot of the group; c must be ready. It is
// the queue's next, or the oldest waiter that needs a loan besides, if that one has waited
// for longer or the queue has none.
func (c *Class) nextWaiter() *waiter {
	if !c.canServe {
		return c.nextBorrower()
	}
	next := c.queue.nextWaiter()
	if b := c.nextBorrower(); b != nil && b.sequence < next.sequence {
		return b
	}
	return next
}

// admitNext gives a free slot of the group to a waiter of c, which must be first among the
// ready classes. The waiter gets its other slots too. None can be taken by another goroutine
// meanwhile: all counters have their slow bit set, and g.mu is held.
func (c *Class) admitNext() {
	c.turn = c.group.nextTurn()
	c.nextWaiter().admit()
}

// nextBorrower returns the oldest waiter that needs no more than a slot of the group, or nil.
// The slot of its class, and of its version, is free or can be borrowed.
func (c *Class) nextBorrower() (oldest *waiter) {
	for h := range c.lenders.all() {
		for w := range h.tracking.claimants() {
			if oldest != nil && oldest.sequence < w.sequence {
				break
			}
			if w.lacksOnlyGroup() {
				oldest = w
				break
			}
		}
	}
	return oldest
}

// isStuck reports whether every slot of c, or of the group, is stuck. A call that waits for
// one may wait for ever.
func (c *Class) isStuck() bool {
	return c.uses.stuck > 0 && int(c.uses.stuck) >= c.slots.limit() || c.group.isStuck()
}
