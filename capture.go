package faas

import (
	"context"
)

// Capture receives the inputs of calls that failed, for example to show them, or to make the
// calls again. [Ring] is a Capture that keeps the last of them in memory.
//
//   - Keep is called at most once for each call, on the goroutine that settles the call:
//     after the call's meters have its record and its gates are done, and before its caller
//     gets the answer.
//   - Many goroutines call it at once. It must not block, since the caller waits for it.
//   - c.Input may be the caller's own payload. Keep must neither change it nor keep it: it
//     keeps a copy. It may keep the other fields of c.
//   - For ctx, Close, Shutdown and panics the rules are those of [Meter].
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

	Input       []byte     // encoded by the function's codec; of a []byte input, its bytes; nil: State says why
	ContentType string     // the media type of Input: that of the codec, see Codec; for a []byte input application/octet-stream
	State       InputState // how Input was taken, or why there is none
	Truncated   bool       // Input is only the beginning, up to the input limit of WithLimits
}

// InputState says how the Input of a [Captured] was taken, or why there is none. Later
// releases may add states.
type InputState uint8

// The states. String returns the texts in quotation marks.
const (
	// "as given": Input is as the call began. It is the payload of a bytes call, or the copy
	// that WithCopy made, or the input of a call whose handler never ran.
	InputAsGiven InputState = iota
	// "as the handler left it": a typed input, or a []byte that the handler got without a
	// copy. It was encoded after the handler had returned; the handler may have changed it.
	InputAsLeft
	// "not captured: still running": an input as for InputAsLeft, but the handler has not
	// returned. Since it may still write to the input, the input can't be read.
	InputInUse
	// "not captured: can't be encoded": the codec returned an error, or panicked.
	InputNotEncoded
	// "withheld: no JSON": a Ring's redact func can be applied to JSON only.
	InputWithheld
	// "dropped: too large": the input alone is larger than the Ring's bound in bytes.
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

// outcomeCount is the number of outcomes.
const outcomeCount = InitFailed + 1

// capturing is the setting of WithCapture. A nil one captures nothing.
type capturing struct {
	to Capture
	of uint64 // the outcomes to capture, each as a bit
}

// newCapturing returns the setting of WithCapture.
func newCapturing(c Capture, outcomes []Outcome) *capturing {
	if c == nil {
		return nil
	}
	s := &capturing{to: c}
	for _, o := range outcomes {
		s.of |= 1 << min(o, 63) // bit 63 stands for all outcomes that do not exist
	}
	if len(outcomes) == 0 {
		s.of = 1<<outcomeCount - 1 - 1<<OK
	}
	return s
}

// wants reports whether the inputs of calls with that outcome are captured.
func (s *capturing) wants(o Outcome) bool { return s != nil && s.of>>o&1 != 0 }

// isPossible reports whether all outcomes of the set exist and none is OK.
func (s *capturing) isPossible() bool { return s == nil || s.of>>outcomeCount == 0 && !s.wants(OK) }
