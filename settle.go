package faas

import (
	"context"
	"time"
)

// verdict is how a call ended, as the party that settles it sees it. It becomes the
// call's answer and its record.
type verdict struct {
	outcome Outcome
	err     error // decide wraps it with the function's name and the call's ID
	size    int   // of the encoded output, in bytes
	at      int64 // the end of the call, on the router's clock
}

// settler is the party that settles a call. By it the func follow knows whether to give the slot
// back or to leave it to a runaway, and the func conclude whether to wake the caller.
type settler uint8

const (
	byHandler  settler = iota // the handler's goroutine, after the handler returned
	byCaller                  // the caller's goroutine, whose context ended while the handler runs
	byWatchdog                // the timer's goroutine or one of Close: the handler runs, and its caller has no answer yet
	unstarted                 // the caller's goroutine, before the handler started
)

// settle ends the call, or returns false if the call was settled before. Several
// goroutines may try at once: one wins. No lock may be held: it calls hooks.
func (c *callContext) settle(v verdict, by settler) bool {
	won := c.decide(&v)
	if won {
		c.follow(&v, by)
	}
	return won
}

// succeed is settle for nearly all calls: the handler has returned without an error, in
// time, and there is nothing to tell of it but the records. It takes the steps of settle and
// leaves out the questions of which the answers are known. It is false, and nothing is done,
// if the call was settled before, or if its context has ended (see isHere).
func (c *callContext) succeed(v *verdict) bool {
	if !c.state.CompareAndSwap(0, settled|canceled) {
		return false
	}
	c.fire()
	if c.counted {
		c.releaseInstance(false)
	}
	c.hold.Release()
	recorded := false
	defer func() { c.conclude(v, byHandler, recorded) }() // deferred: a meter may call Goexit
	for _, m := range c.fn.meters {
		c.recordTo(m, v)
	}
	recorded = true
	return true
}

// isPlain tells whether succeed does all that a call with that verdict needs.
func (c *callContext) isPlain(v *verdict) bool {
	return v.outcome == OK && c.extra == nil && (!c.isHere() || v.at < c.deadline)
}

// decide settles the call by one compare-and-swap on its state, so that caller, record
// and context have the same end. (A context that ended before, of a call on its caller's
// goroutine, keeps its own end.) The goroutine that wins must call follow, or start a
// goroutine that does: without it the caller waits for ever.
//
// Time out or canceled? begin compares two deadlines: the function's timeout (or that of
// the call's Origin) and the caller's own. One timer is set for the earlier one. If that is
// the caller's (c.callerFirst), the call ends as Canceled, and else as TimedOut. A caller
// that leaves before the timer fires ends its call as Canceled, too: see forsake, and
// checkCaller for a call on its caller's goroutine, which has to ask for that. late applies the same rule to a handler that returned.
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
	case v.outcome > Failed: // the platform's answer; a handler's error is passed on as it is
		v.err = &Error{Op: "invoke", Function: c.fn.who.name, ID: c.id, Outcome: v.outcome, Err: v.err}
	case v.outcome == Failed:
		handOn(v.err)
	}
	return true
}

// follow does what a settled call needs, in this order: it gives the slot back (or
// makes the call a runaway), records the call with each meter, calls each gate's
// Done, ends the trace, and wakes the caller. So a slow meter keeps its own caller
// waiting, and no other call, because the slot is given back first. The last step is
// deferred, so that the caller gets its answer although a hook calls Goexit.
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

// tell gives the record to the delivery of a job, the meters, the gates, the capture of a failed
// call and the trace, in this order. The trace is deferred, so that it ends although a hook before it
// calls Goexit.
func (c *callContext) tell(v *verdict, by settler) {
	if c.extra != nil {
		if job := c.extra.from.delivers(); job != nil {
			job.recorded(c.id, c.fn.who.version, time.Duration(v.at-c.start))
		}
		if c.extra.trace != nil {
			e := &Execution{}
			c.fill(e, v)
			defer c.endTrace(e)
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
// to the worker come before the send to wake, which is the edge that makes them safe
// for the caller to read. After the send w is the caller's, or for a runaway the
// handler's: then only leave may touch it.
func (c *callContext) conclude(v *verdict, by settler, recorded bool) {
	w := c.worker
	if by == byHandler && !recorded { // a hook called Goexit: this is the worker's goroutine, and it ends
		w.dead = true
	}
	w.abandoned = by == byCaller || by == byWatchdog
	w.answer, w.idleSince = v.err, v.at
	fn := c.fn
	if w.abandoned {
		w.parent.forget()     // no other call comes here; a runaway may keep the worker for long
		c.state.Or(concluded) // before Settled.Add: Shutdown reads both, see counts
	} else {
		c.release()
	}
	fn.part.Settled.Add(1)
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

// concludeDirect gives the answer of a call of InvokeFunc. If the caller's goroutine has
// settled the call, it calls answer itself, see direct. If the watchdog has, this goroutine
// calls answer, and the caller's goroutine waits for the end of that in serve: so the two
// never use at once what answer uses. leave comes before answer, which may block: the
// runaway's slot must not wait for it.
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

// fill makes the call's record in e, which must be zero. Call it before release, which clears
// what fill reads. fill writes to e and does not return a record: a meter gets the record by
// value, and one more copy of it would take noticeable time.
func (c *callContext) fill(e *Execution, v *verdict) {
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
}

// recordTo calls one meter, and recovers a panic of it. It makes the record again for
// each meter, because that is cheaper than to copy it through one more call.
func (c *callContext) recordTo(m Meter, v *verdict) {
	defer c.fn.router.guardCall("meter", c)
	var e Execution
	c.fill(&e, v)
	m.Record((*recordContext)(c), e)
}

// tellGates calls Done, with the record, of each gate that admitted the call.
func (c *callContext) tellGates(v *verdict) {
	var e Execution
	c.fill(&e, v)
	c.fn.gatesDone(c, &e)
}

// endTrace calls End of the call's trace, and recovers a panic of it.
func (c *callContext) endTrace(e *Execution) {
	defer c.fn.router.guardCall("WithTracing", c)
	c.extra.trace.End(e)
}

// captureInput gives the call's input, and its record, to the capture.
func (c *callContext) captureInput(v *verdict, by settler) {
	in := Captured{ContentType: c.fn.contentType, State: c.typedInput(by)}
	if c.fn.rawIn {
		in.ContentType = octets
	}
	c.fill(&in.Execution, v)
	c.task.input(&in)
	c.captureTo(c.fn.capture.to, &in)
}

// captureTo calls the capture, and recovers a panic of it.
func (c *callContext) captureTo(to Capture, in *Captured) {
	defer c.fn.router.guardCall("capture", c)
	to.Keep((*recordContext)(c), *in)
}

// typedInput says what an input is worth that the handler shares with its caller.
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
	// written returns how many bytes were written, and how long after the start the first piece came.
	// After it the handler can write no more, so that each meter and each gate gets the same numbers.
	written() (size int, first time.Duration)
}

// measure adds to the record of a streamed call what only its task knows.
func (e *Execution) measure(t task) {
	if s, ok := t.(streamed); ok {
		e.BytesOut, e.FirstByte = s.written()
	}
}

// late turns a return after the deadline into a timeout. It is asked about two kinds
// of return. An inline handler's caller could not leave when the deadline passed. And
// a handler may fail because of the deadline before the timer fires: for example, its
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

// breakOff ends a call whose answer can't be delivered, for example when a stream's
// writer fails. An inline handler's goroutine is the caller's, which can't leave it:
// only its context ends.
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
