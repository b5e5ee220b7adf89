package faas

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// provenance is what a context says of where its calls come from. It is constant once a
// context has it, so that calls and contexts share it. A nil one says nothing.
type provenance struct {
	origin Origin
	fault  error    // why calls with it are refused; nil: they are not
	badID  bool     // the RequestID was not valid: each call takes its own ID for it
	heir   bool     // it has only what nested calls inherit
	tail   *LogTail // of WithLogTail; nil: there is none

	job      uuid.UUID
	delivery int
	attempt  int         // 0: the first
	items    int         // of the batch; 0: it is none
	slip     jobDelivery // of which it is the call; nil: of none

	resolved *Resolution // where the call writes what it was given to; nil: nowhere
}

// own returns a copy, to be changed.
func (f *provenance) own() *provenance {
	if f == nil {
		return &provenance{}
	}
	own := *f
	own.heir = false
	return &own
}

// inherit returns the provenance of nested calls.
func (f *provenance) inherit() *provenance {
	switch {
	case f == nil || f.heir:
		return f
	case f.origin.RequestID == "" && f.origin.Key == "" && f.tail == nil:
		return nil
	}
	return &provenance{origin: Origin{RequestID: f.origin.RequestID, Key: f.origin.Key}, tail: f.tail, heir: true}
}

// isSound tells whether a call can go on with it as it is, by the short way. Deliveries of
// jobs take the other.
func (f *provenance) isSound() bool { return f == nil || f.fault == nil && !f.badID && f.slip == nil }

// delivers returns the delivery of a job whose call it belongs to, or nil.
func (f *provenance) delivers() jobDelivery {
	if f == nil {
		return nil
	}
	return f.slip
}

// named returns the provenance of the call with that ID.
func (f *provenance) named(id uuid.UUID) *provenance {
	if f == nil || !f.badID {
		return f
	}
	own := f.own()
	own.origin.RequestID, own.badID = id.String(), false
	return own
}

// shorten returns how long a handler may run if its function has that timeout.
func (f *provenance) shorten(timeout time.Duration) time.Duration {
	if f == nil || f.origin.Timeout == 0 {
		return timeout
	}
	return min(f.origin.Timeout, timeout)
}

// ids are what log lines about the call with that ID have: it and, if there is one, the
// RequestID.
func (f *provenance) ids(id uuid.UUID) []any {
	if f == nil || f.origin.RequestID == "" {
		return []any{"id", id}
	}
	return []any{"id", id, "request", f.origin.RequestID}
}

// add puts o over what is there. An o that can't be used is only noted as the fault, so
// that no text of it reaches a log.
func (f *provenance) add(o Origin) {
	if err := o.check(); err != nil {
		f.fault = err
		return
	}
	was := &f.origin
	was.Trigger, was.Door, was.Key = cmp.Or(o.Trigger, was.Trigger), cmp.Or(o.Door, was.Door), cmp.Or(o.Key, was.Key)
	if was.Timeout == 0 || o.Timeout != 0 && o.Timeout < was.Timeout {
		was.Timeout = o.Timeout
	}
	if o.ReplayOf != uuid.Nil {
		was.ReplayOf = o.ReplayOf
	}
	if o.RequestID != "" {
		was.RequestID, f.badID = o.RequestID, false
		if !isRequestID(o.RequestID) {
			was.RequestID, f.badID = "", true
		}
	}
}

// check returns why calls with that origin are refused.
func (o *Origin) check() error {
	if o.Timeout < 0 {
		return fmt.Errorf("%w: an Origin.Timeout of %v; it can't be negative, and 0 leaves the function's timeout", ErrInput, o.Timeout)
	}
	for _, f := range []struct{ name, value string }{{"Trigger", o.Trigger}, {"Door", o.Door}, {"Key", o.Key}} {
		if !isTenant(f.value) {
			return fmt.Errorf("%w: an Origin.%s of %d bytes; it is at most %d bytes, without control characters", ErrInput, f.name, len(f.value), maxTenant)
		}
	}
	return nil
}

// maxRequestID is the length of the longest request id, in bytes.
const maxRequestID = 128

// isRequestID tells whether a request id can stand in records, logs and headers.
func isRequestID(id string) bool {
	return len(id) <= maxRequestID && (isPlain(id) || utf8.ValidString(id) && !strings.ContainsFunc(id, func(c rune) bool { return !unicode.IsPrint(c) }))
}

// isPlain tells whether a text is printable ASCII, as nearly all names and ids are: that takes a
// fraction of the time that asking package unicode does, which each call would pay.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// maxTenant is the length of the longest tenant name, in bytes.
const maxTenant = 256

// isTenant tells whether a tenant name can stand in records, logs and headers: it is not
// too long, and has no control characters. The empty name is one.
func isTenant(name string) bool {
	if len(name) > maxTenant {
		return false
	}
	if isPlain(name) {
		return true
	}
	for _, c := range name {
		if unicode.IsControl(c) {
			return false
		}
	}
	return true
}

// badTenant is the error for a name that isTenant refuses. It does not show a long name.
func badTenant(name string) error {
	if len(name) > maxTenant {
		return fmt.Errorf("%w: a tenant name of %d bytes, and at most %d are allowed", ErrInput, len(name), maxTenant)
	}
	return fmt.Errorf("%w: the tenant name %q has control characters", ErrInput, name)
}
