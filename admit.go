package faas

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inproc/faas/internal/admission"
)

// ask asks the gates, and keeps count of those that have said yes.
func (fn *function) ask(ctx context.Context, c *callContext) (err *Error) {
	defer func() {
		if p := recover(); p != nil {
			fn.router.hookPanicked("gate", fn.name, p)
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

// gatesDone tells the first n gates that the call is over.
func (fn *function) gatesDone(n int, inv Invocation, e *Execution) {
	for i := n - 1; i >= 0; i-- {
		fn.gateDone(fn.gates[i], inv, e)
	}
}

func (fn *function) gateDone(g Gate, inv Invocation, e *Execution) {
	defer fn.router.guardHook("gate", fn.name)
	g.Done(inv, e)
}

// carry lets WithContext wrap the fresh context. What goes wrong there is the
// host's wiring, and fails closed.
func (fn *function) carry(ctx context.Context, c *callContext) (err *Error) {
	defer func() {
		if p := recover(); p != nil {
			fn.router.hookPanicked("WithContext", fn.name, p)
			err = fn.denied(c.id, &PanicError{Value: p, Stack: stack()})
		}
	}()
	fresh := context.Context(c)
	for _, f := range fn.contexts {
		fresh = f(ctx, fresh) //nolint:fatcontext // each carries over a little more, once per call
		if fresh == nil || callOf(fresh) != c {
			return fn.denied(c.id, errNotFresh)
		}
	}
	c.extra.values = fresh
	return nil
}

var errNotFresh = errors.New("what WithContext was given returned a context that is not derived from the fresh one")

// nameTenant asks WithTenantKey whose the call is.
func (fn *function) nameTenant(ctx context.Context, c *callContext) (err *Error) {
	defer func() {
		if p := recover(); p != nil {
			fn.router.hookPanicked("WithTenantKey", fn.name, p)
			err = fn.denied(c.id, &PanicError{Value: p, Stack: stack()})
		}
	}()
	c.tenant = fn.tenantKey(ctx, c.invocation())
	return nil
}

// reserve asks the function's meters for room; a panic is a no.
func (fn *function) reserve() (ok bool) {
	defer fn.router.guardHook("meter", fn.name)
	return fn.meters.Reserve()
}

func (fn *function) unreserve() {
	defer fn.router.guardHook("meter", fn.name)
	fn.meters.Unreserve()
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
		c.extra.depth = 1 + p.depth()
	}
	if n := c.extra.depth; n >= fn.router.settings.maxDepth {
		return refusal(fn.name, c.id, ReasonDepth, fmt.Errorf("%w: depth %d of %d; see WithMaxDepth", ErrDepth, n, fn.router.settings.maxDepth))
	}
	if err := fn.consultHooks(q, c); err != nil {
		return err
	}
	if fn.reserves {
		if c.extra.reserved = fn.reserve(); !c.extra.reserved {
			return refusal(fn.name, c.id, ReasonMeterFull, wrapCause(ErrOverloaded, errMeterFull))
		}
	}
	return nil
}

var errMeterFull = errors.New("a meter has no room for the record")

// acquire gets the call its slot. Its wait ends at the caller's deadline also if
// the caller's context does not.
func (fn *function) acquire(q *caller, c *callContext) *Error {
	asked := fn.router.clock.now()
	if s := fn.scaling; s != nil && !c.counted {
		if err := s.enter(c); err != nil {
			return err
		}
	}
	if broken := q.limits(fn.router.clock); broken != nil {
		return refusal(fn.name, c.id, ReasonQueueCanceled, broken)
	}
	wait := min(fn.queueTimeout, time.Duration(q.alarm()-asked))
	request := admission.Request{Parent: c.inside(), Tenant: c.tenant, Priority: c.priority(), Wait: wait}
	err := fn.class.Acquire(departure(q.done), &c.hold, request)
	c.extra.queued = fn.router.clock.now() - asked
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

// takeBack undoes, after a refusal, what was said yes to before.
func (c *callContext) takeBack(why *Error) *Error {
	c.releaseInstance(false)
	if c.extra.reserved {
		c.fn.unreserve()
	}
	if n := c.extra.gates; n > 0 {
		c.fn.gatesDone(n, c.invocation(), nil)
	}
	return why
}

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
