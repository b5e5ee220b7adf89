package faas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Shutdown ends the router in good order. It calls the functions of
// [Router.OnShutdown] and waits for them, stops admitting calls (later ones
// answer [ErrClosed]), waits until those that run or wait have ended,
// runaways included, and has meters that hold records back deliver them. Calls
// made by handlers that still run are admitted meanwhile, since they are part
// of what is drained.
//
// When ctx ends first, calls that wait are refused, those that run settle as
// Canceled and answer [ErrClosed], and the error names the functions with
// handlers that had not stopped, and how many. It Is ctx's error. Handlers that
// ignore their context run on; the process may end all the same. A queue of jobs that
// does not take the ends of what it has given is waited for no longer. Records that a
// buffer could not deliver in time are in the error too, as [*UndeliveredError]s.
//
// With the context of a handler it leaves that invocation and its callers out:
// it neither waits for them nor cancels them. It is idempotent.
//
// If a hook of this router or of another called Shutdown, it would wait for itself. So
// there Shutdown stops admitting calls, does not wait, and answers an error that Is
// [ErrInput]. Hooks are meters, gates, codecs, middlewares, scalers, init and close
// funcs, and the funcs of [WithTenantKey], [WithContext], [WithStuck], [WithDecisions],
// [WithRefusals], [WithTracing], [WithCapture] and [Router.OnShutdown]. Of jobs they are the
// queue, carriers, destinations that are Go funcs, and the funcs of [WithUpgrade].
//
// Some hooks have a context by which Shutdown knows what to leave out, and may call it with
// that one: meters and the func of WithStuck with the context that they are given, and
// middlewares with the handler's. The sink behind a [Buffered] is not one of them: Shutdown
// waits until that has taken all records. Shutdown can't see a goroutine that a hook has
// started and waits for.
func (r *Router) Shutdown(ctx context.Context) error {
	if ctx == nil {
		return usageError("shutdown", "", ErrInput, "%v", errNilContext)
	}
	ctx = viewOf(ctx)
	self := callOf(ctx)
	at := placeOnStack()
	hindered := at.waitsForItself(self)
	var hooks error
	if !hindered {
		hooks = r.awaitShutdownHooks(ctx)
	}
	r.closing.Store(true)
	r.group.Drain()
	if hindered {
		return usageError("shutdown", "", ErrInput, "called by a hook, for which it would wait; new calls are refused from here on: "+
			"end the router by Shutdown on another goroutine that the hook does not wait for")
	}
	if self != nil && self.isOver() && at != recording {
		self = nil // a kept context: its call is over, and is not among those that run
	}
	r.drainJobs(ctx, self)
	drained := r.await(ctx, self, true)
	r.awaitDeliveries(ctx, self)
	if drained != nil {
		drained = r.cancelRest(self, drained)
	} else {
		r.close(self)
	}
	if err := errors.Join(hooks, drained, r.jobsLeft(ctx, self), r.awaitClosers(ctx), r.flush(ctx)); err != nil {
		return &Error{Op: "shutdown", Err: err}
	}
	return nil
}

// waitsForItself reports whether a Shutdown at p would wait for the goroutine that called
// it. self is the call that Shutdown's context belongs to, or nil. Shutdown leaves out
// self and the calls above it, so that with self some places are safe. For example, a
// meter's Record gets the context of a settled call, which Shutdown can leave out. A gate
// gets its caller's context: its own call can't be told from the others.
func (p place) waitsForItself(self *callContext) bool {
	switch p {
	case outside:
		return false
	case wrapping:
		return self == nil
	case recording: // of the calls that wait for this goroutine only the hook's own is settled
		return self == nil || !self.isSettled()
	default:
		return true
	}
}

// OnShutdown has f called when [Router.Shutdown] begins, while calls are still
// admitted: for what brings calls in, such as a server that stops to listen and ends
// its requests, or a source that stops to take messages.
//
// All functions are called at once, each on a goroutine of its own and with
// Shutdown's context, and once, however often Shutdown is called. Shutdown waits for
// them, at most until its context ends, and goes on to drain the router then. An
// error, a panic or a Goexit of f, and that it has not returned, stand in
// Shutdown's error under name; they keep nothing else from ending. f must not call
// Shutdown of this router, which answers an error there. [Router.Close] ends the
// router at once and does not call them.
//
// remove takes f back, for what ends before the router does; it does nothing once f
// is being called. f is not called if Shutdown or Close has begun: then the error Is
// [ErrClosed]. A nil f is an error that Is [ErrInput].
func (r *Router) OnShutdown(name string, f func(ctx context.Context) error) (remove func(), err error) {
	if f == nil {
		return nil, usageError("on shutdown", "", ErrInput, "%q: the function is nil", name)
	}
	h := &shutdownHook{name: name, f: f}
	if r.closing.Load() || !r.shutdownHooks.add(h) {
		return nil, usageError("on shutdown", "", ErrClosed, "%q: the router is shutting down", name)
	}
	return func() { r.shutdownHooks.remove(h) }, nil
}

// Close ends the router at once: calls that wait are refused with [ErrClosed],
// those that run settle as Canceled and answer it too, and their contexts end.
// It returns when every call is settled and recorded, and when the queue of jobs has what
// became of those that ran: they are ready to run again. For a queue that blocks it waits 5
// seconds at most; then those jobs are given to other hosts when their leases run out. It does
// not wait for handlers that ignore their context, and does not flush meters. It is idempotent, and always
// returns nil. A handler that calls it is canceled like the others. To end the router
// from inside a handler and still return an answer, call Shutdown with the handler's
// context.
//
// A hook of this router or of another may call it (see [Router.Shutdown] for what hooks
// are). Then it returns when every call is settled, and does not wait for records, or
// for callers that are in hooks themselves: one of those may be the hook's own. It can't
// see a goroutine that a hook has started and waits for.
func (r *Router) Close() error {
	r.closing.Store(true)
	r.close(nil)
	if j := r.hasJobs(); j != nil && placeOnStack() <= wrapping && !isOnStack("(*delivery).run") {
		j.awaitSettled(context.Background(), nil)
	}
	return nil
}

// awaitShutdownHooks calls the hooks and waits for them, until ctx ends.
func (r *Router) awaitShutdownHooks(ctx context.Context) error {
	var errs []error
	for _, h := range r.shutdownHooks.begin(func(h *shutdownHook) { r.callShutdownHook(ctx, h) }) {
		select {
		case <-h.over:
		default:
			select {
			case <-h.over:
			case <-ctx.Done():
				errs = append(errs, fmt.Errorf("OnShutdown %q has not returned: %w", h.name, contextEnd(ctx)))
				continue
			}
		}
		if h.err != nil {
			errs = append(errs, fmt.Errorf("OnShutdown %q: %w", h.name, h.err))
		}
	}
	return errors.Join(errs...)
}

// callShutdownHook is a hook's goroutine.
func (r *Router) callShutdownHook(ctx context.Context, h *shutdownHook) {
	h.err = ErrExited
	defer func() { // by return, panic and Goexit alike
		if p := recover(); p != nil {
			r.hookPanicked("OnShutdown", h.name, p)
			h.err = &PanicError{Value: p, Stack: stack()}
		}
		close(h.over)
	}()
	h.err = h.f(ctx)
}

// cancelRest cancels the calls that have not ended in time. Its error names their
// functions, and wraps why. They are counted before close, which settles them.
func (r *Router) cancelRest(self *callContext, why error) error {
	left := map[string]int{}
	for _, fn := range r.functions.working() {
		if n := fn.unsettled() - fn.part.Queued() + int(fn.runaways.Load()) - self.among(fn, true); n > 0 {
			left[fn.qualified()] += n
		}
	}
	r.close(self)
	if len(left) == 0 {
		return why
	}
	names := slices.Sorted(maps.Keys(left))
	for i, name := range names {
		names[i] = fmt.Sprintf("%q (%d)", name, left[name])
	}
	return fmt.Errorf("%w; still running: %s", why, strings.Join(names, ", "))
}

// close settles every call as canceled, but for self and the calls above it, and waits
// until they are recorded. If a hook calls it, it does not wait.
func (r *Router) close(self *callContext) {
	r.closed.Store(true) // before the loop loads each worker's call, see serve
	if j := r.hasJobs(); j != nil {
		j.endJobs(self.jobOf())
	}
	r.group.Close()
	r.loop.close()
	r.retire()
	at := r.clock.now()
	for _, s := range r.workers.list() {
		c := s.call.Load()
		if c == nil || self.isBelow(c) {
			continue
		}
		if v := (&verdict{outcome: Canceled, err: ErrClosed, at: at}); c.decide(v) {
			// The hooks of that call run on a goroutine of their own: they may call
			// Goexit. And if a meter calls Close with its own mutex locked, its
			// Record would wait here for that mutex.
			go c.follow(v, byWatchdog)
		}
	}
	if placeOnStack() <= wrapping {
		_ = r.await(context.Background(), self, false)
	}
	r.workers.close()
}

// await returns nil when all calls but self and those above it are settled and recorded
// and, if runaways is true, no handler of a settled call runs. It returns ctx's error if
// ctx ends before. Each call that ends wakes it while the router is closing: see
// tellIfEnding.
func (r *Router) await(ctx context.Context, self *callContext, runaways bool) error {
	for {
		changed := r.changed.wait() // before the look, so that nothing is missed
		if r.quiet(self, runaways) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return contextEnd(ctx)
		}
	}
}

// retire closes all instances: the idle ones at once, each other one after its last call.
func (r *Router) retire() {
	for _, fn := range r.functions.working() {
		if fn.scaling != nil {
			fn.scaling.remove(true)
		}
	}
}

// awaitClosers returns when no init func and no close func runs, or if ctx ends before,
// with an error that names their functions. It does not wait for instances on which a
// call runs: that may be the call that called Shutdown.
func (r *Router) awaitClosers(ctx context.Context) error {
	for {
		changed := r.changed.wait() // before the look, so that nothing is missed
		names := []string{}
		for _, fn := range r.functions.working() {
			if fn.isBuilding() {
				names = append(names, strconv.Quote(fn.qualified()))
			}
		}
		if len(names) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w; instances not closed yet of %s", contextEnd(ctx), strings.Join(names, ", "))
		}
	}
}

// quiet reports whether all calls are over but self and those above it. It can be false
// too often, never true too early: await looks again when the next call ends.
func (r *Router) quiet(self *callContext, runaways bool) bool {
	for _, fn := range r.functions.working() {
		n := fn.unsettled()
		if runaways {
			n += int(fn.runaways.Load())
		}
		// among comes after n. A call of the chain may have ended between the two, and
		// then among counts fewer calls than n has. That is safe: quiet is false, and
		// the end of that call has await look again.
		if n > 0 && n > self.among(fn, runaways) {
			return false
		}
	}
	return true
}

// among is how many of fn's unsettled calls are c or calls above c. With runaways it
// counts those of them that are runaways too. c may be nil.
func (c *callContext) among(fn *function, runaways bool) (n int) {
	for a := c; a != nil; a = a.parent() {
		switch {
		case !a.who.isOf(fn):
		case a == c && c.isSettled():
			n += c.counts(runaways)
		case !a.isSettled() || runaways && a.isRunaway():
			n++
		}
	}
	return n
}

// counts is how often c, a settled call, counts while its hook or its handler calls
// Close or Shutdown. A hook that records it runs before c is concluded: a runaway
// counts twice there, as unsettled and as a runaway. For example: c has timed out, and
// its meter's Record calls Shutdown with c's context while c's handler still runs.
func (c *callContext) counts(runaways bool) (n int) {
	state := c.state.Load()
	if state&ranAway == 0 {
		return 1 // a meter runs, which is before conclude counts it as settled
	}
	if state&concluded == 0 && placeOnStack() == recording { // its handler may call Shutdown at this moment too: then it counts once
		n++
	}
	if runaways {
		n++ // in RecordOverrun too: leave takes it off after that
	}
	return n
}

// isRunaway reports whether c's call is settled and its handler still runs.
func (c *callContext) isRunaway() bool { return c.state.Load()&ranAway != 0 && !c.isOver() }

// isBelow reports whether c is call, or a nested call below it.
func (c *callContext) isBelow(call *callContext) bool {
	for a := c; a != nil; a = a.parent() {
		if a == call {
			return true
		}
	}
	return false
}

// flush makes all meters deliver the records that they hold back, those of removed
// functions too. An error about a meter of one function has that function's name.
func (r *Router) flush(ctx context.Context) error {
	all := r.meters.flushers(nil)
	all = r.functions.owing(all)
	var owners []string
	for range all {
		owners = append(owners, "")
	}
	for _, fn := range r.functions.working() {
		all = fn.meters[len(r.meters):].flushers(all)
		for len(owners) < len(all) {
			owners = append(owners, fn.qualified())
		}
	}
	errs := flushAll(ctx, all)
	for i, err := range errs {
		if err != nil && owners[i] != "" {
			errs[i] = fmt.Errorf("function %q: %w", owners[i], err)
		}
	}
	return errors.Join(errs...)
}
