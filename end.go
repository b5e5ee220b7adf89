package faas

import "sync/atomic"

// End is how a call ended, as its caller may tell others: refused, of one Kind,
// or admitted, with one Outcome.
type End struct {
	Kind    Kind    // what class of refusal it was; KindNone: the call was admitted
	Outcome Outcome // of an admitted call; OK if it was refused
	Err     *Error  // what the platform said about this call; nil for OK and Failed
}

// EndOf tells how a call of a function ended, from the error that the call
// answered. It is the one place that works this out: front doors, retries and
// logs switch over Kind and Outcome, which are closed sets.
//
//   - nil is OK.
//   - What the handler returned is Failed, also when it is an [*Error] that the
//     handler got from a function it called, the same function included: the
//     refusal of a nested call is not this call's.
//   - Otherwise it is the platform's *Error about this call, and its Kind and
//     Outcome.
//
// function is the name that was called. The error must be the one answered,
// unwrapped: an *Error inside another error is a handler's.
func EndOf(err error, function string) End {
	if err == nil {
		return End{}
	}
	e, ok := err.(*Error) //nolint:errorlint // wrapped, it is a handler's
	switch {
	case !ok || e == nil, e.Function != clipName(function), atomic.LoadUint32(&e.handedOn) != 0:
		return End{Outcome: Failed}
	case e.Kind != KindNone:
		return End{Kind: e.Kind, Err: e}
	case e.Outcome == OK: // of set-up or management, which a handler has done
		return End{Outcome: Failed}
	}
	return End{Outcome: e.Outcome, Err: e}
}

// handOn marks an error that a handler returned as its own. It may be what the
// platform answered to a nested call, of the same function even, and the caller
// must not take it for what the platform says about this one.
func handOn(err error) {
	if e, ok := err.(*Error); ok && e != nil { //nolint:errorlint // only what EndOf looks at
		atomic.StoreUint32(&e.handedOn, 1)
	}
}
