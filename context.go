package faas

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
	"github.com/inproc/faas/internal/instances"
)

// callContext is one call, and the context that its handler gets. Each call has a new
// one, which is never used again: some handlers keep their context for too long, and a
// kept context must not show, or end, another call. It has none of the caller's
// context's values, and is not derived from that context: settling the call ends it.
//
// The fields other than the atomics are written before the handler starts, and constant
// from then on; the send to worker.work makes them visible to the handler. The
// exceptions are fn, worker and task. They are for the goroutines that run and settle
// the call, and release clears them when the call is over, so that a kept context, and
// the chunk around it, hold only what identifies the call. Methods that a handler may
// call at any time therefore read who, and never fn.
type callContext struct {
	who      *identity
	fn       *function
	worker   *worker
	task     task
	id       uuid.UUID
	tenant   string
	start    int64 // on the router's clock; 0: not started
	deadline int64 // on the router's clock; 0: not started
	extra    *callExtra
	hold     admission.Hold
	signals  atomic.Pointer[signals]
	state    atomic.Uint32

	callerFirst bool // the deadline is the caller's, and earlier than the function's timeout
	patient     bool // after the deadline the router waits for the caller's context, see tardiness
	counted     bool // by its function's scaling; releaseInstance takes it off
	direct      bool // it is a call of InvokeFunc; constant from begin on
}

// isHere tells whether the handler runs on the caller's goroutine: then no other goroutine
// watches the caller's context.
func (c *callContext) isHere() bool { return c.who.inline || c.direct }

// formalContext is a callContext and its callExtra in one allocation. It is not part
// of a chunk, since a callExtra may hold what is the caller's, which a neighbor in the
// chunk would keep in memory.
type formalContext struct {
	callContext
	callExtra
}

// newContext makes a context for a call that needs a callExtra.
func (to target) newContext(t task, tenant string) *callContext {
	c := &formalContext{}
	c.who, c.fn, c.task, c.tenant = to.who, to.fn, t, tenant
	c.extra = &c.callExtra
	return &c.callContext
}

// release clears what the call no longer needs, once it is settled and its handler has
// returned. If a middleware has started next on another goroutine, and has not waited
// for it, the handler runs there still: the task is left to it.
func (c *callContext) release() {
	c.fn, c.worker = nil, nil
	if c.isTaskFree() {
		c.task = nil
	}
	if s := c.signals.Load(); s != nil {
		s.logger.Store(nil) // a kept chunk would keep it for each of its contexts
	}
}

// isTaskFree tells whether no goroutine uses the task. It is about the handler inside
// middlewares; without them the handler has returned when this is asked.
func (c *callContext) isTaskFree() bool { return c.extra == nil || c.extra.progress.Load() != running }

// callExtra holds the fields that only some calls need: nested, queued, gated or
// prioritized calls, calls with middlewares or instances, and inline calls under a
// context that can end. Without it every callContext would be about twice as large.
type callExtra struct {
	parent   *callContext        // the call that made this one
	from     *provenance         // where it comes from; nil: from code that doesn't say
	trace    Trace               // that follows it; nil: none
	priority int                 // among the waiting calls of its tenant
	depth    int                 // how many are above it
	caller   caller              // of an inline call, which has no other goroutine that watches its caller
	values   context.Context     //nolint:containedctx // what the WithContext funcs made of the callContext; nil: there are none
	queued   int64               // nanoseconds that it waited for its slot and its seat
	instance *instances.Instance // in which it has a seat; nil: the function has no init, or see unplaced
	unplaced error               // why it got no seat
	initWait int64               // the part of queued that it waited for an init
	cold     bool                // the instance was made for it
	gates    int                 // how many gates have said yes; Done is called for these
	reserved bool                // the meters keep room for its record
	progress atomic.Uint32       // of the handler inside middlewares: notRun, running, …
}

// ensureExtra returns c.extra, and makes it before the first use. Only the caller's
// goroutine calls it, and only before the handler starts: c.extra is not guarded.
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

// descend makes the call a nested one of parent, if that is not nil.
func (c *callContext) descend(parent *callContext, priority int) {
	c.extra.parent, c.extra.priority = parent, priority
	if parent != nil {
		c.extra.depth = 1 + parent.depth()
	}
}

// depth is how many calls are above this one.
func (c *callContext) depth() int {
	if c.extra == nil {
		return 0
	}
	return c.extra.depth
}

// isOver tells whether the call has given its slot back, which is when the handler has
// returned. A call that is made with a kept context after that is a root for admission
// and for Shutdown: it can borrow no slot, and nothing waits for it through c. It still
// inherits parent, depth and tenant, so that no call escapes a bill or a limit by being
// made late.
func (c *callContext) isOver() bool { return c.hold.Ended() }

// unplaced is why the call got no seat in an instance, or nil.
func (c *callContext) unplaced() error {
	if c.extra == nil {
		return nil
	}
	return c.extra.unplaced
}

// priority orders the call among the waiting ones of its function and tenant.
func (c *callContext) priority() int {
	if c.extra == nil {
		return 0
	}
	return c.extra.priority
}

// caller is the caller's context that a call has to watch whose handler runs on the caller's
// goroutine, see isHere. It is nil for other calls, whose caller's context await watches, and
// for a context that never ends.
func (c *callContext) caller() *caller {
	if c.extra == nil || c.extra.caller.done == nil {
		return nil
	}
	return &c.extra.caller
}

// The bits of callContext.state: whether the call is settled, and whether and why its
// context has ended. Both are in one word so that one compare-and-swap changes both: no
// goroutine sees a settled call with a context that goes on. Only the context of a call
// whose handler runs on the caller's goroutine (isHere) can end before the call is settled.
const (
	canceled uint32 = 1 << iota // Err is context.Canceled
	expired                     // Err is context.DeadlineExceeded; the cause is ErrTimeout, unless it is the caller's
	left                        // the cause is of the caller's context, or of a stream's writer: see noted
	closed                      // the cause is ErrClosed
	settled
	ranAway   // it was settled while its handler ran; it is in function.runaways until its hold has ended
	concluded // only with ranAway: its record is written, and it is about to be counted in Class.Settled
)

// signals are what the end of a context sets off. They are made when Done, AfterFunc, a
// cause or Logger first needs them: most handlers never ask.
type signals struct {
	done chan struct{}

	// logger is the call's, see Logger. It stands here because a callContext has no room
	// for one more pointer.
	logger atomic.Pointer[slog.Logger]

	mu    sync.Mutex     // guards the fields below, and the closing of done
	cause error          // the caller's cause, if it is not just Err; written by note before the context ends
	after map[int]func() // the functions of AfterFunc, by number
	next  int            // the number of the next one
	stop  func() bool    // ends the watch of an inline call; nil: there is none
}

// context is the context that the handler gets: c itself, or what WithContext made of it.
func (c *callContext) context() context.Context {
	if c.extra != nil && c.extra.values != nil {
		return c.extra.values
	}
	return c
}

// Deadline returns the earlier of the caller's deadline and start + timeout. There is
// none before the start, when a WithContext func sees the context.
func (c *callContext) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	return c.who.clock.time(c.start).Add(time.Duration(c.deadline - c.start)), true
}

// Done is closed when the call is settled, whatever its outcome. That of a call
// on its caller's goroutine (isHere) may be closed earlier: at its deadline, or when its
// caller's context ends.
func (c *callContext) Done() <-chan struct{} { return c.signal().done }

// Err tells why the context has ended, or is nil. For an inline call it also checks the
// clock and the caller's context, so that a handler that only polls Err learns of its
// end without a timer.
func (c *callContext) Err() error {
	if c.isHere() && c.state.Load() == 0 {
		c.look()
	}
	return errOf(c.state.Load())
}

// errOf is the error that the bits of a state mean.
func errOf(state uint32) error {
	switch {
	case state&canceled != 0:
		return context.Canceled
	case state&expired != 0:
		return context.DeadlineExceeded
	}
	return nil
}

// Value finds the call itself and what its trace knows, and none of the values of the
// caller's context.
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case originKey:
		return c
	case *int:
		return c.causer(key)
	}
	return c.traced(key)
}

// traced is what the call's trace knows, or the one of the nearest call above that has one.
func (c *callContext) traced(key any) any {
	for {
		switch parent := c.parent(); {
		case c.extra != nil && c.extra.trace != nil:
			return c.extra.trace.Value(key)
		case c.who.sampler == nil:
			return nil
		case parent == nil:
			return c.who.sampler.Untraced(c.id, key)
		default:
			c = parent
		}
	}
}

// causer lets [context.Cause] find the cause of a callContext. Cause asks Value for the
// nearest context of package context, by a private key of type *int, and reads the
// cause there. So this makes such a context that has ended for the same reason, and
// asks it. Another *int as key finds nothing in it. While the call runs the answer is
// nil: if not, contexts derived from c would take the new one for their parent.
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

// cause is what context.Cause returns for a context that ended with these bits. The cause
// was noted before the bits were set, so a goroutine that sees them finds it.
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

// AfterFunc calls f on a new goroutine once the context has ended. Package context looks
// for this method: with it, a derived context needs no goroutine that waits for Done.
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

// signal returns the call's signals, and makes them if there are none yet.
//
// The goroutine that ends the context stores state and then loads signals; signal stores
// signals and then loads state. So at least one of the two sees what the other has stored,
// and closes done. If both do, fire closes it once.
func (c *callContext) signal() *signals {
	if s := c.signals.Load(); s != nil {
		return s
	}
	s, made := c.makeSignals()
	if !made {
		return s
	}
	if c.isHere() && c.deadline != 0 {
		s.watch(c)
	}
	if c.state.Load() != 0 { // the goroutine that ended it may have loaded nil
		s.fire()
	}
	return s
}

// makeSignals returns the call's signals. made is false if they were there, because
// another goroutine was first.
func (c *callContext) makeSignals() (s *signals, made bool) {
	s = &signals{done: make(chan struct{})}
	if c.signals.CompareAndSwap(nil, s) {
		return s, true
	}
	return c.signals.Load(), false
}

// note keeps the cause of the caller's context. It must be called before the state is
// set, so that a goroutine that sees the end also finds the cause. If several goroutines
// note one the first stands; they all read it from the same context.
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

// noted is the cause that note kept, or nil.
func (c *callContext) noted() error {
	s := c.signals.Load()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// watch ends the context of a call on its caller's goroutine, at the call's deadline or when
// the caller's context ends: no goroutine waits in await for that. If the context ends while
// watch sets this up, fire found no stop to call: watch stops its timer itself.
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

// end ends the context of a call on its caller's goroutine, which is not settled by that: its handler runs
// on. If two goroutines end it, the first reason stands.
func (c *callContext) end(why uint32) {
	if c.state.CompareAndSwap(0, why) {
		c.fire()
	}
}

// trySettle settles the call and ends its context, or is false if the call was settled
// before. This compare-and-swap is the only place where a call becomes settled. If an
// inline call's context has ended earlier, the reason of that end stands.
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

// isSettled tells whether the call has its outcome. Its record may not be written yet.
func (c *callContext) isSettled() bool { return c.state.Load()&settled != 0 }

// fire tells the signals, if there are any, that the context has ended. state must be set
// before: see signal.
func (c *callContext) fire() {
	if s := c.signals.Load(); s != nil {
		s.fire()
	}
}

// fire closes done and starts the functions of AfterFunc, once: the goroutine that ends
// the context and one that makes the signals may both call it. stop is called after
// the unlock, because it may call the caller's context.
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

// isFired tells whether done is closed. s.mu must be held, which fire closes it under.
func (s *signals) isFired() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// recordContext is a call's context as its meters see it: with the same values, and
// without deadline or end. A record is written after the call is over, and a meter that
// passes a canceled context to a database would lose it.
type recordContext callContext

func (*recordContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*recordContext) Done() <-chan struct{}       { return nil }
func (*recordContext) Err() error                  { return nil }
func (c *recordContext) Value(key any) any         { return (*callContext)(c).context().Value(key) }

// The values of callExtra.progress: what the handler inside middlewares does.
const (
	notRun = iota
	running
	returned
	nextClosed // the middlewares have returned and next was not called; a later call of next returns an error
)
