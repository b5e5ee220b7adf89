package faas

import (
	"context"
	"errors"
	"io"
	"reflect"
	"time"

	"github.com/google/uuid"
)

// StreamHandler is the code of a function that answers piece by piece. It is
// under the rules of [Handler]; what it has to say goes to w instead of into a
// returned value.
//
// Each Write to w is one piece. It is copied and returns at once: a caller that
// reads slowly holds neither the handler nor its slot, and what it has not read
// yet waits in memory. The pieces of a call together are bounded by the output
// limit of [WithLimits]: a Write that would pass it, and each one after it,
// writes nothing and answers [ErrTooLarge], and the call settles as
// OutputInvalid whatever the handler then returns. After the end of the call
// Write answers the error of the handler's context, so that a handler that does
// nothing but write heeds its deadline all the same. An empty Write is no piece.
//
// w may be used by several goroutines at once, and kept: it never reaches the
// caller of another call.
type StreamHandler[In any] func(ctx context.Context, in In, w io.Writer) error

// RegisterStream is [Register] for a handler that answers piece by piece.
func RegisterStream[In any](r *Router, name string, h StreamHandler[In], opts ...FunctionOption) *StreamFunction[In] {
	f, err := TryRegisterStream(r, name, h, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// TryRegisterStream is [TryRegister] for a handler that answers piece by piece.
func TryRegisterStream[In any](r *Router, name string, h StreamHandler[In], opts ...FunctionOption) (*StreamFunction[In], error) {
	if r == nil || h == nil {
		return nil, usageError("register", name, ErrInput, "RegisterStream needs a router and a handler, neither may be nil")
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

// StreamFunction is a handle for typed calls of a function that answers piece
// by piece. It is bound to its registration, as a [Function] is, and its
// methods may be called concurrently.
//
// By name it is called with [Router.InvokeStream], or with [Router.Invoke],
// which gathers the pieces into one answer.
type StreamFunction[In any] struct {
	core    *function
	handler StreamHandler[In]
}

// Invoke calls the function and hands its pieces to w as they come, each by one
// Write, one after the other, on a goroutine that is not the handler's. It
// returns when the call is over and what was written is handed over; w is not
// used after that, whatever the handler does.
//
// A nil error means that the handler has returned one and that w has taken all
// pieces. Otherwise the error is as with [Function.Invoke], and w has taken
// those that came before: all that were written if the handler ended by itself,
// or, if its call was ended for it (by its timeout, ctx or [Router.Close]), those
// that were handed over by then. The caller is freed at the deadline, but a
// Write of w that is under way is waited for: how long it blocks is w's affair.
//
// If w fails, answers that it took less, or panics, the call is canceled and
// the error Is [context.Canceled] and wraps what w answered. The slot is free,
// and the record made, once the handler has ended; a w that fails, or a ctx that
// ends, while the rest is handed over makes Invoke answer that error, and the
// record stands.
//
// With [WithInline] the handler runs on the caller's goroutine, and the pieces
// are handed over by another one all the same.
func (f *StreamFunction[In]) Invoke(ctx context.Context, in In, w io.Writer) error {
	t := f.task()
	t.in = in
	if f.core.copy {
		var own In
		if err := copyValue(f.core.codec, &t.in, &own); err != nil {
			return f.core.turnAway(ctx, refusal(f.core.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, err)))
		}
		t.in = own
	}
	return f.invoke(ctx, t, w)
}

func (f *StreamFunction[In]) types() (in, out reflect.Type) {
	return reflect.TypeFor[In](), reflect.TypeFor[[]byte]()
}

// InvokeStream calls a function by name with an encoded input, as
// [Router.Invoke] does, and hands its answer to w piece by piece, under the
// rules of [StreamFunction.Invoke]. A function that does not stream has one
// piece, its encoded output, which is written once the call is settled.
func (r *Router) InvokeStream(ctx context.Context, name string, payload []byte, w io.Writer) error {
	fn, err := r.find("invoke", name)
	if err != nil {
		return r.refuseUnknown(ctx, err)
	}
	if w == nil {
		return fn.turnAway(ctx, refusal(name, uuid.Nil, ReasonInput, wrapCause(ErrInput, errNilWriter)))
	}
	return fn.handle.invokeStream(ctx, payload, w)
}

var errNilWriter = errors.New("the writer is nil; use io.Discard")

// invokeStream is the far side of [Router.InvokeStream] for one answer.
func (f *Function[In, Out]) invokeStream(ctx context.Context, payload []byte, w io.Writer) error {
	data, err := f.invokeBytes(ctx, payload)
	if err != nil || len(data) == 0 {
		return err
	}
	if err := writeAll(w, data); err != nil {
		return &Error{Op: "invoke", Function: f.core.name, Outcome: Canceled, Err: wrapCause(context.Canceled, err)}
	}
	return nil
}

// invokeStream is the far side of [Router.InvokeStream].
func (f *StreamFunction[In]) invokeStream(ctx context.Context, payload []byte, w io.Writer) error {
	t := f.task()
	if err := f.accept(payload, t); err != nil {
		return f.core.turnAway(ctx, err)
	}
	return f.invoke(ctx, t, w)
}

// invokeBytes is the far side of [Router.Invoke]: nobody hands the pieces over,
// so they gather.
func (f *StreamFunction[In]) invokeBytes(ctx context.Context, payload []byte) ([]byte, error) {
	t := f.task()
	if err := f.accept(payload, t); err != nil {
		return nil, f.core.turnAway(ctx, err)
	}
	if _, err := f.core.invoke(ctx, t); err != nil {
		t.out.seal(true)
		return nil, err
	}
	return t.out.gathered(), nil
}

func (f *StreamFunction[In]) accept(payload []byte, t *streamTask[In]) *Error {
	t.size = len(payload)
	return f.core.accept(payload, &t.in)
}

func (f *StreamFunction[In]) task() *streamTask[In] {
	return &streamTask[In]{f: f, out: pieces{limit: f.core.limitOut}}
}

// invoke runs a call whose pieces are handed over.
func (f *StreamFunction[In]) invoke(ctx context.Context, t *streamTask[In], w io.Writer) error {
	if w == nil {
		return f.core.turnAway(ctx, refusal(f.core.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, errNilWriter)))
	}
	if ctx == nil {
		_, err := f.core.invoke(nil, t) //nolint:staticcheck // refused there, and counted
		return err
	}
	t.out.to = w
	returned := false
	defer func() { // an inline handler that ends its goroutine ends this one, and so may ctx
		if !returned {
			_ = t.out.finish(ctx, true)
		}
	}()
	reusable, err := f.core.invoke(ctx, t)
	broken := t.out.finish(ctx, !reusable)
	returned = true
	if broken != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return &Error{Op: "invoke", Function: f.core.name, ID: t.out.id, Outcome: Canceled, Err: broken}
	}
	return err
}

// streamTask is the typed half of a call that answers piece by piece. It is
// not used again: a handler may keep its writer.
type streamTask[In any] struct {
	f    *StreamFunction[In]
	in   In
	size int // of the payload
	out  pieces
}

// use is for functions with an init func, of which none streams.
func (t *streamTask[In]) use(any) {}

func (t *streamTask[In]) payload() int { return t.size }

// run leaves it to output to tell of a limit that was passed, as where an
// encoded output is too large.
func (t *streamTask[In]) run(ctx context.Context) error {
	t.out.open(ctx)
	handler, in := t.f.handler, t.in
	var none In
	t.f, t.in = nil, none // a handler may keep its writer, which is a part of t
	err := handler(ctx, in, &t.out)
	if _, _, over := t.out.measured(); over != nil {
		err = nil
	}
	return err
}

func (t *streamTask[In]) output() (int, error) {
	t.out.seal(false)
	size, _, over := t.out.measured()
	if over != nil {
		return size, wrapCause(ErrOutput, over)
	}
	return size, nil
}

func (t *streamTask[In]) written() (size int, first time.Duration) {
	t.out.seal(false)
	size, first, _ = t.out.measured()
	return size, first
}
