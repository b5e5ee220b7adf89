package admission

import (
	"context"
	"fmt"
)

// Slow tells whether a call waits for one of the slots, so that every change of the
// counter goes through g.mu.
func (n *counter) slow() bool { return n.v.Load()&slowBit != 0 }

func (c *Class) Slow() bool { return c.slots.slow() }
func (g *Group) Slow() bool { return g.slots.slow() }

// OwnsClass tells whether h was let in with a slot of its class of its own.
func (h *Hold) OwnsClass() bool { return h.loan&ofClass == 0 }

// OwnsGroup tells the same of the group's slot.
func (h *Hold) OwnsGroup() bool { return h.loan&ofGroup == 0 }

// Locked runs f while the group's lock is held: what f does takes no lock.
func (g *Group) Locked(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// Between gives g a limit of n and runs f before dispatch admits a waiter. Each release
// has such a moment.
func (g *Group) Between(n int, f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slots.resize(n)
	f()
	g.dispatch()
}

// TakeHalf takes the slot of the class alone, and returns what puts it back:
// TryAcquire, stopped in its middle, where it finds the group full.
func (c *Class) TakeHalf() (putBack func(), ok bool) { return c.putBack, c.slots.fastInc() }

// Check says what is wrong with the state of g and of classes, or nil. It may
// be called at any time: every section under the lock leaves things in order.
func (g *Group) Check(classes ...*Class) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting, ready := 0, 0
	for i, c := range classes {
		if err := c.check(); err != nil {
			return fmt.Errorf("class %d: %w", i, err)
		}
		if c.inWaiting.in != nil {
			waiting++
		}
		if c.readyIndex > 0 {
			ready++
		}
	}
	switch {
	case waiting != g.waiting.len || ready != g.ready.len():
		return fmt.Errorf("%d classes wait and %d are ready, counted %d and %d", waiting, ready, g.waiting.len, g.ready.len())
	case g.slots.slow() != (ready > 0):
		return fmt.Errorf("slow bit of the group is %v with %d ready", g.slots.slow(), ready)
	case ready > 0 && g.slots.hasRoom():
		return fmt.Errorf("%d classes are ready and the group has room", ready)
	case len(g.groupLenders)+len(g.classLenders)+len(g.withRoom) > 0:
		return fmt.Errorf("dispatch was forgotten")
	}
	return nil
}

func (c *Class) check() error {
	nested := 0
	for _, w := range c.queue.all() {
		if err := w.check(); err != nil {
			return err
		}
		if w.hold.parent != nil {
			nested++
		}
	}
	switch waits := c.queue.len > 0; {
	case waits != c.slots.slow():
		return fmt.Errorf("slow bit is %v with %d waiting", c.slots.slow(), c.queue.len)
	case waits != (c.inWaiting.in != nil):
		return fmt.Errorf("among the waiting: %v with %d waiting", c.inWaiting.in != nil, c.queue.len)
	case c.canServe != (c.queue.eligible > 0 && c.slots.hasRoom()):
		return fmt.Errorf("open: %v, %d lanes are", c.canServe, c.queue.eligible)
	case (c.canServe || c.nextBorrower() != nil) != (c.readyIndex > 0):
		return fmt.Errorf("ready: %v, open: %d, used: %d of %d", c.readyIndex > 0, c.queue.eligible, c.slots.used(), c.slots.limit())
	case c.groupSlots() < 0:
		return fmt.Errorf("%d used and a surplus of %d", c.slots.used(), c.groupSurplus)
	case nested != c.nested.len:
		return fmt.Errorf("%d nested wait, counted %d", nested, c.nested.len)
	case c.queue.len != c.Queued():
		return fmt.Errorf("%d wait, counted %d", c.queue.len, c.Queued())
	case c.blocked < 0 || c.stuck < 0 || c.lentSlotWaiters < 0 || c.heldBack != 0 || c.candidates != 0:
		return fmt.Errorf("blocked %d, stuck %d, waiters for lent slots %d, held back %d, candidates %d", c.blocked, c.stuck, c.lentSlotWaiters, c.heldBack, c.candidates)
	}
	return c.queue.check()
}

// check counts again what the tenants' queues keep count of.
func (q *tenantQueues) check() error {
	open, waiting, busy := 0, 0, 0
	for tenant, t := range q.byTenant {
		turn := t.oldIndex > 0 || t.inNew.in != nil
		if turn && t.waiters.len() > 0 {
			open++
		}
		waiting += t.waiters.len()
		busy += t.running
		switch {
		case t.oldIndex > 0 && t.inNew.in != nil:
			return fmt.Errorf("queue of %q is both old and new", tenant)
		case t.waiters.len() > 0 && turn != q.belowLimit(t):
			return fmt.Errorf("queue of %q of %d busy has a turn: %v", tenant, t.running, turn)
		case t.waiters.len() == 0 && t.oldIndex == 0 && t.running == 0:
			return fmt.Errorf("queue of %q is kept for no call", tenant)
		case q.limit > 0 && t.running > q.limit, t.running < 0:
			return fmt.Errorf("queue of %q: %d busy", tenant, t.running)
		case t.limitWaiters > 0 && t.blocked > 0, t.limitWaiters < 0, t.blocked < 0, t.heldBack != 0:
			return fmt.Errorf("queue of %q: %d wait for the limit, %d are blocked, %d held back", tenant, t.limitWaiters, t.blocked, t.heldBack)
		}
	}
	switch {
	case len(q.longest.members) != len(q.crowded()):
		return fmt.Errorf("%d queues are in longest, and %d have a waiter", len(q.longest.members), len(q.crowded()))
	case open != q.eligible || waiting != q.len:
		return fmt.Errorf("%d queues are eligible and %d calls wait, counted %d and %d", open, waiting, q.eligible, q.len)
	case waiting == 0 && q.limit == 0 && len(q.byTenant) > 0, q.limit > 0 && waiting == 0 && busy < len(q.byTenant):
		return fmt.Errorf("%d queues are kept while no call waits", len(q.byTenant))
	}
	return nil
}

// crowded lists the tenants with a waiter.
func (q *tenantQueues) crowded() (tenants []string) {
	for tenant, t := range q.byTenant {
		if t.waiters.len() != t.victims.len() {
			return nil
		}
		if t.waiters.len() > 0 {
			tenants = append(tenants, tenant)
		}
	}
	return tenants
}

func (w *waiter) check() error {
	h := w.hold
	switch {
	case w.queueIndex == 0, (w.inNested.in != nil) != (h.parent != nil), (w.inParent.in != nil) != (h.parent != nil):
		return fmt.Errorf("a waiter's places disagree")
	case h.parent != nil && h.parent.released():
		return fmt.Errorf("a waiter's parent has ended")
	case h.canBorrowGroup() && (h.class.slots.hasRoom() && h.class.queue.belowLimit(w.queue) || h.findClassLender(w.queue) != nil):
		return fmt.Errorf("a waiter has a loan to take")
	}
	return nil
}

// Quiet says what is left behind where everything has ended, or nil.
func (g *Group) Quiet(classes ...*Class) error {
	if err := g.Check(classes...); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slots.used() != 0 || g.stuck != 0 || g.waiting.len != 0 {
		return fmt.Errorf("group: %d used, %d stuck, %d waiting", g.slots.used(), g.stuck, g.waiting.len)
	}
	for i, c := range classes {
		if c.slots.used() != 0 || c.groupSurplus != 0 || c.stuck != 0 || c.blocked != 0 || c.lentSlotWaiters != 0 || c.lenders.len != 0 || len(c.queue.byTenant) > 0 {
			return fmt.Errorf("class %d: %d used, a surplus of %d, %d stuck, %d blocked, %d queues",
				i, c.slots.used(), c.groupSurplus, c.stuck, c.blocked, len(c.queue.byTenant))
		}
	}
	return nil
}

// Orphan tells whether h has, or had when it was let in, no parent to lend.
func (h *Hold) Orphan() bool { return h.parent == nil }

// Answer is what a wait ends with.
type Answer = answer

// Err is nil for a slot.
func (a answer) Err() error { return a.err }

// Join is Acquire that does not wait: the answer comes when there is one.
func (v *Version) Join(h *Hold, r Request) <-chan Answer {
	w, err := v.enter(h, r)
	if w != nil {
		return w.result
	}
	told := make(chan answer, 1)
	told <- answer{admitted: err == nil, err: err}
	return told
}

// Held is how many slots of the group the class's calls have, by the books.
func (c *Class) Held() int {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.groupSlots()
}

// TenantQueues returns how many tenants the class remembers.
func (c *Class) TenantQueues() int {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return len(c.queue.byTenant)
}

// Turns tells whether c waits below its floor, its last turn, and the last of any class.
func (c *Class) Turns() (low bool, own, all uint64) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.readyIndex > 0 && c.groupSlots() < c.reserved, c.turn, c.group.lastTurn
}

// Acquire, TryAcquire and Join are those of the base, for tests in which a class has no
// other version.
func (c *Class) Acquire(ctx context.Context, h *Hold, r Request) error {
	return c.base.Acquire(ctx, h, r)
}
func (c *Class) TryAcquire(h *Hold) bool               { return c.base.TryAcquire(h) }
func (c *Class) Join(h *Hold, r Request) <-chan Answer { return c.base.Join(h, r) }
