package admission

import (
	"context"
	"sync/atomic"
)

// Version is a part of a class: the calls of one version of a function. All versions of a
// class share its limit, its queue and what else the class has. A version counts its own
// calls, and can be removed alone. Get one from [Class.Base] or [Class.NewVersion]. All its
// methods may be called concurrently.
type Version struct {
	// Entered and Settled are the owner's, to count calls by. Those of the base
	// stand beside the class's counter, because each call writes all three at the
	// same moments: the processors then pass one cache line around, and not two.
	Entered, Settled atomic.Uint64

	class  *Class
	slots  counter
	queued atomic.Int32 // its calls in the class's queue, to be read without g.mu; written under it

	// Guarded by g.mu.
	waiting int // its calls in the class's queue
	removed bool
}

// Base returns the version that every class has. It has no limit of its own.
func (c *Class) Base() *Version { return &c.base }

// NewVersion adds a version to the class. n must be [Unlimited].
func (c *Class) NewVersion(n int) *Version {
	v := &Version{class: c}
	v.slots.resize(n)
	return v
}

// Class returns the class that v is a part of.
func (v *Version) Class() *Class { return v.class }

// Limit returns how many calls of the version may run at once by its own limit, and Queued
// the number of its calls that wait.
func (v *Version) Limit() int  { return v.slots.limit() }
func (v *Version) Queued() int { return int(v.queued.Load()) }

// Remove refuses calls of the version from then on with ErrRemoved. Calls that wait go on.
// The class and its other versions stay as they are.
func (v *Version) Remove() {
	v.class.group.mu.Lock()
	defer v.class.group.mu.Unlock()
	v.removed = true
	v.slots.setFlag(shutBit, true)
}

// TryAcquire takes a slot for h, a root call, if that needs neither waiting nor g.mu, and
// reports whether it has.
func (v *Version) TryAcquire(h *Hold) bool {
	c := v.class
	if v.slots.isShut() || !c.slots.fastInc() {
		return false
	}
	if !c.group.slots.fastInc() {
		c.putBack()
		return false
	}
	h.class, h.version = c, v
	return true
}

// Acquire takes a slot for h. If there is none it waits, at most r.Wait and at most until
// ctx ends; a slot that is free is taken whatever they say. It returns nil if h has a slot,
// else one of the errors of this package or ctx's. Call [Hold.Release] once if it returned
// nil.
func (v *Version) Acquire(ctx context.Context, h *Hold, r Request) error {
	if r.Parent == nil && v.TryAcquire(h) {
		return nil
	}
	w, err := v.enter(h, r)
	if w == nil {
		return err
	}
	return w.wait(ctx, r.Wait)
}
