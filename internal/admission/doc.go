// Package admission decides when a call may run. It hands out slots, which other libraries
// call permits: a call runs only while it has one.
//
// A [Group] limits how many calls run at once in a router, and a [Class] how many calls of one
// function run at once. A call needs one slot of each. It takes both together or neither, so a
// call that waits for its function never holds a slot of the router that another function could
// use. While slots are free, taking one and giving it back costs a compare-and-swap on the class's
// counter and one on the group's. The group's mutex is locked only when a call has to wait, when a
// call ends whose slot others wait for, and by nested calls. A call that follows others of its version
// on the same worker costs less: it takes the slot that the worker has kept (keep.go).
//
// A nested call is one that a handler makes with the context it was given. It borrows its
// parent's slot of the group, and a slot of its class from the nearest call above it that has one
// to lend. (The calls above it are its parent, the parent's parent, and so on.) A call without a
// parent is a root call, or root. So a chain of calls cannot starve itself, however it recurses:
// for example a → b → a works with limits of 1. A nested call that would be part of a deadlock is
// refused with [ErrCycle].
//
// A class has one or more versions: a [Version] is a part of a class whose calls run the same
// code. All versions of a class share its limit, its queue, and its floor and weight, which
// decide how many of the group's slots the class gets (share.go). A version may also have a limit
// of its own, for example because it has few instances. Its calls then need a third slot, one of
// the version, which is taken together with the other two or not at all. A call that lacks only
// the version's slot is passed over: calls of other versions are admitted before it, even those
// of the same tenant, and other classes get the slots of the group as if that call did not wait.
// A nested call borrows the slot of its version from the nearest call above it of the same
// version, and the slot of the class from the nearest of any version. For example, a chain
// through the versions 1 and 2 of the class a, a:1 → a:2 → a:1, works with limits of 1 for the
// class and for both versions: the last call borrows the class's slot from a:2, and the version's
// slot from the first call.
//
// Where things are: class.go and version.go admit and refuse; full.go decides when a queue is
// full, and tenant_queue.go which call is displaced then; waiter.go waits; loan.go and
// deadlock.go are about nested calls; share.go chooses the class that is served next,
// tenant_queue.go the call of that class. How many calls of one tenant run at once is set with
// [Class.LimitTenants], for which the router has the option WithTenantConcurrency.
// tenant_queue.go explains how a tenant at its limit waits; deadlock.go explains how nested calls
// wait for that limit.
//
// Locking: g.mu, the group's mutex, guards the queues and all other state but the counters. It
// must be held when an unexported function is called, unless its comment says otherwise. One mutex
// guards it all, because slots are taken together: admitting a call changes a class, the group and
// the calls above it at once. While g.mu is held:
//
//   - no foreign code is called: neither a method of a caller's context nor a hook,
//   - nothing waits: the channel that carries the answer to a waiter has a buffer of one,
//   - no other lock is taken. Locks of the router may be held when g.mu is taken, as for a
//     Resize, and never the other way round,
//   - no exported method that locks g.mu itself is called: it would wait for ever.
package admission
