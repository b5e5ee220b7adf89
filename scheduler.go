package faas

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// The path of a call through the functions of this package:
//
//	start ─ a slot is free ──────────┬─► proceed ─► begin ─► serve ─► arm ─► await
//	   └─ else invokeSlowly ─► admit ┘                         │
//	      depth, tenant, context, gates, meters, slot          │ work channel
//	                                                           ▼
//	   worker: loop ─► exec ─► run ─► returned ─► finish ─► settle(byHandler) ──┐
//	   caller: await ─ its context ends ─► forsake ───────► settle(byCaller) ───┤
//	   timer:  expire ────────────────────────────────────► settle(byWatchdog) ─┤
//	   Close, or a stream's writer that fails ────────────► settle(byWatchdog) ─┤
//	                                          decide ─► follow ─► conclude ◄────┘
//
// To settle a call is to fix how it ended. Several goroutines may try; decide lets the first
// one win. That goroutine writes the record in follow, and wakes the caller in conclude. The
// caller takes the answer in collect. An inline call (WithInline) and a call of InvokeFunc have no
// worker goroutine: serve calls exec on the caller's goroutine. If another goroutine settles the call
// before the handler has returned, the handler is a runaway: runaway.go gives back its seat
// and slot when it returns, or the slot at once (WithRunaways).
//
// The states of a call (callContext.state), a worker and an instance:
//
//	call:     open ──► settled ──► over (its handler has returned)
//	            │           └─ while its handler still runs ─► ranAway ─► concluded ─► over
//	            └─ handler on the caller's goroutine (isHere): context ended ─► settled
//	worker:   busy ⇄ idle ─► stopped (idle for long, or the router closed)
//	            ├─ its handler panicked or called Goexit ─► dead
//	            └─ its handler is a runaway ─► abandoned ─► dead
//	instance: starting ─► ready ─► draining ─► dropped; see internal/instances
//	            └─ its init failed, or was given up ─► dropped

// invoke admits a call, waits until it is settled, and returns its answer. If reusable is false,
// the handler still runs and uses t, so t must not be used again. The error errGone means that the
// function of a call by name was removed before the call had a slot or waited for one. Such a call
// is not counted; the caller of invoke looks the name up again.
func (to target) invoke(ctx context.Context, t task) (reusable bool, err error) {
	q := caller{ctx: ctx}
	var near *worker
	p, reusable, err := to.start(&q, t, &near)
	if p.worker != nil {
		return p.await(&q)
	}
	return reusable, err
}

// pending is a call that was sent to a worker, and whose caller must wait for it.
type pending struct {
	worker *worker // nil: there is nothing to wait for; the call is over, or was refused
	call   *callContext
}

// start does all of invoke except the wait for the answer. The parameter near points to the field
// in which t remembers the worker of its last call. start returns before the wait, so that few
// stack frames lie between the wait and the caller's code. Each such frame would cost time: a
// processor predicts returns from its record of recent calls, but when a goroutine wakes, that
// record is another goroutine's, and the return from each frame is mispredicted.
func (to target) start(q *caller, t task, near **worker) (p pending, reusable bool, err error) {
	fn := to.fn
	if q.ctx == nil {
		return pending{}, true, to.turnAway(nil, refusal(fn.who.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, errNilContext))) //nolint:staticcheck // the context is what is nil
	}
	parent, tenant, priority, ended := q.meet() // before the call is counted: a method of ctx may call Goexit
	if q.resolved != nil {
		*q.resolved = to.resolution()
	}
	var id uuid.UUID
	var trace Trace
	if fn.tracing != nil {
		id, trace = to.traceOf(q, parent, tenant, priority)
	}
	var c *callContext
	if parent == nil && priority == 0 && fn.plain && (tenant == "" || isTenant(tenant)) && q.from.isSound() && ended == nil {
		w := fn.router.workers.take(q.isServed(fn), near)
		if fn.needsExtra || q.from != nil || trace != nil || q.done != nil && q.isServed(fn) {
			c = to.newContext(t, tenant)
			c.extra.from, c.extra.trace = q.from, trace
		} else {
			c = w.newContext()
			c.who, c.fn, c.task = to.who, fn, t
			if tenant != "" {
				c.tenant = w.shareTenant(tenant)
			}
		}
		c.id = id
		if fn.takesAtOnce(c, w) {
			return fn.proceed(q, c, w)
		}
		c = w.replaceContext(c, tenant)
		if w != nil {
			fn.router.workers.release(w)
		}
	} else {
		fn.part.Entered.Add(1)
		c = to.newContext(t, tenant)
	}
	c.descend(parent, priority)
	c.id, c.extra.trace = id, trace
	return to.invokeSlowly(q, c, ended)
}

// invokeSlowly admits a call that found no free slot, or that needs more than a
// slot: nested calls, calls with a priority, calls of functions with gates. If the
// caller's context has already ended, the parameter ended is its error, else nil.
func (to target) invokeSlowly(q *caller, c *callContext, ended error) (p pending, reusable bool, err error) {
	fn := to.fn
	if c.id == uuid.Nil {
		c.id = fn.router.clock.newID(fn.router.clock.now(), rand.Uint64())
	}
	c.extra.from = q.from.named(c.id)
	c.deliver()
	if ended != nil {
		return pending{}, true, fn.refuse(q, c, refusal(fn.who.name, c.id, ReasonQueueCanceled, ended))
	}
	if refused := fn.admit(q, c); refused != nil {
		if refused = c.takeBack(refused); to.isGone(c, refused) {
			return pending{}, true, errGone
		}
		return pending{}, true, fn.refuse(q, c, refused)
	}
	return fn.proceed(q, c, fn.router.workers.idlePool(q.isServed(fn)).take())
}

// proceed runs an admitted call on w, or on a new worker if w is nil.
//
// start, proceed and serve keep their stack frames small on purpose: a new goroutine
// has a stack of 2 to 8 KiB, and growing it would cost more than the call itself.
func (fn *function) proceed(q *caller, c *callContext, w *worker) (p pending, reusable bool, err error) {
	now := fn.router.clock.now()
	if c.id == uuid.Nil {
		c.id = fn.router.clock.newID(now, rand.Uint64())
	}
	if fn.init != nil {
		now = fn.scaling.acquireInstance(q, c, now)
	}
	if w == nil {
		if w, err = fn.router.workers.newWorker(q.isServed(fn)); err != nil {
			return pending{}, true, fn.refuseClosed(q, c, err)
		}
	}
	if why := c.begin(q, w, now); why != nil {
		return pending{}, true, w.turnAway(q, c, why)
	}
	return w.serve(c)
}

// turnAway settles a call that has its slot but can't start. For example, its
// instance could not be built, or its deadline has passed. w.call does not point to
// the call yet, so no other goroutine can settle it. Settling and taking the answer
// are deferred, because q.end, and a meter inside settle, may call Goexit.
func (w *worker) turnAway(q *caller, c *callContext, why error) (err error) {
	v := verdict{outcome: Canceled, err: why, at: c.start}
	defer func() {
		err = w.takeAnswer()
		w.pool.release(w)
	}()
	defer func() { c.settle(v, unstarted) }()
	switch {
	case why == errLeft: //nolint:errorlint // an init's error is foreign code
		v.err = context.Canceled
		v.err = q.end()
	case errors.Is(why, ErrInit):
		v.outcome = InitFailed
	}
	return nil
}

// begin starts c on w at the time now, or returns the error why c can't start. It writes
// the fields that stay constant from then on. The handler may read them without a lock:
// serve sends c to the worker after begin, and a send happens before its receive.
func (c *callContext) begin(q *caller, w *worker, now int64) (why error) {
	fn := c.fn
	c.worker, c.start, c.deadline = w, now, noDeadline
	if q.direct != nil {
		c.direct, w.direct = true, q.direct
	}
	if timeout := int64(c.timeout()); timeout < noDeadline-now {
		c.deadline = now + timeout
	}
	if w.work != nil {
		// A watch wakes the caller only once. If the context has ended since q.meet looked at
		// Done, that wake-up may have gone to the worker's previous call. So look at Done again,
		// and don't rely on the watch.
		q.watched = w.parent.sees(q.done) && !q.isDone()
	}
	if !q.asked || w.parent.isDue() {
		if why = c.askDeadline(q); why != nil {
			return why
		}
	}
	if q.deadline <= c.deadline {
		c.deadline, c.callerFirst, c.patient = max(now, q.deadline), true, q.isTrusted()
	}
	if why = c.unplaced(); why != nil {
		return why
	}
	if c.deadline <= now {
		return errLeft
	}
	if fn.chain != nil {
		c.ensureExtra()
	}
	if c.isHere() {
		if q.done != nil {
			c.ensureExtra().caller = *q
		}
		if s := c.signals.Load(); s != nil { // a WithContext func asked for Done before the start
			s.watch(c)
		}
	}
	return nil
}

// askDeadline reads the deadline of the caller's context, and starts a watch of that context if
// enough calls have come with it (see parentWatch). The call has its slot by then: if a method of
// the context calls Goexit, this function gives the slot back on the way out.
func (c *callContext) askDeadline(q *caller) (broken error) {
	asked := false
	defer func() {
		if asked {
			return
		}
		p := recover()
		broken = contextPanicked(p)
		if p == nil {
			_ = c.worker.turnAway(q, c, broken)
		}
	}()
	q.askDeadline(c.who.clock)
	if w := c.worker; w.parent.isDue() {
		w.parent.start(q.ctx, w.wake, w.looking)
	}
	asked = true
	return nil
}

// serve runs an inline call, or a call of InvokeFunc, on the caller's goroutine. It sends any
// other call to w's goroutine, and returns it as pending.
func (w *worker) serve(c *callContext) (p pending, reusable bool, err error) {
	w.call.Store(c)
	// Close stores closed and then loads each worker's call. This goroutine stores call
	// and then loads closed. So at least one of the two goroutines sees the other's store,
	// and no call outlives Close. If both do, both try to settle the call, and one wins.
	if c.fn.router.closed.Load() && c.settle(verdict{outcome: Canceled, err: ErrClosed, at: c.start}, unstarted) {
		err = w.takeAnswer()
		w.pool.stop(w)
		return pending{}, true, err
	}
	if w.work == nil {
		if c.direct {
			w.arm(c)
		}
		if !w.exec(c) {
			<-w.wake
		}
		reusable, err = w.collect(c)
		return pending{}, reusable, err
	}
	w.arm(c)
	w.work <- c // never blocks: the buffer holds one call, and w has no other
	if !w.started {
		w.start()
	}
	return pending{worker: w, call: c}, false, nil
}

// await waits on the caller's goroutine until the call is settled, or until the caller's context
// ends; then it leaves the call, see forsake. The receive from wake makes it safe to read answer,
// abandoned and dead: conclude writes them before it sends.
func (p pending) await(q *caller) (reusable bool, err error) {
	if !q.mustWatch() && <-p.worker.wake {
		return p.worker.collect(p.call)
	}
	return p.awaitOrLeave(q)
}

// awaitOrLeave waits both for the worker and for the caller's Done. The value false from wake was
// sent by a watch, and is not an answer. If the context of this call has ended, done is closed and the
// next round leaves the call. Otherwise the false was meant for an earlier call: wait on.
func (p pending) awaitOrLeave(q *caller) (reusable bool, err error) {
	for {
		select {
		case settled := <-p.worker.wake:
			if settled {
				return p.worker.collect(p.call)
			}
		case <-q.done:
			return p.worker.forsake(q, p.call)
		}
	}
}

// forsake settles c as canceled, because the caller's context has ended. The handler
// is then a runaway: it continues on the abandoned worker until it returns. If another
// goroutine has settled c meanwhile, forsake takes that answer. The settle is deferred,
// because q.end calls the caller's context, which may panic or call Goexit.
func (w *worker) forsake(q *caller, c *callContext) (reusable bool, err error) {
	v := verdict{outcome: Canceled, err: context.Canceled, at: w.pool.clock.now()}
	defer func() {
		if c.settle(v, byCaller) {
			reusable, err = false, w.takeAnswer()
			return
		}
		for !<-w.wake { // a watch's wake-up is no answer
		}
		reusable, err = w.collect(c)
	}()
	v.err = q.end()
	return false, nil
}

// collect takes the answer of a settled call, and makes w idle unless the handler still runs on
// w. If it does (w.abandoned is true), collect may read only w.answer and w.abandoned: the
// handler's goroutine writes the other fields from then on.
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
	if w.dead {
		w.parent.forget()
	} else {
		w.pool.release(w)
	}
	return reusable, err
}

// arm makes sure that the worker's timer fires no later than c's deadline. For most
// calls, an earlier call has set the timer to an earlier time. Then arm touches no
// timer: when it fires before c's deadline, expire sets it again.
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

// expire runs on the timer's goroutine. If the deadline of the worker's call has passed, it settles the call
// (decide makes it TimedOut, or Canceled if the deadline was the caller's). If not, it sets the timer to the deadline.
//
// No call is missed: expire clears armed and then loads call; serve stores call and
// then arm loads armed. Either arm sees 0 and sets the timer, or expire sees the
// call. A late timer can't end another call, since no callContext is used twice.
func (w *worker) expire() {
	w.armed.Store(0)
	c := w.call.Load()
	if c == nil || c.isSettled() || w.work == nil && !c.direct {
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

// exec runs the handler on this goroutine, and recovers its panic. The goroutine is the worker's;
// for an inline call and a call of InvokeFunc it is the caller's. The result won reports whether
// the handler's return settled the call. If not, w is abandoned and takes no more calls.
func (w *worker) exec(c *callContext) (won bool) {
	v := verdict{outcome: Exited}
	defer func() { // runs after a return, a panic and Goexit
		if v.outcome == Exited {
			if p := recover(); p != nil {
				v.outcome, v.err = Panicked, &PanicError{Value: p, Stack: stack()}
			} else {
				v.err = ErrExited
			}
			// A panic may come from a deferred function that Goexit runs. recover ends the panic,
			// and Goexit still ends the goroutine. So w is dead after a panic, too.
			w.dead = true
		}
		won = w.returned(c, &v)
	}()
	if c.isSettled() { // settled before the handler started: don't run it
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

// run runs the handler inside its middlewares. runChain is a separate function, so
// that a handler without middlewares needs less stack.
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

// returned runs on the handler's goroutine after the handler has ended.
func (w *worker) returned(c *callContext, v *verdict) (won bool) {
	v.at = w.pool.clock.now()
	if c.isPlain(v) && c.succeed(v) {
		return true
	}
	if c.fn.chain != nil { // a middleware may have passed next to another goroutine
		c.extra.progress.CompareAndSwap(notRun, nextClosed)
	}
	if c.caller() != nil && c.state.Load() == 0 {
		w.checkCaller(c, v.at)
	}
	if c.isHere() || v.outcome == Failed {
		*v = c.late(*v)
	}
	return w.finish(c, *v)
}

// checkCaller checks whether the caller's context ended before the handler returned. The
// handler ran on the caller's goroutine, and no other goroutine watched the context. If a
// method of the context calls Goexit here, the deferred function settles the call.
func (w *worker) checkCaller(c *callContext, at int64) {
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

// finish settles c with its handler's verdict. If c was settled before, its handler was a
// runaway. Then finish calls w.leave. The goroutine that settled c calls it too, and the second
// of the two calls of leave ends the runaway.
func (w *worker) finish(c *callContext, v verdict) (won bool) {
	if c.settle(v, byHandler) {
		if w.dead && w.work == nil { // on the caller's goroutine: no loop will unregister w
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

// loop is the worker's goroutine. It takes calls until stop closes work, or until
// the worker is abandoned or dead.
func (w *worker) loop() {
	defer w.pool.unregister(w) // deferred, since a handler may call Goexit
	for c := range w.work {
		if !w.exec(c) || w.dead {
			return
		}
	}
}

var errNextNever = errors.New("faas: middleware returned nil although next has not returned; return an error, or call next and wait for it")
