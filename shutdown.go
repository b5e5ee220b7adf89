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

// Shutdown ends the router in good order. It does the following:
//
//   - It calls the functions of [Router.OnShutdown] and waits for them.
//   - It stops admitting calls: later ones answer [ErrClosed]. Calls made by handlers that
//     still run are admitted meanwhile, since Shutdown waits for those handlers.
//   - It waits until the calls that run or wait have ended, runaways included.
//   - It closes the instances of [RegisterInit] and waits for their init and close funcs.
//   - It makes meters that hold records back deliver them.
//
// If ctx ends before that is done, calls that wait are refused, and calls that run settle as
// Canceled and answer [ErrClosed]. Shutdown then returns an error that Is ctx's error. It names
// the functions whose handlers had not returned, each with their number. Handlers that
// ignore their context continue to run, but the process may exit nevertheless. Shutdown also stops
// waiting for a queue of jobs that does not accept the results of its jobs. If a buffer could not
// deliver all its records in time, the error contains an [*UndeliveredError] with their number.
//
// If ctx is a handler's context, Shutdown leaves out that invocation and the calls above it:
// it neither waits for them nor cancels them. Shutdown may be called several times.
//
// If a hook of this router or of another called Shutdown, it would wait for itself. So when a
// hook calls it, Shutdown stops admitting calls, does not wait, and returns an error that Is
// [ErrInput]. Hooks are meters, gates, codecs, middlewares, scalers, init and close
// funcs, and the funcs of [WithTenantKey], [WithContext], [WithStuck], [WithDecisions],
// [WithRefusals], [WithTracing], [WithCapture] and [Router.OnShutdown]. The hooks of jobs are
// the queue, carriers, destinations that are Go funcs, and the funcs of [WithUpgrade].
//
// Some hooks have a context from which Shutdown can tell what to leave out. These may call
// Shutdown with that context: meters and the func of WithStuck with the context that they get,
// and middlewares with the handler's context. The sink behind a [Buffered] may not, because
// Shutdown waits until the sink has taken all records. Shutdown can't detect that a hook has
// started another goroutine and waits for it.
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
		return usageError("shutdown", "", ErrInput, "called by a hook, so it would wait for itself; new calls are refused from now on: "+
			"to end the router, call Shutdown on another goroutine, for which the hook does not wait")
	}
	if self != nil && self.isOver() && at != recording {
		self = nil // the handler kept its context: the call is over, and is not one of those that run
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

// waitsForItself reports whether a Shutdown at the place p would wait for the goroutine that
// called it. self is the call that Shutdown's context belongs to, or nil. Shutdown leaves out
// self and the calls above it, so some places are safe if self is known. For example, a
// meter's Record gets the context of a settled call, which Shutdown can leave out. A gate
// gets its caller's context, which does not identify the gate's own call.
func (p place) waitsForItself(self *callContext) bool {
	switch p {
	case outside:
		return false
	case wrapping:
		return self == nil
	case recording: // if self is settled, it is the hook's own call; all other calls that wait for this goroutine are not settled
		return self == nil || !self.isSettled()
	default:
		return true
	}
}

// OnShutdown registers f to be called when [Router.Shutdown] begins, while calls are still
// admitted. It is for code that brings calls in. For example, f stops a server from accepting
// connections and waits for its requests, or stops a source from taking messages.
//
// Shutdown calls all these functions at once, each on a goroutine of its own and with
// Shutdown's context. Each is called only once, even if Shutdown is called several times.
// Shutdown waits for them until its context ends at most, and then drains the router. If f
// returns an error, panics, calls Goexit or has not returned in time, Shutdown's error contains
// that, under name; Shutdown goes on nevertheless. f must not call Shutdown of
// this router, which returns an error there. [Router.Close] ends the router at once and does
// not call these functions.
//
// remove cancels the registration, for something that ends before the router does; once f
// is being called, remove does nothing. If Shutdown or Close has begun, f is not registered,
// and the error Is [ErrClosed]. If f is nil, the error Is [ErrInput].
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

// Close ends the router at once. Calls that wait are refused with [ErrClosed]. Calls
// that run settle as Canceled and answer ErrClosed, too, and their contexts end.
// Close returns when every call is settled and recorded, and when the queue of jobs has stored
// the jobs that ran as ready to run again. If that queue blocks, Close waits at most 5
// seconds for it. Then other hosts get those jobs when their leases run out. Close does not wait
// for handlers that ignore their context, or for the close funcs of instances, and does not
// flush meters. It may be called several times, and always returns nil. A handler that calls
// Close is canceled like the others. To end the router from inside a handler and still return
// an answer, call Shutdown with the handler's context.
//
// A hook of this router or of another may call Close (see [Router.Shutdown] for what hooks
// are). Then Close returns when every call is settled. It does not wait for records, or for
// callers that are in hooks themselves, because the hook's own caller may be one of them. Close
// can't detect that a hook has started another goroutine and waits for it.
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

// callShutdownHook calls one hook, and recovers its panic. It runs on a goroutine of its own.
func (r *Router) callShutdownHook(ctx context.Context, h *shutdownHook) {
	h.err = ErrExited
	defer func() { // runs after a return, a panic and a Goexit
		if p := recover(); p != nil {
			r.hookPanicked("OnShutdown", h.name, p)
			h.err = &PanicError{Value: p, Stack: stack()}
		}
		close(h.over)
	}()
	h.err = h.f(ctx)
}

// cancelRest cancels the calls that have not ended in time. Its error names their
// functions, and wraps why. The calls are counted before close settles them.
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

// close settles every call as Canceled, except self and the calls above it, and waits
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
		// A call that had its slot before the group was closed may begin after at was read. Its
		// duration is 0 then, and not negative. c.start is constant since begin, before w.call was set.
		if v := (&verdict{outcome: Canceled, err: ErrClosed, at: max(at, c.start)}); c.decide(v) {
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

// await returns nil when all calls except self and those above it are settled and recorded.
// If runaways is true, it also waits until no handler of a settled call runs. If ctx ends
// before, it returns ctx's error. While the router is closing, each call that ends wakes
// await: see tellIfEnding.
func (r *Router) await(ctx context.Context, self *callContext, runaways bool) error {
	for {
		changed := r.changed.wait() // before the check, so that no change is missed
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

// retire closes all instances: idle ones at once, each other instance after its last call.
func (r *Router) retire() {
	for _, fn := range r.functions.working() {
		if fn.scaling != nil {
			fn.scaling.remove(true)
		}
	}
}

// awaitClosers returns nil when no init func and no close func runs. If ctx ends before, it
// returns an error that names their functions. It does not wait for instances on which a
// call runs, because that call may have called Shutdown.
func (r *Router) awaitClosers(ctx context.Context) error {
	for {
		changed := r.changed.wait() // before the check, so that no change is missed
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
			return fmt.Errorf("%w; instances not closed yet: %s", contextEnd(ctx), strings.Join(names, ", "))
		}
	}
}

// quiet reports whether all calls except self and those above it are over. It may be false
// although they are over: then await looks again when the next call ends. It is never true
// too early.
func (r *Router) quiet(self *callContext, runaways bool) bool {
	for _, fn := range r.functions.working() {
		n := fn.unsettled()
		if runaways {
			n += int(fn.runaways.Load())
		}
		// among is read after n. A call of the chain may have ended between the two reads, and
		// then among counts fewer calls than n has. That is safe: quiet returns false, and
		// the end of that call makes await look again.
		if n > 0 && n > self.among(fn, runaways) {
			return false
		}
	}
	return true
}

// among returns how many of fn's unsettled calls are c or calls above c. If runaways is true,
// it also counts those of them that are runaways. c may be nil.
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

// counts returns how often c, a settled call, is counted while its hook or its handler calls
// Close or Shutdown. A hook that records c runs before c is concluded. During that time a
// runaway is counted twice: as unsettled and as a runaway. For example: c has timed out, and
// its meter's Record calls Shutdown with c's context while c's handler still runs.
func (c *callContext) counts(runaways bool) (n int) {
	state := c.state.Load()
	if state&ranAway == 0 {
		return 1 // a meter runs, so conclude has not counted c as settled yet
	}
	if state&concluded == 0 && placeOnStack() == recording { // c's handler may call Shutdown at the same time: for that Shutdown c counts once
		n++
	}
	if runaways {
		n++ // also in RecordOverrun: leave lowers fn.runaways after that
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

// flush makes all meters deliver the records that they hold back, including the meters of
// removed functions. An error of a meter that belongs to one function names that function.
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
