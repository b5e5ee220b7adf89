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
// [Handler] hold; the output is written to w instead of returned.
//
// Each Write to w is one piece. The piece is copied and Write returns at once: a
// caller that reads slowly holds neither the handler nor its slot, and what it has
// not read yet waits in memory. All pieces of a call together are bounded by the
// output limit of [WithLimits]. A Write that would exceed the limit writes nothing
// and returns an error that Is [ErrTooLarge], and so do all later ones; the call
// settles as OutputInvalid, whatever the handler then returns. After the end of the
// call Write returns the error of the handler's context, so that a handler that only
// writes stops at its deadline too. An empty Write is no piece.
//
// w may be used by several goroutines at once. It may be kept: what is written after
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
// joins the pieces to one answer.
type StreamFunction[In any] struct {
	core    *function
	handler StreamHandler[In]
}

// Invoke calls the function and passes its pieces to w as they come: one Write for
// each piece, one after the other, on a goroutine that is not the handler's. It
// returns when the call has ended and w has got what was written. w is not used
// after that, even if the handler still writes.
//
// A nil error means that the handler returned nil and w has taken all pieces.
// Otherwise the error is as with [Function.Invoke]. If the handler ended by itself, w
// has got all pieces that were written. If the call ended before its handler (by
// timeout, by ctx or by [Router.Close]), w has got those that were passed on until
// then. The caller has its answer at the deadline, except that Invoke waits for a
// Write of w that has begun: a w that blocks delays the answer.
//
// If w returns an error, takes less than the piece, or panics, the call is canceled,
// and the error Is [context.Canceled] and wraps w's error. The slot becomes free when
// the handler ends. If the handler has already ended, and w fails or ctx ends while the
// remaining pieces are passed on, Invoke returns that error and the record stays as
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
// does, and writes its pieces to w as [StreamFunction.Invoke] does. A function that is
// not a stream function has one piece, its encoded output, which is written after the
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

// invokeStream does the typed part of [Router.InvokeStream] for a function with one
// answer.
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

// invokeBytesFunc hands the handler over, as invokeBytes does: a stream has a goroutine that
// sends, and another that writes.
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

// invoke runs a call and returns when w has got its pieces.
func (f *StreamFunction[In]) invoke(ctx context.Context, to target, t *streamTask[In], w io.Writer) error {
	if w == nil {
		return to.turnAway(ctx, refusal(f.core.who.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, errNilWriter)))
	}
	if ctx == nil {
		_, err := to.invoke(nil, t) //nolint:staticcheck // refused there, and counted
		return err
	}
	t.out.to = w
	returned := false
	defer func() { // a Goexit in an inline handler, or in a method of ctx, ends this goroutine
		if !returned {
			_ = t.out.finish(ctx, true)
		}
	}()
	reusable, err := to.invoke(ctx, t)
	writeErr := t.out.finish(ctx, !reusable) // not reusable: the call has ended before its handler
	returned = true
	if writeErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return &Error{Op: "invoke", Function: f.core.who.name, ID: t.out.id, Outcome: Canceled, Err: writeErr}
	}
	return err
}

// streamTask is the typed part of a call that answers in pieces. It is not pooled, since
// the handler may keep the writer.
type streamTask[In any] struct {
	f     *StreamFunction[In]
	in    In
	size  int    // of the payload, bytes
	given []byte // the encoded input, if a capture may have it, see function.given
	out   *streamWriter
}

// wholeStreamTask is a streamTask and its writer in one allocation. A function with a
// capture has them apart: its task needs the input until the call is over, and a writer
// that the handler keeps must not keep the input.
type wholeStreamTask[In any] struct {
	streamTask[In]
	writer streamWriter
}

// use is not called: stream functions have no init func.
func (t *streamTask[In]) use(any) {}

func (t *streamTask[In]) payload() int { return t.size }

func (t *streamTask[In]) input(c *Captured) { t.f.core.encodeInput(c, t.given, &t.in, new(In)) }

// run runs the handler. If the handler wrote more than the limit, run returns nil and
// output returns the error, as for an encoded output that is too large: so the call
// settles as OutputInvalid.
func (t *streamTask[In]) run(ctx context.Context) error {
	t.out.open(ctx)
	handler, in := t.f.handler, t.in
	if t.f.core.capture == nil {
		var none In
		t.f, t.in = nil, none // t lives as long as the handler keeps the writer; the input must not
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

// written ends the writing and returns how much was written, for the record.
func (t *streamTask[In]) written() (size int, first time.Duration) {
	t.out.seal(false)
	size, first, _ = t.out.written()
	return size, first
}
