package admission

import (
	"iter"
	"sync/atomic"
	"time"
)

// Class is one function's limit and its bounded queue of calls that wait. Tenants take turns
// in the queue by the time that they use, and share its places when it is full. Each tenant's
// calls are served by priority, then by arrival. Only a call that can borrow its parent's
// slot of the group may overtake calls that cannot. Make one with [Group.NewClass]. All its
// methods may be called concurrently.
type Class struct {
	slots  counter
	group  *Group
	base   Version      // stands beside slots, see Version.Entered
	queued atomic.Int32 // the queue's length, to be read without g.mu; written under it
	keeps  atomic.Bool  // a slot may be kept, see keep.go

	// Guarded by g.mu.
	bound           int           // how many live calls may wait; more may while background calls have slots, see background.go
	queue           *tenantQueues // group.noQueue, which stays empty, until ownQueue makes one
	lenders         list[*Hold]   // calls that can lend a slot of c, or of their version, to calls in queue
	inWaiting       node[*Class]  // c's link in the list group.waiting
	uses            slotUses
	nested          int32 // the nested calls in queue
	lentSlotWaiters int32 // waiters with usesLentSlot, see deadlock.go
	candidates      int32 // deadlock candidates that wait for c
	background      int32 // slots that background calls hold
	hadRoom         bool  // at the last refresh, calls waited and the class had a free slot
	canServe        bool  // a slot is free, and a waiter can use it: its tenant is below its limit and its version has room
	removed         bool
	off             bool
	recalling       bool     // the slow bit is set although no call waits, see takeKept; false while g.mu is not locked
	keepers         *keepers // nil if no worker has kept slots of c
	share
	_ [8]byte // a size that the allocator aligns to cache lines: the words that every call writes stand on one
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
// the number of waiting calls. Used locks g.mu: it takes kept slots back, and sets the slow bit so
// that no slot is kept before it reads the counter.
func (c *Class) Used() int {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.recalling = true
	c.slots.setFlag(slowBit, true)
	c.takeBack()
	c.recalling = false
	defer c.refresh()
	return c.slots.used()
}

func (c *Class) Limit() int  { return c.slots.limit() }
func (c *Class) Queued() int { return int(c.queued.Load()) }

// Resize changes the number of slots. Calls that have one keep it. Waiters are admitted at
// once if there is room for them. With no slots all calls wait; [Class.SetEnabled] refuses
// them instead. While no call waits, Resize costs a compare-and-swap.
func (c *Class) Resize(n int) {
	// A call that begins to wait at the same time sets the slow bit before it reads the
	// counter (see refresh). So either that call sees the new limit, or fastResize sees the
	// bit.
	if c.slots.fastResize(n) && !c.keeps.Load() {
		return
	}
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.slots.resize(n)
	c.recall()
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

// ownQueue returns the class's own queue, which may be written to. It makes the queue if
// there is none: in most classes no call has ever waited.
func (c *Class) ownQueue() *tenantQueues {
	if c.queue == &c.group.noQueue {
		c.queue = &tenantQueues{}
	}
	return c.queue
}

// Remove refuses new calls with ErrRemoved, and gives up the floor. Calls that already wait
// are still served.
func (c *Class) Remove() {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.removed = true
	c.group.reserved -= c.reserved
	c.reserved = 0
	c.updateShutBit()
	c.refresh()
}

// SetEnabled turns the class off, or on again; at first it is on. While it is off, all calls
// are refused with ErrOff. Calls that wait are refused too, because the class may stay off
// for longer than they may wait. Calls that run go on.
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
func (c *Class) updateShutBit() {
	c.slots.setFlag(shutBit, c.removed || c.off || c.queue.limit > 0)
	c.takeBack()
}

// refuseAll refuses all calls that wait.
func (c *Class) refuseAll(why error) {
	for _, w := range c.queue.all() {
		w.refuse(why)
	}
	c.refresh()
}

// Request describes a call that needs a slot.
type Request struct {
	Parent   *Hold         // of the call that makes this one; nil, or one that has ended, for a root call
	Tenant   string        // the call waits in this tenant's queue, and counts against this tenant's limit
	Priority int           // among the waiting calls of that tenant; the highest is served first
	Wait     time.Duration // at most this long

	// Background marks a root call for which no caller waits. It is served in its tenant's
	// turn like any other call, but has no place in the bounded queue: it does not fill the
	// queue, and is not displaced from it. While it has a slot, one more live call may wait,
	// if that call could run without it. (A live call is one that is not a background call.)
	// A background call is also admitted while the group drains, because the owner of the
	// group decides which of them still run.
	//
	// The nested calls below it are background calls too, whatever this field says for them.
	// As many of those may wait as the queue has places, in addition to the live calls.
	Background bool
}

// enter takes a slot at once (and returns nil, nil), refuses the call (and returns an error),
// or adds the call to the queue and returns its waiter. It locks g.mu.
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
	// If slots are free here, no waiter can use them, because dispatch would have admitted it. So
	// a new call that takes them overtakes no waiter. v.refresh must follow: if h is a nested
	// call that borrows its parent's slot of the group, it may have taken the last slot of a
	// class that was ready, which is then no longer ready.
	missing := c.takeAtOnce(h, r.Tenant)
	if missing != 0 {
		missing = c.takeKept(h, r.Tenant, missing)
	}
	if missing == 0 {
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
// deadlock, w itself is refused, and no other call is displaced for it. If not, and the queue now
// has one call too many, the waiter victim is displaced. It stays in the queue if there is room
// again, because enqueue may have admitted w or another waiter.
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

// takeAtOnce takes the slots for a call that has just arrived. Its result is that of Hold.take.
func (c *Class) takeAtOnce(h *Hold, tenant string) (missing uint8) {
	if c.queue.limit == 0 {
		return h.take(nil)
	}
	t := c.queue.queueOf(tenant)
	if missing = h.take(t); missing != 0 {
		c.queue.forgetIfIdle(t)
		return missing
	}
	h.track()
	h.started(t)
	c.queue.parkAtLimit(t)
	return 0
}

// refresh brings up to date: the slow bit (calls give slots back under g.mu, see counter), the
// field canServe, and the class's rank in g.ready. It must be called after each change of the
// class's queue, counter or share. If the slots or waiters of a version have changed too,
// Version.refresh must be called instead.
//
// The slow bit is set before the counter is read, and that order matters. A call that ends at
// the same time on the fast path either gives its slot back before the bit is set, and then
// hasRoom sees the free slot; or its fastDec sees the bit, and the call locks g.mu.
func (c *Class) refresh() {
	c.slots.setFlag(slowBit, c.queue.len > 0 || c.recalling)
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

// noteRoom makes the next dispatch look at the class's nested waiters, because a slot or a
// place that they lacked may have come free.
func (c *Class) noteRoom() {
	if c.nested > 0 {
		c.group.withRoom = append(c.group.withRoom, c)
	}
}

// admitGroupBorrowers admits the nested calls that need no free slot of the group, because their
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

// nestedWaiters yields the nested calls that wait, in the order of their arrival. It leaves
// out those whose version can serve no call. The loop body may admit the waiter that it was
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

// nextWaiter returns the waiter that gets the next slot of the group; c must be in g.ready. There
// are two candidates: the waiter that tenantQueues.nextWaiter returns, and the oldest waiter that
// needs a loan (a borrowed slot) besides. Of the two, nextWaiter returns the one that arrived
// first.
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

// admitNext gives a free slot of the group to a waiter of c; c must be g.ready.first(). The
// waiter gets its other slots too. Another goroutine cannot take one of them in between: all
// counters involved have their slow bit set, and g.mu is held.
func (c *Class) admitNext() {
	c.turn = c.group.nextTurn()
	c.nextWaiter().admit()
}

// nextBorrower returns the oldest waiter that could run on a loan if it got a slot of the
// group (see lacksOnlyGroup), or nil.
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

// isStuck reports whether every slot of c, or every slot of the group, is stuck: used by a call
// that MarkStuck has marked. A call that waits for such a slot may wait for ever.
func (c *Class) isStuck() bool {
	return c.uses.stuck > 0 && int(c.uses.stuck) >= c.slots.limit() || c.group.isStuck()
}
