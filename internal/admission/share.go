package admission

import "errors"

// ErrReserved is the answer of [Class.Reserve] where there is not as much.
var ErrReserved = errors.New("admission: the floors would exceed the capacity of the group")

// MaxWeight is the largest weight of a class.
const MaxWeight = 1000

// share is what a class is due of the group's slots while others wait as well,
// by weighted max-min fairness: whoever is content with less than its share has
// what it asks for, and what is left goes to the others by their weights. It is
// reached slot by slot, as calls end. No slot is kept back for it: a share, and
// a floor, that is not used is with others, and is got back with the next slot
// that comes free.
//
// Guarded by the group's lock.
type share struct {
	reserved int // the floor: slots that the class gets before those that have theirs
	weight   int
	// apart is how many slots of the group the class's calls have beyond those
	// of the class: a nested call uses its parent's slot of the group (-1), and
	// keeps it when that one ends first (+1, for the parent's class); and one that uses
	// the slot of the class of a call above it may have one of the group's own (+1).
	apart int
	turn  uint64 // when the class last got a slot that others waited for, or gave one back
	at    int    // in the group's ready
}

// Reserve sets the class's floor, n ≥ 0: with fewer slots of the group than that
// it is served before all that have their floor. It answers ErrReserved, and
// changes nothing, where the group's floors together would exceed its capacity.
//
// When [Group.Resize] has made the capacity smaller than their sum, the floors
// are met in proportion, as what is far below is served first; no floor can be
// raised then.
func (c *Class) Reserve(n int) error {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if n > c.reserved && n-c.reserved > g.word.limit()-g.reserved {
		return ErrReserved
	}
	g.reserved += n - c.reserved
	c.reserved = n
	c.refresh()
	return nil
}

// SetWeight sets the class's weight, from 1, as it is at first, to [MaxWeight].
func (c *Class) SetWeight(n int) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.weight = n
	c.refresh()
}

// Reserved is the class's floor, Weight its weight.
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

func (c *Class) place() *int { return &c.at }

// before tells which of two classes gets the next slot: one below its floor, the
// farthest in proportion first; then the one that has the least for its weight;
// then the one whose last turn is longer ago.
//
// A rank may only change under the lock, and with a refresh, or the order would
// be none. The weight, the floor, apart and turn do. The word is written by fast
// paths, but not while the class is ready: then it has a waiter, so that its
// slow bit is set, and with that every change of the word takes the lock. That
// holds for loans and nested calls, which always take it, and for a half that
// is put back: until it is, the class seems to have a slot more than it has.
func (c *Class) before(d *Class) bool {
	has, had := c.held(), d.held()
	mine, theirs := has*d.reserved, had*c.reserved
	switch low := has < c.reserved; {
	case low != (had < d.reserved):
		return low
	case !low:
		mine, theirs = weigh(has)*d.weight, weigh(had)*c.weight
	}
	if mine != theirs {
		return mine < theirs
	}
	return c.turn < d.turn
}

// gave notes that a slot of the group's has come back from c. While a class is
// ready that is said under the lock, always; otherwise nobody is to be compared.
// What was got on the fast path is unknown, and this makes up for it: whose call
// has just ended comes after those that have as much.
func (c *Class) gave() {
	if c.group.ready.len() > 0 {
		c.turn = c.group.next()
	}
	c.refresh()
}

// held is how many slots of the group the class's calls have.
func (c *Class) held() int { return c.word.used() + c.apart }

// weigh doubles, so as to compare where the slot that is given away would stand
// in its middle. Shares are no whole numbers, and to compare what classes have
// already would round up each small share, at the expense of a large one: of
// 100 slots for weights of 10, 1, 1, 1 and 1 the first would get 68, for 71.4
// (as seats are apportioned by the divisors of Adams; these are Sainte-Laguë's).
// But a class that has nothing comes first, whatever its weight: nobody starves,
// and one that seldom calls waits for a single slot.
func weigh(n int) int {
	if n <= 0 {
		return 0
	}
	return 2*n + 1
}
