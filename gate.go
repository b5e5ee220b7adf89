package faas

import (
	"context"
)

// Gate decides about every call before it is admitted. Examples are an authorizer, a
// budget and a rate limit. The router calls Admit of each gate in order, first its own gates
// and then the function's, until one of them returns an error. It calls them on the caller's
// goroutine, with a ctx that has the values and the end of the caller's context. ctx is
// wrapped, so that contexts may be derived from it even if the caller's own context
// breaks the rules of context.Context.
//
//   - Admit returns nil to let the call in. If it returns an error or panics, the
//     call is refused and counted, and its caller gets an [*Error] that Is
//     [ErrDenied] and wraps the gate's error. A gate may return an *Error with a Kind
//     or a Reason: then the refusal has that error's Kind, Reason, RetryAfter and sentinel.
//     Such an *Error has the call's function as Function, or none. Without a Kind, the kind is
//     [KindBusy] if RetryAfter is set and [KindDenied] otherwise.
//   - Done is called once for each Admit that returned nil, in reverse order of the gates:
//     with the record when the call is settled, or with nil if the call was refused
//     after all. The rules of [Meter.Record] apply, but e must not be kept.
//   - Many goroutines call both methods at once. The caller waits for Admit, so Admit must
//     not block longer than ctx allows.
//   - inv has no Start and no Deadline yet.
type Gate interface {
	Admit(ctx context.Context, inv Invocation) error
	Done(inv Invocation, e *Execution)
}
