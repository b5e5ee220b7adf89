package faas

import "github.com/inproc/faas/internal/admission"

// This file holds the limits that may change while calls run.

// SetConcurrency changes how many calls of a function run at once, n ≥ 0. Running
// calls finish. So after a reduction more than n calls may run for a while; after a
// raise, waiting calls start at once. 0 switches the function off until the next
// SetConcurrency: all its calls are refused with [ReasonOff], including those that wait. If n is
// below [WithReserved], only n slots are reserved. It returns an error that Is
// [ErrNotFound], [ErrName] or [ErrInput].
//
// The limit belongs to the name, and all versions of the name share it. A name with a
// qualifier, such as "resize:2", is an error that Is ErrInput.
func (r *Router) SetConcurrency(name string, n int) error {
	f, err := r.findName("set concurrency", name)
	if err != nil {
		return err
	}
	if n < 0 || n > admission.Unlimited {
		return usageError("set concurrency", name, ErrInput, "%d is not between 0 (off) and %d", n, admission.Unlimited)
	}
	if n == 0 {
		f.class.SetEnabled(false) // first, so that no call begins to wait while the limit is 0
	}
	f.bound(n)
	if n > 0 {
		f.class.SetEnabled(true)
	}
	return nil
}

// SetCapacity changes how many calls run at once in the whole router, n ≥ 1, as
// SetConcurrency does for one function. If n is below the sum of what functions have
// reserved, the slots are divided in proportion to the reservations; see [WithReserved]. With
// [WithCapacityScaler], n is the highest capacity that the policy may set. It returns an
// error that Is [ErrInput].
func (r *Router) SetCapacity(n int) error {
	if n < 1 || n > admission.Unlimited {
		return usageError("set capacity", "", ErrInput, "%d is not between 1 and %d; to stop the router, call Shutdown", n, admission.Unlimited)
	}
	if r.capacity != nil {
		r.capacity.bound(n)
	} else {
		r.group.Resize(n)
	}
	return nil
}
