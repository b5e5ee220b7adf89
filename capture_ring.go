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
// the sum of their sizes. A new input displaces the oldest ones beyond the bounds. All
// methods may be called concurrently. One Ring may serve any number of functions and routers.
type Ring struct {
	most, mostBytes int
	redact          func(key string) bool
	keepsErrors     atomic.Bool

	mu    sync.Mutex  // guards the fields below, and is not held while redact runs
	kept  []*Captured // the oldest first; each *Captured is constant
	bytes int         // the sum of the sizes of their inputs
}

// NewRing returns a Ring that keeps at most n inputs, whose sizes are at most bytes together.
// The records of the inputs do not count in bytes; each takes about half a KiB. It panics
// with an [*Error] if n or bytes is less than 1.
//
// If redact is not nil, the Ring keeps an input only if it is valid JSON. For each key for
// which redact returns true, at any depth, it keeps "[redacted]" in place of the value. It
// withholds any other input, also a truncated one, since nothing in it can be blanked with
// certainty. JSON inside of a JSON string is not looked into: redact must name the key of
// that string. encoding/json decodes "PASSWORD" into a field "password", so compare with
// strings.EqualFold. Calls of redact may be concurrent. If redact panics, nothing is kept of
// the call.
func NewRing(n, bytes int, redact func(key string) bool) *Ring {
	if n < 1 || bytes < 1 {
		panic(usageError("new ring", "", ErrInput, "NewRing(%d, %d, …): both must be at least 1", n, bytes))
	}
	return &Ring{most: n, mostBytes: bytes, redact: redact}
}

// Keep implements [Capture]. It copies the input. If the input alone is larger than the
// ring's bytes, Keep drops it, and keeps the record with [InputTooLarge]. It drops the
// record's Err, since an error may contain anything, also the input; see [Ring.KeepErrors].
func (r *Ring) Keep(_ context.Context, c Captured) {
	c.Err = r.keepError(c.Err)
	// A short string may be a part of a long one, such as a header, and keep all of that in memory.
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

// KeepErrors makes the ring keep the texts of errors, from now on: Err of the records that it
// returns is then a *[CapturedError]. The func of [NewRing] does not blank errors. It returns
// r.
func (r *Ring) KeepErrors() *Ring {
	r.keepsErrors.Store(true)
	return r
}

// CapturedError is the part of an error that a [Ring] keeps.
type CapturedError struct {
	Text  string // the error's text, at most 4 KiB
	Type  string // the error's Go type, such as "*fs.PathError"
	Stack []byte // of a PanicError: its stack, at most 16 KiB; otherwise nil
}

// Error returns the text.
func (e *CapturedError) Error() string { return e.Text }

// The bounds of a CapturedError. The caller waits for its answer while the error's Error method runs.
const (
	maxErrorText  = 4 << 10
	maxErrorStack = 16 << 10
	errorTextTime = 100 * time.Millisecond
)

// keepError returns what the ring keeps of an error. The error's methods are foreign code.
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

// isPanic returns the PanicError of the call itself. It does not look inside an error that
// the handler has returned, which may wrap the panic of another call.
func isPanic(err error) (*PanicError, bool) {
	if own, ok := err.(*Error); ok { //nolint:errorlint // the router made it, and nothing wraps it
		err = own.Err
	}
	p, ok := err.(*PanicError) //nolint:errorlint // as above
	return p, ok
}

// copyInput replaces c.Input by the copy that the ring keeps.
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

// Get returns a copy of the newest entry of the invocation with that ID. It returns false if
// the ring has none, or has none any more.
func (r *Ring) Get(id uuid.UUID) (Captured, bool) {
	for c := range r.All() {
		if c.ID == id {
			return c, true
		}
	}
	return Captured{}, false
}

// All returns the entries that the ring holds when the iteration begins, the newest first.
// Each is a copy; only Labels are shared, as in every [Execution].
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

// Len returns how many entries the ring holds, those without an input included.
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
