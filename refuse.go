package faas

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
)

// refusal makes the error of a call that is refused: no handler has run, and no record
// is written. The kind follows from the reason. refuse is what counts it.
func refusal(function string, id uuid.UUID, why Reason, err error) *Error {
	return &Error{Op: "invoke", Function: function, ID: id, Kind: why.Kind(), Reason: why, Err: err}
}

// denied makes the refusal for an error of a gate. If that error is or wraps an *Error
// with a Kind or a Reason, the gate has chosen those for this call. An *Error about
// another function is not such a choice: the gate made a call of its own, which failed,
// and says about this call only that it may not go on. Then it is ReasonDenied.
func (fn *function) denied(id uuid.UUID, cause error) *Error {
	// errors.As calls methods of the gate's error, which is foreign code: ask recovers.
	var own *Error
	if !errors.As(cause, &own) || own.Kind == KindNone && own.Reason == "" || own.Function != "" && own.Function != fn.who.name {
		return refusal(fn.who.name, id, ReasonDenied, wrapCause(ErrDenied, cause))
	}
	e := &Error{Op: "invoke", Function: fn.who.name, ID: id, Kind: own.Kind, Reason: own.Reason, RetryAfter: own.RetryAfter, Err: own.Err}
	if e.Reason == "" {
		e.Reason = ReasonDenied
	}
	// A gate may set a reason of its own and no kind, or a kind that does not exist. Then
	// the reason decides, if it is the platform's, and else RetryAfter.
	if e.Kind == KindNone || e.Kind >= kinds {
		e.Kind = own.Reason.Kind()
		switch {
		case e.Kind != KindNone && e.Kind != KindDenied: // one of the platform's reasons, which has a kind of its own
		case e.RetryAfter > 0:
			e.Kind = KindBusy
		default:
			e.Kind = KindDenied
		}
	}
	return e
}

// refuse counts a refused call, calls the WithRefusals hooks, and returns the answer.
// Each refusal of a function's calls comes through here, once. It ends the call's trace.
//
// q and c are only for the hooks and the trace. c may be nil if there are none.
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

// turnAway refuses a call that never asked for admission, for example because its
// input can't be decoded. The hooks need the tenant, so ctx is asked for it first, and
// only then is the call counted: ctx may panic or call Goexit.
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

// isDelivery reports whether a call with ctx is a delivery of a job. Deliveries have such a
// context outermost, so that no method of ctx is called.
func isDelivery(ctx context.Context) bool {
	own, ok := ctx.(*callerContext)
	return ok && own.from.delivers() != nil
}

// meetForRefusal is meet for a call that is refused in any case. ctx may be nil: that
// is one of the reasons.
func (q *caller) meetForRefusal(ctx context.Context) (tenant string, priority int) {
	if ctx == nil {
		ctx = context.Background()
	}
	_, tenant, priority, _ = q.meet(ctx)
	return tenant, priority
}

// tellRefusal calls the WithRefusals hooks on the caller's goroutine. A tenant name that
// is refused as invalid is not shown: hooks write it to logs and metrics.
func (g *hookGuard) tellRefusal(ctx context.Context, hooks []func(context.Context, Refusal), ref Refusal, err *Error) {
	if !isTenant(ref.Tenant) {
		ref.Tenant = ""
	}
	ref.Kind, ref.Reason, ref.RetryAfter, ref.Err = err.Kind, err.Reason, err.RetryAfter, err
	for _, f := range hooks {
		g.tellRefusalTo(ctx, f, ref)
	}
}

// tellRefusalTo calls one hook, and recovers a panic of it.
func (g *hookGuard) tellRefusalTo(ctx context.Context, f func(context.Context, Refusal), ref Refusal) {
	defer func() {
		if p := recover(); p != nil {
			g.hookPanicked("WithRefusals", ref.Function, p, (&provenance{origin: ref.Origin}).ids(ref.ID)...)
		}
	}()
	f(ctx, ref)
}

// noSlot makes the refusal for an error of admission. It is nil if the caller's context
// ended first: only the context knows what to answer then.
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

// errGone says that the target of a call by name was removed after the name was looked up,
// and before the call had a slot or waited for one. (A call that waits already goes on.) It
// stays inside the package: the name is looked up again. That comes to an end, since a name
// never stands for a function that is removed: each errGone takes one more removal.
var errGone = errors.New("removed before the call had a slot or waited for one")

// isGone tells whether refused has the removal of the target for its cause, and the name can be
// looked up again. If it is true nothing of the call is left here: it goes to another
// target, or is refused as one of an unknown name.
func (to target) isGone(c *callContext, refused *Error) bool {
	if !to.byName || refused.Reason != ReasonNotFound || !to.fn.gone.Load() {
		return false
	}
	to.fn.part.Entered.Add(^uint64(0)) // minus one
	to.fn.tellIfEnding()
	if c.extra.trace != nil {
		c.endTrace(nil)
	}
	return true
}
