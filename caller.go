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
// may panic, block, call Goexit or contradict each other. So each is called once, behind
// a recover, on the caller's goroutine, with no lock held, and the scheduler uses the
// answers that are kept here. A bad context harms the call that was made with it, and no
// other call.
//
// It lives on the caller's stack. An inline call keeps a copy in its callExtra.
type caller struct {
	ctx      context.Context //nolint:containedctx // this type stands for it
	done     <-chan struct{} // nil: it never ends
	deadline int64           // on the router's clock; noDeadline: none; set by askDeadline
	asked    bool            // askDeadline has been called
	watched  bool            // the worker is told of its end, so that await need not wait for done
	from     *provenance     // what the context says of where its calls come from; nil: nothing
	direct   *direct         // of a call of InvokeFunc; nil: of any other
}

// direct is how the caller of InvokeFunc is answered: by its own goroutine, which runs the
// handler, or by the goroutine that settles the call before the handler has returned.
//
// The goroutine that settles the call writes err, and given. The caller's reads them when
// the call is over for it: it settled the call itself, or has received from worker.wake.
type direct struct {
	answer answerer // of the caller
	given  bool     // late was called
	err    error    // of the call that is settled, or refused; nil: it is neither, or a success
	over   bool     // it is settled
}

// answerer is a task's reply to its caller.
type answerer interface {
	late(err error) // answers from another goroutine, while the handler may still run
}

// settled notes how the call has ended.
func (d *direct) settled(err error) { d.err, d.over = err, true }

// noDeadline is a deadline that never comes.
const noDeadline = math.MaxInt64

// tardiness is how long after the caller's deadline the router still waits for the
// caller's context to end by itself, because only the context knows the cause. If its
// Done stays open for longer, as that of some contexts of other packages does, the
// router ends the call.
const tardiness = 5 * time.Millisecond

// askDeadline calls ctx.Deadline, at most once. It does not recover: Deadline may panic
// or call Goexit, and the caller of askDeadline has to expect both.
func (q *caller) askDeadline(clock *clock) {
	if q.asked {
		return
	}
	q.deadline, q.asked = noDeadline, true
	if t, ok := q.ctx.Deadline(); ok {
		q.deadline = clock.reading(t)
	}
}

// limits is askDeadline with a recover. Its error is that ctx panicked.
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

// mustWatch tells whether the caller has to watch its context while it waits for its worker.
func (q *caller) mustWatch() bool { return q.done != nil && !q.watched }

// isDone tells whether Done is closed. It calls no method of the context.
func (q *caller) isDone() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// hasEnded also calls ctx.Err, since an inline call has no goroutine that waits for Done.
// A context that panics counts as ended.
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

// alarm is when the router ends the call, or the wait, at the caller's deadline.
func (q *caller) alarm() int64 {
	if q.isTrusted() {
		return q.deadline + int64(tardiness)
	}
	return q.deadline
}

// isTrusted tells whether the router waits for a while after the deadline, so that the
// context can end by itself: it has a deadline and a Done channel.
func (q *caller) isTrusted() bool { return q.done != nil && q.deadline < noDeadline-int64(tardiness) }

// bell returns a channel that receives at the alarm, and what stops its timer. Without a
// deadline the channel is nil.
func (q *caller) bell(clock *clock) (ring <-chan time.Time, stop func() bool) {
	if q.deadline == noDeadline {
		return nil, func() bool { return false }
	}
	t := time.NewTimer(time.Duration(q.alarm() - clock.now()))
	return t.C, t.Stop
}

// end tells why the caller's context has ended: [context.Canceled] or
// [context.DeadlineExceeded], joined with the cause if that is another error. It is never
// nil: if Done is closed and Err is nil, against the rules of contexts, it is Canceled.
//
// Err, Value and the methods of the errors that they return are foreign code. So no lock
// may be held here, and what has to be done even after a Goexit has to be deferred.
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

// contextEnd is end for a context that is not a call's, for example Shutdown's. Its Done
// must be closed.
func contextEnd(ctx context.Context) error {
	q := caller{ctx: ctx}
	return q.end()
}

// endOf is end without a recover. It is nil if ctx.Err is nil.
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

// callerView is a caller as view returns it. Each method recovers.
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

// Err is not nil once Done is closed, whatever the caller's context says.
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

// doneOf is ctx.Done, or a closed channel if that panics.
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
// waits until the caller leaves and needs no reason, for example admission: none of its
// methods calls foreign code, so they may be called with a lock held.
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
