package faas

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
)

// refusal makes the error of a call that is refused: no handler has run, and no record
// is written. The kind follows from the reason. refusal does not count the call; refuse does.
func refusal(function string, id uuid.UUID, why Reason, err error) *Error {
	return &Error{Op: "invoke", Function: function, ID: id, Kind: why.Kind(), Reason: why, Err: err}
}

// denied makes the refusal for an error of a gate. If that error is or wraps an *Error with
// a Kind or a Reason, the refusal has that Kind and Reason. The exception is an *Error about
// another function: it comes from a call that the gate itself made and that failed, so it
// says nothing about the kind of this refusal. Then the refusal has ReasonDenied.
func (fn *function) denied(id uuid.UUID, cause error) *Error {
	// errors.As calls methods of the gate's error, which is foreign code. consultGates recovers a panic of them.
	var own *Error
	if !errors.As(cause, &own) || own.Kind == KindNone && own.Reason == "" || own.Function != "" && own.Function != fn.who.name {
		return refusal(fn.who.name, id, ReasonDenied, wrapCause(ErrDenied, cause))
	}
	e := &Error{Op: "invoke", Function: fn.who.name, ID: id, Kind: own.Kind, Reason: own.Reason, RetryAfter: own.RetryAfter, Err: own.Err}
	if e.Reason == "" {
		e.Reason = ReasonDenied
	}
	// A gate may set a reason of its own with no kind, or with a kind that does not exist.
	// Then the kind follows from the reason, if that is one of the platform's, or else from RetryAfter.
	if e.Kind == KindNone || e.Kind >= kinds {
		e.Kind = own.Reason.Kind()
		switch {
		case e.Kind != KindNone && e.Kind != KindDenied: // the reason is one of the platform's, and has this kind
		case e.RetryAfter > 0:
			e.Kind = KindBusy
		default:
			e.Kind = KindDenied
		}
	}
	return e
}

// refuse counts a refused call, calls the WithRefusals hooks, ends the call's trace, and returns
// the answer. Each refusal of a function's call comes through here, once. c may be nil if the
// function has no WithRefusals hook and the call has no trace.
func (fn *function) refuse(q *caller, c *callContext, err *Error) error {
	if q.direct != nil {
		q.direct.err = err
	}
	fn.countRefused(err.Reason, q.from.delivers() != nil)
	fn.tellIfEnding()
	if c != nil && c.extra.trace != nil {
		defer c.endTrace(nil) // deferred: a WithRefusals hook may call Goexit
	}
	if len(fn.refusalHooks) > 0 {
		ref := Refusal{Invocation: c.invocation(), Queued: time.Duration(c.extra.queued)}
		fn.router.tellRefusal(q.view(), fn.refusalHooks, ref, err)
	}
	return err
}

// turnAway refuses a call before admission, for example because its input can't be
// decoded. The hooks get the call's tenant, so turnAway first reads it from ctx, and counts
// the call only then: ctx may panic or call Goexit.
func (to target) turnAway(ctx context.Context, why *Error) error {
	fn := to.fn
	var q caller
	var c *callContext
	if len(fn.refusalHooks) > 0 {
		tenant, priority := q.meetForRefusal(ctx) // before the call is counted
		c = to.newContext(nil, tenant)
		c.extra.priority, c.extra.from = priority, q.from
	} else if own, ok := ctx.(*callerContext); ok {
		q.from = own.from
	}
	fn.part.Entered.Add(1)
	return fn.refuse(&q, c, why)
}

// isDelivery reports whether a call with ctx is a delivery of a job. The outermost context of a
// delivery is a callerContext, so isDelivery need not call a method of ctx.
func isDelivery(ctx context.Context) bool {
	own, ok := ctx.(*callerContext)
	return ok && own.from.delivers() != nil
}

// meetForRefusal reads the tenant and the priority from ctx, as q.meet does, for a call that is
// refused in any case. ctx may be nil: a nil context is one of the reasons to refuse a call.
func (q *caller) meetForRefusal(ctx context.Context) (tenant string, priority int) {
	if ctx == nil {
		ctx = context.Background()
	}
	q.ctx = ctx
	_, tenant, priority, _ = q.meet()
	return tenant, priority
}

// tellRefusal calls the WithRefusals hooks on the caller's goroutine. If the tenant's name
// was refused as invalid, the hooks don't get it, since they write it to logs and metrics.
func (g *hookGuard) tellRefusal(ctx context.Context, hooks []func(context.Context, Refusal), ref Refusal, err *Error) {
	if !isTenant(ref.Tenant) {
		ref.Tenant = ""
	}
	ref.Kind, ref.Reason, ref.RetryAfter, ref.Err = err.Kind, err.Reason, err.RetryAfter, err
	for _, f := range hooks {
		g.tellRefusalTo(ctx, f, ref)
	}
}

// tellRefusalTo calls one hook, and recovers its panic.
func (g *hookGuard) tellRefusalTo(ctx context.Context, f func(context.Context, Refusal), ref Refusal) {
	defer func() {
		if p := recover(); p != nil {
			g.hookPanicked("WithRefusals", ref.Function, p, (&provenance{origin: ref.Origin}).ids(ref.ID)...)
		}
	}()
	f(ctx, ref)
}

// noSlot makes the refusal for an error of admission. It returns nil if the caller's context
// ended first: then the answer has to come from that context.
func noSlot(name string, id uuid.UUID, err error) *Error {
	switch {
	case errors.Is(err, admission.ErrFull):
		return refusal(name, id, ReasonOverloaded, wrapCause(ErrOverloaded, errors.New("the queue is full; see WithQueue")))
	case errors.Is(err, admission.ErrDisplaced):
		return refusal(name, id, ReasonOverloaded, wrapCause(ErrOverloaded, errors.New("displaced from the full queue by a call of higher priority, or of a tenant with fewer waiting calls; see WithQueue")))
	case errors.Is(err, admission.ErrOff):
		return refusal(name, id, ReasonOff, wrapCause(ErrOverloaded, errors.New("the function is switched off; see SetConcurrency")))
	case errors.Is(err, admission.ErrStuck):
		return refusal(name, id, ReasonRunaways, wrapCause(ErrOverloaded, errors.New("every slot is held by a stuck handler, which still runs long after its call has ended; see WithStuck")))
	case errors.Is(err, admission.ErrTimeout):
		return refusal(name, id, ReasonQueueTimeout, wrapCause(ErrOverloaded, errors.New("waited too long for a slot; see WithQueueTimeout")))
	case errors.Is(err, admission.ErrCycle):
		return refusal(name, id, ReasonCycle, ErrCycle)
	case errors.Is(err, admission.ErrClosed):
		return refusal(name, id, ReasonClosed, ErrClosed)
	case errors.Is(err, admission.ErrRemoved):
		return refusal(name, id, ReasonNotFound, wrapCause(ErrNotFound, errors.New("the function was removed")))
	}
	return nil
}

// errGone is returned inside the package if the target of a call by name was removed after the
// name was looked up, and before the call had a slot or waited for one. (A call that already
// waits goes on.) The name is then looked up again. That can't go on for ever: a look-up never
// returns a removed function, so each errGone takes one more removal.
var errGone = errors.New("removed before the call had a slot or waited for one")

// isGone reports whether the call was refused because its target was removed, and the name can be
// looked up again. If so, isGone also undoes what was counted for the call in this target. The
// call then goes to another target, or is refused as a call of an unknown name.
func (to target) isGone(c *callContext, refused *Error) bool {
	if !to.byName || refused.Reason != ReasonNotFound || !to.fn.gone.Load() {
		return false
	}
	to.fn.part.Entered.Add(^uint64(0)) // subtracts one
	to.fn.tellIfEnding()
	if c.extra.trace != nil {
		c.endTrace(nil)
	}
	return true
}
