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

// What the platform can answer, to be asked for with [errors.Is]. They arrive
// inside an [*Error], which says more. A handler's own error is none of these:
// it comes back untouched.
var (
	// ErrNotFound: no function of that name is registered (any more).
	ErrNotFound = errors.New("no such function")
	// ErrDuplicate: the name is taken; Remove the function first.
	ErrDuplicate = errors.New("function is already registered")
	// ErrName: not the name of a function, see [Register] for the rule.
	ErrName = errors.New("invalid function name")
	// ErrType: the function has other input or output types.
	ErrType = errors.New("function has other types")
	// ErrInput: a value handed to the platform can't be used: a payload that
	// does not decode, a nil context, an option out of range.
	ErrInput = errors.New("invalid input")
	// ErrTooLarge: a payload or an output is over the limit of [WithLimits].
	ErrTooLarge = errors.New("too large")
	// ErrOutput: the handler's output could not be encoded.
	ErrOutput = errors.New("invalid output")
	// ErrDenied: a gate said no, see [Gate].
	ErrDenied = errors.New("denied")
	// ErrOverloaded: no slot for the call: the queue is full, the wait took
	// too long, every slot is stuck with a handler that has long outlived its
	// call, or the function is switched off. Reason tells which.
	ErrOverloaded = errors.New("overloaded")
	// ErrDepth: nested calls go deeper than [WithMaxDepth].
	ErrDepth = errors.New("nested too deeply")
	// ErrCycle: the nested call would wait for one that waits for its own callers,
	// or for a slot that they have lent to another.
	ErrCycle = errors.New("nested call would wait for itself")
	// ErrTimeout: the function did not return within its timeout, which the text
	// of the answer tells. It is also a [context.DeadlineExceeded] to errors.Is.
	ErrTimeout error = timeoutError{}
	// ErrExited: the handler ended its goroutine with runtime.Goexit, as
	// t.FailNow does, instead of returning.
	ErrExited = errors.New("handler exited without returning")
	// ErrInit: an instance could not be initialized.
	ErrInit = errors.New("init failed")
	// ErrClosed: the router is shutting down or closed.
	ErrClosed = errors.New("router is closed")
)

// timeoutError knows which timeout has passed, unless it is ErrTimeout itself.
type timeoutError struct{ after time.Duration }

func (e timeoutError) Error() string {
	if e.after == 0 {
		return "function timed out"
	}
	return "function timed out after " + e.after.String() + "; see WithTimeout"
}

func (timeoutError) Timeout() bool { return true }

func (timeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded || target == ErrTimeout
}

// Reason says why a call was refused before its handler could run. [Info] and
// [Stats] count refusals by it. The set is open: a [Gate] may answer an *Error
// with a reason of its own.
type Reason string

// The reasons of the platform itself.
const (
	ReasonNotFound      Reason = "not_found"      // ErrNotFound
	ReasonName          Reason = "name"           // ErrName
	ReasonInput         Reason = "input"          // ErrInput
	ReasonTooLarge      Reason = "too_large"      // ErrTooLarge
	ReasonDenied        Reason = "denied"         // ErrDenied, or what the gate answered
	ReasonOverloaded    Reason = "overloaded"     // ErrOverloaded: the queue is full, or the call was displaced from it, see WithQueue
	ReasonRunaways      Reason = "runaways"       // ErrOverloaded: every slot is stuck with a handler that outlived its call, see WithStuck
	ReasonOff           Reason = "off"            // ErrOverloaded: the function is switched off, by a concurrency of 0
	ReasonMeterFull     Reason = "meter_full"     // ErrOverloaded: a meter has no room for the record, see Reserver
	ReasonQueueTimeout  Reason = "queue_timeout"  // ErrOverloaded: waited longer than WithQueueTimeout
	ReasonQueueCanceled Reason = "queue_canceled" // the caller's context ended first, or panicked; Err Is context.Canceled or DeadlineExceeded, and wraps the cause
	ReasonInit          Reason = "init"           // ErrInit: no instance, and the last try to make one has just failed
	ReasonDepth         Reason = "depth"          // ErrDepth
	ReasonCycle         Reason = "cycle"          // ErrCycle
	ReasonClosed        Reason = "closed"         // ErrClosed
)

// Error is what the platform answers; [errors.As] finds it. Its text quotes
// what came from outside and is safe to log. How the call ended stands in Kind
// and Outcome; [EndOf] reads them, and tells this error from one that a handler
// got from a function it called.
type Error struct {
	Op         string        // what was being done: "invoke", "register", "shutdown", …
	Function   string        // the name asked for; empty if it is not about one function
	ID         uuid.UUID     // of the invocation, if it got as far as having one
	Kind       Kind          // what class of refusal it is; KindNone if the call was not refused
	Reason     Reason        // why the call was refused; empty if it was admitted
	Outcome    Outcome       // how the call ended, if it was admitted; OK otherwise
	RetryAfter time.Duration // when another try may succeed; 0: not known
	Err        error         // one of the sentinels above, a *PanicError, or what wraps them

	handedOn uint32 //nolint:modernize // by a handler, as its own error; atomic, since errors are shared, and no atomic.Uint32, since users may copy an Error
}

// Error describes the error on one line.
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

// PanicError is a panic of a handler, a middleware or a decoder that was
// stopped at the platform's border and became an answer.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine, from the call of panic down; not for the public
}

// Error tells the value: basic kinds are formatted, an error or Stringer is
// asked for its text (and a panic in it caught), anything else is named by its
// type. An Error method that blocks, blocks here; the platform itself never
// calls it.
func (e *PanicError) Error() string { return "panic: " + foreign.Text(e.Value) }

// Unwrap returns the value if it is an error, such as a [runtime.Error].
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// mistake is an error of set-up or management: a sentinel with the cure.
func usageError(op, function string, sentinel error, format string, args ...any) *Error {
	return &Error{Op: op, Function: function, Err: fmt.Errorf("%w: "+format, append([]any{sentinel}, args...)...)}
}

// causedError is a sentinel with a cause that foreign code made. The cause is
// asked for its text only when the error is read. It is used by pointer: a struct
// of two interfaces would be comparable by its type and panic when compared, if
// the cause is, say, a slice; errors.Is compares.
type causedError struct{ sentinel, cause error }

func wrapCause(sentinel, cause error) error { return &causedError{sentinel, cause} }

func (e *causedError) Error() string   { return e.sentinel.Error() + ": " + foreign.Text(e.cause) }
func (e *causedError) Unwrap() []error { return []error{e.sentinel, e.cause} }

func tooLarge(what string, n, limit int) error {
	return fmt.Errorf("%w: %s of %d bytes, and WithLimits allows %d", ErrTooLarge, what, n, limit)
}

// stack is the goroutine's stack from the call of panic down: what stands
// above it is the recovery, and tells nothing.
func stack() []byte {
	all := debug.Stack()
	head, rest, ok := bytes.Cut(all, []byte("\n"))
	_, frames, found := bytes.Cut(rest, []byte("\npanic("))
	if !ok || !found {
		return all
	}
	return slices.Concat(head, []byte("\npanic("), frames)
}

// Kind is the class of a reason of the platform, and KindNone for one that a
// [Gate] has made up: there the *Error says it.
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

// clipName keeps an error from growing with what was asked for.
func clipName(name string) string {
	if len(name) > 64 {
		return name[:64] + "…"
	}
	return name
}

// Refusal is a call that was turned away before its handler could run, as
// [WithRefusals] tells of it. Such a call has no [Execution].
type Refusal struct {
	// Invocation is the call as far as it was known: ID is zero if it was
	// refused before it had one, and for a name that is not registered there is
	// the name alone.
	Invocation

	Kind       Kind
	Reason     Reason
	RetryAfter time.Duration // when another try may succeed; 0: not known
	Queued     time.Duration // how long the call waited for a slot before
	Err        error         // what the caller is answered, an *Error
}

var errNilContext = errors.New("the context is nil; use context.Background()")

// refusals counts by reason.
type refusals struct {
	mu       sync.Mutex
	total    uint64
	byReason map[Reason]uint64
}

func (c *refusals) add(why Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byReason == nil {
		c.byReason = map[Reason]uint64{}
	}
	c.byReason[why]++
	c.total++
}

func (c *refusals) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

func (c *refusals) snapshot() map[Reason]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.byReason)
}

func addCounts(to, from map[Reason]uint64) {
	for k, n := range from {
		to[k] += n
	}
}
