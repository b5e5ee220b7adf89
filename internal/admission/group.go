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
	draining // roots are refused; what waits and what is nested goes on
	closed   // everything is refused
)

// Group is the capacity that classes share. Make one with [NewGroup]; all its
// methods may be called concurrently.
type Group struct {
	word word
	_    [56]byte   // the word's line is written by every call
	mu   sync.Mutex // guards what follows, and the unexported state of classes, holds and waiters

	phase int
	stuck int
	// ready are the classes that have a waiter and room of their own, or a slot to
	// lend to it, and lack nothing but a slot of the group, in the order in which they
	// get it. The
	// group's slow bit is set exactly while it is not empty.
	ready    order[*Class]
	waiting  list[*Class] // the classes that have a waiter
	reserved int          // the sum of the floors
	turns    uint64       // counts them
	epoch    time.Time    // what times are counted from

	// What dispatch has to look at for loans: classes with nested waiters that
	// were short of room, or one of their tenants at its limit, and are not now;
	// and holds to which a half of their slot came home, the group's or the class's.
	// All other waiters with a loan to take are short of one or the other, so that a
	// dispatch need not search for them.
	roomy    []*Class
	homes    []*Hold
	returned []*Hold
}

// NewGroup returns a group of n slots, n ≥ 1.
func NewGroup(n int) *Group {
	g := &Group{epoch: time.Now()}
	g.word.resize(n)
	return g
}

// Used is the number of slots in use, Limit how many there are.
func (g *Group) Used() int  { return g.word.used() }
func (g *Group) Limit() int { return g.word.limit() }

// Resize changes the number of slots. Calls that hold one keep it; waiters
// are let in at once if there is room. With fewer slots than are reserved, the
// floors are met in proportion (see [Class.Reserve]).
func (g *Group) Resize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.word.resize(n)
	g.dispatch()
	if g.isStuck() {
		g.dismiss(ErrStuck)
	}
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
	g.dismiss(ErrClosed)
}

// dismiss refuses all that wait.
func (g *Group) dismiss(why error) {
	for c := range g.waiting.all() {
		c.dismiss(why)
	}
}

func (g *Group) isStuck() bool { return g.stuck > 0 && g.stuck >= g.word.limit() }

// dispatch lets in whoever can go: by the group's free slots, one after the
// other, each for the class that is first then, and then by loans, which so pass
// nobody who could have gone without. Every section under the lock that may have
// made room ends with it, so that whoever takes the lock finds nobody waiting
// who could run.
func (g *Group) dispatch() {
	for g.ready.len() > 0 && g.word.room() {
		c := g.ready.first()
		c.turn = g.next()
		c.next().admit() // has both halves: all that could take them needs the lock
	}
	for _, h := range g.homes {
		h.offer()
	}
	for _, h := range g.returned {
		h.offerClass()
	}
	for _, c := range g.roomy {
		c.lend()
	}
	clear(g.homes)
	clear(g.returned)
	clear(g.roomy)
	g.homes, g.returned, g.roomy = g.homes[:0], g.returned[:0], g.roomy[:0]
}

// enready lines c up, or again where it now belongs.
func (g *Group) enready(c *Class) {
	g.ready.put(c)
	g.word.set(slowBit, true)
}

func (g *Group) unready(c *Class) {
	g.ready.remove(c)
	g.word.set(slowBit, g.ready.len() > 0)
}

// Queued is the number of calls that wait, of all classes.
func (g *Group) Queued() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.waiting.all() {
		n += c.queue.len
	}
	return n
}

func (g *Group) next() uint64 {
	g.turns++
	return g.turns
}

// now is read where somebody has waited, and nowhere else.
func (g *Group) now() time.Duration { return time.Since(g.epoch) }
