package admission

import (
	"errors"
	"sync"
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
	_     [56]byte   // keeps the counter, which every call writes, off the cache line of what follows
	mu    sync.Mutex // guards what follows, and the state of classes, holds and waiters

	phase      int
	stuck      int
	background int // slots that background calls hold
	// ready holds the classes that lack nothing but a slot of the group: they have a
	// waiter, and room for it in the class and in its version, or slots to lend to it. They stand in the
	// order in which they get one. The group's slow bit is set exactly while ready is
	// not empty.
	ready    indexedHeap[*Class]
	waiting  list[*Class] // the classes that have a waiter
	reserved int          // the sum of the floors
	lastTurn uint64       // the last number that nextTurn gave out
	epoch    time.Time    // the zero of all times

	// Where dispatch looks for nested waiters that can run on a loan. Since the last
	// dispatch, a class in withRoom has got room for its nested waiters: a slot of it or of
	// one of its versions, or a place in a tenant's limit, has come free. A call in one of
	// the others has got a slot back that it had lent, and can lend it again. Any other
	// waiter lacks what it lacked before, so dispatch need not look at it.
	withRoom       []*Class
	groupLenders   []*Hold
	classLenders   []*Hold
	versionLenders []*Hold

	noQueue tenantQueues // of the classes whose own queue was not needed yet; always empty
	_       [32]byte     // a size that the allocator aligns to cache lines, so that no neighbor is on slots' line
}

// NewGroup returns a group of n slots, n ≥ 1.
func NewGroup(n int) *Group {
	g := &Group{epoch: time.Now()}
	g.slots.resize(n)
	return g
}

// Used returns the number of slots in use, Limit the number of slots there are.
func (g *Group) Used() int  { return g.slots.used() }
func (g *Group) Limit() int { return g.slots.limit() }

// Resize changes the number of slots. Calls that have one keep it. Waiters are admitted at
// once if there is room for them. With fewer slots than classes have reserved, the floors
// are met in proportion (see [Class.Reserve]).
func (g *Group) Resize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slots.resize(n)
	g.dispatch()
	if g.isStuck() {
		g.refuseAll(ErrStuck)
	}
}

// Drain refuses root calls from then on: an Acquire that has not taken a slot on the fast
// path by then returns ErrClosed. Waiters and nested calls go on.
func (g *Group) Drain() { g.closeTo(draining) }

// Close refuses all calls from then on, and those that wait.
func (g *Group) Close() { g.closeTo(closed) }

func (g *Group) closeTo(phase int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.phase = max(g.phase, phase)
	g.slots.setFlag(shutBit, true)
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

// dispatch admits all waiters that can run. First the free slots of the group are given out
// one by one, each to the class that is first then. Then come waiters that can run on loans:
// they so pass none that could have run without one. Every critical section that may have
// made room ends with it, so that a goroutine that locks g.mu never finds a waiter that
// could run.
func (g *Group) dispatch() {
	for g.ready.len() > 0 && g.slots.hasRoom() {
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
	g.slots.setFlag(slowBit, true)
}

func (g *Group) unmarkReady(c *Class) {
	g.ready.remove(c)
	g.slots.setFlag(slowBit, g.ready.len() > 0)
}

// Queued returns the number of calls that wait, of all classes.
func (g *Group) Queued() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.waiting.all() {
		n += c.queue.len
	}
	return n
}

func (g *Group) nextTurn() uint64 {
	g.lastTurn++
	return g.lastTurn
}

// now reads the clock. It is called only where a call has waited or is counted for a tenant,
// so that the fast path does not pay for it.
func (g *Group) now() time.Duration { return time.Since(g.epoch) }

// isStuck reports whether every slot of the group is stuck.
func (g *Group) isStuck() bool { return g.stuck > 0 && g.stuck >= g.slots.limit() }
