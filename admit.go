package faas

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
)

// admit decides whether c may run, and gets its slot. The order is: nesting depth,
// WithTenantKey, WithContext, gates, meters, and the slot last, so that no call holds
// a slot while a gate takes its time. It runs on the caller's goroutine with no lock
// held.
//
// If it returns an error, its caller has to undo with takeBack what gates and meters have
// granted.
func (fn *function) admit(q *caller, c *callContext) *Error {
	answered := false
	defer func() { // answered is false if a gate, or the caller's context, called Goexit
		if !answered {
			_ = fn.refuse(q, c, c.takeBack(refusal(fn.who.name, c.id, ReasonDenied, ErrDenied)))
		}
	}()
	err := fn.consult(q, c)
	if err == nil {
		err = fn.acquire(q, c)
	}
	answered = true
	return err
}

// takesAtOnce counts a call, and takes a slot without waiting: the slot that w has kept, a free slot, or
// a new one if the function may grow. It returns false if the call has to wait, or can't have an
// instance. w may be nil.
func (fn *function) takesAtOnce(c *callContext, w *worker) bool {
	if w != nil && c.extra == nil && fn.scaling == nil && w.keeper.TryAcquire(fn.part, &c.hold) {
		return true
	}
	fn.part.Entered.Add(1)
	return (fn.scaling == nil || fn.scaling.enter(c) == nil) && fn.part.TryAcquire(&c.hold)
}

// isServed reports whether the handler runs on the caller's own goroutine, see isHere.
func (q *caller) isServed(fn *function) bool { return fn.inline || q.direct != nil }

// consult makes the checks that admit makes before it takes a slot. DryRun uses it too, so that
// both make the same checks. The nesting depth is checked before any hook is called, so that an
// endless recursion ends without calls of foreign code.
func (fn *function) consult(q *caller, c *callContext) *Error {
	if n := c.extra.depth; n >= fn.router.settings.maxDepth {
		return refusal(fn.who.name, c.id, ReasonDepth, fmt.Errorf("%w: depth %d of %d; see WithMaxDepth", ErrDepth, n, fn.router.settings.maxDepth))
	}
	if err := fn.consultHooks(q, c); err != nil {
		return err
	}
	// After the gates: a reservation keeps room that other calls' records need.
	if fn.reserves {
		if c.extra.reserved = fn.reserve(c); !c.extra.reserved {
			return refusal(fn.who.name, c.id, ReasonMeterFull, wrapCause(ErrOverloaded, errMeterFull))
		}
	}
	return nil
}

var errMeterFull = errors.New("a meter has no room for the record")

// consultHooks calls the hooks that take the caller's context. It checks here, and not inside
// each function that it calls, whether there are any hooks: the stack frames of those functions
// are large, and a call without hooks would grow its goroutine's stack for nothing.
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
		return refusal(fn.who.name, c.id, ReasonInput, badTenant(c.tenant))
	}
	if from := c.extra.from; from != nil && from.fault != nil {
		return refusal(fn.who.name, c.id, ReasonInput, from.fault)
	}
	if len(fn.contexts) > 0 {
		if err := fn.carry(ctx, c); err != nil {
			return err
		}
	}
	if len(fn.gates) > 0 {
		if err := fn.consultGates(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// traceOf returns the trace of a call that is about to be made, if there is one, and the ID
// under which the WithTracing func got the call. The call must use that ID, unless it is zero.
// traceOf runs before the call is counted, so that a Goexit of the WithTracing func leaves
// no count behind.
func (to target) traceOf(q *caller, parent *callContext, tenant string, priority int) (id uuid.UUID, trace Trace) {
	random := rand.Uint64()
	if to.who.sampler != nil && (q.from == nil || q.from.job == uuid.Nil) && !to.isSampled(q, random) {
		return uuid.Nil, nil
	}
	return to.askTrace(q, random, parent, tenant, priority)
}

// isSampled returns the sampler's answer, or false if the sampler panics.
func (to target) isSampled(q *caller, random uint64) bool {
	defer to.fn.router.guardHook("WithTraceSampler", to.who.name)
	return to.who.sampler.Sample(q.view(), to.who.name, random)
}

// askTrace calls the WithTracing func, and returns the trace and the call's new ID.
func (to target) askTrace(q *caller, random uint64, parent *callContext, tenant string, priority int) (id uuid.UUID, trace Trace) {
	fn := to.fn
	id = fn.router.clock.newID(fn.router.clock.now(), random)
	from := q.from.named(id)
	defer func() {
		if p := recover(); p != nil {
			fn.router.hookPanicked("WithTracing", fn.who.name, p, from.ids(id)...)
		}
	}()
	if !isTenant(tenant) { // the call will be refused, and no hook gets an invalid name
		tenant = ""
	}
	inv := to.who.describe(tenant, priority, parent, from)
	inv.ID = id
	return id, fn.tracing(q.view(), inv)
}

// consultGates calls Admit of the gates in order, until one returns an error. c.extra.gates
// counts those that returned nil, since Done is called for these only. A panic counts as an error.
func (fn *function) consultGates(ctx context.Context, c *callContext) (err *Error) {
	defer func() {
		if p := recover(); p != nil {
			fn.router.hookPanicked("gate", fn.who.name, p, c.ids()...)
			err = fn.denied(c.id, &PanicError{Value: p, Stack: stack()})
		}
	}()
	inv := c.invocation()
	for _, g := range fn.gates {
		if err := g.Admit(ctx, inv); err != nil {
			return fn.denied(c.id, err)
		}
		c.extra.gates++
	}
	return nil
}

// gatesDone calls Done of the gates that admitted the call, in reverse order.
func (fn *function) gatesDone(c *callContext, e *Execution) {
	inv := c.invocation()
	for i := c.extra.gates - 1; i >= 0; i-- {
		fn.gateDone(c, fn.gates[i], inv, e)
	}
}

// gateDone calls Done of one gate. It is a separate function, so that a panic of one gate does
// not prevent the calls of the next.
func (fn *function) gateDone(c *callContext, g Gate, inv Invocation, e *Execution) {
	defer fn.router.guardCall("gate", c)
	g.Done(inv, e)
}

// carry lets each WithContext func add values to the handler's context. If a func panics or
// returns a wrong context, the host's own code is at fault, and the call is refused: it would be
// worse to run the handler without values that it relies on, for example the user's identity.
func (fn *function) carry(ctx context.Context, c *callContext) (err *Error) {
	defer func() {
		if p := recover(); p != nil {
			fn.router.hookPanicked("WithContext", fn.who.name, p, c.ids()...)
			err = fn.denied(c.id, &PanicError{Value: p, Stack: stack()})
		}
	}()
	// Each result must be derived from c: the handler's context has to end with the call.
	fresh := context.Context(c)
	for _, f := range fn.contexts {
		fresh = f(ctx, fresh) //nolint:fatcontext // each func wraps it once per call
		if fresh == nil || callOf(fresh) != c {
			return fn.denied(c.id, errNotFresh)
		}
	}
	c.extra.values = fresh
	return nil
}

var errNotFresh = errors.New("the func given to WithContext returned a context that is not derived from its second argument")

// nameTenant sets the call's tenant to what the WithTenantKey func returns. If that func
// panics, the call is refused.
func (fn *function) nameTenant(ctx context.Context, c *callContext) (err *Error) {
	defer func() {
		if p := recover(); p != nil {
			fn.router.hookPanicked("WithTenantKey", fn.who.name, p, c.ids()...)
			err = fn.denied(c.id, &PanicError{Value: p, Stack: stack()})
		}
	}()
	c.tenant = fn.tenantKey(ctx, c.invocation())
	return nil
}

// reserve reserves room for one record in the function's meters. It returns false also after
// a panic of a meter. After each true there must be one record, or one call of unreserve.
func (fn *function) reserve(c *callContext) (ok bool) {
	defer fn.router.guardCall("meter", c)
	return fn.meters.Reserve()
}

// unreserve gives the room back if the call is refused after reserve.
func (fn *function) unreserve(c *callContext) {
	defer fn.router.guardCall("meter", c)
	fn.meters.Unreserve()
}

// acquire gets the call its slot, and waits if no slot is free. The wait ends at
// the caller's deadline even if the caller's context does not end there, as some third-party
// contexts do not. Admission must not call methods of the caller's context, which is foreign
// code. So it gets a departure, which is a context that has only the caller's Done channel.
func (fn *function) acquire(q *caller, c *callContext) *Error {
	asked := fn.router.clock.now()
	// takesAtOnce may have called s.enter already, and then found no free slot: it calls enter
	// before it tries to take a slot, so that a burst grows the function at once. In that case
	// c.counted is set. Until the call has a slot, only the caller's goroutine uses c.counted.
	if s := fn.scaling; s != nil && !c.counted {
		if err := s.enter(c); err != nil {
			return err
		}
	}
	if broken := q.limits(fn.router.clock); broken != nil {
		return refusal(fn.who.name, c.id, ReasonQueueCanceled, broken)
	}
	wait := min(fn.queueTimeout, time.Duration(q.alarm()-asked))
	job := c.extra.from.delivers()
	request := admission.Request{Parent: c.inside(), Tenant: c.tenant, Priority: c.priority(), Wait: wait, Background: job != nil}
	err := fn.part.Acquire(departure(q.done), &c.hold, request)
	c.extra.queued = fn.router.clock.now() - asked
	if err == nil {
		if job != nil && !c.mayRun(job) {
			return refusal(fn.who.name, c.id, ReasonQueueCanceled, errJobGone)
		}
		return nil
	}
	// If wait < queueTimeout, the caller's deadline limited the wait: that deadline has passed, and
	// not the queue timeout. For example, a caller with 1 s left in a queue of
	// 5 s is refused with ReasonQueueCanceled and the error of its own context.
	if errors.Is(err, admission.ErrTimeout) && wait < fn.queueTimeout {
		return refusal(fn.who.name, c.id, ReasonQueueCanceled, q.end())
	}
	if refused := noSlot(fn.who.name, c.id, err); refused != nil {
		return refused
	}
	return refusal(fn.who.name, c.id, ReasonQueueCanceled, q.end())
}

// mayRun reports whether c, which has just got its slot, may run. c is the call of a delivery of a
// job. hasSlot of the delivery returns false if the job was canceled, or its lease was lost, before
// c got its slot. Then, and if the queue of jobs calls Goexit in hasSlot, mayRun gives the slot back.
func (c *callContext) mayRun(job jobDelivery) (may bool) {
	defer func() {
		if !may {
			c.hold.Release()
		}
	}()
	return job.hasSlot()
}

var errJobGone = wrapCause(context.Canceled, errors.New("the job was canceled, or given to another host"))

// inside returns the hold from which c may borrow a slot: the hold of the nearest call above c
// in the same router, or nil. Calls of other routers between the two are skipped. The result
// is nil if a call on the way is over. A call that a WithContext func makes is below a call that
// has not begun (its deadline is 0): that call has no slot to lend, and is skipped.
func (c *callContext) inside() *admission.Hold {
	for p := c.parent(); p != nil && !p.isOver(); p = p.parent() {
		if p.who.clock == c.who.clock && p.deadline != 0 {
			return &p.hold
		}
	}
	return nil
}

// takeBack undoes what admission did for a call that is refused after all: it gives
// back the seat in the instance, the count in scaling and the meters' reservation, and calls
// Done of the gates that admitted the call. Fields of c record what there is to undo, so
// takeBack may be called after a refusal at any point.
func (c *callContext) takeBack(why *Error) *Error {
	c.releaseInstance(false)
	if c.extra.reserved {
		c.fn.unreserve(c)
	}
	if c.extra.gates > 0 {
		c.fn.gatesDone(c, nil)
	}
	return why
}

// refuseClosed refuses a call that has its slot but can't get a worker. It is not a part
// of proceed, since few calls need it and it would make proceed's stack frame larger.
//
//go:noinline
func (fn *function) refuseClosed(q *caller, c *callContext, why error) error {
	c.hold.Release()
	c.ensureExtra()
	return fn.refuse(q, c, c.takeBack(refusal(fn.who.name, c.id, ReasonClosed, wrapCause(ErrClosed, why))))
}
