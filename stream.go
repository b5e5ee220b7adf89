package faas

import (
	"context"
	"errors"
	"io"
	"reflect"
	"time"

	"github.com/google/uuid"
)

// StreamHandler is the code of a function that answers in pieces. The rules of
// [Handler] apply, except that the output is written to w instead of returned.
//
// Each Write to w is one piece. Write copies the piece and returns at once. So a
// caller that reads slowly delays neither the handler nor the release of its slot; what the
// caller has not read yet stays in memory. All pieces of a call together are limited by the
// output limit of [WithLimits]. A Write that would exceed the limit writes nothing
// and returns an error that Is [ErrTooLarge]; all later ones do the same. The call then
// settles as OutputInvalid, whatever the handler returns. After the end of the
// call Write returns the error of the handler's context, so that a handler that only
// writes stops at its deadline, too. An empty Write is not a piece.
//
// Several goroutines may use w at once. The handler may keep w: what it writes after
// the call never reaches the caller of another call.
type StreamHandler[In any] func(ctx context.Context, in In, w io.Writer) error

// RegisterStream is like [Register], for a handler that answers in pieces.
func RegisterStream[In any](r *Router, name string, h StreamHandler[In], opts ...FunctionOption) *StreamFunction[In] {
	f, err := TryRegisterStream(r, name, h, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// TryRegisterStream is like [TryRegister], for a handler that answers in pieces.
func TryRegisterStream[In any](r *Router, name string, h StreamHandler[In], opts ...FunctionOption) (*StreamFunction[In], error) {
	if r == nil || h == nil {
		return nil, usageError("register", name, ErrInput, "RegisterStream needs a router and a handler that are not nil")
	}
	core, err := r.newFunction(name, opts)
	if err != nil {
		return nil, err
	}
	f := &StreamFunction[In]{core: core, handler: h}
	core.stream = true
	if err := r.enter(core, f); err != nil {
		return nil, err
	}
	return f, nil
}

// StreamFunction is a handle for typed calls of a function that answers in pieces.
// It is bound to its registration, as a [Function] is, and its methods may be called
// concurrently.
//
// [Router.InvokeStream] calls such a function by name. [Router.Invoke] does too, and
// joins the pieces into one answer.
type StreamFunction[In any] struct {
	core    *function
	handler StreamHandler[In]
}

// Invoke calls the function and passes its pieces to w as they come: one Write for
// each piece, one after the other, on a goroutine that is not the handler's. It
// returns when the call has ended and w has received what was written. w is not used
// after that, even if the handler still writes.
//
// A nil error means that the handler returned nil and w has accepted all pieces.
// Otherwise the error is as with [Function.Invoke]. If the handler returned before the call
// ended, w has received all pieces that were written. If the call ended first (by timeout, by
// ctx or by [Router.Close]), w has received the pieces that were passed on until then. The
// caller gets its answer at the deadline, with one exception: Invoke waits for a Write of w
// that has begun, so a w that blocks delays the answer.
//
// If w returns an error, accepts less than the piece, or panics, the call is canceled,
// and the error Is [context.Canceled] and wraps w's error. The slot becomes free when
// the handler ends. The handler may already have ended when w fails, or when ctx ends, while
// the remaining pieces are passed on. Then Invoke returns that error, and the record stays as
// it was made.
//
// With [WithInline] the handler runs on the caller's goroutine; the pieces are still
// passed on by another one.
func (f *StreamFunction[In]) Invoke(ctx context.Context, in In, w io.Writer) error {
	t := f.task()
	t.in = in
	if f.core.copy {
		var own In
		data, err := copyValue(f.core.codec, &t.in, &own)
		if err != nil {
			return f.core.itself().turnAway(ctx, refusal(f.core.who.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, err)))
		}
		t.in, t.given = own, f.core.given(data)
	}
	return f.invoke(ctx, f.core.itself(), t, w)
}

func (f *StreamFunction[In]) types() (in, out reflect.Type) {
	return reflect.TypeFor[In](), reflect.TypeFor[[]byte]()
}

// InvokeStream calls a function by name with an encoded input, as [Router.Invoke]
// does, and writes its pieces to w as [StreamFunction.Invoke] does. A function that does
// not stream has one piece, its encoded output, which is written after the
// call has ended; an empty output is not written.
func (r *Router) InvokeStream(ctx context.Context, name string, payload []byte, w io.Writer) error {
	for {
		to, err := r.route(ctx, "invoke", name)
		if err != nil {
			return r.refuseUnknown(ctx, err)
		}
		if w == nil {
			return to.turnAway(ctx, refusal(to.fn.who.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, errNilWriter)))
		}
		if end := to.fn.handle.invokeStream(ctx, to, payload, w); end != errGone { //nolint:errorlint // target.invoke returns this very value
			return end
		}
	}
}

var errNilWriter = errors.New("the writer is nil; use io.Discard")

// invokeStream does the typed part of [Router.InvokeStream] for a function that does not
// stream.
func (f *Function[In, Out]) invokeStream(ctx context.Context, to target, payload []byte, w io.Writer) error {
	data, err := f.invokeBytes(ctx, to, payload)
	if err != nil || len(data) == 0 {
		return err
	}
	if err := writeAll(w, data); err != nil {
		return &Error{Op: "invoke", Function: f.core.who.name, Outcome: Canceled, Err: wrapCause(context.Canceled, err)}
	}
	return nil
}

// invokeStream does the typed part of [Router.InvokeStream].
func (f *StreamFunction[In]) invokeStream(ctx context.Context, to target, payload []byte, w io.Writer) error {
	t := f.task()
	if err := f.accept(payload, t); err != nil {
		return to.turnAway(ctx, err)
	}
	return f.invoke(ctx, to, t, w)
}

// invokeBytes does the typed part of [Router.Invoke]. There is no caller's writer, so
// the pieces stay in the buffer until the call has ended.
func (f *StreamFunction[In]) invokeBytes(ctx context.Context, to target, payload []byte) ([]byte, error) {
	t := f.task()
	if err := f.accept(payload, t); err != nil {
		return nil, to.turnAway(ctx, err)
	}
	if _, err := to.invoke(ctx, t); err != nil {
		t.out.seal(true)
		return nil, err
	}
	return t.out.takeAll(), nil
}

// invokeBytesFunc does the typed part of [Router.InvokeFunc]. Unlike for other functions, the
// handler runs on a worker's goroutine and the caller waits, as with invokeBytes.
func (f *StreamFunction[In]) invokeBytesFunc(ctx context.Context, to target, payload []byte, answer func([]byte, error)) (gone bool) {
	out, err := f.invokeBytes(ctx, to, payload)
	if err == errGone { //nolint:errorlint // target.invoke returns this very value
		return true
	}
	answer(out, err)
	return false
}

func (f *StreamFunction[In]) accept(payload []byte, t *streamTask[In]) *Error {
	t.size, t.given = len(payload), f.core.given(payload)
	return f.core.accept(payload, &t.in)
}

func (f *StreamFunction[In]) task() *streamTask[In] {
	if f.core.capture != nil {
		return &streamTask[In]{f: f, out: &streamWriter{limit: f.core.limitOut}}
	}
	t := &wholeStreamTask[In]{writer: streamWriter{limit: f.core.limitOut}}
	t.f, t.out = f, &t.writer
	return &t.streamTask
}

// invoke runs a call and returns when w has received its pieces.
func (f *StreamFunction[In]) invoke(ctx context.Context, to target, t *streamTask[In], w io.Writer) error {
	if w == nil {
		return to.turnAway(ctx, refusal(f.core.who.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, errNilWriter)))
	}
	if ctx == nil {
		_, err := to.invoke(nil, t) //nolint:staticcheck // invoke refuses and counts the call
		return err
	}
	t.out.to = w
	returned := false
	defer func() { // returned is false after a Goexit of an inline handler, or of a method of ctx
		if !returned {
			_ = t.out.finish(ctx, true)
		}
	}()
	reusable, err := to.invoke(ctx, t)
	writeErr := t.out.finish(ctx, !reusable) // not reusable: the call has ended before its handler, so drop the rest
	returned = true
	if writeErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return &Error{Op: "invoke", Function: f.core.who.name, ID: t.out.id, Outcome: Canceled, Err: writeErr}
	}
	return err
}

// streamTask is the typed part of a call that answers in pieces. It is not pooled, because
// the handler may keep the writer.
type streamTask[In any] struct {
	f     *StreamFunction[In]
	in    In
	size  int    // the payload's size in bytes
	given []byte // the encoded input, if a capture may have it, see function.given
	out   *streamWriter
}

// wholeStreamTask is a streamTask and its writer in one allocation. If the function has a
// capture, the two are allocated separately: the task keeps the input until the call is over,
// and a writer that the handler keeps must not keep the input in memory.
type wholeStreamTask[In any] struct {
	streamTask[In]
	writer streamWriter
}

// use is not called: stream functions have no init func.
func (t *streamTask[In]) use(any) {}

func (t *streamTask[In]) payload() int { return t.size }

func (t *streamTask[In]) input(c *Captured) { t.f.core.encodeInput(c, t.given, &t.in, new(In)) }

// run runs the handler. If the handler wrote more than the limit, run returns nil, and then
// output returns the error, as for an encoded output that is too large. This way the call
// settles as OutputInvalid.
func (t *streamTask[In]) run(ctx context.Context) error {
	t.out.open(ctx)
	handler, in := t.f.handler, t.in
	if t.f.core.capture == nil {
		var none In
		t.f, t.in = nil, none // t stays in memory as long as the handler keeps the writer; the input must not
	}
	err := handler(ctx, in, t.out)
	if _, _, tooMuch := t.out.written(); tooMuch != nil {
		err = nil
	}
	return err
}

func (t *streamTask[In]) output() (int, error) {
	t.out.seal(false)
	size, _, tooMuch := t.out.written()
	if tooMuch != nil {
		return size, wrapCause(ErrOutput, tooMuch)
	}
	return size, nil
}

// written ends the writing and returns the size, and the time of the first piece, for the record.
func (t *streamTask[In]) written() (size int, first time.Duration) {
	t.out.seal(false)
	size, first, _ = t.out.written()
	return size, first
}
