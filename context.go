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

// callContext is one call, and the context that its handler gets. Each call has a new callContext, which is
// never used again: some handlers keep their context too long, and a kept context must not show, or end, another
// call. It has no values of the caller's context, and is not derived from it. It ends when the call is settled.
//
// The fields that are not atomics are written before the handler starts, and are constant from then on; the send
// to worker.work makes them visible to the handler. The exceptions are fn, worker and task, which are for the
// goroutines that run and settle the call. release clears these three when the call is over. So a context that a
// handler keeps, and the other contexts that were allocated with it (see arena), hold in memory only what
// identifies their calls. A method that a handler may call at any time therefore reads the field who, and never fn.
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
	patient     bool // after the deadline the router waits a little for the caller's context to end, see tardiness
	counted     bool // the function's scaling counts the call; releaseInstance ends that
	direct      bool // it is a call of InvokeFunc; constant from begin on
}

// isHere reports whether the handler runs on the caller's goroutine. Then no other goroutine
// watches the caller's context.
func (c *callContext) isHere() bool { return c.who.inline || c.direct }

// formalContext is a callContext and its callExtra in one allocation. It is not part of a chunk,
// an allocation of several contexts (see arena): a callExtra may hold data of the caller, and a
// handler that keeps another context of the chunk would keep that data in memory.
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
// returned. A middleware may have started next on another goroutine without waiting
// for it. Then the handler still runs there and uses the task, so release leaves the task.
func (c *callContext) release() {
	c.fn, c.worker = nil, nil
	if c.isTaskFree() {
		c.task = nil
	}
	if s := c.signals.Load(); s != nil {
		s.logger.Store(nil) // else a handler that keeps a context of the same chunk would keep the logger in memory
	}
}

// isTaskFree reports whether no goroutine uses the task. Only a handler inside middlewares may
// still use it; a handler without them has returned when isTaskFree is called.
func (c *callContext) isTaskFree() bool { return c.extra == nil || c.extra.progress.Load() != running }

// callExtra holds the fields that only some calls need: nested, queued, gated or
// prioritized calls, calls with middlewares or instances, and inline calls under a
// context that can end. Without it every callContext would be about twice as large.
type callExtra struct {
	parent   *callContext        // the call whose handler made this call; nil: none
	from     *provenance         // where the call comes from; nil: not known
	trace    Trace               // the call's trace; nil: none
	priority int                 // among the waiting calls of the same function and tenant
	depth    int                 // the number of calls above this one
	caller   caller              // if the handler runs on the caller's goroutine (isHere): no other goroutine watches the caller's context
	values   context.Context     //nolint:containedctx // what the WithContext funcs made of the callContext; nil: there are none
	queued   int64               // nanoseconds that the call waited for its slot and its seat
	instance *instances.Instance // the instance in which the call has a seat; nil: the function has no init, or see unplaced
	unplaced error               // why the call got no seat
	initWait int64               // the part of queued that was spent waiting for an init func
	cold     bool                // the instance was built for this call
	gates    int                 // the number of gates that admitted the call; their Done is called
	reserved bool                // the meters keep room for the call's record
	progress atomic.Uint32       // of the handler inside middlewares: notRun, running, …
}

// ensureExtra returns c.extra, and makes it at the first use. Only the caller's
// goroutine calls it, and only before the handler starts: no lock guards c.extra.
func (c *callContext) ensureExtra() *callExtra {
	if c.extra == nil {
		c.extra = &callExtra{}
	}
	return c.extra
}

// parent returns the call whose handler made this call, or nil.
func (c *callContext) parent() *callContext {
	if c.extra == nil {
		return nil
	}
	return c.extra.parent
}

// descend makes the call a nested call of parent, unless parent is nil. It also sets its priority.
func (c *callContext) descend(parent *callContext, priority int) {
	c.extra.parent, c.extra.priority = parent, priority
	if parent != nil {
		c.extra.depth = 1 + parent.depth()
	}
}

// depth returns how many calls are above this one.
func (c *callContext) depth() int {
	if c.extra == nil {
		return 0
	}
	return c.extra.depth
}

// isOver reports whether the call has given its slot back, which it does when the handler
// has returned. If a handler keeps its context and makes a call with it later, that call is
// a root for admission and for Shutdown: it can borrow no slot, and no call waits for it.
// It still inherits parent, depth and tenant from c, so that a call that is made late does
// not escape a bill or a limit.
func (c *callContext) isOver() bool { return c.hold.Ended() }

// unplaced returns the error why the call got no seat (one call's place) in an instance, or nil.
func (c *callContext) unplaced() error {
	if c.extra == nil {
		return nil
	}
	return c.extra.unplaced
}

// priority returns the call's priority among the waiting calls of its function and tenant.
func (c *callContext) priority() int {
	if c.extra == nil {
		return 0
	}
	return c.extra.priority
}

// caller returns the caller's context if the handler runs on the caller's goroutine (see
// isHere), because then the call itself has to check whether that context has ended. It
// returns nil for other calls, whose caller watches in await, and for a context that never ends.
func (c *callContext) caller() *caller {
	if c.extra == nil || c.extra.caller.done == nil {
		return nil
	}
	return &c.extra.caller
}

// The bits of callContext.state: whether the call is settled, and whether and why its
// context has ended. Both are in one word, so that one compare-and-swap changes both: no
// goroutine sees a settled call whose context has not ended. A context can end before its
// call is settled only if the handler runs on the caller's goroutine (isHere).
const (
	canceled uint32 = 1 << iota // Err is context.Canceled
	expired                     // Err is context.DeadlineExceeded; the cause is ErrTimeout, unless left is set
	left                        // the cause comes from the caller's context, or from a stream's writer: see noted
	closed                      // the cause is ErrClosed
	settled
	ranAway   // the call was settled while its handler ran; function.runaways counts it until its hold has ended
	concluded // only with ranAway: the call's record is written, and Class.Settled is about to count the call
)

// signals holds what happens when a context ends: the closing of Done and the functions of
// AfterFunc. It is made when Done, AfterFunc, a cause or Logger first needs it, because most
// handlers need none of them.
type signals struct {
	done chan struct{}

	// logger is the call's logger, see Logger. It is here because a callContext has no room
	// for one more pointer.
	logger atomic.Pointer[slog.Logger]

	mu    sync.Mutex     // guards the fields below, and the closing of done
	cause error          // the cause of the caller's context, if it is not just its Err; note writes it before the context ends
	after map[int]func() // the functions of AfterFunc, by their numbers
	next  int            // the number of the next function of AfterFunc
	stop  func() bool    // ends the watch that watch started; nil: there is none
}

// context returns the context that the handler gets: c itself, or what WithContext made of it.
func (c *callContext) context() context.Context {
	if c.extra != nil && c.extra.values != nil {
		return c.extra.values
	}
	return c
}

// Deadline returns the earlier of the caller's deadline and start + timeout. Before the
// start, when a WithContext func has the context, there is no deadline.
func (c *callContext) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	return c.who.clock.time(c.start).Add(time.Duration(c.deadline - c.start)), true
}

// Done is closed when the call is settled, whatever its outcome. If the handler runs on
// its caller's goroutine (isHere), Done may be closed earlier: at the deadline, or when the
// caller's context ends.
func (c *callContext) Done() <-chan struct{} { return c.signal().done }

// Err returns why the context has ended, or nil. If the handler runs on its caller's
// goroutine, Err also checks the clock and the caller's context, so that a handler that
// only polls Err learns of the end without a timer.
func (c *callContext) Err() error {
	if c.isHere() && c.state.Load() == 0 {
		c.look()
	}
	return errOf(c.state.Load())
}

// errOf returns the error that the bits of a state mean.
func errOf(state uint32) error {
	switch {
	case state&canceled != 0:
		return context.Canceled
	case state&expired != 0:
		return context.DeadlineExceeded
	}
	return nil
}

// Value finds the call itself and the values of its trace, and no values of the caller's
// context.
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case originKey:
		return c
	case *int:
		return c.causer(key)
	}
	return c.traced(key)
}

// traced returns the value for key of the call's trace. If the call has no trace, it uses the
// trace of the nearest call above that has one.
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

// causer makes [context.Cause] find the cause of a callContext. Cause calls Value with a private key of type *int
// to get the nearest context of package context, and reads the cause from that. So causer makes such a context,
// which has ended with the same cause, and returns that context's Value for the key. For another key of type *int
// that is nil. While the call runs, causer returns nil: otherwise contexts derived from c would take the context
// made here as their parent.
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

// cause returns what context.Cause returns for a context that ended with these bits. The
// cause was noted before the bits were set, so a goroutine that sees the bits finds the cause.
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
// for this method: because of it, a derived context needs no goroutine that waits for Done.
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
// signals and then loads state. So at least one of the two sees the other's store, and
// closes done. If both do, fire closes it only once.
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
	if c.state.Load() != 0 { // the goroutine that ended the context may have loaded nil signals
		s.fire()
	}
	return s
}

// makeSignals returns the call's signals. The result made is false if they existed, because
// another goroutine has made them first.
func (c *callContext) makeSignals() (s *signals, made bool) {
	s = &signals{done: make(chan struct{})}
	if c.signals.CompareAndSwap(nil, s) {
		return s, true
	}
	return c.signals.Load(), false
}

// note keeps the cause of the caller's context. It must be called before the state is
// set, so that a goroutine that sees the end also finds the cause. If several goroutines
// call note, the first cause stays; all of them read it from the same context.
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

// noted returns the cause that note kept, or nil.
func (c *callContext) noted() error {
	s := c.signals.Load()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// watch ends the context of a call whose handler runs on its caller's goroutine, at the call's deadline or when
// the caller's context ends, because no goroutine waits in await for these. If the context ends while watch is
// being set up, fire finds no stop func: then watch stops its timer itself.
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

// end ends the context of a call whose handler runs on its caller's goroutine. It does not settle
// the call: the handler continues. If two goroutines call end, the first reason stays.
func (c *callContext) end(why uint32) {
	if c.state.CompareAndSwap(0, why) {
		c.fire()
	}
}

// trySettle settles the call and ends its context, or returns false if the call was settled
// before. This compare-and-swap is the only place where a call becomes settled. If the
// context has ended earlier (isHere), the reason of that end stays.
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

// isSettled reports whether the call has its outcome. Its record may not be written yet.
func (c *callContext) isSettled() bool { return c.state.Load()&settled != 0 }

// fire passes the end of the context to the signals, if there are any. c.state must be set
// before: see signal.
func (c *callContext) fire() {
	if s := c.signals.Load(); s != nil {
		s.fire()
	}
}

// fire closes done and starts the functions of AfterFunc, once: both the goroutine that ends
// the context and a goroutine that makes the signals may call it. The func s.stop is called
// after the unlock, because it may call the caller's context.
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

// isFired reports whether done is closed. s.mu must be held: fire closes done with it locked.
func (s *signals) isFired() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// recordContext is a call's context for its meters: it has the same values, but no
// deadline, and never ends. A record is written after the call is over. A meter that
// passed an ended context to a database would lose the record.
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
	nextClosed // the middlewares have returned without calling next; a later call of next returns an error
)
