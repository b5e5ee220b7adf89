package faas

import (
	"context"

	"github.com/google/uuid"
)

// InvokeFunc is [Function.Invoke] for a caller that can be answered by a func. The handler
// runs on the calling goroutine, which saves the hand-over to another one, about half of
// what a call costs. answer is called exactly once, with what Invoke would have returned:
//
//   - on the calling goroutine when the handler has returned, or when the call is refused;
//   - on another goroutine when the deadline passes before that, or the router is closed.
//
// So the answer comes in time although the handler does not return. InvokeFunc itself
// returns when both the handler and answer have. A handler that goes on after the answer is a
// runaway as any other (see WithRunaways), and here it keeps also its caller's goroutine.
//
// All else is as with Invoke, except that no goroutine waits for the end of ctx. If ctx has ended
// before InvokeFunc is called, the call is refused. If ctx ends later, the handler's context ends
// with it as soon as the handler asks, by Done, Err, or a derived context. But the call goes on
// until the handler returns: then it is Canceled. If the handler has not returned at the
// deadline, whether it has asked or not, answer is called then: the call is TimedOut although ctx
// was canceled before, or Canceled if the deadline is that of ctx. A runtime.Goexit of the
// handler ends the calling goroutine, after answer was called.
//
// A panic of answer is a panic of InvokeFunc, or on the other goroutine it is caught and
// counted in Stats.HookPanics. There answer should not block for long: a timer calls it.
// The call is over by then: answer may call Shutdown or Close.
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

// InvokeFunc is to [Router.Invoke] what [Function.InvokeFunc] is to [Function.Invoke]. The
// handler of a stream runs on another goroutine, as with Invoke; then answer is called on
// the calling goroutine.
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

// reply is what a call of InvokeFunc answers: one of the two funcs. A task makes it at its
// first such call, and keeps it for the next ones.
type reply[In, Out any] struct {
	direct
	typed func(Out, error)
	bytes func([]byte, error)
}

// give answers with what the handler has left in t, or with err: then t is not used.
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

// direct returns the task's reply, which answers by one of the funcs.
func (t *typedTask[In, Out]) direct(typed func(Out, error), bytes func([]byte, error)) *reply[In, Out] {
	r, ok := t.reply.(*reply[In, Out])
	if !ok {
		r = &reply[In, Out]{}
		t.reply = r
	}
	r.typed, r.bytes, r.answer = typed, bytes, r
	return r
}

// invokeFunc is InvokeFunc of a version's handle. If gone is true there was no answer, and
// the name has to be looked up again.
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

// answerTo makes one call, whose input accept puts into the task, and answers it.
func (f *Function[In, Out]) answerTo(ctx context.Context, to target, t *typedTask[In, Out], r *reply[In, Out], accept func() *Error) (gone bool) {
	returned := false
	defer func() { // a handler, a hook or a method of ctx has called Goexit
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
		*r = reply[In, Out]{} // the task keeps it, and with it the caller's func
	}
	f.recycle(t, reusable)
	return gone
}

// runDirect is answerTo without the answer.
func (f *Function[In, Out]) runDirect(ctx context.Context, to target, t *typedTask[In, Out], d *direct, accept func() *Error) (reusable bool, err error) {
	if bad := accept(); bad != nil {
		return true, to.turnAway(ctx, bad)
	}
	_, reusable, err = to.start(ctx, &caller{direct: d}, t, &t.near)
	return reusable, err
}

// endOf is how a call has ended whose goroutine ends before start has returned. It is nil if
// the handler has returned, and a hook has called Goexit after that.
func (to target) endOf(d *direct) error {
	if d.over || d.err != nil {
		return d.err
	}
	return refusal(to.fn.who.name, uuid.Nil, ReasonDenied, ErrDenied)
}
