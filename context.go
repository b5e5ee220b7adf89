package faas

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
	"github.com/inproc/faas/internal/instances"
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
	worker   *worker
	task     task
	id       uuid.UUID
	tenant   string
	start    int64 // on the router's clock
	deadline int64 // likewise
	extra    *callExtra
	hold     admission.Hold
	signals  atomic.Pointer[signals]
	state    atomic.Uint32

	callerFirst bool // the deadline is the caller's
	patient     bool // and the caller's context may still end by itself, see tardiness
	counted     bool // by its function's scaling
}

// formalContext is a context with its formalities, for calls that have some. They
// may hold what is the caller's, and have no part in a chunk.
type formalContext struct {
	callContext
	callExtra
}

func newContextWithExtra(fn *function, t task, tenant string) *callContext {
	c := &formalContext{}
	c.who, c.fn, c.task, c.tenant = fn.who, fn, t, tenant
	c.extra = &c.callExtra
	return &c.callContext
}

// release lets go of what the call no longer needs. A middleware may have left its
// handler to another goroutine: the task is that one's then.
func (c *callContext) release() {
	c.fn, c.worker = nil, nil
	if c.isTaskFree() {
		c.task = nil
	}
}

func (c *callContext) isTaskFree() bool { return c.extra == nil || c.extra.progress.Load() != running }

// formalities are what only some calls have: those that are nested, pass
// middlewares or gates, wait, have a priority, or run inline below a context that
// can end. It keeps the context of all others small.
type callExtra struct {
	parent   *callContext        // the call that made this one
	priority int                 // among the waiting calls of its tenant
	depth    int                 // how many are above it
	caller   caller              // of an inline call, which has nobody else to watch it
	values   context.Context     //nolint:containedctx // what WithContext made of the fresh one; nil: nothing
	queued   int64               // how long it waited for its slot
	instance *instances.Instance // that it has a place in; nil: none is needed, or none was to be had
	unplaced error               // why not
	initWait int64               // how much of queued an init took
	cold     bool                // the instance was made for it
	gates    int                 // how many have said yes
	reserved bool                // with the meters
	progress atomic.Uint32       // of the handler, inside middlewares
}

func (c *callContext) ensureExtra() *callExtra {
	if c.extra == nil {
		c.extra = &callExtra{}
	}
	return c.extra
}

// parent is the call that made this one, or nil.
func (c *callContext) parent() *callContext {
	if c.extra == nil {
		return nil
	}
	return c.extra.parent
}

// depth is how many calls are above this one.
func (c *callContext) depth() int {
	if c.extra == nil {
		return 0
	}
	return c.extra.depth
}

// isOver tells whether the handler has returned. Handlers' contexts are kept for
// longer, and nothing can be told from one that is (context.WithoutCancel hides even
// its end): what is called with it from then on is a root for slots and for draining,
// and has its parent, depth and tenant all the same, so that no call escapes a bill or a
// limit that way.
func (c *callContext) isOver() bool { return c.hold.Ended() }

// unplaced is why the call has no instance to run on, or nil.
func (c *callContext) unplaced() error {
	if c.extra == nil {
		return nil
	}
	return c.extra.unplaced
}

func (c *callContext) priority() int {
	if c.extra == nil {
		return 0
	}
	return c.extra.priority
}

// caller is what an inline call has to watch, or nil.
func (c *callContext) caller() *caller {
	if c.extra == nil || c.extra.caller.done == nil {
		return nil
	}
	return &c.extra.caller
}

// The state of a call: whether it is settled, and whether and why its context
// has ended. That is one word, and one compare-and-swap, since both happen at
// once but for inline calls, whose context can end before they are settled.
const (
	canceled uint32 = 1 << iota // Err is context.Canceled
	expired                     // Err is context.DeadlineExceeded; the cause is ErrTimeout, unless it is the caller's
	left                        // the cause is the caller's, or its writer's
	closed                      // the cause is ErrClosed
	settled
	ranAway   // it was settled while its handler ran: it is counted in function.runaways until its hold has ended
	concluded // of one that ran away: it is about to be counted in Class.Settled
)

// signals is what ends with the context, made when first asked for.
type signals struct {
	done chan struct{}

	mu    sync.Mutex // guards what follows, and the closing of done
	cause error      // of the caller's, if it is more than Err; noted before the context ends
	after map[int]func()
	next  int
	stop  func() bool // ends the watch of an inline call; or nil
}

// context is what the handler sees.
func (c *callContext) context() context.Context {
	if c.extra != nil && c.extra.values != nil {
		return c.extra.values
	}
	return c
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
	return errOf(c.state.Load())
}

func errOf(state uint32) error {
	switch {
	case state&canceled != 0:
		return context.Canceled
	case state&expired != 0:
		return context.DeadlineExceeded
	}
	return nil
}

// Value knows the call itself, and nothing of the caller's.
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case originKey:
		return c
	case *int:
		return c.causer(key)
	}
	return nil
}

// causer lets [context.Cause] find the cause. It asks for the nearest context of
// package context by a private key, an *int, and reads the cause there; this
// package's contexts have none, so one is made that has ended for the same
// reason. Any other *int finds nothing in it. While the call runs there is none
// either: contexts derived from this one would take it for their parent.
func (c *callContext) causer(key any) any {
	state := c.state.Load()
	if errOf(state) == nil {
		return nil
	}
	cause := c.cause(state)
	if state&expired != 0 {
		ended, cancel := context.WithDeadlineCause(context.Background(), time.Time{}, cause)
		cancel()
		return ended.Value(key)
	}
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	return ended.Value(key)
}

// cause is why the context has ended.
func (c *callContext) cause(state uint32) error {
	switch {
	case state&closed != 0:
		return ErrClosed
	case state&left != 0:
		if cause := c.noted(); cause != nil {
			return cause
		}
	case state&expired != 0:
		return ErrTimeout
	}
	return errOf(state)
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
	s, reusable := c.makeSignals()
	if !reusable {
		return s
	}
	if c.who.inline && c.deadline != 0 {
		s.watch(c)
	}
	if c.state.Load() != 0 { // whoever ended it may not have seen s
		s.fire()
	}
	return s
}

// makeSignals is false if another goroutine has made them first.
func (c *callContext) makeSignals() (s *signals, reusable bool) {
	s = &signals{done: make(chan struct{})}
	if c.signals.CompareAndSwap(nil, s) {
		return s, true
	}
	return c.signals.Load(), false
}

// note keeps the caller's cause, to be told by those who see the context end. Of
// several that come at once the first stands: they have it from one context.
func (c *callContext) note(cause error) {
	s := c.signals.Load()
	if s == nil {
		s, _ = c.makeSignals()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
	}
}

func (c *callContext) noted() error {
	s := c.signals.Load()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// watch ends an inline call's context with its caller's or at its deadline;
// other calls have whoever settles them for that.
func (s *signals) watch(c *callContext) {
	timer := time.AfterFunc(time.Duration(c.alarm()-c.who.clock.now()), func() { c.end(c.timeUp()) })
	stop := timer.Stop
	if caller := c.caller(); caller != nil {
		unhook := caller.afterEnd(func() { c.followCaller(caller) })
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
	if caller := c.caller(); caller != nil && caller.hasEnded() {
		c.followCaller(caller)
	} else if c.who.clock.now() >= c.alarm() {
		c.end(c.timeUp())
	}
}

// followCaller ends the context of an inline call as its caller's has ended.
func (c *callContext) followCaller(caller *caller) {
	why := context.Canceled
	defer func() { c.end(c.leave(why)) }() // also where the caller's context ends this goroutine
	why = caller.end()
}

// alarm is when the router ends the call, if nothing else has by then.
func (c *callContext) alarm() int64 {
	if c.patient {
		return c.deadline + int64(tardiness)
	}
	return c.deadline
}

// timeUp is how the context ends at the deadline.
func (c *callContext) timeUp() uint32 {
	if c.callerFirst {
		return expired | left
	}
	return expired
}

// leave is how the context ends as the caller's has, or because nobody takes the
// answer; why is as [caller.end] tells it. The cause is noted for those who will ask.
func (c *callContext) leave(why error) uint32 {
	if e, ok := why.(*causedError); ok && !c.isSettled() { //nolint:errorlint // as end makes it; what it wraps is foreign
		c.note(e.cause)
		why = e.sentinel
	}
	if why == context.DeadlineExceeded { //nolint:errorlint // likewise
		return expired | left
	}
	return canceled | left
}

// departed is the answer for a call whose caller has left, as leave took it.
func (c *callContext) departed(state uint32) error {
	err, cause := errOf(state), c.cause(state)
	if cause == err { //nolint:errorlint // what it wraps is to be kept
		return err
	}
	return wrapCause(err, cause)
}

// end ends the context of an inline call that goes on. The first reason stands.
func (c *callContext) end(why uint32) {
	if c.state.CompareAndSwap(0, why) {
		c.fire()
	}
}

// close settles the call and ends its context, or is false if it was settled
// already.
func (c *callContext) trySettle(why uint32) bool {
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

func (c *callContext) invocation() Invocation {
	who := c.who
	inv := Invocation{
		ID: c.id, Function: who.name, Version: who.version, Tenant: c.tenant, Labels: who.labels,
		Attempt: 1, Timeout: who.timeout, Memory: who.memory, Priority: c.priority(),
	}
	if p := c.parent(); p != nil {
		inv.Parent, inv.Depth = p.id, c.extra.depth
	}
	if c.deadline != 0 {
		inv.Start = who.clock.time(c.start)
		inv.Deadline = inv.Start.Add(time.Duration(c.deadline - c.start))
	}
	return inv
}

// Progress of the handler inside its middlewares.
const (
	notRun = iota
	running
	returned
	forgone // the middlewares ended without it: it may not start any more
)
