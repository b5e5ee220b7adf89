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
// Canceled and answer [ErrClosed], and the error names the functions whose
// handlers had not stopped, and how many. It Is ctx's error. The handlers go
// on if they don't heed their context: the process may end all the same. What a
// buffer could not deliver in time is in the error too, as [*UndeliveredError]s.
//
// With the context of a handler it leaves that invocation and its callers out:
// it neither waits for them nor cancels them. It is idempotent.
//
// A hook (a meter, gate, codec, middleware, scaler, init or close func, or what
// [WithTenantKey], [WithContext], [WithStuck], [WithDecisions] or [WithRefusals] was
// given), of this router or of another, would wait for itself: there Shutdown stops
// admitting calls and answers an error that Is [ErrInput]. Hooks that are given the
// context of their call, which are meters and WithStuck's, may call it with that
// context, middlewares with the handler's. It can't see a goroutine that the hook
// has started and waits for.
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
		self = nil // a context that was kept is no part of what runs
	}
	drained := r.await(ctx, self, true)
	if drained != nil {
		drained = r.cancelRest(self, drained)
	} else {
		r.close(self)
	}
	if err := errors.Join(hooks, drained, r.awaitClosers(ctx), r.flush(ctx)); err != nil {
		return &Error{Op: "shutdown", Err: err}
	}
	return nil
}

// Close ends the router at once: calls that wait are refused with [ErrClosed],
// those that run settle as Canceled and answer it too, and their contexts end.
// It returns when every call is settled and recorded. It does not wait for
// handlers that don't heed their context, nor flush meters. It is idempotent,
// and always nil. A handler that calls it is canceled like the others; with
// the router's last words to say, use Shutdown and the handler's context.
//
// Called by a hook, of this router or of another (see [Router.Shutdown] for which
// they are), it returns when every call is settled, and does not wait for records,
// nor for callers that are in hooks themselves: one of them may be the hook's own.
// It can't see a goroutine that the hook has started and waits for.
func (r *Router) Close() error {
	r.closing.Store(true)
	r.close(nil)
	return nil
}

// cut cancels what has not ended in time, and names it.
func (r *Router) cancelRest(self *callContext, why error) error {
	left := map[string]int{}
	for _, fn := range r.functions.working() {
		if n := fn.unsettled() - fn.class.Queued() + int(fn.runaways.Load()) - self.among(fn, true); n > 0 {
			left[fn.name] += n
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

// close cancels every call but self and those above it, and waits until they
// are recorded, unless it is called by a hook.
func (r *Router) close(self *callContext) {
	r.closed.Store(true) // before the look at the slots, see serve
	r.group.Close()
	r.loop.close()
	r.retire()
	at := r.clock.now()
	for _, s := range r.workers.list() {
		c := s.call.Load()
		if c == nil || self.isBelow(c) {
			continue
		}
		if v, won := c.decide(verdict{outcome: Canceled, err: ErrClosed, at: at}); won {
			// Its hooks get a goroutine of their own: they may end it, and this one
			// may be a meter's that holds the lock which its Record takes.
			go c.follow(v, byWatchdog)
		}
	}
	if placeOnStack() <= wrapping {
		_ = r.await(context.Background(), self, false)
	}
	r.workers.close()
}

// await returns when all calls but self and those above it are settled and, if
// asked for, no runaway is left; or with ctx's error.
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

// retire has all instances go: the idle ones at once, the others with their
// last call.
func (r *Router) retire() {
	for _, fn := range r.functions.working() {
		if fn.scaling != nil {
			fn.scaling.remove(true)
		}
	}
}

// awaitClosers returns when no init and no close func is at work, or names
// those that are when ctx ends. Instances that a call still has are not waited
// for: that may be the one that asks.
func (r *Router) awaitClosers(ctx context.Context) error {
	for {
		changed := r.changed.wait() // before the look, so that nothing is missed
		names := []string{}
		for _, fn := range r.functions.working() {
			if fn.isBuilding() {
				names = append(names, strconv.Quote(fn.name))
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

func (r *Router) quiet(self *callContext, runaways bool) bool {
	for _, fn := range r.functions.working() {
		n := fn.unsettled()
		if runaways {
			n += int(fn.runaways.Load())
		}
		// The chain is looked at last. Its calls can only have ended since n was read, so
		// that among never answers more of them than n has: too few is mended by another
		// look, which each end of a call brings about.
		if n > 0 && n > self.among(fn, runaways) {
			return false
		}
	}
	return true
}

// among is how much of fn's count of unsettled calls, and of runaways if they are
// counted too, is due to c and to the calls above it.
func (c *callContext) among(fn *function, runaways bool) (n int) {
	for a := c; a != nil; a = a.parent() {
		switch {
		case a.who != fn.who:
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
		return 1 // its meters record it
	}
	if state&concluded == 0 && placeOnStack() == recording { // its own handler may ask while it is being settled, and counts once
		n++
	}
	if runaways {
		n++ // also in RecordOverrun, when its handler has returned
	}
	return n
}

// isRunaway tells whether c's call is settled and its handler still runs.
func (c *callContext) isRunaway() bool { return c.state.Load()&ranAway != 0 && !c.isOver() }

// isBelow tells whether c is the call, or was made by it.
func (c *callContext) isBelow(call *callContext) bool {
	for a := c; a != nil; a = a.parent() {
		if a == call {
			return true
		}
	}
	return false
}

// flush has all meters deliver what they hold back, those of functions that are
// gone too. An error says whose meter it is about, if it is not the router's.
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
			owners = append(owners, fn.name)
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
