package admission

import (
	"context"
	"sync/atomic"
)

// The state of a version, as the fast path sees it.
const (
	hasLimit  = 1 << iota // the version has slots of its own
	isRemoved             // new calls are refused
)

// Version is a part of a class: the calls of one version of a function. All versions of a
// class share its limit, its queue and everything else of the class. A version counts its own
// calls, can be removed alone, and may have a limit of its own. A call of such a version
// needs one of the version's slots too. It takes all three together or none, so a call that
// lacks only its version's slot holds no slot that calls of other versions could use, and
// these overtake it in the queue. Get a version from [Class.Base] or [Class.NewVersion]. All
// its methods may be called concurrently, unless their comments say otherwise.
type Version struct {
	// Entered and Settled are for the owner of the version, to count its calls. In a class's
	// base version the two stand beside the counter of the class's slots: a call writes Entered
	// when it takes a slot, and Settled when it gives the slot back. So the processors exchange
	// one cache line, and not two.
	Entered, Settled atomic.Uint64

	class  *Class
	state  atomic.Uint32 // hasLimit, isRemoved; written under g.mu
	queued atomic.Int32  // its waiting calls, to be read without g.mu; written under it
	slots  counter       // not used without a limit

	// Guarded by g.mu.
	uses slotUses
	line *line // nil if no call of the version has ever waited
}

// slotUses counts slots of a class or of a version by the state of the calls that use them.
type slotUses struct {
	stuck    int32 // slots whose calls are marked stuck
	blocked  int32 // slots whose calls have a nested call waiting below them
	heldBack int32 // slots that do not come back while deadlock candidates wait
	wanted   int32 // deadlock candidates that wait in vain for one of the slots
}

// Base returns the version that every class has. It has no limit of its own at first.
func (c *Class) Base() *Version { return &c.base }

// NewVersion adds a version to the class. At most n of its calls run at once, even if the
// class has more free slots. With [Unlimited] the version has no slots of its own, and its
// calls don't pay for a third counter.
func (c *Class) NewVersion(n int) *Version {
	v := &Version{class: c}
	if n != Unlimited {
		v.Resize(n)
	}
	return v
}

// Class returns the class that v is a part of.
func (v *Version) Class() *Class { return v.class }

// Used returns how many of the version's own slots are in use; it is 0 without a limit. Limit
// returns the version's own limit, [Unlimited] if it has none, and Queued the number of its
// waiting calls.
func (v *Version) Used() int { return v.slots.used() }

func (v *Version) Limit() int {
	if v.isLimited() {
		return v.slots.limit()
	}
	return Unlimited
}

func (v *Version) Queued() int { return int(v.queued.Load()) }

// Resize changes the version's own limit, as [Class.Resize] changes that of the class. The
// first Resize of a version without a limit gives it slots of its own for good, even if n is
// [Unlimited], and must come before the version's first call.
func (v *Version) Resize(n int) {
	if !v.isLimited() {
		v.slots.resize(n)
		v.state.Or(hasLimit)
		return
	}
	// See Class.Resize.
	if v.slots.fastResize(n) {
		return
	}
	g := v.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	v.slots.resize(n)
	v.slotsChanged()
}

// Remove refuses new calls of the version with ErrRemoved. Calls that already wait are still
// served. The class and its other versions stay as they are.
func (v *Version) Remove() {
	v.class.group.mu.Lock()
	defer v.class.group.mu.Unlock()
	v.state.Or(isRemoved)
	v.class.takeBack()
}

func (v *Version) isLimited() bool { return v.state.Load()&hasLimit != 0 }

// hasRoom reports whether the version's own limit lets another call run.
func (v *Version) hasRoom() bool { return !v.isLimited() || v.slots.hasRoom() }

// TryAcquire takes the slots for h if that needs neither waiting nor g.mu, and reports
// whether it has taken them. The call must be a root, and not a background call.
func (v *Version) TryAcquire(h *Hold) bool {
	c := v.class
	if !v.fastInc() {
		return false
	}
	if !c.slots.fastInc() {
		if v.isLimited() {
			v.putBack(false)
		}
		return false
	}
	if !c.group.slots.fastInc() {
		v.putBack(true)
		return false
	}
	h.version = v
	return true
}

// fastInc takes one of the version's own slots, if it has a limit. g.mu need not be held.
func (v *Version) fastInc() bool {
	state := v.state.Load()
	return state == 0 || state == hasLimit && v.slots.fastInc()
}

// fastDec gives back a slot that fastInc has taken. It reports false if that needs g.mu
// because a call waits for the slot. g.mu need not be held.
func (v *Version) fastDec() bool { return !v.isLimited() || v.slots.fastDec() }

// putBack gives the version's slot back when TryAcquire has taken it and then found the class
// full, or both slots when it has found the group full. In between, another call may have
// found the version or the class full because of that slot, and begun to wait. Beginning to
// wait sets the slow bit, so fastDec fails here, and putBack admits the waiter if it can.
// g.mu must not be held.
func (v *Version) putBack(classToo bool) {
	versionGiven, classGiven := v.fastDec(), !classToo || v.class.slots.fastDec()
	if versionGiven && classGiven {
		return
	}
	v.class.group.mu.Lock()
	defer v.class.group.mu.Unlock()
	v.giveBack(!versionGiven, !classGiven)
	v.class.group.dispatch()
}

// release gives back the slots of a call that ends on the fast path. It locks g.mu only if a
// call waits for one of the slots. g.mu must not be held.
func (v *Version) release() {
	g := v.class.group
	versionGiven, classGiven := v.fastDec(), v.class.slots.fastDec()
	if versionGiven && classGiven && g.slots.fastDec() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	v.giveBack(!versionGiven, !classGiven)
	g.slots.dec()
	v.class.groupSlotReturned()
	g.dispatch()
}

// giveBack gives back, under g.mu, the slot of the version if own is true, and that of the class
// if ofClass is true. The caller must then call dispatch. If the class or the version is over its
// limit, a slot given back makes no room, but it may complete a deadlock: the call that has ended
// may have been the last one that was not waiting.
func (v *Version) giveBack(own, ofClass bool) {
	if !own && !ofClass {
		return
	}
	if own {
		v.slots.dec()
	}
	if ofClass {
		v.class.slots.dec()
	}
	v.refresh()
	v.class.breakCycles()
}

// slotsChanged must be called after a change of the limit of the version or of its class.
func (v *Version) slotsChanged() {
	v.refresh()
	v.class.group.dispatch()
	v.class.breakCycles()
	v.refuseIfStuck()
}

// Acquire takes the slots for h. If they are not free it waits, at most r.Wait and at most
// until ctx ends. Slots that are free are taken even if r.Wait is 0 or ctx has ended. It
// returns nil if h has its slots, and otherwise one of the errors of this package or the
// error of ctx. Call [Hold.Release] once if it returned nil.
func (v *Version) Acquire(ctx context.Context, h *Hold, r Request) error {
	if r.Parent == nil && !r.Background && v.TryAcquire(h) {
		return nil
	}
	w, err := v.enter(h, r)
	if w == nil {
		return err
	}
	return w.wait(ctx, r.Wait)
}

// refusal returns the reason to refuse a call even if slots are free, or nil.
func (v *Version) refusal(r Request) error {
	c := v.class
	switch {
	case c.removed || v.state.Load()&isRemoved != 0:
		return ErrRemoved
	case c.off:
		return ErrOff
	case c.group.phase == closed, c.group.phase == draining && !r.Background && (r.Parent == nil || r.Parent.Ended()):
		return ErrClosed
	}
	return nil
}

// refresh calls refreshLine for the version, and then Class.refresh for its class. It must be
// called after each change of the version's slots or waiters, or of those of its class.
func (v *Version) refresh() {
	v.refreshLine()
	v.class.refresh()
}

// isStuck reports whether every slot of v, every slot of its class, or every slot of the group is
// stuck: used by a call that MarkStuck has marked. A call that waits for such a slot may wait for
// ever.
func (v *Version) isStuck() bool {
	return v.uses.stuck > 0 && int(v.uses.stuck) >= v.slots.limit() || v.class.isStuck()
}

// refuseIfStuck refuses the calls that wait for a slot of the group, of v's class or of v, if
// all slots there are stuck.
func (v *Version) refuseIfStuck() {
	c := v.class
	switch {
	case c.group.isStuck():
		c.group.refuseAll(ErrStuck)
	case c.isStuck():
		c.refuseAll(ErrStuck)
	case v.isStuck():
		for _, w := range c.queue.all() {
			if w.hold.version == v {
				w.refuse(ErrStuck)
			}
		}
		c.refresh()
	}
}
