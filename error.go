package faas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/foreign"
)

// The errors of the platform, to be tested with [errors.Is]. They come wrapped in an
// [*Error], which says more. A handler's own error is returned unchanged and not
// wrapped.
var (
	// ErrNotFound: no function of that name is registered, or it was removed.
	ErrNotFound = errors.New("no such function")
	// ErrDuplicate: the name is taken; Remove the function first. From a [JobQueue]: there is
	// a job with the ID or the unique key.
	ErrDuplicate = errors.New("function is already registered")
	// ErrInUse: an alias names the version, so that it can't be removed.
	ErrInUse = errors.New("an alias names this version")
	// ErrStale: the alias has another revision than the one given to [IfRevision].
	ErrStale = errors.New("the alias has been changed")
	// ErrName: the name can't be the name of a function, see [Register] for the rule.
	ErrName = errors.New("invalid function name")
	// ErrType: the function is registered with other input or output types.
	ErrType = errors.New("function has other types")
	// ErrInput: a value given to the platform can't be used, for example a payload
	// that does not decode, a nil context, an option out of range.
	ErrInput = errors.New("invalid input")
	// ErrTooLarge: a payload or an output is larger than [WithLimits] allows.
	ErrTooLarge = errors.New("too large")
	// ErrOutput: the handler's output could not be encoded.
	ErrOutput = errors.New("invalid output")
	// ErrDenied: a gate refused the call, see [Gate].
	ErrDenied = errors.New("denied")
	// ErrOverloaded: there is no slot for the call. The queue is full, the wait took
	// too long, every slot is held by a stuck runaway, a meter has no room for the
	// record, or the function is switched off. Reason says which.
	ErrOverloaded = errors.New("overloaded")
	// ErrDepth: nested calls go deeper than [WithMaxDepth] allows.
	ErrDepth = errors.New("nested too deeply")
	// ErrCycle: a deadlock. The nested call would wait for a call that waits for this
	// call's own callers, or for a slot that they have lent to another call.
	ErrCycle = errors.New("nested call would wait for itself")
	// ErrTimeout: the function did not return within its timeout, or within the timeout of
	// the call's [Origin]. The error that a call returns has the length of that timeout in
	// its text, and its method After() time.Duration returns it. The error also Is
	// [context.DeadlineExceeded].
	ErrTimeout error = timeoutError{}
	// ErrExited: the handler ended its goroutine with runtime.Goexit, as
	// t.FailNow does, instead of returning.
	ErrExited = errors.New("handler exited without returning")
	// ErrInit: an instance could not be built, see [Init].
	ErrInit = errors.New("init failed")
	// ErrClosed: the router is shutting down or closed.
	ErrClosed = errors.New("router is closed")
)

// timeoutError is the error of a call that its timeout has ended. The field after is the
// length of that timeout. The zero value is ErrTimeout.
type timeoutError struct {
	after time.Duration
	cure  string // the option or the field that sets the timeout
}

func (e timeoutError) Error() string {
	if e.after == 0 {
		return "function timed out"
	}
	return "function timed out after " + e.after.String() + "; see " + e.cure
}

// After returns how long the timeout was.
func (e timeoutError) After() time.Duration { return e.after }

func (timeoutError) Timeout() bool { return true }

func (timeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded || target == ErrTimeout
}

// Reason says why a call was refused before its handler could run. [Info] and [Stats]
// count refusals by reason. The set is open: a [Gate] may return an *Error with a reason
// of its own. The zero value means that the call was not refused.
type Reason string

// The reasons of the platform itself.
const (
	ReasonNotFound      Reason = "not_found"      // ErrNotFound
	ReasonName          Reason = "name"           // ErrName
	ReasonInput         Reason = "input"          // ErrInput
	ReasonTooLarge      Reason = "too_large"      // ErrTooLarge
	ReasonDenied        Reason = "denied"         // ErrDenied, or the error that the gate returned
	ReasonOverloaded    Reason = "overloaded"     // ErrOverloaded: the queue is full, or another call has displaced this one from it, see WithQueue
	ReasonRunaways      Reason = "runaways"       // ErrOverloaded: every slot is held by a stuck runaway, see WithStuck
	ReasonOff           Reason = "off"            // ErrOverloaded: the function is switched off, by a concurrency of 0
	ReasonMeterFull     Reason = "meter_full"     // ErrOverloaded: a meter has no room for the record, see Reserver
	ReasonQueueTimeout  Reason = "queue_timeout"  // ErrOverloaded: the call waited longer than WithQueueTimeout
	ReasonQueueCanceled Reason = "queue_canceled" // the caller's context ended first, or panicked; Err Is context.Canceled or DeadlineExceeded, and the cause
	ReasonInit          Reason = "init"           // ErrInit: there is no instance, and the last attempt to build one has just failed
	ReasonDepth         Reason = "depth"          // ErrDepth
	ReasonCycle         Reason = "cycle"          // ErrCycle
	ReasonClosed        Reason = "closed"         // ErrClosed
)

// Error is the error of the platform; [errors.As] finds it. Its text quotes strings that
// came from outside, so it is safe to log. Kind and Outcome say how the call ended. To
// read them use [EndOf], which also finds out whether a handler got this error from a
// function that it called, and returned it as its own. Treat an Error as read-only:
// several goroutines may hold it.
type Error struct {
	Op         string        // the operation: "invoke", "register", "shutdown", …
	Function   string        // the name given; empty if the error is not about one function
	ID         uuid.UUID     // of the invocation; zero if the call had none yet
	Kind       Kind          // the class of the refusal; KindNone if the call was not refused
	Reason     Reason        // why the call was refused; empty if it was admitted
	Outcome    Outcome       // how the call ended, if it was admitted; OK otherwise
	RetryAfter time.Duration // when another attempt may succeed; 0: not known
	Err        error         // one of the sentinels above, a *PanicError, or an error that wraps one

	// handedOn is 1 once a handler has returned this error as its own. It is accessed
	// atomically: the handler's goroutine sets it while others may hold the error. It is
	// no atomic.Uint32, since users may copy an Error.
	handedOn uint32
}

// Error returns the text, in one line. If the Error method of a wrapped error
// panics, the text says so instead.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("faas: ")
	b.WriteString(e.Op)
	if e.Function != "" {
		fmt.Fprintf(&b, " %q", e.Function)
	}
	if e.Reason != "" && e.Reason != ReasonDenied {
		fmt.Fprintf(&b, " refused (%s)", e.Reason)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(foreign.Text(e.Err))
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// PanicError is the error for a panic of a handler, a middleware, a codec or a hook that
// the platform has recovered.
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // of the goroutine, from the call of panic down; don't show it to outsiders
}

// Error returns "panic: " and the value: basic kinds are formatted, an error or a
// Stringer gives its text (a panic in its method is caught), and anything else is
// named by its type. If the method of the value blocks, so does Error. The platform
// itself never calls Error.
func (e *PanicError) Error() string { return "panic: " + foreign.Text(e.Value) }

// Unwrap returns the value if it is an error, such as a [runtime.Error].
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// usageError returns an error of registration or management: the sentinel, and what
// the user must change.
func usageError(op, function string, sentinel error, format string, args ...any) *Error {
	return &Error{Op: op, Function: function, Err: fmt.Errorf("%w: "+format, append([]any{sentinel}, args...)...)}
}

// causedError joins a sentinel with a cause from foreign code. The cause's Error
// method runs only when the text of the error is read. It is used by pointer, because
// errors.Is compares errors: comparing the struct itself would panic if the cause is
// of a type that can't be compared, for example a slice.
type causedError struct{ sentinel, cause error }

// wrapCause returns an error that Is both sentinel and cause.
func wrapCause(sentinel, cause error) error { return &causedError{sentinel, cause} }

func (e *causedError) Error() string   { return e.sentinel.Error() + ": " + foreign.Text(e.cause) }
func (e *causedError) Unwrap() []error { return []error{e.sentinel, e.cause} }

// tooLarge returns ErrTooLarge with the two sizes in bytes.
func tooLarge(what string, n, limit int) error {
	return fmt.Errorf("%w: %s of %d bytes, and WithLimits allows %d", ErrTooLarge, what, n, limit)
}

// stack returns the goroutine's stack from the call of panic down. The frames above
// it are those of the recovery and of no use to the reader.
func stack() []byte {
	all := debug.Stack()
	head, rest, ok := bytes.Cut(all, []byte("\n"))
	_, frames, found := bytes.Cut(rest, []byte("\npanic("))
	if !ok || !found {
		return all
	}
	return slices.Concat(head, []byte("\npanic("), frames)
}

// Kind returns the class of one of the platform's reasons. For a reason that a [Gate]
// made up it returns KindNone: there the class is the Kind of the *Error.
func (why Reason) Kind() Kind {
	switch why {
	case ReasonNotFound, ReasonName:
		return KindNotFound
	case ReasonDenied:
		return KindDenied
	case ReasonInput:
		return KindInvalid
	case ReasonTooLarge:
		return KindTooLarge
	case ReasonOverloaded, ReasonRunaways, ReasonOff, ReasonQueueTimeout:
		return KindBusy
	case ReasonMeterFull, ReasonInit:
		return KindUnavailable
	case ReasonDepth, ReasonCycle:
		return KindNesting
	case ReasonClosed:
		return KindClosed
	case ReasonQueueCanceled:
		return KindCanceled
	}
	return KindNone
}

// End is how a call ended: it was refused, with a Kind, or admitted, with an Outcome.
// The zero value is a call that ended OK.
type End struct {
	Kind    Kind    // the class of the refusal; KindNone: the call was admitted
	Outcome Outcome // of an admitted call; OK if it was refused
	Err     *Error  // the platform's error about this call; nil for OK and Failed
}

// EndOf returns how a call ended, from the error that the call returned. All code that
// translates ends (front doors, retries, logs) should use it and switch over Kind and
// Outcome, which are closed sets.
//
//   - A nil error is OK.
//   - An error that the handler returned is Failed. That holds also for an [*Error] that
//     the handler got from a function that it called, even from the same function: the
//     refusal of a nested call is not the refusal of this call.
//   - Any other error is the platform's *Error about this call; the result has its Kind
//     and Outcome.
//
// function is the name that was called, with or without a qualifier. err must be the
// error that the call returned, not wrapped: an *Error inside another error counts as the
// handler's.
func EndOf(err error, function string) End {
	if err == nil {
		return End{}
	}
	e, ok := err.(*Error) //nolint:errorlint // inside another error, it is the handler's
	switch {
	case !ok || e == nil, !isSameFunction(e.Function, function), atomic.LoadUint32(&e.handedOn) != 0:
		return End{Outcome: Failed}
	case e.Kind != KindNone:
		return End{Kind: e.Kind, Err: e}
	case e.Outcome == OK: // not of a call: the handler used, say, Register, and returned its error
		return End{Outcome: Failed}
	}
	return End{Outcome: e.Outcome, Err: e}
}

// isSameFunction reports whether an error about the name inError can be that of a call of
// the name called. Each of the two may be written with or without a qualifier.
func isSameFunction(inError, called string) bool {
	if inError == clipName(called) {
		return true
	}
	inError, _, _ = strings.Cut(inError, ":")
	called, _, _ = strings.Cut(called, ":")
	return inError == called
}

// handOn marks an error that a handler returned. The platform may have answered it
// to a nested call, even one of the same function, and EndOf must not take it for
// the platform's answer to the outer call.
func handOn(err error) {
	if e, ok := err.(*Error); ok && e != nil { //nolint:errorlint // EndOf does not look inside other errors
		atomic.StoreUint32(&e.handedOn, 1)
	}
}

// clipName shortens a name, so that a huge one from outside does not fill an error.
func clipName(name string) string {
	if len(name) > 64 {
		return name[:64] + "…"
	}
	return name
}

// Refusal describes a call that was refused before its handler could run. The func of
// [WithRefusals] gets it. Such a call has no [Execution]. If Job is set, a delivery of
// that job was refused: no caller was turned away, and the job is delivered again later,
// or is dead.
type Refusal struct {
	// Invocation is what was known about the call: ID is zero if it was refused
	// before it had one, and for a name that is not registered only Function is set.
	Invocation

	Kind       Kind          // never KindNone
	Reason     Reason        // never empty
	RetryAfter time.Duration // when another attempt may succeed; 0: not known
	Queued     time.Duration // how long the call had waited for a slot
	Err        error         // the caller's error, an *Error
}

var errNilContext = errors.New("the context is nil; use context.Background()")

// refusals counts refused calls by reason, with deliveries of jobs apart from other
// calls. The zero value is ready to use.
type refusals struct {
	mu    sync.Mutex     // guards what follows
	total uint64         // the sum of all counts in by
	by    *refusalCounts // nil: there are none
}

// refusalCounts are the numbers of refused calls that were no deliveries, and of refused
// deliveries of jobs, by reason.
type refusalCounts struct{ live, jobs map[Reason]uint64 }

func (c *refusals) add(why Reason, delivery bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = &refusalCounts{}
	}
	counts := &c.by.live
	if delivery {
		counts = &c.by.jobs
	}
	if *counts == nil {
		*counts = map[Reason]uint64{}
	}
	(*counts)[why]++
	c.total++
}

func (c *refusals) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// snapshot returns a copy.
func (c *refusals) snapshot() refusalCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		return refusalCounts{}
	}
	return c.by.clone()
}

func (c *refusalCounts) clone() refusalCounts {
	return refusalCounts{maps.Clone(c.live), maps.Clone(c.jobs)}
}

// add adds the counts of o.
func (c *refusalCounts) add(o refusalCounts) {
	c.live, c.jobs = addCounts(c.live, o.live), addCounts(c.jobs, o.jobs)
}

// addCounts adds the counts of from to those of to, and returns to. If to is nil and from
// is not empty, it makes a new map.
func addCounts(to, from map[Reason]uint64) map[Reason]uint64 {
	if to == nil && len(from) > 0 {
		to = map[Reason]uint64{}
	}
	for k, n := range from {
		to[k] += n
	}
	return to
}
