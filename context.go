package faas

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
)

// callContext is the context that a handler gets, and the call's identity. It
// is new for each call and never used again: handlers keep contexts longer than
// they should, and whoever holds one can't mistake another call for it. It has
// no value of the caller's, and leans on the caller's context in nothing:
// whoever settles the call ends it.
//
// All but the atomics is written before the handler starts, and constant from
// then on. But fn, slot and task are cleared when the call is over: they are for
// those who run and settle it. Other contexts of the same chunk, and whoever keeps
// this one, so hold nothing of a call but who it was.
type callContext struct {
	who      *identity
	fn       *function
	slot     *slot
	task     task
	id       uuid.UUID
	tenant   string
	start    int64 // on the router's clock
	deadline int64 // likewise
	more     *formalities
	hold     admission.Hold
	signals  atomic.Pointer[signals]
	state    atomic.Uint32

	callerFirst bool // the deadline is the caller's
	counted     bool // by its function's scaling
}

// identity is what a context tells of its function for as long as it is kept. It
// is one for each registration, and refers to nothing that is the user's.
type identity struct {
	name    string
	version string
	labels  map[string]string
	timeout time.Duration
	memory  int64
	inline  bool
	clock   *clock // the router's: no other has it
}

func (fn *function) identify() {
	fn.who = &identity{
		name: fn.name, version: fn.version, labels: fn.labels, timeout: fn.timeout, memory: fn.memory,
		inline: fn.inline, clock: fn.router.clock,
	}
}

// formalContext is a context with its formalities, for calls that have some. They
// may hold what is the caller's, and have no part in a chunk.
type formalContext struct {
	callContext
	formalities
}

func newFormal(fn *function, t task, tenant string) *callContext {
	c := &formalContext{}
	c.who, c.fn, c.task, c.tenant = fn.who, fn, t, tenant
	c.more = &c.formalities
	return &c.callContext
}

// release lets go of what the call no longer needs. A middleware may have left its
// handler to another goroutine: the task is that one's then.
func (c *callContext) release() {
	c.fn, c.slot = nil, nil
	if c.isTaskFree() {
		c.task = nil
	}
}

func (c *callContext) isTaskFree() bool { return c.more == nil || c.more.progress.Load() != running }

// formalities are what only some calls have: those that are nested, pass
// middlewares or gates, wait, have a priority, or run inline below a context that
// can end. It keeps the context of all others small.
type formalities struct {
	parent   *callContext    // the call that made this one
	priority int             // among the waiting calls of its tenant
	depth    int             // how many are above it
	caller   context.Context //nolint:containedctx // of an inline call, which has nobody else to watch it; nil: it never ends
	values   context.Context //nolint:containedctx // what WithContext made of the fresh one; nil: nothing
	queued   int64           // how long it waited for its slot
	instance *instance       // that it has a place in; nil: none is needed, or none was to be had
	unplaced error           // why not
	initWait int64           // how much of queued an init took
	cold     bool            // the instance was made for it
	gates    int             // how many have said yes
	reserved bool            // with the meters
	progress atomic.Uint32   // of the handler, inside middlewares
}

func (c *callContext) extra() *formalities {
	if c.more == nil {
		c.more = &formalities{}
	}
	return c.more
}

// parent is the call that made this one, or nil.
func (c *callContext) parent() *callContext {
	if c.more == nil {
		return nil
	}
	return c.more.parent
}

// depth is how many calls are above this one.
func (c *callContext) depth() int {
	if c.more == nil {
		return 0
	}
	return c.more.depth
}

// isOver tells whether the handler has returned. Handlers' contexts are kept for
// longer, and nothing can be told from one that is (context.WithoutCancel hides even
// its end): what is called with it from then on is a root for slots and for draining,
// and has its parent, depth and tenant all the same, so that no call escapes a bill or a
// limit that way.
func (c *callContext) isOver() bool { return c.hold.Over() }

func (c *callContext) priority() int {
	if c.more == nil {
		return 0
	}
	return c.more.priority
}

// caller is what an inline call has to watch, or nil.
func (c *callContext) caller() context.Context {
	if c.more == nil {
		return nil
	}
	return c.more.caller
}

// The state of a call: whether it is settled, and whether and why its context
// has ended. That is one word, and one compare-and-swap, since both happen at
// once but for inline calls, whose context can end before they are settled.
const (
	canceled uint32 = 1
	expired  uint32 = 2
	whyMask  uint32 = 3
	settled  uint32 = 4
)

func reasonOf(err error) uint32 {
	if errors.Is(err, context.DeadlineExceeded) {
		return expired
	}
	return canceled
}

// signals is what ends with the context, made when first asked for.
type signals struct {
	done chan struct{}

	mu    sync.Mutex // guards what follows, and the closing of done
	after map[int]func()
	next  int
	stop  func() bool // ends the watch of an inline call; or nil
}

// context is what the handler sees.
func (c *callContext) context() context.Context {
	if c.more != nil && c.more.values != nil {
		return c.more.values
	}
	return c
}

func (c *callContext) invocation() Invocation {
	who := c.who
	inv := Invocation{
		ID: c.id, Function: who.name, Version: who.version, Tenant: c.tenant, Labels: who.labels,
		Attempt: 1, Timeout: who.timeout, Memory: who.memory, Priority: c.priority(),
	}
	if p := c.parent(); p != nil {
		inv.Parent, inv.Depth = p.id, c.more.depth
	}
	if c.deadline != 0 {
		inv.Start = who.clock.time(c.start)
		inv.Deadline = inv.Start.Add(time.Duration(c.deadline - c.start))
	}
	return inv
}

// Deadline returns the earlier of the caller's deadline and start + timeout.
// Before the start, which is when WithContext sees the context, there is none.
func (c *callContext) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	return c.who.clock.time(c.start).Add(time.Duration(c.deadline - c.start)), true
}

// Done is closed when the call is over, however it ended.
func (c *callContext) Done() <-chan struct{} { return c.signal().done }

// Err tells why.
func (c *callContext) Err() error {
	if c.who.inline && c.state.Load() == 0 {
		c.look()
	}
	switch c.state.Load() & whyMask {
	case canceled:
		return context.Canceled
	case expired:
		return context.DeadlineExceeded
	}
	return nil
}

// Value knows the call itself, and nothing of the caller's.
func (c *callContext) Value(key any) any {
	if _, ok := key.(originKey); ok {
		return c
	}
	return nil
}

// AfterFunc calls f in a goroutine of its own once the context has ended. The
// context package looks for this method: it is what lets a child context do
// without a goroutine that waits for its parent.
func (c *callContext) AfterFunc(f func()) (stop func() bool) {
	s := c.signal()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isFired() {
		go f()
		return func() bool { return false }
	}
	n := s.next
	s.next++
	if s.after == nil {
		s.after = map[int]func(){}
	}
	s.after[n] = f
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, waiting := s.after[n]
		delete(s.after, n)
		return waiting
	}
}

func (c *callContext) signal() *signals {
	if s := c.signals.Load(); s != nil {
		return s
	}
	s := &signals{done: make(chan struct{})}
	if !c.signals.CompareAndSwap(nil, s) {
		return c.signals.Load()
	}
	if c.who.inline && c.deadline != 0 {
		s.watch(c)
	}
	if c.state.Load() != 0 { // whoever ended it may not have seen s
		s.fire()
	}
	return s
}

// watch ends an inline call's context with its caller's or at its deadline;
// other calls have whoever settles them for that. The caller's context may be
// anybody's code: it is called without the lock.
func (s *signals) watch(c *callContext) {
	timer := time.AfterFunc(time.Duration(c.deadline-c.who.clock.now()), func() { c.end(expired) })
	stop := timer.Stop
	if caller := c.caller(); caller != nil {
		unhook := context.AfterFunc(caller, func() { c.end(reasonOf(caller.Err())) })
		stop = func() bool { unhook(); return timer.Stop() }
	}
	s.mu.Lock()
	over := s.isFired()
	if !over {
		s.stop = stop
	}
	s.mu.Unlock()
	if over {
		stop()
	}
}

// look does the same for an inline handler that only ever asks Err.
func (c *callContext) look() {
	if caller := c.caller(); caller != nil && caller.Err() != nil {
		c.end(reasonOf(caller.Err()))
	} else if c.who.clock.now() >= c.deadline {
		c.end(expired)
	}
}

// end ends the context of an inline call that goes on. The first reason stands.
func (c *callContext) end(why uint32) {
	if c.state.CompareAndSwap(0, why) {
		c.fire()
	}
}

// close settles the call and ends its context, or is false if it was settled
// already.
func (c *callContext) close(why uint32) bool {
	for {
		was := c.state.Load()
		if was&settled != 0 {
			return false
		}
		now := settled | was
		if was == 0 {
			now |= why
		}
		if c.state.CompareAndSwap(was, now) {
			c.fire()
			return true
		}
	}
}

func (c *callContext) isSettled() bool { return c.state.Load()&settled != 0 }

func (c *callContext) fire() {
	if s := c.signals.Load(); s != nil {
		s.fire()
	}
}

// fire closes done once: who ends the context and who asks for its signals may
// both come here when they cross.
func (s *signals) fire() {
	s.mu.Lock()
	if s.isFired() {
		s.mu.Unlock()
		return
	}
	close(s.done)
	for _, f := range s.after {
		go f()
	}
	stop := s.stop
	s.after, s.stop = nil, nil
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// isFired is to be asked under the lock.
func (s *signals) isFired() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// recordContext is a call's context as its meters see it: the same values, and
// no end, for a record is written after the call is over.
type recordContext callContext

func (*recordContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*recordContext) Done() <-chan struct{}       { return nil }
func (*recordContext) Err() error                  { return nil }
func (c *recordContext) Value(key any) any         { return (*callContext)(c).context().Value(key) }
