package admission

import (
	"errors"
	"slices"
	"sync"
)

// Why a slot was refused.
var (
	ErrFull    = errors.New("admission: queue is full")
	ErrStuck   = errors.New("admission: every slot is held by a call that will not end")
	ErrTimeout = errors.New("admission: waited too long")
	ErrCycle   = errors.New("admission: would wait for itself")
	ErrClosed  = errors.New("admission: closed")
	ErrRemoved = errors.New("admission: class removed")
)

// How far a group is closed.
const (
	open     = iota
	draining // roots are refused; what waits and what is nested goes on
	closed   // everything is refused
)

// Group is the capacity that classes share. Make one with [NewGroup]; all its
// methods may be called concurrently.
type Group struct {
	word word
	mu   sync.Mutex // guards what follows, and the unexported state of classes, holds and waiters

	phase int
	stuck int
	// ready are the classes that have a waiter and room of their own: they
	// lack nothing but a slot of the group, and take turns. The group's slow
	// bit is set exactly while it is not empty.
	ready []*Class
	// waiting are the classes that have a waiter; nested are the waiters
	// that were called from inside a call, and so may close a cycle.
	waiting map[*Class]struct{}
	nested  map[*waiter]struct{}
}

// NewGroup returns a group of n slots, n ≥ 1.
func NewGroup(n int) *Group {
	g := &Group{waiting: map[*Class]struct{}{}, nested: map[*waiter]struct{}{}}
	g.word.init(n)
	return g
}

// Used is the number of slots in use, Limit how many there are.
func (g *Group) Used() int  { return g.word.used() }
func (g *Group) Limit() int { return g.word.limit() }

// Resize changes the number of slots. Calls that hold one keep it; waiters
// are let in at once if there is room.
func (g *Group) Resize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.word.resize(n)
	g.dispatch()
}

// Drain refuses roots from now on: an Acquire whose fast path has not
// succeeded by then answers ErrClosed. Waiters and nested calls go on.
func (g *Group) Drain() { g.shut(draining) }

// Close refuses everything from now on, waiters included.
func (g *Group) Close() { g.shut(closed) }

func (g *Group) shut(phase int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.phase = max(g.phase, phase)
	g.word.set(shutBit, true)
	if g.phase < closed {
		return
	}
	for c := range g.waiting {
		for w := c.queue.head; w != nil; w = c.queue.head {
			w.leave(ErrClosed)
		}
		c.refresh()
	}
}

// dispatch lets in whoever can go: by the group's free slots, one class after
// the other, and then by loans. Every section under the lock that may have
// made room ends with it, so that whoever takes the lock finds nobody waiting
// who could run.
func (g *Group) dispatch() {
	for len(g.ready) > 0 && g.word.room() {
		c := g.ready[0]
		w := c.queue.head
		if !w.hold.take(c) {
			return
		}
		w.leave(nil)
		g.unready(c) // to the back of the line, if it still waits
		c.refresh()
	}
	if len(g.nested) == 0 {
		return
	}
	for _, c := range slices.Clone(g.ready) {
		c.lend()
	}
}

func (g *Group) unready(c *Class) {
	if !c.ready {
		return
	}
	c.ready = false
	i := slices.Index(g.ready, c)
	g.ready = slices.Delete(g.ready, i, i+1)
	g.word.set(slowBit, len(g.ready) > 0)
}
