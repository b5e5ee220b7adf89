package faas

// Trace follows one call from before its admission to its end; for example, it holds the
// call's span. The func of [WithTracing] makes it.
//
//   - Value is called for keys that neither the call nor a [WithContext] func has a value
//     for, by Value of the handler's context and of contexts derived from it. It returns
//     nil if the Trace has no value either. So a span reaches the handler, its nested
//     calls and the call's meters. Many goroutines may call Value, also after End: a
//     handler that keeps its context keeps the Trace in memory. It must not block. If it
//     panics, that is a panic of the code that has called the context's Value.
//   - End is called exactly once. If the call was admitted, it gets the call's record,
//     after the meters and the gates, on the goroutine that settles the call and before
//     the caller has the answer. If the call was refused, it gets nil, on the caller's
//     goroutine and after the [WithRefusals] hooks. For a runaway, End is called when the
//     call is settled, while the handler still runs. The rules of [Meter.Record] hold:
//     End must not block, and its panic is caught and counted. It must not keep e.
type Trace interface {
	Value(key any) any
	End(e *Execution)
}
