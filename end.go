package faas

// Kind is the class of a refusal. It stands for what the caller can do about the refusal. Unlike
// the set of a [Reason]'s values, the set of kinds is closed. So a front door can translate
// the kinds by one switch, and a linter can check that no case is missing. The zero value
// is KindNone: the call was not refused.
type Kind uint8

// The kinds, and the platform's reasons that belong to each. A [Gate] chooses a kind
// by returning an *Error with that Kind. If its *Error has no Kind, the kind follows from
// the error's other fields, in this order: from Reason, if it is one of the platform's
// reasons; else it is KindBusy if RetryAfter is set; else KindDenied.
const (
	KindNone        Kind = iota // not refused: see the call's Outcome
	KindNotFound                // no such function: ReasonNotFound, ReasonName
	KindDenied                  // this caller may not make this call: ReasonDenied
	KindInvalid                 // the input or the tenant can't be used: ReasonInput
	KindTooLarge                // the payload is larger than the limit: ReasonTooLarge
	KindBusy                    // no free slot at present: ReasonOverloaded, ReasonRunaways, ReasonOff, ReasonQueueTimeout
	KindUnavailable             // something that the call needs has failed: ReasonMeterFull, ReasonInit
	KindNesting                 // nested too deeply, or in a deadlock: ReasonDepth, ReasonCycle
	KindClosed                  // the router is closing or closed: ReasonClosed
	KindCanceled                // the caller's context ended before the call had a slot: ReasonQueueCanceled

	kinds // the number of kinds
)

// String returns the kind's name without its prefix, such as "Busy".
func (k Kind) String() string {
	names := [...]string{"None", "NotFound", "Denied", "Invalid", "TooLarge", "Busy", "Unavailable", "Nesting", "Closed", "Canceled"}
	if int(k) < len(names) {
		return names[k]
	}
	return "Kind(?)"
}

// Outcome is how an admitted call ended. Each admitted call has exactly one. The set
// is closed. The zero value is OK.
type Outcome uint8

// The outcomes. String returns these names.
const (
	OK            Outcome = iota // the handler returned no error
	Failed                       // the handler returned an error
	Panicked                     // the handler panicked: the caller gets a *PanicError
	Exited                       // the handler called runtime.Goexit: ErrExited
	TimedOut                     // the timeout passed before the handler returned, or before it failed: ErrTimeout
	Canceled                     // the caller's context ended first, or the router was closed
	OutputInvalid                // the handler's output could not be encoded, or is too large: ErrOutput, ErrTooLarge
	InitFailed                   // the instance for the call could not be built: ErrInit
)

// String returns the outcome's name, such as "TimedOut".
func (o Outcome) String() string {
	names := [...]string{"OK", "Failed", "Panicked", "Exited", "TimedOut", "Canceled", "OutputInvalid", "InitFailed"}
	if int(o) < len(names) {
		return names[o]
	}
	return "Outcome(?)"
}
