package faas

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/inproc/faas/internal/foreign"
)

// caller is the context that a call was made with. A context is foreign code: its methods
// may panic, block, call Goexit or contradict each other. So the router calls each method
// as few times as it can, on the caller's goroutine, with no lock held, and behind a recover.
// The scheduler uses the results that are kept here. This way a faulty context harms only the
// call that was made with it.
//
// A caller lives on the stack of the calling goroutine. A call whose handler runs there keeps a copy in its callExtra.
type caller struct {
	ctx      context.Context //nolint:containedctx // this type stands for it
	done     <-chan struct{} // the context's Done channel; nil: the context never ends
	deadline int64           // the context's deadline, on the router's clock; noDeadline: there is none; askDeadline sets it
	asked    bool            // askDeadline has been called
	watched  bool            // a watch wakes the worker's caller when the context ends (see parentWatch), so await need not wait for done
	from     *provenance     // what the context says about the origin of its calls; nil: nothing
	resolved *Resolution     // to which the call's function and version are written, see WithResolution; nil: nothing
	direct   *direct         // for a call of InvokeFunc; nil for any other call
}

// direct holds the answer to a caller of InvokeFunc. One of two goroutines gives the answer:
// the caller's own goroutine, which runs the handler, or the goroutine that settles the call
// before the handler has returned.
//
// The goroutine that settles the call writes err, over and given. The caller's goroutine reads
// them when it has settled the call itself, or has received from worker.wake.
type direct struct {
	answer answerer // calls the func that the caller of InvokeFunc gave
	given  bool     // a watchdog goroutine calls answer.late, or has called it
	err    error    // of the settled or refused call; nil: the call succeeded, or is not over
	over   bool     // the call is settled
}

// answerer gives a task's answer to the caller of InvokeFunc.
type answerer interface {
	late(err error) // answers from another goroutine, while the handler may still run
}

// settled stores how the call has ended.
func (d *direct) settled(err error) {
	d.over = true
	if err != nil {
		d.err = err
	}
}

// noDeadline is a deadline that never comes.
const noDeadline = math.MaxInt64

// tardiness is how long the router still waits, after the caller's deadline, for the
// caller's context to end by itself. It waits because only the context has the cause. The
// Done channel of some third-party contexts stays open for longer; then the router
// ends the call.
const tardiness = 5 * time.Millisecond

// askDeadline calls ctx.Deadline, at most once. It does not recover: Deadline may panic
// or call Goexit, and the caller of askDeadline must be prepared for both.
func (q *caller) askDeadline(clock *clock) {
	if q.asked {
		return
	}
	q.deadline, q.asked = noDeadline, true
	if t, ok := q.ctx.Deadline(); ok {
		q.deadline = clock.reading(t)
	}
}

// limits is askDeadline with a recover. It returns an error if ctx panicked.
func (q *caller) limits(clock *clock) (broken error) {
	asked := false
	defer func() {
		if !asked {
			broken = contextPanicked(recover())
		}
	}()
	q.askDeadline(clock)
	asked = true
	return nil
}

// contextPanicked returns the error for a caller's context that panicked with p. It is not a
// [PanicError], which would say that the handler panicked.
func contextPanicked(p any) error {
	return wrapCause(context.Canceled, fmt.Errorf("the caller's context panicked: %s", foreign.Plain(p)))
}

// mustWatch reports whether the caller has to wait for its context's Done while it waits for its worker.
func (q *caller) mustWatch() bool { return q.done != nil && !q.watched }

// isDone reports whether Done is closed. It calls no method of the context.
func (q *caller) isDone() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// hasEnded reports whether the caller's context has ended. It also calls ctx.Err, since no
// goroutine waits for the Done of an inline call. A context that panics counts as ended.
func (q *caller) hasEnded() (over bool) {
	if q.isDone() {
		return true
	}
	defer func() {
		if recover() != nil {
			over = true
		}
	}()
	return q.ctx.Err() != nil
}

// alarm returns when the router ends the call, or the wait for a slot, because of the caller's deadline.
func (q *caller) alarm() int64 {
	if q.isTrusted() {
		return q.deadline + int64(tardiness)
	}
	return q.deadline
}

// isTrusted reports whether the context has both a deadline and a Done channel. Then the router
// waits for a short time after the deadline, so that the context can end by itself, see tardiness.
func (q *caller) isTrusted() bool { return q.done != nil && q.deadline < noDeadline-int64(tardiness) }

// bell returns a channel that receives a value at the alarm, and a func that stops its timer.
// Without a deadline the channel is nil.
func (q *caller) bell(clock *clock) (ring <-chan time.Time, stop func() bool) {
	if q.deadline == noDeadline {
		return nil, func() bool { return false }
	}
	t := time.NewTimer(time.Duration(q.alarm() - clock.now()))
	return t.C, t.Stop
}

// end returns why the caller's context has ended: [context.Canceled] or
// [context.DeadlineExceeded], joined with the context's cause if that is another error. The
// result is never nil: if Done is closed and Err returns nil, against the rules of contexts, it
// is context.Canceled.
//
// Err, Value and the methods of the errors that they return are foreign code. So the caller of
// end may hold no lock, and must defer what has to be done even after a Goexit.
func (q *caller) end() (end error) {
	answered := false
	defer func() {
		if !answered {
			end = contextPanicked(recover())
		}
	}()
	end = endOf(q.ctx)
	if end == nil {
		end = context.Canceled
		if !q.isDone() && q.asked && q.deadline != noDeadline {
			end = context.DeadlineExceeded
		}
	}
	answered = true
	return end
}

// contextEnd does what end does, for a context that is not a call's, for example Shutdown's. Its Done
// channel must be closed.
func contextEnd(ctx context.Context) error {
	q := caller{ctx: ctx}
	return q.end()
}

// endOf is end without a recover. It returns nil if ctx.Err returns nil.
func endOf(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	end := context.Canceled
	if errors.Is(err, context.DeadlineExceeded) {
		end = context.DeadlineExceeded
	}
	cause := context.Cause(ctx)
	if cause == nil { // a second call of Err returned nil
		cause = err
	}
	if cause == end { //nolint:errorlint // a cause that wraps end is more than end
		return end
	}
	return wrapCause(end, cause)
}

// callerView is the context that view makes of a caller, for hooks. Each of its methods recovers a
// panic of the caller's context.
type callerView caller

func (v *callerView) Done() <-chan struct{} { return v.done }

func (v *callerView) Deadline() (t time.Time, ok bool) {
	defer func() {
		if recover() != nil {
			t, ok = time.Time{}, false
		}
	}()
	return v.ctx.Deadline()
}

// Err returns an error once Done is closed, even if the Err of the caller's context returns nil.
func (v *callerView) Err() (err error) {
	defer func() {
		if recover() != nil || err == nil && (*caller)(v).isDone() {
			err = context.Canceled
		}
	}()
	return v.ctx.Err()
}

func (v *callerView) Value(key any) (value any) {
	defer func() {
		if recover() != nil {
			value = nil
		}
	}()
	return v.ctx.Value(key)
}

// doneOf returns ctx.Done(), or a closed channel if that panics.
func doneOf(ctx context.Context) (done <-chan struct{}) {
	defer func() {
		if recover() != nil {
			over := make(chan struct{})
			close(over)
			done = over
		}
	}()
	return ctx.Done()
}

// departure is a context that has only the caller's Done channel. It is for code that
// waits until the caller leaves and does not need the reason, for example admission. Its
// methods call no foreign code, so they may be called with a lock held.
type departure <-chan struct{}

func (departure) Deadline() (time.Time, bool) { return time.Time{}, false }
func (d departure) Done() <-chan struct{}     { return d }
func (departure) Value(any) any               { return nil }

func (d departure) Err() error {
	select {
	case <-d:
		return context.Canceled
	default:
		return nil
	}
}
