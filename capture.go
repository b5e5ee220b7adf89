package faas

import (
	"context"
)

// Capture takes the inputs of calls that failed: to show them, or to make the calls
// again. [Ring] is one that keeps the last of them in memory.
//
//   - Keep is called at most once for each call, after the call's meters and gates have
//     its record and before its caller has the answer, on the goroutine that settles it.
//   - It is called by many goroutines at once. It must not block: the caller waits for it.
//   - c.Input may be the caller's own payload. It must not be changed, and it is not to be
//     kept: copy it. The rest of c may be kept.
//   - ctx, Close, Shutdown and panics are as with [Meter].
type Capture interface {
	Keep(ctx context.Context, c Captured)
}

// CaptureFunc is a function that serves as a [Capture].
type CaptureFunc func(ctx context.Context, c Captured)

// Keep calls f.
func (f CaptureFunc) Keep(ctx context.Context, c Captured) { f(ctx, c) }

// Captured is the input of a call that failed, with the call's record.
type Captured struct {
	Execution

	Input       []byte     // as the function's codec encodes it, or the bytes of a []byte input; nil: see State
	ContentType string     // the media type of Input: the codec's, see Codec, or application/octet-stream for a []byte input
	State       InputState // what Input is, or why there is none
	Truncated   bool       // Input is only the beginning: the rest is over the input limit of WithLimits
}

// InputState says what the Input of a [Captured] is, or why there is none. The set may
// grow.
type InputState uint8

// The states. String returns the texts in quotation marks.
const (
	// "as given": what the call began with. It is the payload of a bytes call, or the
	// copy that WithCopy made, or the input of a call whose handler never ran.
	InputAsGiven InputState = iota
	// "as the handler left it": a typed input, or a []byte that the handler got without a
	// copy. It was encoded after the handler had returned, which may have changed it.
	InputAsLeft
	// "not captured: still running": such an input of a handler that has not returned. It
	// may still write to the input, so nothing can be read from it.
	InputInUse
	// "not captured: can't be encoded": the codec returned an error, or panicked.
	InputNotEncoded
	// "withheld: no JSON": a Ring has a redact function, and can't apply it.
	InputWithheld
	// "dropped: too large": the input is larger than all that a Ring keeps.
	InputTooLarge
)

// String returns the text for people.
func (s InputState) String() string {
	texts := [...]string{
		"as given", "as the handler left it", "not captured: still running", "not captured: can't be encoded",
		"withheld: no JSON", "dropped: too large",
	}
	if int(s) < len(texts) {
		return texts[s]
	}
	return "InputState(?)"
}

// outcomeCount is how many outcomes there are.
const outcomeCount = InitFailed + 1

// capturing is what WithCapture sets. A nil one captures nothing.
type capturing struct {
	to Capture
	of uint64 // a set of outcomes, by bit
}

// newCapturing returns what WithCapture sets.
func newCapturing(c Capture, outcomes []Outcome) *capturing {
	if c == nil {
		return nil
	}
	s := &capturing{to: c}
	for _, o := range outcomes {
		s.of |= 1 << min(o, 63) // 63 stands for any that does not exist
	}
	if len(outcomes) == 0 {
		s.of = 1<<outcomeCount - 1 - 1<<OK
	}
	return s
}

// wants tells whether inputs of calls with that outcome are captured.
func (s *capturing) wants(o Outcome) bool { return s != nil && s.of>>o&1 != 0 }

// isPossible tells whether the set has only outcomes that exist, and not OK.
func (s *capturing) isPossible() bool { return s == nil || s.of>>outcomeCount == 0 && !s.wants(OK) }
