// Package admission gives out slots: exact, resizable, fair and aware of the
// caller's context.
//
// A [Group] bounds what runs at once in a router, a [Class] what runs at once
// of one function. A call holds one slot of each, taken together or not at
// all, so that a call that waits for its function never keeps the router's
// slot from another. While slots are free, taking and giving back is a
// compare-and-swap on the word of the class and one on the word of the group;
// the group's lock is touched only when a call has to wait, when one ends that
// others wait for, and by nested calls.
//
// A call made from inside a call borrows its parent's slot of the group, and the
// slot of its class of the nearest call above it that has one to lend, so that a chain
// of calls cannot starve itself, however it recurses; what would still wait for
// itself is refused with [ErrCycle].
package admission
