package faas

import (
	"context"

	"github.com/google/uuid"
)

// TraceSampler decides which calls the [WithTracing] func is asked about, before anything
// of a call is made. A call that it does not choose has no [Trace] and costs hardly more
// than one without tracing: the [Invocation] that such a func is given, with its ID, is not
// even made. Many goroutines may call both methods, and neither must block.
type TraceSampler interface {
	// Sample reports whether the WithTracing func is to be asked about a call of a function.
	// ctx is the caller's context, as there. random is uniform, and the same for both: the
	// upper 62 bits of it are the lower 62 of the call's ID. It is called on the caller's
	// goroutine before all that may refuse the call. A panic is caught and counted, and means
	// false. It is not called for deliveries of jobs: about each of these the func is asked.
	Sample(ctx context.Context, function string, random uint64) bool
	// Untraced answers the handler's context of a call without a Trace, as Trace.Value does
	// with one. For example it says that the call is not sampled, so that what the handler
	// calls begins no trace of its own. id is that of the call, or of the topmost one
	// of a chain of nested calls without a Trace; below a call with a Trace, that Trace answers.
	// Its panic is one of the code that asked.
	Untraced(id uuid.UUID, key any) any
}
