package faas

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
)

// Handler is the code of a function. It is called by many goroutines at once.
//
// ctx is new for each call. It ends at the deadline, when the caller's context
// ends, or when the call is over, whichever is first. It carries the [Invocation]
// (see [FromContext]) and none of the caller's values, unless [WithContext] passes
// them on. A handler should return soon after ctx ends: by then its caller has its
// answer, and the handler keeps its slot until it returns.
//
// An error that the handler returns reaches the caller unchanged, and the output returned
// with the error is dropped. A panic, or runtime.Goexit, ends the call with an
// error; it does not end the process. But a panic in a goroutine that the handler started
// itself crashes the process, as anywhere in Go.
//
// If In or Out is []byte, a bytes call passes the payload as it is, without
// the codec.
type Handler[In, Out any] func(ctx context.Context, in In) (Out, error)

// Router hosts functions. Make one with [New], and end it with
// [Router.Shutdown] or [Router.Close]. All its methods may be called
// concurrently, also from handlers.
type Router struct {
	settings  routerSettings
	common    settings // the settings of all functions that are registered without options
	clock     *clock
	group     *admission.Group
	functions registry
	workers   *workerPool
	meters    meters // those that were given to New; Shutdown flushes them
	loop      scaleLoop
	jobs      jobLink
	reports   reporter            // passes on changes of scale
	capacity  *capacityController // nil: the capacity is fixed (no WithCapacityScaler)

	refused refusals    // of calls by a name that is not registered
	closing atomic.Bool // Shutdown or Close has begun, and waits on changed
	closed  atomic.Bool // no more handlers are started
	changed broadcast   // while closing is true: a call, an init or a close func has ended

	hookGuard     // for all hooks of this router
	shutdownHooks shutdownHooks
}

// New returns a router. If an option is out of range, New panics with an [*Error] whose text
// says what to change. It starts no goroutine: goroutines start with the first
// call and end when there is nothing to do. Nil options are ignored.
func New(opts ...RouterOption) *Router {
	s := defaultSettings()
	for _, o := range opts {
		if o != nil {
			o.applyRouter(&s)
		}
	}
	if err := s.check(); err != nil {
		panic(err)
	}
	s.defaults.asked = 0 // only a function's own options count as asked
	r := &Router{settings: s, common: s.defaults, clock: newClock(), group: admission.NewGroup(s.capacity), meters: s.defaults.meters}
	r.log = s.logger
	r.reports = reporter{guard: &r.hookGuard, hook: s.decided}
	r.common.resolve()
	r.workers = newWorkerPool(r.clock, newPool, (*worker).loop)
	if s.ceiling != nil {
		r.capacity = &capacityController{clock: r.clock, group: r.group, policy: s.ceiling, reports: &r.reports, most: s.capacity}
		r.workers.beforeStart = func() { r.loop.watch(r.capacity) }
	}
	for _, o := range opts {
		if e, ok := o.(extension); ok {
			e.extend(r)
		}
	}
	return r
}

// extension is an option that adds a part to a new router.
type extension interface{ extend(r *Router) }

// Lookup returns the handle of a registered function, or an error that Is
// [ErrNotFound], [ErrName] or [ErrType].
//
// The handle of an alias, such as "resize:live", chooses a version at each call, as
// [Router.Invoke] with that name does. It is bound to the name: while there is no such
// alias, its calls answer [ErrNotFound], and once the last version of the name has been
// removed they always do. Its Info is that of the version with the most weight.
func Lookup[In, Out any](r *Router, name string) (*Function[In, Out], error) {
	core, err := r.find("lookup", name)
	if err != nil {
		return nil, err
	}
	f, ok := core.handle.(*Function[In, Out])
	if !ok {
		in, out := core.handle.types()
		return nil, usageError("lookup", name, ErrType, "it is registered as func(%v) %v, but Lookup was called for func(%v) %v",
			in, out, reflect.TypeFor[In](), reflect.TypeFor[Out]())
	}
	if qualifier, ok := core.family.aliasOf(name); ok {
		return &Function[In, Out]{alias: &aliasHandle{router: r, family: core.family, name: name, qualifier: qualifier}}, nil
	}
	return f, nil
}

// Function is a handle for typed calls, which need no look-up and no codec. It is
// bound to its registration: calls made after [Router.Remove] answer [ErrNotFound],
// even if another function has been registered under the name. Its methods may be
// called concurrently.
type Function[In, Out any] struct {
	core    *function        // nil: this is the handle of an alias
	alias   *aliasHandle     // nil: this is the handle of a version
	handler Handler[In, Out] // nil if there is an init func: then each instance has its own
	tasks   sync.Pool        // of *typedTask[In, Out]
}

// Invoke calls the function and waits for the answer. It waits for a slot at most
// for [WithQueueTimeout], and for the handler at most until the function's
// timeout. When ctx ends, it does not wait any longer.
//
// A nil error means that the handler returned nil. Otherwise the output is the
// zero value. The error is then the handler's own, unchanged, or an [*Error] that
// wraps [ErrTimeout], a [*PanicError], [ErrExited], ctx's error, or the cause of a
// refusal (see [Reason]). A refusal means that the handler was not called.
//
// in is passed as it is, even if it is nil. The data that it points to is shared with the
// handler, unless the function has [WithCopy]. For example, after a timeout the
// handler may still read it.
//
// A call costs about half of what the same promises cost with a pool, a channel and
// context.WithTimeout, and allocates next to nothing: compare faas with
// ants/obvious in the table of bench.
func (f *Function[In, Out]) Invoke(ctx context.Context, in In) (Out, error) {
	if f.core == nil {
		return f.invokeByAlias(ctx, in)
	}
	return f.invoke(ctx, f.core.itself(), in)
}

// invokeByAlias is Invoke for the handle of an alias. All versions of a name have the same
// types as the first, so the handle of each version is of this type.
func (f *Function[In, Out]) invokeByAlias(ctx context.Context, in In) (out Out, err error) {
	for {
		to, unknown := f.alias.target(ctx)
		if unknown != nil {
			return out, f.alias.router.refuseUnknown(ctx, unknown)
		}
		own, _ := to.fn.handle.(*Function[In, Out])
		out, err = own.invoke(ctx, to, in)
		if err != errGone { //nolint:errorlint // target.invoke returns this very value
			return out, err
		}
	}
}

// aliasHandle is the core of an alias's handle, in place of a function.
type aliasHandle struct {
	router    *Router
	family    *family
	name      string // the name given to Lookup, for errors
	qualifier string
}

// target chooses the version of one call.
func (h *aliasHandle) target(ctx context.Context) (target, *Error) {
	if to, ok := h.family.target(ctx, h.qualifier); ok {
		return to, nil
	}
	return target{}, notFound("invoke", h.name, h.family)
}

// invoke is Invoke for a version's handle. to is the version, with the alias by which it is called.
func (f *Function[In, Out]) invoke(ctx context.Context, to target, in In) (Out, error) {
	t := f.task()
	if f.core.copy {
		if err := t.copyIn(in); err != nil {
			return t.out, to.turnAway(ctx, err)
		}
	} else {
		t.in = in
	}
	q := caller{ctx: ctx}
	p, reusable, err := to.start(&q, t, &t.near)
	switch {
	case p.worker == nil:
	case !q.mustWatch() && <-p.worker.wake: // as pending.await, but the goroutine parks in this frame
		reusable, err = p.worker.collect(p.call)
	default:
		reusable, err = p.awaitOrLeave(&q)
	}
	if !reusable || err != nil {
		f.recycle(t, reusable)
		var zero Out
		return zero, err
	}
	out := t.out
	f.recycle(t, reusable)
	return out, nil
}

func (f *Function[In, Out]) types() (in, out reflect.Type) {
	return reflect.TypeFor[In](), reflect.TypeFor[Out]()
}

// invokeBytes does the typed part of [Router.Invoke].
func (f *Function[In, Out]) invokeBytes(ctx context.Context, to target, payload []byte) ([]byte, error) {
	t := f.task()
	t.bytes, t.size = true, len(payload)
	if err := f.accept(payload, t); err != nil {
		return nil, to.turnAway(ctx, err)
	}
	q := caller{ctx: ctx}
	p, reusable, err := to.start(&q, t, &t.near)
	if p.worker != nil {
		reusable, err = p.await(&q)
	}
	if !reusable || err != nil {
		f.recycle(t, reusable)
		return nil, err
	}
	data := t.data
	f.recycle(t, reusable)
	return data, nil
}

func (f *Function[In, Out]) accept(payload []byte, t *typedTask[In, Out]) *Error {
	t.given = f.core.given(payload)
	return f.core.accept(payload, &t.in)
}

func (f *Function[In, Out]) task() *typedTask[In, Out] {
	if t, ok := f.tasks.Get().(*typedTask[In, Out]); ok {
		return t
	}
	return &typedTask[In, Out]{f: f, handler: f.handler}
}

// recycle keeps t for another call if reusable is true. If not, the handler still runs
// and may still use t, so t is left to the garbage collector.
func (f *Function[In, Out]) recycle(t *typedTask[In, Out], reusable bool) {
	if reusable {
		t.clear()
		f.tasks.Put(t)
	}
}

// task is the typed part of a call. Scheduler, admission and workers use only
// these methods, so they need no type parameters.
type task interface {
	// use sets the handler, for functions whose instances each have their own.
	use(handler any)
	// run runs the handler.
	run(ctx context.Context) error
	// payload returns the size of the encoded input, 0 for a typed call.
	payload() int
	// output prepares the answer from what the handler returned (encodes or
	// copies it), and returns its size if it was encoded.
	output() (size int, err error)
	// input encodes the input for a capture. Before the call, c.State is the state of the handler's
	// own copy of the input.
	input(c *Captured)
}

type typedTask[In, Out any] struct {
	f       *Function[In, Out]
	handler Handler[In, Out]
	in      In
	out     Out
	bytes   bool     // a bytes call: the answer is data
	size    int      // the payload's size in bytes
	data    []byte   // the encoded output
	given   []byte   // the encoded input, if a capture may have it, see function.given
	near    *worker  // the worker of the task's last call, see workerPool.take
	reply   answerer // for calls by InvokeFunc; nil: there was none
}

// clear forgets the call. While the garbage collector marks, each write of a pointer costs many
// times what it costs otherwise, so this writes none that is not set.
func (t *typedTask[In, Out]) clear() {
	var in In
	var out Out
	t.in, t.out = in, out
	t.bytes, t.size = false, 0
	if t.data != nil {
		t.data = nil
	}
	if t.given != nil {
		t.given = nil
	}
	if t.f.core.init != nil {
		t.handler = nil // an instance's, which may be gone; use sets the next one
	}
}

func (t *typedTask[In, Out]) use(handler any) {
	t.handler, _ = handler.(Handler[In, Out])
}

func (t *typedTask[In, Out]) payload() int { return t.size }

func (t *typedTask[In, Out]) input(c *Captured) { t.f.core.encodeInput(c, t.given, &t.in, new(In)) }

// copyIn copies the input. It is not a part of Invoke, so that only the inputs of calls with
// WithCopy escape to the heap.
func (t *typedTask[In, Out]) copyIn(in In) *Error {
	core := t.f.core
	data, err := copyValue(core.codec, &in, &t.in)
	if err != nil {
		return refusal(core.who.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, err))
	}
	t.given = core.given(data)
	return nil
}

func (t *typedTask[In, Out]) run(ctx context.Context) (err error) {
	t.out, err = t.handler(ctx, t.in)
	return err
}

func (t *typedTask[In, Out]) output() (int, error) {
	core := t.f.core
	switch {
	case t.bytes:
		return t.encode(core)
	case core.copy:
		var out Out
		if _, err := copyValue(core.codec, &t.out, &out); err != nil {
			return 0, wrapCause(ErrOutput, err)
		}
		t.out = out
	}
	return 0, nil
}

func (t *typedTask[In, Out]) encode(core *function) (int, error) {
	data, err := encode(core.codec, &t.out)
	if err != nil {
		return 0, wrapCause(ErrOutput, err)
	}
	if len(data) > core.limitOut {
		return 0, wrapCause(ErrOutput, tooLarge("output", len(data), core.limitOut))
	}
	if core.copy && core.rawOut {
		data = bytes.Clone(data)
	}
	t.data = data
	return len(data), nil
}

// Invoke calls a function by name with an encoded input and returns the encoded
// output. It is for callers that have bytes, such as an HTTP handler. In all other ways it
// is like [Function.Invoke].
//
// The payload is decoded into a new value before the call asks for a slot. An
// empty payload decodes to struct{}. A payload for a []byte input is passed on
// without a copy (unless the function has [WithCopy]); it must not be changed until
// the handler has ended.
func (r *Router) Invoke(ctx context.Context, name string, payload []byte) ([]byte, error) {
	for {
		to, err := r.route(ctx, "invoke", name)
		if err != nil {
			return nil, r.refuseUnknown(ctx, err)
		}
		out, end := to.fn.handle.invokeBytes(ctx, to, payload)
		if end != errGone { //nolint:errorlint // target.invoke returns this very value
			return out, end
		}
	}
}

// refuseUnknown counts a call of a name that is not registered, or that is not a valid
// name. It counts it in the router, because there is no function to count it for.
func (r *Router) refuseUnknown(ctx context.Context, err *Error) error {
	err.Reason = ReasonNotFound
	if errors.Is(err, ErrName) {
		err.Reason = ReasonName
	}
	r.refused.add(err.Reason, isDelivery(ctx))
	if hooks := r.common.refusalHooks; len(hooks) > 0 {
		var q caller
		ref := Refusal{Invocation: Invocation{Function: err.Function, Attempt: 1}}
		ref.Tenant, ref.Priority = q.meetForRefusal(ctx)
		ref.comeFrom(q.from)
		r.tellRefusal(q.view(), hooks, ref, err)
	}
	return err
}

// Remove removes a version of a function from the router: "resize:2" is version 2,
// "resize" is the version without a number. Calls that run or wait continue to their end;
// later calls, by name and by handle, answer [ErrNotFound]. The version can be
// registered again at once. The settings that the versions of a name share are dropped with
// its last version. Remove returns an error that Is [ErrNotFound], [ErrName], or [ErrInUse] if
// an alias names the version.
func (r *Router) Remove(name string) error {
	fn, err := r.findVersion("remove", name)
	if err != nil {
		return err
	}
	if err := r.functions.remove(fn); err != nil {
		return err
	}
	r.jobs.registered(fn.who.name, false)
	return nil
}

// accept refuses a payload over WithLimits, and decodes it into in, a pointer to the handler's input.
func (fn *function) accept(payload []byte, in any) *Error {
	if len(payload) > fn.limitIn {
		return refusal(fn.who.name, uuid.Nil, ReasonTooLarge, tooLarge("payload", len(payload), fn.limitIn))
	}
	if fn.copy && fn.rawIn {
		payload = bytes.Clone(payload)
	}
	if err := decode(fn.codec, payload, in); err != nil {
		return refusal(fn.who.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, err))
	}
	return nil
}

// given returns the bytes that a call began with, for a capture that may read them at any
// time, even while the handler runs. It returns nil if there is no capture, or if the
// handler has these very bytes and may change them.
func (fn *function) given(data []byte) []byte {
	if fn.capture == nil || fn.rawIn && !fn.copy {
		return nil
	}
	if data == nil {
		return []byte{}
	}
	return data
}

// encodeInput sets the input of the capture `to`. given is the result of fn.given; in points to
// the handler's input, and fresh to an empty one. Before the call, to.State is the state of the
// handler's input.
func (fn *function) encodeInput(to *Captured, given []byte, in, fresh any) {
	switch {
	case given != nil:
		to.Input, to.State = given, InputAsGiven
		if fn.hidesInput {
			to.Input = fn.encodeAgain(to, fresh)
		}
	case to.State != InputInUse:
		to.Input = fn.encodeFor(to, in)
	}
	if len(to.Input) > fn.limitIn {
		to.Input, to.Truncated = to.Input[:fn.limitIn:fn.limitIn], true
	}
}

// encodeAgain decodes the payload into fresh and encodes that value, so that values which hide
// themselves when encoded are hidden.
func (fn *function) encodeAgain(to *Captured, fresh any) []byte {
	if err := decode(fn.codec, to.Input, fresh); err != nil {
		to.State = InputNotEncoded
		return nil
	}
	return fn.encodeFor(to, fresh)
}

func (fn *function) encodeFor(to *Captured, in any) []byte {
	data, err := encode(fn.codec, in)
	if err != nil {
		to.State = InputNotEncoded
		return nil
	}
	return data
}

// tellIfClosing wakes Shutdown and Close, so that they look again whether calls are left.
func (r *Router) tellIfClosing() {
	if r.closing.Load() {
		r.changed.tell()
	}
}
