package faas

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/panjf2000/ants/v2"

	"github.com/inproc/faas/internal/admission"
)

// newPool makes the pool that supplies workers with goroutines, and does
// nothing else. It has no limit: how many calls run is decided by admission,
// exactly. A worker is one long task of the pool, so that the pool's lock is
// paid once per worker and not per call.
func newPool() (goroutines, error) { return ants.NewPool(-1) }

var errNilContext = errors.New("the context is nil; use context.Background()")

// invoke takes a call from admission to settlement, and answers its caller.
// mine tells whether t is the caller's again; otherwise its handler still runs.
func (fn *function) invoke(ctx context.Context, t task, bytesIn int) (mine bool, err error) {
	fn.entered.Add(1)
	if ctx == nil {
		return true, fn.refuse(refusal(fn.name, uuid.Nil, ReasonInput, because{ErrInput, errNilContext}))
	}
	parent, tenant := origin(ctx)
	var c *callContext
	if parent == nil && fn.plain && ctx.Err() == nil {
		if s := fn.router.crew.idle(fn.inline); s != nil {
			c = s.contexts.cut()
			c.fn, c.task, c.tenant = fn, t, tenant
			if fn.class.TryAcquire(&c.hold) {
				now := fn.router.clock.now()
				c.id = fn.router.clock.newID(now)
				s.load(ctx, c, now, charge{bytesIn: bytesIn})
				return s.serve(ctx, c)
			}
			fn.router.crew.rest(s)
		}
	}
	if c == nil {
		c = &callContext{fn: fn, task: t, parent: parent, tenant: tenant}
	}
	return fn.invokeSlowly(ctx, c, bytesIn)
}

// invokeSlowly is invoke for a call that has more to ask for than a slot, or
// that did not find one at once.
func (fn *function) invokeSlowly(ctx context.Context, c *callContext, bytesIn int) (mine bool, err error) {
	r := fn.router
	c.id = r.clock.newID(r.clock.now())
	b := charge{bytesIn: bytesIn}
	refused := fn.admit(ctx, c, &b)
	if refused != nil {
		return true, fn.refuse(refused)
	}
	s, err := r.crew.slot(fn.inline)
	if err != nil {
		c.hold.Release()
		return true, fn.refuse(fn.takeBack(c, &b, refusal(fn.name, c.id, ReasonClosed, because{ErrClosed, err})))
	}
	s.load(ctx, c, r.clock.now(), b)
	return s.serve(ctx, c)
}

// charge is what a call's record needs beside the call itself.
type charge struct {
	queued   int64
	bytesIn  int
	gates    int  // how many have said yes
	reserved bool // with the meters
}

// admit asks all that has a say for c, in this order: depth, what carries
// values over, gates, meters, and last the slots, so that nobody holds one
// while he is still being asked.
func (fn *function) admit(ctx context.Context, c *callContext, b *charge) *Error {
	if err := ctx.Err(); err != nil {
		return refusal(fn.name, c.id, ReasonQueueCanceled, err)
	}
	if c.parent != nil {
		c.depth = c.parent.depth + 1
	}
	if limit := fn.router.settings.maxDepth; c.depth >= limit {
		return refusal(fn.name, c.id, ReasonDepth, mistake("nest", "", ErrDepth, "depth %d of %d; see WithMaxDepth", c.depth, limit).Err)
	}
	if err := fn.carry(ctx, c); err != nil {
		return err
	}
	if len(fn.gates) > 0 {
		n, err := fn.ask(ctx, c.invocation())
		b.gates = n
		if err != nil {
			return fn.takeBack(c, b, err)
		}
	}
	if fn.reserves && !fn.reserve() {
		return fn.takeBack(c, b, refusal(fn.name, c.id, ReasonMeterFull, because{ErrOverloaded, errMeterFull}))
	}
	b.reserved = fn.reserves
	return fn.acquire(ctx, c, b)
}

var errMeterFull = errors.New("a meter has no room for the record")

func (fn *function) acquire(ctx context.Context, c *callContext, b *charge) *Error {
	var parent *admission.Hold
	if p := c.parent; p != nil && p.fn.router == fn.router {
		parent = &p.hold
	}
	asked := fn.router.clock.now()
	if err := fn.class.Acquire(ctx, &c.hold, parent, fn.queueTimeout); err != nil {
		return fn.takeBack(c, b, noSlot(fn.name, c.id, err))
	}
	b.queued = fn.router.clock.now() - asked
	return nil
}

// takeBack undoes what was said yes to before the refusal.
func (fn *function) takeBack(c *callContext, b *charge, why *Error) *Error {
	if b.reserved {
		fn.unreserve()
	}
	if b.gates > 0 {
		fn.gatesDone(b.gates, c.invocation(), nil)
	}
	return why
}

func noSlot(name string, id uuid.UUID, err error) *Error {
	switch {
	case errors.Is(err, admission.ErrFull):
		return refusal(name, id, ReasonOverloaded, because{ErrOverloaded, errors.New("the queue is full; see WithQueue")})
	case errors.Is(err, admission.ErrStuck):
		return refusal(name, id, ReasonRunaways, because{ErrOverloaded, errors.New("every slot is held by a call that outlived its deadline")})
	case errors.Is(err, admission.ErrTimeout):
		return refusal(name, id, ReasonQueueTimeout, because{ErrOverloaded, errors.New("waited too long for a slot; see WithQueueTimeout")})
	case errors.Is(err, admission.ErrCycle):
		return refusal(name, id, ReasonCycle, ErrCycle)
	case errors.Is(err, admission.ErrClosed):
		return refusal(name, id, ReasonClosed, ErrClosed)
	case errors.Is(err, admission.ErrRemoved):
		return refusal(name, id, ReasonNotFound, because{ErrNotFound, errors.New("it was removed")})
	}
	return refusal(name, id, ReasonQueueCanceled, err)
}

// load makes c the slot's call, from now on.
func (s *slot) load(ctx context.Context, c *callContext, now int64, b charge) {
	fn := c.fn
	c.start, c.deadline = now, math.MaxInt64
	if left := math.MaxInt64 - now; int64(fn.timeout) < left {
		c.deadline = now + int64(fn.timeout)
	}
	s.callerFirst = false
	if t, ok := ctx.Deadline(); ok {
		if d := int64(t.Sub(fn.router.clock.base)); d <= c.deadline {
			c.deadline, s.callerFirst = d, true
		}
	}
	if fn.inline {
		c.caller = ctx
	}
	c.slot, s.call, s.charge = s, c, b
	s.deadline.Store(c.deadline)
	// All of the above is published by this store, to whoever settles.
	s.state.Store(s.state.Load()&^phaseMask + generation + inFlight)
}

// serve runs the slot's call, and returns when it is settled.
func (s *slot) serve(ctx context.Context, c *callContext) (mine bool, err error) {
	st := s.state.Load()
	// Close sets closed and then settles the calls that it sees; this one was
	// in flight before closed is read here, so one of the two sees the other.
	if c.fn.router.closed.Load() && s.settle(st, verdict{outcome: Canceled, err: ErrClosed, at: c.start}, unstarted) {
		s.crew.dismiss(s)
		return true, s.answer
	}
	if c.caller != nil {
		if !s.exec(c) {
			<-s.wake
		}
		return s.collect(c)
	}
	s.arm(c.start)
	s.work <- c
	done := ctx.Done()
	if done == nil {
		<-s.wake
		return s.collect(c)
	}
	select {
	case <-s.wake:
	case <-done:
		if s.settle(st, verdict{outcome: Canceled, err: ctx.Err(), at: c.fn.router.clock.now()}, byCaller) {
			return false, s.answer
		}
		<-s.wake
	}
	return s.collect(c)
}

// collect takes the answer, and lets the slot go on to another call unless
// this one still has it.
func (s *slot) collect(c *callContext) (mine bool, err error) {
	err = s.answer
	if s.abandoned {
		return false, err
	}
	if !s.dead {
		s.call, s.answer = nil, nil
		s.crew.rest(s)
	}
	// A middleware may have left the handler running elsewhere.
	return c.fn.chain == nil || c.progress.Load() != running, err
}

// arm makes sure that the slot's timer fires no later than its deadline. Most
// calls find it armed by an earlier one, and touch no timer.
func (s *slot) arm(now int64) {
	d := s.deadline.Load()
	if a := s.armed.Load(); a != 0 && a <= d {
		return
	}
	s.armed.Store(d)
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Duration(d-now), s.expire)
	} else {
		s.timer.Reset(time.Duration(d - now))
	}
}

// expire is what the timer does. If it was armed for an earlier call, it is
// armed again for this one.
//
// A call that arrives meanwhile either finds armed cleared, and arms the timer
// itself, or was in flight before it was cleared, and is seen here.
func (s *slot) expire() {
	s.armed.Store(0)
	st := s.state.Load()
	if st&phaseMask != inFlight {
		return
	}
	now := s.crew.clock.now()
	if d := s.deadline.Load(); now < d {
		s.armed.Store(d)
		s.timer.Reset(time.Duration(d - now))
		return
	}
	s.settle(st, verdict{outcome: TimedOut, err: ErrTimeout, at: now}, byOther)
}

// exec runs the handler on this goroutine. own tells whether its return has
// settled the call, so that the slot is good for another.
func (s *slot) exec(c *callContext) (own bool) {
	st := s.state.Load()
	v := verdict{outcome: Exited}
	defer func() { // by return, panic and Goexit alike
		if v.outcome == Exited {
			if p := recover(); p != nil {
				v.outcome, v.err = Panicked, &PanicError{Value: p, Stack: stack()}
			} else {
				v.err, s.dead = ErrExited, true
			}
		}
		own = s.returned(c, st, v)
	}()
	if st&phaseMask != inFlight { // settled before it started
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

// run runs the handler inside its middlewares.
func (c *callContext) run() error {
	if c.fn.chain == nil {
		return c.task.run(c.context())
	}
	err := c.fn.chain(c.context(), c.invocation())
	if err == nil && c.progress.Load() != returned {
		return errNextNever
	}
	return err
}

// returned is what a handler's goroutine does once the handler has ended.
func (s *slot) returned(c *callContext, st uint64, v verdict) (own bool) {
	v.at = s.crew.clock.now()
	if c.caller != nil {
		v = c.late(v)
	}
	if s.settle(st, v, byHandler) {
		if s.dead && c.caller != nil { // no loop to forget it
			s.crew.forget(s)
		}
		return true
	}
	if v.outcome == Panicked {
		c.fn.router.logLatePanic(c, v.err)
	}
	s.over = v.at
	s.leave(c)
	return false
}

// late judges the return of an inline handler, whom nobody could leave when
// its time was up.
func (c *callContext) late(v verdict) verdict {
	if v.outcome == Panicked || v.outcome == Exited {
		return v
	}
	if err := c.caller.Err(); err != nil {
		return verdict{outcome: Canceled, err: err, at: v.at}
	}
	if v.at >= c.deadline {
		return verdict{outcome: TimedOut, err: ErrTimeout, at: v.at}
	}
	return v
}

// verdict is how a call ended.
type verdict struct {
	outcome Outcome
	err     error // bare: settle says of which call
	size    int   // of the encoded output
	at      int64
}

// settler is who ends a call.
type settler uint8

const (
	byHandler settler = iota // its own goroutine, the handler having ended
	byCaller                 // the caller, who leaves
	byOther                  // the timer or Close, who have to wake the caller
	unstarted                // the caller, before the handler started
)

// settle ends the call, unless it has ended. One compare-and-swap decides, for
// caller and record alike; what follows is the winner's alone. It answers the
// caller even where a hook ends the winner's goroutine.
func (s *slot) settle(st uint64, v verdict, by settler) bool {
	if st&phaseMask != inFlight || !s.state.CompareAndSwap(st, st&^phaseMask+settled) {
		return false
	}
	c := s.call
	v = s.judge(c, v)
	s.abandoned = by == byCaller || by == byOther
	if s.abandoned {
		s.runAway(c, v.at)
	} else {
		c.hold.Release()
	}
	recorded := false
	defer func() { s.conclude(c, v, by, recorded) }()
	if c.fn.meter != nil {
		c.record(s.charge, v)
	}
	if s.charge.gates > 0 {
		c.gatesDone(s.charge, v)
	}
	recorded = true
	return true
}

// judge ends the context and finds the words for the caller.
func (s *slot) judge(c *callContext, v verdict) verdict {
	if v.outcome == TimedOut && s.callerFirst {
		v.outcome, v.err = Canceled, context.DeadlineExceeded
	}
	switch v.outcome {
	case OK, Failed:
		c.end(canceled)
		return v
	case TimedOut, Canceled:
		c.end(reasonOf(v.err))
	default:
		c.end(canceled)
	}
	v.err = &Error{Op: "invoke", Function: c.fn.name, ID: c.id, Err: v.err}
	return v
}

// conclude hands the answer over, after the record is made. From then on the
// slot is the caller's, or of whoever is left with the runaway.
func (s *slot) conclude(c *callContext, v verdict, by settler, recorded bool) {
	if by == byHandler && !recorded { // a hook called Goexit: the worker is unwinding
		s.dead = true
	}
	s.answer, s.rested = v.err, v.at
	c.fn.settled.Add(1)
	c.fn.router.tellIfClosing()
	if by == byOther || by == byHandler && c.caller == nil {
		s.wake <- struct{}{}
	}
	if by == byOther || by == byCaller {
		s.leave(c)
	}
}

// execution is the call's record.
func (c *callContext) execution(b charge, v verdict) Execution {
	fn := c.fn
	return Execution{
		ID: c.id, Function: fn.name, Version: fn.version, Tenant: c.tenant, Labels: fn.labels, Attempt: 1,
		Outcome: v.outcome, Err: v.err,
		Start: fn.router.clock.time(c.start), Queued: time.Duration(b.queued), Duration: time.Duration(v.at - c.start),
		Memory: fn.memory, BytesIn: b.bytesIn, BytesOut: v.size,
	}
}

func (c *callContext) record(b charge, v verdict) {
	e := c.execution(b, v)
	for _, m := range c.fn.meter {
		c.recordTo(m, e)
	}
}

func (c *callContext) recordTo(m Meter, e Execution) {
	defer c.fn.router.guardHook("meter", c.fn.name)
	m.Record((*recordContext)(c), e)
}

func (c *callContext) gatesDone(b charge, v verdict) {
	e := c.execution(b, v)
	c.fn.gatesDone(b.gates, c.invocation(), &e)
}
