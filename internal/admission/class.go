package admission

import (
	"context"
	"sync/atomic"
	"time"
)

// Class is one function's share of a group: its own limit, and a bounded queue
// for calls that wait. There tenants take turns, by the time that they use, and
// share the places when it is full; each tenant's calls are served in the order of
// their priority and arrival; only a call that has its parent's slot of the group to borrow may pass those
// that lack one.
// Make one with [Group.NewClass]; all its methods may be called concurrently.
type Class struct {
	word word

	// Entered and Settled are the owner's, to count calls by. They stand here
	// because each call writes the word beside them at the same moments: the
	// processors then hand one cache line around, and not two.
	Entered, Settled atomic.Uint64

	group  *Group
	queued atomic.Int32 // the queue's length; written under the group's lock, once it is within its bound

	// Guarded by the group's lock.
	bound    int // of the queue
	queue    lanes
	nested   list[*waiter] // those in queue that were called from inside a call
	lenders  list[*Hold]   // calls with a slot of c's to lend, and some in queue that could use it
	open     bool          // there is room, and a waiter whose tenant permits it to use it
	stuck    int           // slots held by calls that do not end
	blocked  int           // slots held by calls that have a nested call waiting
	removed  bool
	off      bool
	line     node[*Class] // in the group's waiting
	riders   int          // see cycle.go
	suspects int          // likewise
	pinned   int          // likewise
	share
}

// NewClass returns a class of at most n calls at once ([Unlimited]: as many as
// the group allows), with room for queue waiting calls, of weight 1 and without
// a floor.
func (g *Group) NewClass(n, queue int) *Class {
	c := &Class{group: g, bound: queue, share: share{weight: 1}}
	c.line.value = c
	c.word.resize(n)
	g.mu.Lock()
	defer g.mu.Unlock()
	c.turn = g.next()
	return c
}

// Used is the number of slots in use, Limit how many there are, Queued how
// many calls wait.
func (c *Class) Used() int   { return c.word.used() }
func (c *Class) Limit() int  { return c.word.limit() }
func (c *Class) Queued() int { return int(c.queued.Load()) }

// Resize changes the number of slots. Calls that hold one keep it; waiters
// are let in at once if there is room. Without any slots calls wait: to refuse
// them, there is [Class.SetEnabled]. While nobody waits it costs a compare-and-swap.
func (c *Class) Resize(n int) {
	// Whoever begins to wait meanwhile sets the slow bit before it looks for
	// room: it sees the new limit, or has the lock taken here.
	if c.word.fastResize(n) {
		return
	}
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.word.resize(n)
	c.refresh()
	c.group.dispatch()
	c.unknot()
	c.despair()
}

// LimitTenants bounds how many calls of one tenant run at once, n ≥ 1. It is to
// be said before the first call; from then on all calls of the class take the
// lock.
func (c *Class) LimitTenants(n int) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.queue.limit = n
	c.shut()
}

// Remove refuses calls from now on with ErrRemoved, and gives up the floor;
// those that wait go on.
func (c *Class) Remove() {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.removed = true
	c.group.reserved -= c.reserved
	c.reserved = 0
	c.shut()
	c.refresh()
}

// SetEnabled turns the class off, or on again, as it is at first. While it is off
// all calls are refused with ErrOff, those that wait among them: they can't know
// whether it will be on again in their time. Those that run go on.
func (c *Class) SetEnabled(on bool) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.off = !on
	c.shut()
	if c.off {
		c.dismiss(ErrOff)
	}
}

// shut keeps calls off the fast path where there is more to look at than slots.
func (c *Class) shut() { c.word.set(shutBit, c.removed || c.off || c.queue.limit > 0) }

// dismiss refuses all that wait.
func (c *Class) dismiss(why error) {
	for _, w := range c.queue.all() {
		w.refuse(why)
	}
	c.refresh()
}

// TryAcquire takes a slot for a root call if that needs no waiting and no
// lock, and makes h the one who holds it.
func (c *Class) TryAcquire(h *Hold) bool {
	if !c.word.fastInc() {
		return false
	}
	if !c.group.word.fastInc() {
		c.putBack()
		return false
	}
	h.class = c
	return true
}

// putBack returns the class's half of a slot whose other half was not free.
// Whoever found the class full because of it has begun to wait under the lock,
// and is let in here.
func (c *Class) putBack() {
	if c.word.fastDec() {
		return
	}
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.free()
	c.group.dispatch()
}

// Request is who asks for a slot.
type Request struct {
	Parent   *Hold         // of the call that makes this one; nil, or one that is over: a root
	Tenant   string        // whose lane it waits in, and whose limit it counts for
	Priority int           // among the waiting calls of that tenant; the highest goes first
	Wait     time.Duration // at most
}

// Acquire takes a slot for h, waiting in line for it no longer than r.Wait and
// no longer than ctx lasts; a slot that is there is taken whatever they say. It
// answers nil, one of the errors of this package, or ctx's.
func (c *Class) Acquire(ctx context.Context, h *Hold, r Request) error {
	if r.Parent == nil && c.TryAcquire(h) {
		return nil
	}
	w, err := c.enter(h, r)
	if w == nil {
		return err
	}
	return w.wait(ctx, r.Wait)
}

// enter takes a slot at once, refuses, or returns the waiter to wait with.
func (c *Class) enter(h *Hold, r Request) (*waiter, error) {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	h.class = c
	if err := c.refuses(r.Parent); err != nil {
		return nil, err
	}
	if r.Parent != nil && r.Parent.share() {
		h.parent = r.Parent
	}
	// Whoever waits lacks something that is not there (see dispatch), so a
	// newcomer that finds a slot passes nobody who could have had it. It may
	// have taken the class's last one, though, by a loan, from under a class
	// that is ready.
	if c.takes(h, r.Tenant) {
		c.refresh()
		return nil, nil
	}
	if c.isStuck() {
		return nil, ErrStuck
	}
	var victim *waiter
	if c.queue.len >= c.bound {
		if victim = c.queue.victim(r.Tenant, r.Priority); victim == nil {
			return nil, ErrFull
		}
	}
	w := newWaiter(h, r.Priority)
	w.enqueue(r.Tenant)
	c.settle(w, victim)
	return w, nil
}

// settle has a newcomer in line wait, or refuses it: for a call that would wait for
// itself no other is displaced. Slots may have come free as it lined up: then the
// queue is within its bound already.
func (c *Class) settle(w, victim *waiter) {
	switch {
	case w.kin.in != nil && (w.knots() || w.ties()):
		w.refuse(ErrCycle)
	case c.queue.len > c.bound:
		victim.refuse(ErrDisplaced)
	}
	c.queued.Store(int32(c.queue.len))
	c.refresh()
}

// takes gets a newcomer a slot if there is one.
func (c *Class) takes(h *Hold, tenant string) bool {
	if c.queue.limit == 0 {
		return h.take(nil)
	}
	l := c.queue.of(tenant)
	if h.take(l) {
		h.prepare()
		h.begin(l)
		c.queue.parkFull(l)
		return true
	}
	c.queue.tidy(l)
	return false
}

// despair refuses all that wait for a slot where each is stuck.
func (c *Class) despair() {
	if c.group.isStuck() {
		c.group.dismiss(ErrStuck)
	} else if c.isStuck() {
		c.dismiss(ErrStuck)
	}
}

func (c *Class) refuses(parent *Hold) error {
	switch {
	case c.removed:
		return ErrRemoved
	case c.off:
		return ErrOff
	case c.group.phase == closed, c.group.phase == draining && (parent == nil || parent.Ended()):
		return ErrClosed
	}
	return nil
}

// isStuck tells whether every slot, of c's or of the group's, is stuck: who waits
// for one has no prospect.
func (c *Class) isStuck() bool {
	return c.stuck > 0 && c.stuck >= c.word.limit() || c.group.isStuck()
}

// free gives back the class's half of a slot, under the lock; dispatch is to
// follow. In a class that is over its limit that makes no room, but may take
// away the last call that was not waiting for itself.
func (c *Class) free() {
	c.word.dec()
	c.refresh()
	c.unknot()
}

// refresh brings the flags and the group's order of classes up to date, after
// the queue, the word or the share of the class has changed; the lock is held.
//
// The sequence matters: the slow bit is set before the room is read, so that a
// slot given back on the fast path is either seen here or comes through the
// lock.
func (c *Class) refresh() {
	c.word.set(slowBit, c.queue.len > 0)
	was := c.open
	c.open = c.queue.open > 0 && c.word.room()
	if c.open && !was && c.nested.len > 0 {
		c.group.roomy = append(c.group.roomy, c)
	}
	if c.open || c.lenders.len > 0 && c.able() != nil {
		c.group.enready(c)
	} else {
		c.group.unready(c)
	}
}

// next is who gets the next slot of the group, c being ready: whose turn it is or,
// where the class has no room, the oldest that can be lent a slot of it.
func (c *Class) next() *waiter {
	if c.open {
		return c.queue.head()
	}
	return c.able()
}

// able is the oldest waiter that can be lent a slot of the class, or nil.
func (c *Class) able() (oldest *waiter) {
	for h := range c.lenders.all() {
		for w := range h.family.claims.all() {
			if c.queue.permits(w.lane) || h.hasPlace(w.lane) {
				if oldest == nil || w.number < oldest.number {
					oldest = w
				}
				break
			}
		}
	}
	return oldest
}

// lend lets in the waiters that need no slot of the group, because their
// parent has one to lend.
func (c *Class) lend() {
	for w := range c.nested.all() {
		if !c.word.room() && c.lenders.len == 0 {
			return
		}
		if w.hold.loanAtHome() {
			w.admit()
		}
	}
}
