package faas

// Kind is the class of a refusal: what the caller can do about it. It stands
// beside the open [Reason] and is a closed set, so that a front door translates
// it by one switch that a linter can hold to be exhaustive. The zero value is
// KindNone: the call was not refused.
type Kind uint8

// The kinds, with the reasons of the platform that belong to each. A [Gate]
// chooses a kind by answering an *Error that has one. Where it answers an *Error
// without one, the kind is that of its Reason, if that is one of the platform's,
// else KindBusy if there is a RetryAfter, else KindDenied.
const (
	KindNone        Kind = iota // not refused: the call's Outcome says how it ended
	KindNotFound                // no such function: ReasonNotFound, ReasonName
	KindDenied                  // this caller may not make this call: ReasonDenied
	KindInvalid                 // the input or the tenant can't be used: ReasonInput
	KindTooLarge                // the payload is over the limit: ReasonTooLarge
	KindBusy                    // no room now: ReasonOverloaded, ReasonRunaways, ReasonOff, ReasonQueueTimeout
	KindUnavailable             // what the call depends on is down: ReasonMeterFull, ReasonInit
	KindNesting                 // calls nest in a way that can't work: ReasonDepth, ReasonCycle
	KindClosed                  // the router is closing or closed: ReasonClosed
	KindCanceled                // the caller's context ended before the call had a slot: ReasonQueueCanceled

	kinds // how many there are
)

// String returns the kind's name without its prefix, such as "Busy".
func (k Kind) String() string {
	names := [...]string{"None", "NotFound", "Denied", "Invalid", "TooLarge", "Busy", "Unavailable", "Nesting", "Closed", "Canceled"}
	if int(k) < len(names) {
		return names[k]
	}
	return "Kind(?)"
}

// Outcome is how an admitted call ended. Each has exactly one.
type Outcome uint8

// The outcomes. String gives the same words.
const (
	OK            Outcome = iota // the handler returned no error
	Failed                       // it returned an error
	Panicked                     // it panicked: the caller gets a *PanicError
	Exited                       // it called runtime.Goexit: ErrExited
	TimedOut                     // its timeout passed first, or before it failed: ErrTimeout
	Canceled                     // the caller's context ended first, or the router closed
	OutputInvalid                // its output could not be encoded, or is too large: ErrOutput, ErrTooLarge
	InitFailed                   // its instance could not be initialized: ErrInit
)

// String returns the outcome's name.
func (o Outcome) String() string {
	names := [...]string{"OK", "Failed", "Panicked", "Exited", "TimedOut", "Canceled", "OutputInvalid", "InitFailed"}
	if int(o) < len(names) {
		return names[o]
	}
	return "Outcome(?)"
}
