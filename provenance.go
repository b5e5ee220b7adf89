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

// provenance is a context's description of where its calls come from. It does not change once
// a context has it, so that calls and contexts share it. A nil provenance describes nothing.
type provenance struct {
	origin Origin
	fault  error    // why calls with this provenance are refused; nil: they are not
	badID  bool     // the RequestID was not valid: each call uses its own ID instead
	heir   bool     // this provenance was made by inherit: it has only what nested calls inherit
	tail   *LogTail // see WithLogTail; nil: there is none

	job      uuid.UUID
	delivery int
	attempt  int         // 0: the first attempt
	items    int         // the size of the batch; 0: the input is not a batch
	slip     jobDelivery // the delivery that the call belongs to; nil: the call belongs to no job
}

// own returns a copy, which the caller may change.
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

// isSound reports whether a call with this provenance can take the fast path in start. Deliveries
// of jobs take the slow path.
func (f *provenance) isSound() bool { return f == nil || f.fault == nil && !f.badID && f.slip == nil }

// delivers returns the delivery of a job that the call belongs to, or nil.
func (f *provenance) delivers() jobDelivery {
	if f == nil {
		return nil
	}
	return f.slip
}

// named returns the provenance of the call with that ID: it puts the ID in place of an invalid RequestID.
func (f *provenance) named(id uuid.UUID) *provenance {
	if f == nil || !f.badID {
		return f
	}
	own := f.own()
	own.origin.RequestID, own.badID = id.String(), false
	return own
}

// shorten returns how long a handler may run if its function has the given timeout: Origin.Timeout, if
// that is shorter.
func (f *provenance) shorten(timeout time.Duration) time.Duration {
	if f == nil || f.origin.Timeout == 0 {
		return timeout
	}
	return min(f.origin.Timeout, timeout)
}

// ids returns the attributes of log lines about the call with that ID: the ID and, if there is
// one, the RequestID.
func (f *provenance) ids(id uuid.UUID) []any {
	if f == nil || f.origin.RequestID == "" {
		return []any{"id", id}
	}
	return []any{"id", id, "request", f.origin.RequestID}
}

// add adds the fields of o to the origin; fields of o that are empty change nothing. If o is
// invalid, only the error is stored, as the fault, so that no text of o reaches a log.
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

// check returns the error with which calls of that origin are refused, or nil.
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

// isRequestID reports whether a request id can stand in records, logs and headers.
func isRequestID(id string) bool {
	return len(id) <= maxRequestID && (isPlain(id) || utf8.ValidString(id) && !strings.ContainsFunc(id, func(c rune) bool { return !unicode.IsPrint(c) }))
}

// isPlain reports whether a text is printable ASCII, as nearly all names and ids are. This check
// takes a fraction of the time of package unicode's, which each call would pay otherwise.
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

// isTenant reports whether a tenant name can stand in records, logs and headers: it is not
// too long, and has no control characters. The empty name is valid.
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

// badTenant returns the error for a name that isTenant refuses. The error does not contain a long name.
func badTenant(name string) error {
	if len(name) > maxTenant {
		return fmt.Errorf("%w: a tenant name of %d bytes, and at most %d are allowed", ErrInput, len(name), maxTenant)
	}
	return fmt.Errorf("%w: the tenant name %q has control characters", ErrInput, name)
}
