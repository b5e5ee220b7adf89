package admission

import "errors"

// ErrReserved is returned by [Class.Reserve] if the group has too few slots for the floor.
var ErrReserved = errors.New("admission: the floors would exceed the capacity of the group")

// MaxWeight is the largest weight of a class.
const MaxWeight = 1000

// share is the part of the group's slots that a class gets while other classes wait too. It
// follows weighted max-min fairness: a class that wants less than its part gets what it
// wants, and the rest is divided among the others by their weights. The division is reached
// slot by slot, as calls end. No slot is kept free: while a class does not use its part or
// its floor, other classes use those slots, and the class gets them back as slots come free.
type share struct {
	reserved int // the floor
	weight   int
	// groupSurplus is the number of slots of the group that the class's calls have, minus the
	// number of their slots of the class. A call that has both or borrows both adds 0. A
	// nested call that borrows only its parent's slot of the group adds -1, and one that
	// borrows only the slot of the class adds +1. If a parent ends before the child that has
	// borrowed its slot of the group, that slot still counts for the parent's class, and adds
	// +1.
	groupSurplus int
	turn         uint64 // the number that nextTurn returned when the class last got a slot that others waited for, or gave one back
	readyIndex   int    // in group.ready
}

// Reserve sets the class's floor, n ≥ 0: while the class has fewer than n slots of the group,
// it is served before all classes that have their floor. It returns ErrReserved, and changes
// nothing, if the floors of the group would then exceed its capacity.
//
// When [Group.Resize] has made the capacity smaller than the sum of the floors, they are met
// in proportion, since the class that is farthest below its floor is served first. No floor
// can be raised then.
func (c *Class) Reserve(n int) error {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if n > c.reserved && n-c.reserved > g.slots.limit()-g.reserved {
		return ErrReserved
	}
	g.reserved += n - c.reserved
	c.reserved = n
	c.refresh()
	return nil
}

// SetWeight sets the class's weight, from 1 (the initial weight) to [MaxWeight].
func (c *Class) SetWeight(n int) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.weight = n
	c.refresh()
}

// Reserved returns the class's floor, Weight its weight.
func (c *Class) Reserved() int {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.reserved
}

func (c *Class) Weight() int {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.weight
}

func (c *Class) index() *int { return &c.readyIndex }

// before reports whether c gets the next slot of the group before d. First come classes
// below their floor, the one with the smallest part of its floor first. Then comes the class
// that has least for its weight, then the one that was served longest ago.
//
// For a ready class (one in g.ready), the values that before compares may change only under g.mu,
// and Class.refresh must then be called; otherwise the heap is out of order. Weight, floor and
// the fields groupSurplus and turn are only written under g.mu. The counter is also written by
// fast paths, but not while the class is ready: a ready class has a waiter, so its slow bit is
// set, and every change goes through g.mu. Nested calls always lock g.mu. A TryAcquire that has
// taken the slot of the class and finds the group full makes the class seem to have one slot too
// many, until putBack takes that slot off under g.mu.
func (c *Class) before(d *Class) bool {
	has, had := c.groupSlots(), d.groupSlots()
	mine, theirs := has*d.reserved, had*c.reserved
	switch low := has < c.reserved; {
	case low != (had < d.reserved):
		return low
	case !low:
		mine, theirs = quotient(has)*d.weight, quotient(had)*c.weight
	}
	if mine != theirs {
		return mine < theirs
	}
	return c.turn < d.turn
}

// groupSlotReturned notes that c has given a slot of the group back. It gives c the highest turn:
// among classes that have equally many slots for their weight, c then comes last. This makes up
// for the slots that c got on the fast path, which does not change the field turn. While no class
// is ready there is nothing to compare, and the fast path gives slots back without calling
// groupSlotReturned.
func (c *Class) groupSlotReturned() {
	if c.group.ready.len() > 0 {
		c.turn = c.group.nextTurn()
	}
	c.refresh()
}

// groupSlots returns how many slots of the group the class's calls have.
func (c *Class) groupSlots() int { return c.slots.used() + c.groupSurplus }

// quotient returns the number that, divided by its weight, ranks a class that has n slots: n + ½,
// doubled to stay an integer. This is the divisor method of Sainte-Laguë, which apportions the
// seats of parliaments. Comparing n itself would be Adams's method, which rounds each small share
// up at the expense of a large one: of 100 slots for weights 10, 1, 1, 1 and 1 the first class
// would get 68 instead of 71.4. A class that has nothing comes first whatever its weight, so that
// none starves: a class with few calls waits for a single slot at most.
func quotient(n int) int {
	if n <= 0 {
		return 0
	}
	return 2*n + 1
}
