package faas

import (
	"context"
	"errors"
)

// Gate is asked about every call before it is admitted: authorizers, budgets,
// rate limits. Gates are asked in order, the router's before the function's,
// on the caller's goroutine and with the caller's context, values and all, which
// is wrapped so that contexts may be derived from it whatever its manners; the
// first that says no ends it.
//
//   - Admit answers nil for yes. Any error, and a panic, is a no: the call is
//     refused, counted, and answered an [*Error] that Is [ErrDenied] and wraps
//     the gate's error. A gate that answers an *Error itself, with a Kind or a
//     Reason, chooses Kind, Reason, RetryAfter and sentinel; its Function is left
//     empty or is the call's. Without a Kind it is [KindBusy] if there is a
//     RetryAfter, else [KindDenied].
//   - Done is called once for each Admit that said yes, the last gate first:
//     with the record when the call is settled, or with nil if it was refused
//     after all. It is under the rules of [Meter.Record]; e is not to be kept.
//   - Both are called by many goroutines at once, and must not block beyond
//     what ctx allows: a caller waits in Admit.
//   - inv has no Start, Deadline yet.
type Gate interface {
	Admit(ctx context.Context, inv Invocation) error
	Done(inv Invocation, e *Execution)
}

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
		c.more.gates++
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
	c.more.values = fresh
	return nil
}

var errNotFresh = errors.New("what WithContext was given returned a context that is not derived from the fresh one")
