package faas

import (
	"context"
	"time"
)

// verdict is how a call ended, as the goroutine that settles the call found it. The
// call's answer and its record are made from it.
type verdict struct {
	outcome Outcome
	err     error // decide wraps it with the function's name and the call's ID
	size    int   // of the encoded output, in bytes
	at      int64 // the end of the call, on the router's clock
}

// settler is the goroutine that settles a call. follow uses it to choose whether to give the slot
// back or to leave it to a runaway; conclude uses it to choose whether to wake the caller.
type settler uint8

const (
	byHandler  settler = iota // the handler's goroutine, after the handler returned
	byCaller                  // the caller's goroutine: the caller's context ended while the handler runs
	byWatchdog                // the goroutine of the timer, of Close or of a stream's sender: the handler runs, and the caller has no answer yet
	unstarted                 // the caller's goroutine, before the handler started
)

// settle ends the call, or returns false if the call was settled before. Several
// goroutines may call it at once: one wins. The caller may hold no lock, because settle calls hooks.
func (c *callContext) settle(v verdict, by settler) bool {
	won := c.decide(&v)
	if won {
		c.follow(&v, by)
	}
	return won
}

// succeed is a short form of settle for nearly all calls: the handler has returned without an
// error and in time, and only the meters have to learn of the call. It takes the steps of
// settle, without the checks whose result is known. It does nothing and returns false if the call
// was settled before, or if the call's context has ended (see isHere).
func (c *callContext) succeed(v *verdict) bool {
	if !c.state.CompareAndSwap(0, settled|canceled) {
		return false
	}
	c.fire()
	if c.counted {
		c.releaseInstance(false)
	}
	c.hold.ReleaseTo(&c.worker.keeper)
	recorded := false
	defer func() { c.conclude(v, byHandler, recorded) }() // deferred: a meter may call Goexit
	for _, m := range c.fn.meters {
		c.recordTo(m, v)
	}
	recorded = true
	return true
}

// isPlain reports whether succeed does everything that a call with this verdict needs.
func (c *callContext) isPlain(v *verdict) bool {
	return v.outcome == OK && c.extra == nil && (!c.isHere() || v.at < c.deadline)
}

// decide settles the call by one compare-and-swap on its state, so that caller, record
// and context have the same end. (There is one exception: if the handler runs on the
// caller's goroutine, its context may have ended before, and keeps that end.) The
// goroutine that wins must call follow, or start a goroutine that does: without follow the
// caller waits for ever.
//
// Is the outcome TimedOut or Canceled? There are two deadlines: the function's timeout (or
// that of the call's Origin), and the deadline of the caller's context. begin compares them, and
// arm sets one timer for the earlier one. When the timer fires, the call ends as Canceled if the
// deadline is the caller's (c.callerFirst), and as TimedOut if not. If the caller leaves before
// the timer fires, its call ends as Canceled, too: see forsake, or checkCaller if the handler
// runs on the caller's goroutine. The method late applies the same rule to a handler that
// returned.
func (c *callContext) decide(v *verdict) (won bool) {
	if v.outcome == TimedOut {
		v.err = c.timedOut()
		if c.callerFirst {
			v.outcome, v.err = Canceled, context.DeadlineExceeded
		}
	}
	if !c.trySettle(c.why(v)) {
		return false
	}
	switch {
	case v.outcome > Failed: // the error is the platform's; a handler's error is passed on as it is
		v.err = &Error{Op: "invoke", Function: c.fn.who.name, ID: c.id, Outcome: v.outcome, Err: v.err}
	case v.outcome == Failed:
		handOn(v.err)
	}
	return true
}

// follow does what a settled call needs, in this order: it gives the slot back (or
// makes the call a runaway), records the call with each meter, calls each gate's
// Done, ends the trace, and wakes the caller. The slot is given back first, so that a
// slow meter delays only its own caller, and no other call. The last step is
// deferred, so that the caller gets its answer even if a hook calls Goexit.
func (c *callContext) follow(v *verdict, by settler) {
	if by == byCaller || by == byWatchdog {
		c.worker.runAway(c, v.at)
	} else {
		c.releaseInstance(v.outcome == Panicked || v.outcome == Exited)
		c.hold.Release()
	}
	recorded := false
	defer func() { c.conclude(v, by, recorded) }()
	c.tell(v, by)
	recorded = true
}

// tell passes the record to the delivery of a job, the meters, the gates, the capture of failed
// calls and the trace, in this order. Each hook has its own recover: if one panics, the others
// still get the record. The trace is deferred, so that it ends even if an earlier hook calls Goexit.
func (c *callContext) tell(v *verdict, by settler) {
	if c.extra != nil {
		if job := c.extra.from.delivers(); job != nil {
			job.recorded(c.id, c.fn.who.version, time.Duration(v.at-c.start))
		}
		if c.extra.trace != nil {
			e := c.record(v)
			defer c.endTrace(&e)
		}
	}
	for _, m := range c.fn.meters {
		c.recordTo(m, v)
	}
	if c.extra != nil && c.extra.gates > 0 {
		c.tellGates(v)
	}
	if v.outcome != OK && c.fn.capture.wants(v.outcome) {
		c.captureInput(v, by)
	}
}

// conclude gives the answer to the caller, after the record was written. All writes
// to the worker come before the send to wake. That send is the happens-before edge that
// makes it safe for the caller to read them. After the send, w belongs to the caller, or
// to the handler if the call is a runaway: then only w.leave may use w.
func (c *callContext) conclude(v *verdict, by settler, recorded bool) {
	w := c.worker
	if by == byHandler && !recorded { // a hook called Goexit: this is the worker's goroutine, and it ends
		w.dead = true
		if w.work == nil { // on the caller's goroutine: no loop unregisters w, and finish does not go on
			w.pool.unregister(w)
		}
	}
	w.abandoned = by == byCaller || by == byWatchdog
	w.idleSince = v.at
	if v.err != nil { // nearly never, and takeAnswer clears it
		w.answer = v.err
	}
	fn := c.fn
	if w.abandoned {
		w.parent.forget()     // this worker takes no more calls, but a runaway may keep it in memory for long
		c.state.Or(concluded) // before Settled.Add: Shutdown reads both, see counts
	} else {
		c.release()
	}
	if by == byHandler {
		w.keeper.Settled(fn.part) // the handler's goroutine has w, and gives it to its caller below
	} else {
		fn.part.Settled.Add(1)
	}
	fn.tellIfEnding()
	if c.direct {
		w.concludeDirect(c, v.err, by, fn.router)
		return
	}
	if by == byWatchdog || by == byHandler && w.work != nil {
		w.wake <- true
	}
	if by == byWatchdog || by == byCaller {
		w.leave(c)
	}
}

// concludeDirect gives the answer of a call of InvokeFunc, see direct. If the caller's goroutine
// has settled the call, that goroutine gives the answer after it has returned from here. If a watchdog
// goroutine has settled the call, it calls d.answer.late here, and the caller's goroutine waits in
// serve until late has returned. So the two goroutines never use the same data at once.
// w.leave is called first, because d.answer may block, and the runaway's slot must not wait for
// that.
func (w *worker) concludeDirect(c *callContext, err error, by settler, r *Router) {
	d := w.direct
	w.direct = nil
	if by != byWatchdog {
		d.settled(err)
		return
	}
	defer func() { w.wake <- true }() // deferred: answer may call Goexit
	d.given = true
	w.leave(c)
	defer r.guardHook("InvokeFunc", c.who.name)
	d.answer.late(err)
}

// record returns the call's record. Call it before release, which clears what record reads. It
// returns the record by value, because the copy costs less than filling in a record of the caller
// through a pointer. For that the compiler could not know that the record is on the stack, and
// would put the garbage collector's write barrier before the write of each pointer.
func (c *callContext) record(v *verdict) (e Execution) {
	fn, who := c.fn, c.who
	e.ID, e.Function, e.Version, e.Tenant, e.Labels, e.Attempt = c.id, who.name, who.version, c.tenant, who.labels, 1
	e.Outcome, e.Err, e.Start, e.Duration = v.outcome, v.err, fn.router.clock.time(c.start), time.Duration(v.at-c.start)
	e.Memory, e.BytesIn, e.BytesOut = who.memory, c.task.payload(), v.size
	if c.extra != nil {
		e.Queued, e.Init, e.Cold = time.Duration(c.extra.queued), time.Duration(c.extra.initWait), c.extra.cold
		if from := c.extra.from; from != nil {
			e.Origin, e.Job, e.Delivery, e.Attempt, e.Items = from.origin, from.job, from.delivery, max(1, from.attempt), from.items
		}
	}
	if fn.stream {
		e.measure(c.task)
	}
	return e
}

// recordTo calls one meter, and recovers its panic. It makes the record anew for
// each meter, because that costs less than copying the record through one more call.
func (c *callContext) recordTo(m Meter, v *verdict) {
	defer c.fn.router.guardCall("meter", c)
	m.Record((*recordContext)(c), c.record(v))
}

// tellGates calls Done, with the record, of each gate that admitted the call.
func (c *callContext) tellGates(v *verdict) {
	e := c.record(v)
	c.fn.gatesDone(c, &e)
}

// endTrace calls End of the call's trace, and recovers its panic.
func (c *callContext) endTrace(e *Execution) {
	defer c.fn.router.guardCall("WithTracing", c)
	c.extra.trace.End(e)
}

// captureInput passes the call's input, with its record, to the capture.
func (c *callContext) captureInput(v *verdict, by settler) {
	in := Captured{ContentType: c.fn.contentType, State: c.typedInput(by)}
	if c.fn.rawIn {
		in.ContentType = octets
	}
	in.Execution = c.record(v)
	c.task.input(&in)
	c.captureTo(c.fn.capture.to, &in)
}

// captureTo calls the capture, and recovers its panic.
func (c *callContext) captureTo(to Capture, in *Captured) {
	defer c.fn.router.guardCall("capture", c)
	to.Keep((*recordContext)(c), *in)
}

// typedInput returns the state of a typed input, which the handler shares with its caller
// and may have changed.
//
// If the handler's goroutine settles the call, the handler has returned on that
// goroutine. The exception is a middleware that runs the handler on another goroutine and
// does not wait for it: then the task is not free.
func (c *callContext) typedInput(by settler) InputState {
	switch {
	case by == unstarted:
		return InputAsGiven
	case by != byHandler || !c.isTaskFree():
		return InputInUse
	case c.fn.chain != nil && c.extra.progress.Load() == nextClosed:
		return InputAsGiven // the middlewares have not called next
	}
	return InputAsLeft
}

// streamed is implemented by the task of a streaming function.
type streamed interface {
	// written returns how many bytes were written, and how long after the start the first piece
	// was written. After written the handler can write no more, so that each meter and each gate
	// gets the same numbers.
	written() (size int, first time.Duration)
}

// measure adds to the record of a streamed call the two values that only its task has: how many
// bytes were written, and when the first piece was.
func (e *Execution) measure(t task) {
	if s, ok := t.(streamed); ok {
		e.BytesOut, e.FirstByte = s.written()
	}
}

// late changes the verdict of a handler that returned after the deadline to TimedOut. There
// are two such cases. The caller of an inline handler can't leave when the deadline passes.
// And a handler may fail because of the deadline before the timer fires: for example, its
// connection had the same deadline.
func (c *callContext) late(v verdict) verdict {
	if v.outcome == Panicked || v.outcome == Exited {
		return v
	}
	if state := c.state.Load(); c.isHere() && state&left != 0 {
		return verdict{outcome: Canceled, err: c.departed(state), at: v.at}
	}
	if v.at >= c.deadline {
		return verdict{outcome: TimedOut, at: v.at}
	}
	return v
}

// breakOff ends a call whose answer can't be delivered, for example when a stream's writer
// fails. An inline handler runs on its caller's goroutine, so that the caller can't leave:
// then only the call's context ends.
func (c *callContext) breakOff(why error) {
	err := wrapCause(context.Canceled, why)
	if c.who.inline {
		c.end(c.leave(err))
		return
	}
	c.settle(verdict{outcome: Canceled, err: err, at: c.who.clock.now()}, byWatchdog)
}

// why returns the state bits with which a verdict ends the context.
func (c *callContext) why(v *verdict) uint32 {
	switch {
	case v.outcome == TimedOut:
		return expired
	case v.outcome != Canceled || v.err == nil:
		return canceled
	case v.err == ErrClosed: //nolint:errorlint // a caller's cause may wrap it
		return canceled | closed
	}
	return c.leave(v.err)
}
