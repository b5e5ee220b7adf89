package faas

import (
	"context"
	"time"
)

// verdict is how a call ended.
type verdict struct {
	outcome Outcome
	err     error // bare: settle says of which call, and after what timeout
	size    int   // of the encoded output
	at      int64
}

// settler is who ends a call.
type settler uint8

const (
	byHandler  settler = iota // its own goroutine, the handler having ended
	byCaller                  // the caller, who leaves
	byWatchdog                // the timer or Close, who have to wake the caller
	unstarted                 // the caller, before the handler started
)

// settle ends the call, unless it has ended.
func (c *callContext) settle(v verdict, by settler) bool {
	v, won := c.decide(v)
	if won {
		c.follow(v, by)
	}
	return won
}

// decide is the compare-and-swap that ends the call, for caller, record and context
// alike. The goroutine that wins it, or one that it starts, has to follow.
func (c *callContext) decide(v verdict) (_ verdict, won bool) {
	if v.outcome == TimedOut {
		v.err = timeoutError{c.who.timeout}
		if c.callerFirst {
			v.outcome, v.err = Canceled, context.DeadlineExceeded
		}
	}
	if !c.trySettle(c.why(&v)) {
		return v, false
	}
	switch {
	case v.outcome > Failed: // the platform's answer, not the handler's
		v.err = &Error{Op: "invoke", Function: c.fn.name, ID: c.id, Outcome: v.outcome, Err: v.err}
	case v.outcome == Failed:
		handOn(v.err)
	}
	return v, true
}

// follow does what follows from the decision: slot, record, gates, answer. The
// caller is answered even where a hook ends the goroutine.
func (c *callContext) follow(v verdict, by settler) {
	if by == byCaller || by == byWatchdog {
		c.worker.runAway(c, v.at)
	} else {
		c.releaseInstance(v.outcome == Panicked || v.outcome == Exited)
		c.hold.Release()
	}
	recorded := false
	defer func() { c.conclude(v, by, recorded) }()
	for _, m := range c.fn.meters {
		c.recordTo(m, v)
	}
	if c.extra != nil && c.extra.gates > 0 {
		c.tellGates(v)
	}
	recorded = true
}

// conclude hands the answer over, after the record is made. From then on the
// slot is the caller's, or of whoever is left with the runaway.
func (c *callContext) conclude(v verdict, by settler, recorded bool) {
	w := c.worker
	if by == byHandler && !recorded { // a hook called Goexit: the worker is unwinding
		w.dead = true
	}
	w.abandoned = by == byCaller || by == byWatchdog
	w.answer, w.idleSince = v.err, v.at
	fn := c.fn
	if w.abandoned {
		c.state.Or(concluded) // before it is counted, see among
	} else {
		c.release()
	}
	fn.class.Settled.Add(1)
	fn.tellIfEnding()
	if by == byWatchdog || by == byHandler && w.work != nil {
		w.wake <- struct{}{}
	}
	if by == byWatchdog || by == byCaller {
		w.leave(c)
	}
}

// execution is the call's record.
func (c *callContext) execution(v verdict) Execution {
	fn := c.fn
	e := Execution{
		ID: c.id, Function: fn.name, Version: fn.version, Tenant: c.tenant, Labels: fn.labels, Attempt: 1,
		Outcome: v.outcome, Err: v.err, Start: fn.router.clock.time(c.start), Duration: time.Duration(v.at - c.start),
		Memory: fn.memory, BytesIn: c.task.payload(), BytesOut: v.size,
	}
	if c.extra != nil {
		e.Queued, e.Init, e.Cold = time.Duration(c.extra.queued), time.Duration(c.extra.initWait), c.extra.cold
	}
	if fn.stream {
		e.measure(c.task)
	}
	return e
}

// recordTo makes the record anew for each meter: that is cheaper than to pass
// it on by value.
func (c *callContext) recordTo(m Meter, v verdict) {
	defer c.fn.router.guardHook("meter", c.fn.name)
	m.Record((*recordContext)(c), c.execution(v))
}

func (c *callContext) tellGates(v verdict) {
	e := c.execution(v)
	c.fn.gatesDone(c.extra.gates, c.invocation(), &e)
}

// streamed is the task of a function that streams.
type streamed interface {
	// written is how much was written, and how long after the start the first
	// piece came. Nothing is written from then on, so that all who ask hear
	// the same.
	written() (size int, first time.Duration)
}

// measure adds to the record of a streamed call what only its task knows.
func (e *Execution) measure(t task) {
	if s, ok := t.(streamed); ok {
		e.BytesOut, e.FirstByte = s.written()
	}
}

// why is how a verdict ends the context.
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
