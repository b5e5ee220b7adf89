package admission

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// slow reports whether the slow bit is set: a call waits, and every change of the counter
// needs g.mu.
func (n *counter) slow() bool { return n.v.Load()&slowBit != 0 }

func (c *Class) Slow() bool { return c.slots.slow() }
func (g *Group) Slow() bool { return g.slots.slow() }

// OwnsClass reports whether h took its slot of the class from the pool, and did not borrow
// it.
func (h *Hold) OwnsClass() bool { return h.loan&ofClass == 0 }

// ClassLender returns the call above h from which h has borrowed its slot of the class, or
// nil.
func (h *Hold) ClassLender() *Hold {
	if h.OwnsClass() {
		return nil
	}
	return h.lender(ofClass)
}

// OwnsVersion reports whether h took its slot of the version from the pool, and did not
// borrow it.
func (h *Hold) OwnsVersion() bool { return h.version.isLimited() && h.loan&ofVersion == 0 }

// Quiet returns an error if v still has slots in use or waiters, although all calls have
// ended.
func (v *Version) Quiet() error {
	v.class.group.mu.Lock()
	defer v.class.group.mu.Unlock()
	if v.slots.used() != 0 || v.slots.slow() || v.uses != (slotUses{}) || v.line != nil && (v.line.waiting != 0 || v.line.lenders != 0 || v.line.background != 0 || v.line.slots != 0) {
		return fmt.Errorf("%d used, %+v, %+v", v.slots.used(), v.uses, v.line)
	}
	return nil
}

// OwnsGroup reports whether h took its slot of the group from the pool, and did not borrow
// it.
func (h *Hold) OwnsGroup() bool { return h.loan&ofGroup == 0 }

// Locked runs f while the group's lock is held. f must not lock it.
func (g *Group) Locked(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// Between sets the limit of g to n, and runs f before dispatch admits a waiter. Each release
// has such a moment between the two.
func (g *Group) Between(n int, f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slots.resize(n)
	f()
	g.dispatch()
}

// TakeHalf takes only the slot of the class, and returns the function that puts it back. It
// is the first half of a TryAcquire that then finds the group full.
func (c *Class) TakeHalf() (putBack func(), ok bool) {
	return func() { c.base.putBack(true) }, c.slots.fastInc()
}

// Check returns an error if the state of g or of classes is inconsistent. It may be called at
// any time, since every critical section leaves the state consistent.
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
	case !reflect.ValueOf(g.noQueue).IsZero():
		return fmt.Errorf("the queue of classes without one was written to")
	case waiting != g.waiting.len || ready != g.ready.len():
		return fmt.Errorf("%d classes wait and %d are ready, counted %d and %d", waiting, ready, g.waiting.len, g.ready.len())
	case g.slots.slow() != (ready > 0):
		return fmt.Errorf("slow bit of the group is %v with %d ready", g.slots.slow(), ready)
	case ready > 0 && g.slots.hasRoom():
		return fmt.Errorf("%d classes are ready and the group has room", ready)
	case len(g.groupLenders)+len(g.classLenders)+len(g.versionLenders)+len(g.withRoom) > 0:
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
	case nested != int(c.nested):
		return fmt.Errorf("%d nested wait, counted %d", nested, c.nested)
	case c.queue.len != c.Queued():
		return fmt.Errorf("%d wait, counted %d", c.queue.len, c.Queued())
	case c.lentSlotWaiters < 0 || c.candidates != 0:
		return fmt.Errorf("waiters for lent slots %d, candidates %d", c.lentSlotWaiters, c.candidates)
	}
	if err := c.checkVersions(); err != nil {
		return err
	}
	return errors.Join(c.uses.check(), c.queue.check())
}

func (u *slotUses) check() error {
	if u.blocked < 0 || u.stuck < 0 || u.heldBack != 0 || u.wanted != 0 {
		return fmt.Errorf("blocked %d, stuck %d, held back %d, wanted %d", u.blocked, u.stuck, u.heldBack, u.wanted)
	}
	return nil
}

// checkVersions compares the counters of the versions that have waiters with a new count.
func (c *Class) checkVersions() error {
	all, eligible := c.queue.all(), 0
	for v := range c.queue.versions.all() {
		in, waiting, nested := v.line, 0, 0
		for _, w := range all {
			if w.hold.version == v {
				waiting++
			}
			if w.hold.version == v && w.hold.parent != nil {
				nested++
			}
		}
		turns := in.newLanes.len + in.oldLanes.len()
		if in.eligible {
			eligible++
		}
		switch {
		case waiting == 0, waiting != in.waiting, waiting != v.Queued(), nested != in.nested.len:
			return fmt.Errorf("%d calls of a version wait, %d of them nested, counted %d, %d and %d", waiting, nested, in.waiting, v.Queued(), in.nested.len)
		case in.eligible != (turns > 0 && v.hasRoom()):
			return fmt.Errorf("a version with %d turns and room %v is eligible: %v", turns, v.hasRoom(), in.eligible)
		case v.isLimited() && !v.slots.slow():
			return fmt.Errorf("the slow bit of a version is not set with %d waiting", waiting)
		case in.lenders < 0 || in.lenders > 0 && !v.isLimited():
			return fmt.Errorf("%d lenders of a version", in.lenders)
		}
		if err := v.uses.check(); err != nil {
			return fmt.Errorf("version: %w", err)
		}
	}
	if eligible != c.queue.eligible {
		return fmt.Errorf("%d versions are eligible, counted %d", eligible, c.queue.eligible)
	}
	return nil
}

// check compares the counters of the tenants' queues with a new count.
func (q *tenantQueues) check() error {
	waiting, busy := 0, 0
	for tenant, t := range q.byTenant {
		if err := t.check(); err != nil {
			return fmt.Errorf("queue of %q: %w", tenant, err)
		}
		waiting += t.waiting
		busy += t.running
		switch {
		case t.waiting > 0 && (t.turn != noTurn) != q.belowLimit(t):
			return fmt.Errorf("queue of %q of %d busy has a turn: %v", tenant, t.running, t.turn)
		case t.waiting == 0 && t.turn == noTurn && t.running == 0:
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
	case waiting != q.len:
		return fmt.Errorf("%d calls wait, counted %d", waiting, q.len)
	case waiting == 0 && q.limit == 0 && len(q.byTenant) > 0, q.limit > 0 && waiting == 0 && busy < len(q.byTenant):
		return fmt.Errorf("%d queues are kept while no call waits", len(q.byTenant))
	}
	return nil
}

// check returns an error unless the lanes are in the lists that t.turn requires.
func (t *tenantQueue) check() error {
	waiting, live := 0, 0
	for l := t.lanes; l != nil; l = l.next {
		waiting += l.waiters.len()
		for _, w := range l.waiters.members {
			if !w.hold.background {
				live++
			}
		}
		if l.waiters.len() == 0 || (l.inNew.in != nil) != (t.turn == newTurn) || (l.oldIndex > 0) != (t.turn == oldTurn) {
			return fmt.Errorf("a lane of %d, turn %d, new %v, old %v", l.waiters.len(), t.turn, l.inNew.in != nil, l.oldIndex > 0)
		}
	}
	if live != t.victims.len() {
		return fmt.Errorf("%d live calls wait, %d can be displaced", live, t.victims.len())
	}
	if waiting != t.waiting || (t.emptyIndex > 0) != (t.turn == oldTurn && waiting == 0) {
		return fmt.Errorf("%d calls in lanes, counted %d, turn %d, among the empty: %v", waiting, t.waiting, t.turn, t.emptyIndex > 0)
	}
	return nil
}

// crowded lists the tenants with a waiter.
func (q *tenantQueues) crowded() (tenants []string) {
	for tenant, t := range q.byTenant {
		if t.victims.len() > 0 {
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
	case h.canBorrowGroup() && (h.class().slots.hasRoom() && h.class().queue.belowLimit(w.queue) || h.findClassLender(w.queue) != nil) &&
		(h.version.hasRoom() || h.findVersionLender() != nil):
		return fmt.Errorf("a waiter has a loan to take")
	}
	return nil
}

// Quiet returns an error if g or classes still have slots in use, waiters or tenants,
// although all calls have ended.
func (g *Group) Quiet(classes ...*Class) error {
	if err := g.CheckKept(); err != nil {
		return err
	}
	g.Used() // takes kept slots back
	if err := g.Check(classes...); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slots.used() != 0 || g.stuck != 0 || g.background != 0 || g.waiting.len != 0 {
		return fmt.Errorf("group: %d used, %d stuck, %d in the background, %d waiting", g.slots.used(), g.stuck, g.background, g.waiting.len)
	}
	for i, c := range classes {
		if c.slots.used() != 0 || c.background != 0 || c.queue.bounded != 0 || c.queue.ofHandlers != 0 || c.groupSurplus != 0 || c.uses != (slotUses{}) || c.lentSlotWaiters != 0 || c.lenders.len != 0 || len(c.queue.byTenant) > 0 {
			return fmt.Errorf("class %d: %d used, a surplus of %d, %+v, %d queues",
				i, c.slots.used(), c.groupSurplus, c.uses, len(c.queue.byTenant))
		}
	}
	return nil
}

// Orphan reports whether h has no parent that can lend it a slot, or had none when it was
// admitted.
func (h *Hold) Orphan() bool { return h.parent == nil }

// Answer is the result of a wait.
type Answer = answer

// Err returns nil if the call has a slot, and the reason of the refusal otherwise.
func (a answer) Err() error { return a.err }

// Join is like Acquire, but does not wait: it returns the channel on which the answer comes.
func (v *Version) Join(h *Hold, r Request) <-chan Answer {
	w, err := v.enter(h, r)
	if w != nil {
		return w.result
	}
	told := make(chan answer, 1)
	told <- answer{admitted: err == nil, err: err}
	return told
}

// Held returns how many slots of the group the class's calls have, computed from the counters
// that share.go uses.
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

// Turns returns whether c waits below its floor, the turn number of c, and the last number
// given to any class.
func (c *Class) Turns() (low bool, own, all uint64) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.readyIndex > 0 && c.groupSlots() < c.reserved, c.turn, c.group.lastTurn
}

// Acquire, TryAcquire and Join call those of the base version, for tests in which a class has
// no other version.
func (c *Class) Acquire(ctx context.Context, h *Hold, r Request) error {
	return c.base.Acquire(ctx, h, r)
}
func (c *Class) TryAcquire(h *Hold) bool               { return c.base.TryAcquire(h) }
func (c *Class) Join(h *Hold, r Request) <-chan Answer { return c.base.Join(h, r) }

// KeepAll makes workers keep slots even if few are free.
func (g *Group) KeepAll() { g.keepAll = true }

// Adopt makes k keep slots of v, without calls in a row. The version must not have a limit.
func (k *Keeper) Adopt(v *Version) { k.adopt(v) }

// Keeps reports whether k keeps a slot.
func (k *Keeper) Keeps() bool { return k.cell != nil && k.cell.word.Load()&kept != 0 }

// KeepsOf reports whether the slots that k keeps are those of v.
func (k *Keeper) KeepsOf(v *Version) bool { return k.cell != nil && k.cell.version == v }

// InUse returns the number of slots in use without those that are kept. It takes none back.
func (g *Group) InUse() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.slots.used()
	for c := range g.keepers.all() {
		n -= c.keptSlots()
	}
	return n
}

// InUse does the same for a class.
func (c *Class) InUse() int {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.slots.used() - c.keptSlots()
}

func (c *Class) keptSlots() (n int) {
	if c.keepers == nil {
		return 0
	}
	for _, k := range c.keepers.cells {
		n += int(k.word.Load() & kept)
	}
	return n
}

// CheckKept returns an error if a slot is kept that must not be. It may be called only while no
// call ends: keep looks only after it has kept a slot whether that is allowed.
func (g *Group) CheckKept() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.keepers.all() {
		n := c.keptSlots()
		calm := c.slots.isCalm() && g.slots.isCalm()
		switch {
		case n > 0 && !calm:
			return fmt.Errorf("%d slots are kept of a class with the words %x and %x", n, c.slots.v.Load(), g.slots.v.Load())
		case n > 0 && (!c.keeps.Load() || !g.keeps.Load()):
			return fmt.Errorf("%d slots are kept, and the flags are %v and %v", n, c.keeps.Load(), g.keeps.Load())
		}
		for i, k := range c.keepers.cells {
			if k.index != i || k.version.class != c || k.word.Load()&kept != 0 && k.version.state.Load() != 0 {
				return fmt.Errorf("cell %d at %d", k.index, i)
			}
		}
	}
	return nil
}

// Raw returns the number of slots in use, with those that are kept. It takes none back.
func (g *Group) Raw() int { return g.slots.used() }
func (c *Class) Raw() int { return c.slots.used() }

// Cell returns the address of k's cell, and its size.
func (k *Keeper) Cell() (at, size uintptr) {
	return uintptr(unsafe.Pointer(k.cell)), unsafe.Sizeof(cell{})
}
