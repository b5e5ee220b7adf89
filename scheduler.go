package faas

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/panjf2000/ants/v2"
)

// newPool makes the pool that supplies workers with goroutines, and does
// nothing else. It has no limit: how many calls run is decided by admission,
// exactly. A worker is one long task of the pool, so that the pool's lock is
// paid once per worker and not per call.
func newPool() (goroutines, error) { return ants.NewPool(-1) }

// invoke takes a call from admission to settlement, and answers its caller.
// reusable tells whether t is the caller's again; otherwise its handler still runs.
func (fn *function) invoke(ctx context.Context, t task) (reusable bool, err error) {
	if ctx == nil {
		return true, fn.turnAway(nil, refusal(fn.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, errNilContext))) //nolint:staticcheck // there is none
	}
	var q caller
	parent, tenant, priority, ended := q.meet(ctx) // before the call is counted
	fn.class.Entered.Add(1)
	var c *callContext
	if parent == nil && priority == 0 && fn.plain && (tenant == "" || isTenant(tenant)) && ended == nil {
		w := fn.router.workers.idlePool(fn.inline).take()
		if fn.needsExtra || fn.inline && q.done != nil {
			c = newContextWithExtra(fn, t, tenant)
		} else {
			c = w.newContext()
			c.who, c.fn, c.task, c.tenant = fn.who, fn, t, w.shareTenant(tenant)
		}
		if fn.takesAtOnce(c) {
			return fn.proceed(&q, c, w)
		}
		c = w.replaceContext(c, tenant)
		if w != nil {
			fn.router.workers.release(w)
		}
	}
	if c == nil {
		c = newContextWithExtra(fn, t, tenant)
	}
	c.extra.parent, c.extra.priority = parent, priority
	return fn.invokeSlowly(&q, c, ended)
}

// What follows is not for every call, and stands apart so that its variables are
// not in the frames of those that do without.

//go:noinline
func (fn *function) refuseClosed(q *caller, c *callContext, why error) error {
	c.hold.Release()
	c.ensureExtra()
	return fn.refuse(q, c, c.takeBack(refusal(fn.name, c.id, ReasonClosed, wrapCause(ErrClosed, why))))
}

// takesAtOnce takes a slot that is free, or that the function may grow by.
func (fn *function) takesAtOnce(c *callContext) bool {
	return (fn.scaling == nil || fn.scaling.enter(c) == nil) && fn.class.TryAcquire(&c.hold)
}

// invokeSlowly is invoke for a call that has more to ask for than a slot, or
// that did not find one at once. ended is why its caller has left already.
func (fn *function) invokeSlowly(q *caller, c *callContext, ended error) (reusable bool, err error) {
	c.id = fn.router.clock.newID(fn.router.clock.now(), rand.Uint64())
	if ended != nil {
		return true, fn.refuse(q, c, refusal(fn.name, c.id, ReasonQueueCanceled, ended))
	}
	if refused := fn.admit(q, c); refused != nil {
		return true, fn.refuse(q, c, c.takeBack(refused))
	}
	return fn.proceed(q, c, fn.router.workers.idlePool(fn.inline).take())
}

// proceed runs a call that has been let in, in the slot s or in a new one. A
// caller's stack is as small as a goroutine's can be: on the way down to here,
// and on to serve, frames are kept so that one that has just begun need not grow.
func (fn *function) proceed(q *caller, c *callContext, w *worker) (reusable bool, err error) {
	now := fn.router.clock.now()
	if c.id == uuid.Nil {
		c.id = fn.router.clock.newID(now, rand.Uint64())
	}
	if fn.init != nil {
		now = fn.scaling.acquireInstance(q, c, now)
	}
	if w == nil {
		if w, err = fn.router.workers.newWorker(fn.inline); err != nil {
			return true, fn.refuseClosed(q, c, err)
		}
	}
	if hindered := c.begin(q, w, now); hindered != nil {
		return true, w.turnAway(q, c, hindered)
	}
	return w.serve(q, c)
}

// turnAway settles a call that has a slot, and no instance to run on or no time.
// Nothing else knows of it yet.
func (w *worker) turnAway(q *caller, c *callContext, why error) (err error) {
	v := verdict{outcome: Canceled, err: why, at: c.start}
	defer func() {
		err = w.takeAnswer()
		w.pool.release(w)
	}()
	defer func() { c.settle(v, unstarted) }() // a meter, or the caller's context, may end the goroutine
	switch {
	case why == errLeft: //nolint:errorlint // what an init answered is foreign
		v.err = context.Canceled
		v.err = q.end()
	case errors.Is(why, ErrInit):
		v.outcome = InitFailed
	}
	return nil
}

// begin makes c the slot's call, from now on, or tells why it can't run.
func (c *callContext) begin(q *caller, w *worker, now int64) (hindered error) {
	fn := c.fn
	c.who, c.worker, c.start, c.deadline = fn.who, w, now, noDeadline
	if int64(fn.timeout) < noDeadline-now {
		c.deadline = now + int64(fn.timeout)
	}
	if !q.asked {
		if hindered = c.askDeadline(q); hindered != nil {
			return hindered
		}
	}
	if q.deadline <= c.deadline {
		c.deadline, c.callerFirst, c.patient = max(now, q.deadline), true, q.isTrusted()
	}
	if hindered = c.unplaced(); hindered != nil {
		return hindered
	}
	if c.deadline <= now {
		return errLeft
	}
	if fn.chain != nil {
		c.ensureExtra()
	}
	if fn.inline {
		if q.done != nil {
			c.ensureExtra().caller = *q
		}
		if s := c.signals.Load(); s != nil { // WithContext has asked for them
			s.watch(c)
		}
	}
	return nil
}

// askDeadline asks the caller's context when the call has its slot already: if it
// ends the goroutine, the call is turned away here.
func (c *callContext) askDeadline(q *caller) (broken error) {
	asked := false
	defer func() {
		if asked {
			return
		}
		p := recover()
		broken = impolite(p)
		if p == nil {
			_ = c.worker.turnAway(q, c, broken)
		}
	}()
	q.askDeadline(c.who.clock)
	asked = true
	return nil
}

// serve runs the slot's call, and returns when it is settled.
func (w *worker) serve(q *caller, c *callContext) (reusable bool, err error) {
	w.call.Store(c)
	// Close sets closed and then settles the calls that it sees in slots; this
	// one was in its slot before closed is read here, so one sees the other.
	if c.fn.router.closed.Load() && c.settle(verdict{outcome: Canceled, err: ErrClosed, at: c.start}, unstarted) {
		err = w.takeAnswer()
		w.pool.stop(w)
		return true, err
	}
	if w.work == nil {
		if !w.exec(c) {
			<-w.wake
		}
		return w.collect(c)
	}
	w.arm(c)
	w.work <- c
	if !w.started {
		w.start()
	}
	return w.await(q, c)
}

// await waits for the call to be settled, and leaves it if the caller's context
// ends before.
func (w *worker) await(q *caller, c *callContext) (reusable bool, err error) {
	if q.done == nil {
		<-w.wake
		return w.collect(c)
	}
	select {
	case <-w.wake:
		return w.collect(c)
	case <-q.done:
		return w.forsake(q, c)
	}
}

// forsake leaves the call, unless it is settled meanwhile.
func (w *worker) forsake(q *caller, c *callContext) (reusable bool, err error) {
	v := verdict{outcome: Canceled, err: context.Canceled, at: w.pool.clock.now()}
	defer func() { // also where the caller's context ends the goroutine
		if c.settle(v, byCaller) {
			reusable, err = false, w.takeAnswer()
			return
		}
		<-w.wake
		reusable, err = w.collect(c)
	}()
	v.err = q.end()
	return false, nil
}

// collect takes the answer, and lets the slot go on to another call unless
// this one still has it.
func (w *worker) collect(c *callContext) (reusable bool, err error) {
	err = w.takeAnswer()
	if w.abandoned {
		return false, err
	}
	reusable = c.isTaskFree()
	if c.extra != nil {
		w.call.Store(nil)
		if reusable {
			c.task = nil
		}
	}
	if !w.dead {
		w.pool.release(w)
	}
	return reusable, err
}

// takeAnswer is for the caller alone: a slot that is idle holds no error.
func (w *worker) takeAnswer() error {
	err := w.answer
	if err != nil {
		w.answer = nil
	}
	return err
}

// arm makes sure that the slot's timer fires no later than the call's
// deadline. Most calls find it armed by an earlier one, and touch no timer.
func (w *worker) arm(c *callContext) {
	alarm := c.alarm()
	if a := w.armed.Load(); a != 0 && a <= alarm {
		return
	}
	w.armed.Store(alarm)
	d := time.Duration(alarm - c.start)
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.expire)
	} else {
		w.timer.Reset(d)
	}
}

// expire is what the timer does. If it was armed for an earlier call, it is
// armed again for this one.
//
// A call that arrives meanwhile either finds armed cleared, and arms the timer
// itself, or was in its slot before it was cleared, and is seen here.
func (w *worker) expire() {
	w.armed.Store(0)
	c := w.call.Load()
	if c == nil || c.isSettled() {
		return
	}
	now, alarm := w.pool.clock.now(), c.alarm()
	if now < alarm {
		w.armed.Store(alarm)
		w.timer.Reset(time.Duration(alarm - now))
		return
	}
	c.settle(verdict{outcome: TimedOut, at: now}, byWatchdog)
}

// exec runs the handler on this goroutine. own tells whether its return has
// settled the call, so that the slot is good for another.
func (w *worker) exec(c *callContext) (own bool) {
	v := verdict{outcome: Exited}
	defer func() { // by return, panic and Goexit alike
		if v.outcome == Exited {
			if p := recover(); p != nil {
				v.outcome, v.err = Panicked, &PanicError{Value: p, Stack: stack()}
			} else {
				v.err = ErrExited
			}
			// After a panic as well: it may come from a deferred function on
			// the way out of a Goexit, which goes on once it is recovered.
			w.dead = true
		}
		own = w.returned(c, v)
	}()
	if c.isSettled() { // before it started
		v.outcome = Canceled
		return false
	}
	if v.err = c.run(); v.err != nil {
		v.outcome = Failed
		return false
	}
	if v.size, v.err = c.task.output(); v.err != nil {
		v.outcome = OutputInvalid
		return false
	}
	v.outcome = OK
	return false
}

// run runs the handler inside its middlewares. Those have a frame of their
// own, so that the stack of a handler without them stays small.
func (c *callContext) run() error {
	if c.fn.chain == nil {
		return c.task.run(c.context())
	}
	return c.runChain()
}

//go:noinline
func (c *callContext) runChain() error {
	err := c.fn.chain(c.context(), c.invocation())
	if err == nil && c.extra.progress.Load() != returned {
		return errNextNever
	}
	return err
}

// returned is what a handler's goroutine does once the handler has ended.
func (w *worker) returned(c *callContext, v verdict) (own bool) {
	v.at = w.pool.clock.now()
	if c.fn.chain != nil { // a middleware may have left next to another goroutine
		c.extra.progress.CompareAndSwap(notRun, forgone)
	}
	if c.caller() != nil && c.state.Load() == 0 {
		w.heedCaller(c, v.at)
	}
	if c.fn.inline || v.outcome == Failed {
		v = c.late(v)
	}
	return w.finish(c, v)
}

// heedCaller looks whether an inline call's caller has left before the handler
// returned. If that ends the goroutine, it ends the call as well.
func (w *worker) heedCaller(c *callContext, at int64) {
	asked := false
	defer func() {
		if !asked {
			w.dead = true
			w.finish(c, verdict{outcome: Canceled, err: context.Canceled, at: at})
		}
	}()
	if caller := c.caller(); caller.hasEnded() {
		c.followCaller(caller)
	}
	asked = true
}

// finish settles the call for its handler, or sees it out if it is settled.
func (w *worker) finish(c *callContext, v verdict) (own bool) {
	if c.settle(v, byHandler) {
		if w.dead && w.work == nil { // no loop to forget it
			w.pool.unregister(w)
		}
		return true
	}
	if v.outcome == Panicked {
		c.fn.router.logLatePanic(c, v.err)
	}
	w.ended = v.at
	w.leave(c)
	return false
}

// late judges a return by the clock: that of an inline handler, whom nobody could
// leave when its time was up, and a failure, which may be what the deadline did to
// a connection of the handler's before the timer came to end the call.
func (c *callContext) late(v verdict) verdict {
	if v.outcome == Panicked || v.outcome == Exited {
		return v
	}
	if state := c.state.Load(); c.fn.inline && state&left != 0 {
		return verdict{outcome: Canceled, err: c.departed(state), at: v.at}
	}
	if v.at >= c.deadline {
		return verdict{outcome: TimedOut, at: v.at}
	}
	return v
}

// breakOff ends a call whose answer nobody takes. An inline handler can't be left:
// its context ends.
func (c *callContext) breakOff(why error) {
	err := wrapCause(context.Canceled, why)
	if c.who.inline {
		c.end(c.leave(err))
		return
	}
	c.settle(verdict{outcome: Canceled, err: err, at: c.who.clock.now()}, byWatchdog)
}

// loop is the worker: one long task of the goroutine pool.
func (w *worker) loop() {
	defer w.pool.unregister(w) // Goexit in a handler comes through here as well
	for c := range w.work {
		if !w.exec(c) || w.dead {
			return
		}
	}
}

var (
	errNextTwice   = errors.New("faas: middleware called next a second time; it may call it once")
	errNextNever   = errors.New("faas: middleware answered nil although next has not returned; answer an error, or call next and wait for it")
	errNextLate    = errors.New("faas: middleware called next after it had returned; call it before, and wait for it")
	errNextForeign = errors.New("faas: middleware called next with a context that is not derived from the one it was given")
)

// runHandler is the innermost Runner.
func runHandler(ctx context.Context, inv Invocation) error {
	c := callOf(ctx)
	if c == nil || c.id != inv.ID {
		return errNextForeign
	}
	if !c.extra.progress.CompareAndSwap(notRun, running) {
		if c.extra.progress.Load() == forgone {
			return errNextLate
		}
		return errNextTwice
	}
	err := c.task.run(ctx)
	c.extra.progress.Store(returned)
	return err
}
