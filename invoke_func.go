package faas

import (
	"context"

	"github.com/google/uuid"
)

// InvokeFunc is [Function.Invoke] for a caller that takes its answer by a func. The handler
// runs on the calling goroutine. This saves the hand-over to another goroutine, which is about
// half of what a call costs. answer is called exactly once, with what Invoke would have returned:
//
//   - on the calling goroutine when the handler has returned, or when the call is refused;
//   - on another goroutine when the deadline passes before that, or the router is closed.
//
// So the answer comes in time even if the handler does not return. InvokeFunc itself returns
// when both the handler and answer have returned. A handler that continues after the answer is a
// runaway as any other (see WithRunaways), and it keeps the calling goroutine, too.
//
// Everything else is as with Invoke, except that no goroutine waits for the end of ctx. If ctx
// has ended before InvokeFunc is called, the call is refused. If ctx ends later, the handler's
// context ends with it, but only if the handler asks for that: by Done, Err, or a derived context.
// The call itself goes on until the handler returns, and then it is Canceled. If the handler has
// not returned at the deadline, answer is called at that moment, whether the handler has used its
// context or not: the call is TimedOut, even if ctx was canceled before, or it is Canceled if the
// deadline is that of ctx. If the handler calls runtime.Goexit, answer is called, and then the
// calling goroutine ends.
//
// If answer panics on the calling goroutine, InvokeFunc panics. If answer panics on the other
// goroutine, the panic is recovered and counted in Stats.HookPanics. On that goroutine answer
// should not block for long, because it is a timer's. The call is over when answer runs, so answer may
// call Shutdown or Close.
func (f *Function[In, Out]) InvokeFunc(ctx context.Context, in In, answer func(Out, error)) {
	if f.core != nil {
		f.invokeFunc(ctx, f.core.itself(), in, answer)
		return
	}
	for {
		to, unknown := f.alias.target(ctx)
		if unknown != nil {
			var none Out
			answer(none, f.alias.router.refuseUnknown(ctx, unknown))
			return
		}
		if own, _ := to.fn.handle.(*Function[In, Out]); !own.invokeFunc(ctx, to, in, answer) {
			return
		}
	}
}

// InvokeFunc is to [Router.Invoke] what [Function.InvokeFunc] is to [Function.Invoke]. As with
// Invoke, the handler of a streaming function runs on another goroutine; answer is then called
// on the calling goroutine.
func (r *Router) InvokeFunc(ctx context.Context, name string, payload []byte, answer func([]byte, error)) {
	for {
		to, err := r.route(ctx, "invoke", name)
		if err != nil {
			answer(nil, r.refuseUnknown(ctx, err))
			return
		}
		if !to.fn.handle.invokeBytesFunc(ctx, to, payload, answer) {
			return
		}
	}
}

// reply gives the answer of a call of InvokeFunc to one of two funcs: typed or bytes. A task makes
// its reply at its first such call, and uses it again for later ones.
type reply[In, Out any] struct {
	direct
	typed func(Out, error)
	bytes func([]byte, error)
}

// give calls the func with the output that the handler has left in t, or with err. If err is not
// nil, t is not used.
func (r *reply[In, Out]) give(t *typedTask[In, Out], err error) {
	var out Out
	switch {
	case r.bytes != nil && err != nil:
		r.bytes(nil, err)
	case r.bytes != nil:
		r.bytes(t.data, nil)
	case err != nil:
		r.typed(out, err)
	default:
		r.typed(t.out, nil)
	}
}

func (r *reply[In, Out]) late(err error) { r.give(nil, err) }

// direct returns the task's reply, set to answer by one of the two funcs. The other func is nil.
func (t *typedTask[In, Out]) direct(typed func(Out, error), bytes func([]byte, error)) *reply[In, Out] {
	r, ok := t.reply.(*reply[In, Out])
	if !ok {
		r = &reply[In, Out]{}
		r.answer, t.reply = r, r
	}
	if bytes != nil {
		r.bytes = bytes
	} else {
		r.typed = typed
	}
	return r
}

// clear forgets the call: the task keeps r, and with it the caller's func. As typedTask.clear it
// writes no pointer that is not set.
func (r *reply[In, Out]) clear() {
	r.given, r.over = false, false
	if r.err != nil {
		r.err = nil
	}
	if r.bytes != nil {
		r.bytes = nil
	} else {
		r.typed = nil
	}
}

// invokeFunc is InvokeFunc for one version. If gone is true, answer was not called, and the
// caller of invokeFunc has to look the name up again.
func (f *Function[In, Out]) invokeFunc(ctx context.Context, to target, in In, answer func(Out, error)) (gone bool) {
	t := f.task()
	return f.answerTo(ctx, to, t, t.direct(answer, nil), func() *Error {
		if f.core.copy {
			return t.copyIn(in)
		}
		t.in = in
		return nil
	})
}

func (f *Function[In, Out]) invokeBytesFunc(ctx context.Context, to target, payload []byte, answer func([]byte, error)) (gone bool) {
	t := f.task()
	return f.answerTo(ctx, to, t, t.direct(nil, answer), func() *Error {
		t.bytes, t.size = true, len(payload)
		return f.accept(payload, t)
	})
}

// answerTo makes one call, and answers it. The func accept puts the input into the task.
func (f *Function[In, Out]) answerTo(ctx context.Context, to target, t *typedTask[In, Out], r *reply[In, Out], accept func() *Error) (gone bool) {
	returned := false
	defer func() { // returned is false after a Goexit of a handler, a hook or a method of ctx
		if !returned && !r.given {
			r.give(t, to.endOf(&r.direct))
		}
	}()
	reusable, err := f.runDirect(ctx, to, t, &r.direct, accept)
	returned = true
	gone = err == errGone //nolint:errorlint // target.invoke returns this very value
	if !r.given && !gone {
		r.give(t, err)
	}
	if reusable {
		r.clear()
	}
	f.recycle(t, reusable)
	return gone
}

// runDirect is answerTo without calling answer.
func (f *Function[In, Out]) runDirect(ctx context.Context, to target, t *typedTask[In, Out], d *direct, accept func() *Error) (reusable bool, err error) {
	if bad := accept(); bad != nil {
		return true, to.turnAway(ctx, bad)
	}
	_, reusable, err = to.start(&caller{ctx: ctx, direct: d}, t, &t.near)
	return reusable, err
}

// endOf returns how a call has ended if its goroutine ends by Goexit before start has returned. The
// result is nil if the handler has returned, and a hook has called Goexit after that.
func (to target) endOf(d *direct) error {
	if d.over || d.err != nil {
		return d.err
	}
	return refusal(to.fn.who.name, uuid.Nil, ReasonDenied, ErrDenied)
}
