package faas

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
func (fn *function) invoke(ctx context.Context, t task) (mine bool, err error) {
	if ctx == nil {
		return true, fn.turnAway(nil, refusal(fn.name, uuid.Nil, ReasonInput, because(ErrInput, errNilContext))) //nolint:staticcheck // there is none
	}
	var q caller
	parent, tenant, priority, ended := q.meet(ctx) // before the call is counted
	fn.class.Entered.Add(1)
	var c *callContext
	if parent == nil && priority == 0 && fn.plain && (tenant == "" || isTenant(tenant)) && ended == nil {
		s := fn.router.crew.idlers(fn.inline).take()
		if fn.isFormal || fn.inline && q.done != nil {
			c = newFormal(fn, t, tenant)
		} else {
			c = s.cut()
			c.who, c.fn, c.task, c.tenant = fn.who, fn, t, s.own(tenant)
		}
		if fn.takesAtOnce(c) {
			return fn.proceed(&q, c, s)
		}
		c = s.formalize(c, tenant)
		if s != nil {
			fn.router.crew.rest(s)
		}
	}
	if c == nil {
		c = newFormal(fn, t, tenant)
	}
	c.more.parent, c.more.priority = parent, priority
	return fn.invokeSlowly(&q, c, ended)
}

// What follows is not for every call, and stands apart so that its variables are
// not in the frames of those that do without.

//go:noinline
func (fn *function) refuseClosed(q *caller, c *callContext, why error) error {
	c.hold.Release()
	c.extra()
	return fn.refuse(q, c, c.takeBack(refusal(fn.name, c.id, ReasonClosed, because(ErrClosed, why))))
}

// takesAtOnce takes a slot that is free, or that the function may grow by.
func (fn *function) takesAtOnce(c *callContext) bool {
	return (fn.scaling == nil || fn.scaling.arrive(c) == nil) && fn.class.TryAcquire(&c.hold)
}

// invokeSlowly is invoke for a call that has more to ask for than a slot, or
// that did not find one at once. ended is why its caller has left already.
func (fn *function) invokeSlowly(q *caller, c *callContext, ended error) (mine bool, err error) {
	c.id = fn.router.clock.newID(fn.router.clock.now(), rand.Uint64())
	if ended != nil {
		return true, fn.refuse(q, c, refusal(fn.name, c.id, ReasonQueueCanceled, ended))
	}
	if refused := fn.admit(q, c); refused != nil {
		return true, fn.refuse(q, c, c.takeBack(refused))
	}
	return fn.proceed(q, c, fn.router.crew.idlers(fn.inline).take())
}

// proceed runs a call that has been let in, in the slot s or in a new one. A
// caller's stack is as small as a goroutine's can be: on the way down to here,
// and on to serve, frames are kept so that one that has just begun need not grow.
func (fn *function) proceed(q *caller, c *callContext, s *slot) (mine bool, err error) {
	now := fn.router.clock.now()
	if c.id == uuid.Nil {
		c.id = fn.router.clock.newID(now, rand.Uint64())
	}
	if fn.init != nil {
		now = fn.scaling.seat(q, c, now)
	}
	if s == nil {
		if s, err = fn.router.crew.slot(fn.inline); err != nil {
			return true, fn.refuseClosed(q, c, err)
		}
	}
	if hindered := c.begin(q, s, now); hindered != nil {
		return true, s.turnAway(q, c, hindered)
	}
	return s.serve(q, c)
}

// turnAway settles a call that has a slot, and no instance to run on or no time.
// Nothing else knows of it yet.
func (s *slot) turnAway(q *caller, c *callContext, why error) (err error) {
	v := verdict{outcome: Canceled, err: why, at: c.start}
	defer func() {
		err = s.takeAnswer()
		s.crew.rest(s)
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

// admit asks all that have a say about c, in this order: depth, who the tenant
// is, what carries values over, gates, meters, and last the slots, so that nobody holds one
// while the others are asked.
func (fn *function) admit(q *caller, c *callContext) *Error {
	answered := false
	defer func() { // reached early by a gate, or a caller's context, that ends its goroutine
		if !answered {
			_ = fn.refuse(q, c, c.takeBack(refusal(fn.name, c.id, ReasonDenied, ErrDenied)))
		}
	}()
	err := fn.consult(q, c)
	if err == nil {
		err = fn.acquire(q, c)
	}
	answered = true
	return err
}

// consult asks all but the slots, one after the other. DryRun does so too.
func (fn *function) consult(q *caller, c *callContext) *Error {
	if p := c.parent(); p != nil {
		c.more.depth = 1 + p.depth()
	}
	if n := c.more.depth; n >= fn.router.settings.maxDepth {
		return refusal(fn.name, c.id, ReasonDepth, fmt.Errorf("%w: depth %d of %d; see WithMaxDepth", ErrDepth, n, fn.router.settings.maxDepth))
	}
	if err := fn.consultHooks(q, c); err != nil {
		return err
	}
	if fn.reserves {
		if c.more.reserved = fn.reserve(); !c.more.reserved {
			return refusal(fn.name, c.id, ReasonMeterFull, because(ErrOverloaded, errMeterFull))
		}
	}
	return nil
}

var errMeterFull = errors.New("a meter has no room for the record")

// consultHooks looks for the hooks here and not inside: their frames are large,
// and would have a caller's fresh stack grow for nothing.
func (fn *function) consultHooks(q *caller, c *callContext) *Error {
	var ctx context.Context
	if fn.tenantKey != nil || len(fn.contexts) > 0 || len(fn.gates) > 0 {
		ctx = q.view()
	}
	if fn.tenantKey != nil {
		if err := fn.nameTenant(ctx, c); err != nil {
			return err
		}
	}
	if !isTenant(c.tenant) {
		return refusal(fn.name, c.id, ReasonInput, badTenant(c.tenant))
	}
	if len(fn.contexts) > 0 {
		if err := fn.carry(ctx, c); err != nil {
			return err
		}
	}
	if len(fn.gates) > 0 {
		if err := fn.ask(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// acquire gets the call its slot. Its wait ends at the caller's deadline also if
// the caller's context does not.
func (fn *function) acquire(q *caller, c *callContext) *Error {
	asked := fn.router.clock.now()
	if s := fn.scaling; s != nil && !c.counted {
		if err := s.arrive(c); err != nil {
			return err
		}
	}
	if broken := q.limits(fn.router.clock); broken != nil {
		return refusal(fn.name, c.id, ReasonQueueCanceled, broken)
	}
	wait := min(fn.queueTimeout, time.Duration(q.alarm()-asked))
	request := admission.Request{Parent: c.inside(), Tenant: c.tenant, Priority: c.priority(), Wait: wait}
	err := fn.class.Acquire(departure(q.done), &c.hold, request)
	c.more.queued = fn.router.clock.now() - asked
	if err == nil {
		return nil
	}
	if errors.Is(err, admission.ErrTimeout) && wait < fn.queueTimeout {
		return refusal(fn.name, c.id, ReasonQueueCanceled, q.end())
	}
	if refused := noSlot(fn.name, c.id, err); refused != nil {
		return refused
	}
	return refusal(fn.name, c.id, ReasonQueueCanceled, q.end())
}

// inside is the call's place in admission: the nearest call above it in the same
// router, also where the chain has been through another, and none if one on the way
// is over. A call that WithContext makes has one above it that has not begun, and has
// nothing to lend.
func (c *callContext) inside() *admission.Hold {
	for p := c.parent(); p != nil && !p.isOver(); p = p.parent() {
		if p.who.clock == c.who.clock && p.deadline != 0 {
			return &p.hold
		}
	}
	return nil
}

// takeBack undoes, after a refusal, what was said yes to before.
func (c *callContext) takeBack(why *Error) *Error {
	c.vacate(false)
	if c.more.reserved {
		c.fn.unreserve()
	}
	if n := c.more.gates; n > 0 {
		c.fn.gatesDone(n, c.invocation(), nil)
	}
	return why
}

// noSlot is nil for a caller who left.
func noSlot(name string, id uuid.UUID, err error) *Error {
	switch {
	case errors.Is(err, admission.ErrFull):
		return refusal(name, id, ReasonOverloaded, because(ErrOverloaded, errors.New("the queue is full; see WithQueue")))
	case errors.Is(err, admission.ErrDisplaced):
		return refusal(name, id, ReasonOverloaded, because(ErrOverloaded, errors.New("a call of a tenant with fewer waiting, or of higher priority, has its place in the queue; see WithQueue")))
	case errors.Is(err, admission.ErrOff):
		return refusal(name, id, ReasonOff, because(ErrOverloaded, errors.New("the function is switched off; see SetConcurrency")))
	case errors.Is(err, admission.ErrStuck):
		return refusal(name, id, ReasonRunaways, because(ErrOverloaded, errors.New("every slot is stuck with a handler that has long outlived its call; see WithStuck")))
	case errors.Is(err, admission.ErrTimeout):
		return refusal(name, id, ReasonQueueTimeout, because(ErrOverloaded, errors.New("waited too long for a slot; see WithQueueTimeout")))
	case errors.Is(err, admission.ErrCycle):
		return refusal(name, id, ReasonCycle, ErrCycle)
	case errors.Is(err, admission.ErrClosed):
		return refusal(name, id, ReasonClosed, ErrClosed)
	case errors.Is(err, admission.ErrRemoved):
		return refusal(name, id, ReasonNotFound, because(ErrNotFound, errors.New("it was removed")))
	}
	return nil
}

// begin makes c the slot's call, from now on, or tells why it can't run.
func (c *callContext) begin(q *caller, s *slot, now int64) (hindered error) {
	fn := c.fn
	c.who, c.slot, c.start, c.deadline = fn.who, s, now, noDeadline
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
		c.extra()
	}
	if fn.inline {
		if q.done != nil {
			c.extra().caller = *q
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
			_ = c.slot.turnAway(q, c, broken)
		}
	}()
	q.askDeadline(c.who.clock)
	asked = true
	return nil
}

// serve runs the slot's call, and returns when it is settled.
func (s *slot) serve(q *caller, c *callContext) (mine bool, err error) {
	s.call.Store(c)
	// Close sets closed and then settles the calls that it sees in slots; this
	// one was in its slot before closed is read here, so one sees the other.
	if c.fn.router.closed.Load() && c.settle(verdict{outcome: Canceled, err: ErrClosed, at: c.start}, unstarted) {
		err = s.takeAnswer()
		s.crew.dismiss(s)
		return true, err
	}
	if s.work == nil {
		if !s.exec(c) {
			<-s.wake
		}
		return s.collect(c)
	}
	s.arm(c)
	s.work <- c
	if !s.manned {
		s.man()
	}
	return s.await(q, c)
}

// await waits for the call to be settled, and leaves it if the caller's context
// ends before.
func (s *slot) await(q *caller, c *callContext) (mine bool, err error) {
	if q.done == nil {
		<-s.wake
		return s.collect(c)
	}
	select {
	case <-s.wake:
		return s.collect(c)
	case <-q.done:
		return s.forsake(q, c)
	}
}

// forsake leaves the call, unless it is settled meanwhile.
func (s *slot) forsake(q *caller, c *callContext) (mine bool, err error) {
	v := verdict{outcome: Canceled, err: context.Canceled, at: s.crew.clock.now()}
	defer func() { // also where the caller's context ends the goroutine
		if c.settle(v, byCaller) {
			mine, err = false, s.takeAnswer()
			return
		}
		<-s.wake
		mine, err = s.collect(c)
	}()
	v.err = q.end()
	return false, nil
}

// collect takes the answer, and lets the slot go on to another call unless
// this one still has it.
func (s *slot) collect(c *callContext) (mine bool, err error) {
	err = s.takeAnswer()
	if s.abandoned {
		return false, err
	}
	mine = c.isTaskFree()
	if c.more != nil {
		s.call.Store(nil)
		if mine {
			c.task = nil
		}
	}
	if !s.dead {
		s.crew.rest(s)
	}
	return mine, err
}

// takeAnswer is for the caller alone: a slot that is idle holds no error.
func (s *slot) takeAnswer() error {
	err := s.answer
	if err != nil {
		s.answer = nil
	}
	return err
}

// arm makes sure that the slot's timer fires no later than the call's
// deadline. Most calls find it armed by an earlier one, and touch no timer.
func (s *slot) arm(c *callContext) {
	alarm := c.alarm()
	if a := s.armed.Load(); a != 0 && a <= alarm {
		return
	}
	s.armed.Store(alarm)
	d := time.Duration(alarm - c.start)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.expire)
	} else {
		s.timer.Reset(d)
	}
}

// expire is what the timer does. If it was armed for an earlier call, it is
// armed again for this one.
//
// A call that arrives meanwhile either finds armed cleared, and arms the timer
// itself, or was in its slot before it was cleared, and is seen here.
func (s *slot) expire() {
	s.armed.Store(0)
	c := s.call.Load()
	if c == nil || c.isSettled() {
		return
	}
	now, alarm := s.crew.clock.now(), c.alarm()
	if now < alarm {
		s.armed.Store(alarm)
		s.timer.Reset(time.Duration(alarm - now))
		return
	}
	c.settle(verdict{outcome: TimedOut, at: now}, byOther)
}

// exec runs the handler on this goroutine. own tells whether its return has
// settled the call, so that the slot is good for another.
func (s *slot) exec(c *callContext) (own bool) {
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
			s.dead = true
		}
		own = s.returned(c, v)
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
	if err == nil && c.more.progress.Load() != returned {
		return errNextNever
	}
	return err
}

// returned is what a handler's goroutine does once the handler has ended.
func (s *slot) returned(c *callContext, v verdict) (own bool) {
	v.at = s.crew.clock.now()
	if c.fn.chain != nil { // a middleware may have left next to another goroutine
		c.more.progress.CompareAndSwap(notRun, forgone)
	}
	if c.caller() != nil && c.state.Load() == 0 {
		s.heedCaller(c, v.at)
	}
	if c.fn.inline || v.outcome == Failed {
		v = c.late(v)
	}
	return s.finish(c, v)
}

// heedCaller looks whether an inline call's caller has left before the handler
// returned. If that ends the goroutine, it ends the call as well.
func (s *slot) heedCaller(c *callContext, at int64) {
	asked := false
	defer func() {
		if !asked {
			s.dead = true
			s.finish(c, verdict{outcome: Canceled, err: context.Canceled, at: at})
		}
	}()
	if caller := c.caller(); caller.hasEnded() {
		c.followCaller(caller)
	}
	asked = true
}

// finish settles the call for its handler, or sees it out if it is settled.
func (s *slot) finish(c *callContext, v verdict) (own bool) {
	if c.settle(v, byHandler) {
		if s.dead && s.work == nil { // no loop to forget it
			s.crew.forget(s)
		}
		return true
	}
	if v.outcome == Panicked {
		c.fn.router.logLatePanic(c, v.err)
	}
	s.ended = v.at
	s.leave(c)
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
	byHandler settler = iota // its own goroutine, the handler having ended
	byCaller                 // the caller, who leaves
	byOther                  // the timer or Close, who have to wake the caller
	unstarted                // the caller, before the handler started
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
	if !c.close(c.why(&v)) {
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
	if by == byCaller || by == byOther {
		c.slot.runAway(c, v.at)
	} else {
		c.vacate(v.outcome == Panicked || v.outcome == Exited)
		c.hold.Release()
	}
	recorded := false
	defer func() { c.conclude(v, by, recorded) }()
	for _, m := range c.fn.meters {
		c.recordTo(m, v)
	}
	if c.more != nil && c.more.gates > 0 {
		c.tellGates(v)
	}
	recorded = true
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

// breakOff ends a call whose answer nobody takes. An inline handler can't be left:
// its context ends.
func (c *callContext) breakOff(why error) {
	err := because(context.Canceled, why)
	if c.who.inline {
		c.end(c.leave(err))
		return
	}
	c.settle(verdict{outcome: Canceled, err: err, at: c.who.clock.now()}, byOther)
}

// conclude hands the answer over, after the record is made. From then on the
// slot is the caller's, or of whoever is left with the runaway.
func (c *callContext) conclude(v verdict, by settler, recorded bool) {
	s := c.slot
	if by == byHandler && !recorded { // a hook called Goexit: the worker is unwinding
		s.dead = true
	}
	s.abandoned = by == byCaller || by == byOther
	s.answer, s.rested = v.err, v.at
	fn := c.fn
	if !s.abandoned {
		c.release()
	}
	fn.class.Settled.Add(1)
	fn.tellIfEnding()
	if by == byOther || by == byHandler && s.work != nil {
		s.wake <- struct{}{}
	}
	if by == byOther || by == byCaller {
		s.leave(c)
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
	if c.more != nil {
		e.Queued, e.Init, e.Cold = time.Duration(c.more.queued), time.Duration(c.more.initWait), c.more.cold
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
	c.fn.gatesDone(c.more.gates, c.invocation(), &e)
}
