package admission

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Why a slot was refused.
var (
	ErrFull      = errors.New("admission: queue is full")
	ErrDisplaced = errors.New("admission: displaced from a full queue")
	ErrStuck     = errors.New("admission: every slot is stuck")
	ErrTimeout   = errors.New("admission: waited too long")
	ErrCycle     = errors.New("admission: would wait for itself")
	ErrClosed    = errors.New("admission: closed")
	ErrRemoved   = errors.New("admission: class removed")
	ErrOff       = errors.New("admission: class switched off")
)

// How far a group is closed.
const (
	open     = iota
	draining // roots are refused; waiters and nested calls go on
	closed   // everything is refused
)

// Group is the capacity that classes share. Make one with [NewGroup]. All its methods may be
// called concurrently.
type Group struct {
	slots counter
	keeps atomic.Bool // a slot may be kept, see keep.go; calls that read slots read it too
	_     [52]byte    // keeps the counter, which many calls write, off the cache line of the fields below
	mu    sync.Mutex  // guards the fields below, and the state of classes, holds and waiters

	phase      int
	stuck      int
	background int // slots that background calls hold
	// ready holds the classes that lack nothing but a slot of the group. Such a class has a
	// waiter, and either a free slot of the class and of the waiter's version, or calls that can
	// lend them. ready.first returns the class that gets the next slot of the group. The group's
	// slow bit is set exactly while ready is not empty, or recalling is true.
	ready    indexedHeap[*Class]
	waiting  list[*Class] // the classes that have a waiter
	keepers  list[*Class] // the classes of which workers keep slots
	reserved int          // the sum of the floors of all classes, see Class.Reserve
	lastTurn uint64       // the last number that nextTurn returned, see share.turn
	epoch    time.Time    // now returns the time since then
	keepAll  bool         // for tests: slots are kept even if few are free

	recalling bool // the slow bit is set although no class is ready, see Class.takeKept; false while mu is not locked

	// The places where dispatch looks for nested waiters that can run on a loan, which is a
	// borrowed slot. A class is in withRoom if, since the last dispatch, something has come free
	// that its nested waiters may have lacked: a slot of the class or of one of its versions, or
	// a place in a tenant's limit. A call is in groupLenders, classLenders or versionLenders if
	// it has got back a slot of that kind that it had lent, and can lend it again. All other
	// waiters still lack the same slots as before, so dispatch need not look at them.
	withRoom       []*Class
	groupLenders   []*Hold
	classLenders   []*Hold
	versionLenders []*Hold

	noQueue tenantQueues // stands for the queue of each class that has not needed its own yet; always empty
	// The size is one that the allocator aligns to cache lines, so that no other object shares the line of slots.
}

// NewGroup returns a group of n slots, n ≥ 1.
func NewGroup(n int) *Group {
	g := &Group{epoch: time.Now()}
	g.slots.resize(n)
	return g
}

// Used returns the number of slots in use, Limit the number of slots there are. As Class.Used does,
// it takes kept slots back under g.mu.
func (g *Group) Used() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.recalling = true
	g.slots.setFlag(slowBit, true)
	g.takeBack()
	g.recalling = false
	defer g.updateSlowBit()
	return g.slots.used()
}

func (g *Group) Limit() int { return g.slots.limit() }

// Resize changes the number of slots. Calls that have one keep it. Waiters are admitted at once
// if there is room for them. If the sum of the classes' floors is larger than n, each class gets
// a part of its floor (see [Class.Reserve]).
func (g *Group) Resize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slots.resize(n)
	g.recall()
	g.dispatch()
	if g.isStuck() {
		g.refuseAll(ErrStuck)
	}
}

// Drain refuses root calls, which have no parent, from then on: an Acquire that has not taken a
// slot on the fast path by then returns ErrClosed. Waiters and nested calls go on.
func (g *Group) Drain() { g.closeTo(draining) }

// Close refuses all calls from then on, and all calls that wait.
func (g *Group) Close() { g.closeTo(closed) }

func (g *Group) closeTo(phase int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.phase = max(g.phase, phase)
	g.slots.setFlag(shutBit, true)
	g.takeBack()
	if g.phase < closed {
		return
	}
	g.refuseAll(ErrClosed)
}

// refuseAll refuses all calls that wait.
func (g *Group) refuseAll(why error) {
	for c := range g.waiting.all() {
		c.refuseAll(why)
	}
}

// dispatch admits all waiters that can run. It first gives out the free slots of the group one by
// one, each to the class that is g.ready.first() at that moment. Only then does it admit waiters
// that can run on loans, so that these take no slot from a waiter that needs no loan. Every
// critical section that may have made room ends with dispatch, so a goroutine that locks g.mu
// never finds a waiter that could run.
func (g *Group) dispatch() {
	for g.canServe() {
		g.ready.first().admitNext()
	}
	for _, h := range g.groupLenders {
		h.offerGroup()
	}
	for _, h := range g.classLenders {
		h.offerClass()
	}
	for _, h := range g.versionLenders {
		h.offerVersion()
	}
	for _, c := range g.withRoom {
		c.admitGroupBorrowers()
	}
	empty(&g.groupLenders)
	empty(&g.classLenders)
	empty(&g.versionLenders)
	empty(&g.withRoom)
}

// empty empties a slice and keeps its memory.
func empty[T any](s *[]T) {
	clear(*s)
	*s = (*s)[:0]
}

// markReady adds c to the ready classes, or moves it to its new rank among them.
func (g *Group) markReady(c *Class) {
	g.ready.put(c)
	g.updateSlowBit()
}

func (g *Group) unmarkReady(c *Class) {
	g.ready.remove(c)
	g.updateSlowBit()
}

func (g *Group) updateSlowBit() { g.slots.setFlag(slowBit, g.ready.len() > 0 || g.recalling) }

// Queued returns the number of waiting calls of all classes.
func (g *Group) Queued() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.waiting.all() {
		n += c.queue.len
	}
	return n
}

// nextTurn returns the next higher number for share.turn: the class with the lowest number was
// served longest ago.
func (g *Group) nextTurn() uint64 {
	g.lastTurn++
	return g.lastTurn
}

// now reads the clock. It is called only where a call has waited or is counted for a tenant,
// so that the fast path does not pay for it.
func (g *Group) now() time.Duration { return time.Since(g.epoch) }

// isStuck reports whether every slot of the group is stuck.
func (g *Group) isStuck() bool { return g.stuck > 0 && g.stuck >= g.slots.limit() }
