package faas

import "context"

// Trace follows one call from before its admission to its end. For example, it holds the
// call's span. [WithTracing] makes them.
//
//   - Value answers the handler's context, and all that is derived from it, for keys that
//     neither the call nor a [WithContext] func knows; nil if it has no value either. So
//     a span travels to the handler, to its nested calls and to the call's meters. Many
//     goroutines may call it, also after End: it answers for as long as a handler keeps
//     its context, which keeps the Trace in memory. It must not block. Its panic is one
//     of the code that asked.
//   - End is called exactly once: with the record at settlement, after the meters and the
//     gates, on the goroutine that settles the call and before its caller has the answer;
//     or with nil if the call is refused, on the caller's goroutine and after the
//     [WithRefusals] hooks. A runaway's Trace ends at settlement too, while its handler
//     runs. End is under the rules of [Meter.Record]: it must not block, and its panic is
//     caught and counted. e is not to be kept.
type Trace interface {
	Value(key any) any
	End(e *Execution)
}

// WithTracing sets the function that decides whether a call is traced, so that spans need
// no middleware. f is asked once for each call, on the caller's goroutine and before all
// that may refuse the call. ctx is the caller's context, with its values; for a nested
// call it is the handler's, in which the parent's Trace answers. inv is as for a [Gate],
// but its Tenant is that of ctx: [WithTenantKey] is asked later. nil means not sampled,
// and costs little more than the question.
//
// If the function of a call by name is removed before the call has its slot, its Trace
// ends with nil, and f is asked again about the function that then has the name.
//
// f is not asked for calls that never ask for admission: of a name that is not
// registered, with a nil context, with a payload that does not decode, and by
// [Router.DryRun]. If f panics, that is caught and counted, and the call has no Trace.
// Many goroutines may call f at once, and it must not block. Given to [Register] it
// takes the place of the router's. Nil, the default: no call is traced.
func WithTracing(f func(ctx context.Context, inv Invocation) Trace) Option {
	return option(func(s *settings) { s.tracing = f })
}
