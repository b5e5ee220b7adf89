package faas

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
