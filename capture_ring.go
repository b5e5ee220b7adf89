package faas

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/foreign"
	"github.com/inproc/faas/internal/redact"
)

// Ring is a [Capture] that keeps the last inputs in memory, bounded by their number and by
// the sum of their sizes. What does not fit displaces the oldest. All methods may be called
// concurrently. One Ring may serve any number of functions and routers.
type Ring struct {
	most, mostBytes int
	redact          func(key string) bool
	keepsErrors     atomic.Bool

	mu    sync.Mutex  // guards the fields below, and is not held while redact runs
	kept  []*Captured // the oldest first; what they point to is constant
	bytes int         // the sum of their inputs
}

// NewRing returns a Ring that keeps at most n inputs, of together at most that many bytes.
// Records count in n alone; each takes about half a KiB. It panics with an [*Error] if n or
// bytes is less than 1.
//
// If redact is not nil, an input is kept only if it is valid JSON, and with "[redacted]" in
// place of the value of each key for which redact is true, at any depth. Any other input is
// withheld, also one that was truncated: nothing in it can be blanked with certainty. JSON
// inside of a JSON string is a string, whose key has to be named. encoding/json takes
// "PASSWORD" for a field "password", so compare with strings.EqualFold. Calls of redact
// may be concurrent. If it panics, nothing is kept of the call.
func NewRing(n, bytes int, redact func(key string) bool) *Ring {
	if n < 1 || bytes < 1 {
		panic(usageError("new ring", "", ErrInput, "NewRing(%d, %d, …): both must be at least 1", n, bytes))
	}
	return &Ring{most: n, mostBytes: bytes, redact: redact}
}

// Keep implements [Capture]. It copies the input. An input of more than the ring's bytes is
// dropped, and the record is kept with [InputTooLarge]. Err of the record is dropped, since an
// error may hold anything, the input among it; see [Ring.KeepErrors].
func (r *Ring) Keep(_ context.Context, c Captured) {
	c.Err = r.keepError(c.Err)
	// Short strings may be parts of a long one, such as a header, which they would keep.
	for _, s := range []*string{&c.Tenant, &c.Origin.Trigger, &c.Origin.Door, &c.Origin.RequestID, &c.Origin.Key} {
		*s = strings.Clone(*s)
	}
	r.copyInput(&c)
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.kept) == r.most || r.bytes > r.mostBytes-len(c.Input) {
		r.bytes -= len(r.kept[0].Input)
		r.kept[0] = nil
		r.kept = r.kept[1:]
	}
	r.kept = append(r.kept, &c)
	r.bytes += len(c.Input)
}

// KeepErrors has the ring keep what the errors of calls say, from now on: Err of what it
// returns is then a *[CapturedError]. Nothing in it is blanked: the func of [NewRing] is not
// asked. It returns r.
func (r *Ring) KeepErrors() *Ring {
	r.keepsErrors.Store(true)
	return r
}

// CapturedError is what a [Ring] keeps of an error.
type CapturedError struct {
	Text  string // the error's, at most 4 KiB of it
	Type  string // the name of its Go type, such as "*fs.PathError"
	Stack []byte // of a panic: PanicError's, at most 16 KiB of it; nil: it was none
}

// Error returns the text.
func (e *CapturedError) Error() string { return e.Text }

// The bounds of a CapturedError. The caller of the call waits while the text is asked for.
const (
	maxErrorText  = 4 << 10
	maxErrorStack = 16 << 10
	errorTextTime = 100 * time.Millisecond
)

// keepError returns what may be kept of an error. The methods of it are foreign code.
func (r *Ring) keepError(err error) error {
	if err == nil || !r.keepsErrors.Load() {
		return nil
	}
	kept := &CapturedError{Type: fmt.Sprintf("%T", err)}
	text, _ := foreign.TextWithin(err, errorTextTime)
	kept.Text = strings.ToValidUTF8(strings.Clone(text[:min(len(text), maxErrorText)]), "")
	if p, ok := isPanic(err); ok {
		kept.Stack = bytes.Clone(p.Stack[:min(len(p.Stack), maxErrorStack)])
	}
	return kept
}

// isPanic finds the panic of the call itself: an error that a handler has returned may
// wrap that of another call.
func isPanic(err error) (*PanicError, bool) {
	if own, ok := err.(*Error); ok { //nolint:errorlint // the router made it, and nothing wraps it
		err = own.Err
	}
	p, ok := err.(*PanicError) //nolint:errorlint // as above
	return p, ok
}

// copyInput replaces c.Input by what may be kept of it.
func (r *Ring) copyInput(c *Captured) {
	in := c.Input
	c.Input = nil
	switch {
	case in == nil:
		return
	case r.redact != nil:
		blanked, ok := redact.JSON(in, r.redact)
		if !ok {
			c.State = InputWithheld
			return
		}
		in = blanked
	}
	if len(in) > r.mostBytes {
		c.State = InputTooLarge
		return
	}
	c.Input = append([]byte{}, in...)
}

// Get returns the newest input that was kept of the invocation with that ID. It is a copy.
// It is false if there is none, or none any more.
func (r *Ring) Get(id uuid.UUID) (Captured, bool) {
	for c := range r.All() {
		if c.ID == id {
			return c, true
		}
	}
	return Captured{}, false
}

// All returns what the ring holds when the iteration begins, the newest first. Each is a
// copy; only Labels are shared, as in every [Execution].
func (r *Ring) All() iter.Seq[Captured] {
	return func(yield func(Captured) bool) {
		r.mu.Lock()
		kept := slices.Clone(r.kept)
		r.mu.Unlock()
		for _, entry := range slices.Backward(kept) {
			c := *entry
			c.Input = bytes.Clone(c.Input)
			if !yield(c) {
				return
			}
		}
	}
}

// Len returns how many inputs, or records without one, the ring holds.
func (r *Ring) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.kept)
}

// Bytes returns the sum of the sizes of the inputs that the ring holds.
func (r *Ring) Bytes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}
