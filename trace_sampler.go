package faas

import (
	"context"

	"github.com/google/uuid"
)

// TraceSampler chooses the calls for which the [WithTracing] func is called. It does so
// before the [Invocation] and the call's ID are made. So a call that it does not choose
// has no [Trace] and costs hardly more than a call without tracing. Many goroutines may
// call both methods, and neither must block.
type TraceSampler interface {
	// Sample reports whether the WithTracing func is to be called for a call of a function.
	// ctx is the caller's context, as in that func. random is uniformly distributed; its upper
	// 62 bits are the lower 62 bits of the call's ID, so that the func can use the same ones.
	// Sample is called on the caller's goroutine, before everything that may refuse the call. A
	// panic is caught and counted, and means false. For deliveries of jobs the func is always
	// called, without Sample.
	Sample(ctx context.Context, function string, random uint64) bool
	// Untraced takes the place of Trace.Value in a call without a Trace. For example, its value
	// says that the call is not sampled, so that code that the handler calls begins no trace of
	// its own. id is the ID of the call; in a chain of nested calls without a Trace it is that of
	// the topmost one. In a nested call below a call with a Trace, that Trace's Value is called
	// instead. A panic is one of the code that has called the context's Value.
	Untraced(id uuid.UUID, key any) any
}
