package faas

import (
	"context"
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
