package faas

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
)

// refusal is a call turned away: no handler ran, no record is written.
func refusal(function string, id uuid.UUID, why Reason, err error) *Error {
	return &Error{Op: "invoke", Function: function, ID: id, Kind: why.Kind(), Reason: why, Err: err}
}

// denied is the refusal that a gate's error is. The gate chooses it if its error
// is, or wraps, an *Error with a Kind or a Reason, unless that is about a call of
// another function, which the gate made and which failed: such an error says
// nothing about this call but that it may not go on.
func (fn *function) denied(id uuid.UUID, cause error) *Error {
	var own *Error
	if !errors.As(cause, &own) || own.Kind == KindNone && own.Reason == "" || own.Function != "" && own.Function != fn.name {
		return refusal(fn.name, id, ReasonDenied, wrapCause(ErrDenied, cause))
	}
	e := &Error{Op: "invoke", Function: fn.name, ID: id, Kind: own.Kind, Reason: own.Reason, RetryAfter: own.RetryAfter, Err: own.Err}
	if e.Reason == "" {
		e.Reason = ReasonDenied
	}
	if e.Kind == KindNone || e.Kind >= kinds {
		e.Kind = own.Reason.Kind()
		switch {
		case e.Kind != KindNone && e.Kind != KindDenied: // the platform's reason says it
		case e.RetryAfter > 0:
			e.Kind = KindBusy
		default:
			e.Kind = KindDenied
		}
	}
	return e
}

// refuse counts a call that is turned away, and is its answer; q and c are for
// the hooks. What comes to a function that is
// removed is counted by the router: the function's own counts may be closed
// already.
func (fn *function) refuse(q *caller, c *callContext, err *Error) error {
	if fn.gone.Load() {
		fn.router.refused.add(err.Reason)
		fn.class.Entered.Add(^uint64(0))
	} else {
		fn.refused.add(err.Reason)
	}
	fn.tellIfEnding()
	if len(fn.refusalHooks) > 0 {
		ref := Refusal{Invocation: c.invocation(), Queued: time.Duration(c.extra.queued)}
		fn.router.tellRefusal(q.view(), fn.refusalHooks, ref, err)
	}
	return err
}

// turnAway refuses a call before it has entered.
func (fn *function) turnAway(ctx context.Context, why *Error) error {
	var q caller
	var c *callContext
	if len(fn.refusalHooks) > 0 {
		tenant, priority := q.meetForRefusal(ctx) // before the call is counted
		c = newContextWithExtra(fn, nil, tenant)
		c.extra.priority = priority
	}
	fn.class.Entered.Add(1)
	return fn.refuse(&q, c, why)
}

// meetForRefusal is meet for a call that goes no further, and so also where ctx
// is nil.
func (q *caller) meetForRefusal(ctx context.Context) (tenant string, priority int) {
	if ctx == nil {
		ctx = context.Background()
	}
	_, tenant, priority, _ = q.meet(ctx)
	return tenant, priority
}

// refuseUnknown counts a call for which there is no function.
func (r *Router) refuseUnknown(ctx context.Context, err *Error) error {
	err.Reason = ReasonNotFound
	if errors.Is(err, ErrName) {
		err.Reason = ReasonName
	}
	r.refused.add(err.Reason)
	if hooks := r.common.refusalHooks; len(hooks) > 0 {
		var q caller
		ref := Refusal{Invocation: Invocation{Function: err.Function, Attempt: 1}}
		ref.Tenant, ref.Priority = q.meetForRefusal(ctx)
		r.tellRefusal(q.view(), hooks, ref, err)
	}
	return err
}

// tellRefusal tells the hooks of a refusal.
func (r *Router) tellRefusal(ctx context.Context, hooks []func(context.Context, Refusal), ref Refusal, err *Error) {
	if !isTenant(ref.Tenant) {
		ref.Tenant = ""
	}
	ref.Kind, ref.Reason, ref.RetryAfter, ref.Err = err.Kind, err.Reason, err.RetryAfter, err
	for _, f := range hooks {
		r.tellRefusalTo(ctx, f, ref)
	}
}

func (r *Router) tellRefusalTo(ctx context.Context, f func(context.Context, Refusal), ref Refusal) {
	defer r.guardHook("WithRefusals", ref.Function)
	f(ctx, ref)
}

// noSlot is nil for a caller who left.
func noSlot(name string, id uuid.UUID, err error) *Error {
	switch {
	case errors.Is(err, admission.ErrFull):
		return refusal(name, id, ReasonOverloaded, wrapCause(ErrOverloaded, errors.New("the queue is full; see WithQueue")))
	case errors.Is(err, admission.ErrDisplaced):
		return refusal(name, id, ReasonOverloaded, wrapCause(ErrOverloaded, errors.New("a call of a tenant with fewer waiting, or of higher priority, has its place in the queue; see WithQueue")))
	case errors.Is(err, admission.ErrOff):
		return refusal(name, id, ReasonOff, wrapCause(ErrOverloaded, errors.New("the function is switched off; see SetConcurrency")))
	case errors.Is(err, admission.ErrStuck):
		return refusal(name, id, ReasonRunaways, wrapCause(ErrOverloaded, errors.New("every slot is stuck with a handler that has long outlived its call; see WithStuck")))
	case errors.Is(err, admission.ErrTimeout):
		return refusal(name, id, ReasonQueueTimeout, wrapCause(ErrOverloaded, errors.New("waited too long for a slot; see WithQueueTimeout")))
	case errors.Is(err, admission.ErrCycle):
		return refusal(name, id, ReasonCycle, ErrCycle)
	case errors.Is(err, admission.ErrClosed):
		return refusal(name, id, ReasonClosed, ErrClosed)
	case errors.Is(err, admission.ErrRemoved):
		return refusal(name, id, ReasonNotFound, wrapCause(ErrNotFound, errors.New("it was removed")))
	}
	return nil
}
