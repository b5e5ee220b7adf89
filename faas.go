package faas

import (
	"bytes"
	"context"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/admission"
)

// Handler is the code that is hosted. It is called by many goroutines at once.
//
// ctx is new for each call. It ends at the deadline, with the caller's context
// or when the call is over; it knows the [Invocation] ([FromContext]) and holds
// no value of the caller's unless [WithContext] carries it over. A handler
// should return soon after ctx ends: its caller has gone by then, and until it
// returns it keeps its slot.
//
// An error it returns reaches the caller untouched, and the output that comes
// with it is dropped. A panic, or runtime.Goexit, ends the call with an error
// and not the process. But a panic in a goroutine that the handler has started
// itself crashes the process, as anywhere in Go.
//
// []byte as In or Out is the payload of a bytes call itself, not encoded.
type Handler[In, Out any] func(ctx context.Context, in In) (Out, error)

// Router hosts functions. Make one with [New], and end it with
// [Router.Shutdown] or [Router.Close]. All its methods may be called
// concurrently, also from handlers.
type Router struct {
	settings  routerSettings
	common    settings // of functions without options
	clock     *clock
	group     *admission.Group
	functions registry
	workers   *workerPool
	meters    meters // the router's own, to be flushed
	loop      scaleLoop
	capacity  *capacityController // nil: the capacity is fixed

	refused    refusals // of calls that found no function
	hookPanics atomic.Uint64
	closing    atomic.Bool // Shutdown or Close has begun: whoever ends a call tells them
	closed     atomic.Bool // no handler is started any more
	changed    broadcast

	shutdownHooks shutdownHooks
}

// New returns a router. It panics with an [*Error] that names the cure if an
// option is impossible. It starts no goroutine: those come with the first call
// and go when there is nothing to do.
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
	r := &Router{settings: s, common: s.defaults, clock: newClock(), group: admission.NewGroup(s.capacity), meters: s.defaults.meters}
	r.common.resolve()
	r.workers = newWorkerPool(r.clock, newPool, (*worker).loop)
	if s.ceiling != nil {
		r.capacity = &capacityController{router: r, policy: s.ceiling, most: s.capacity}
		r.workers.beforeStart = func() { r.loop.watch(r.capacity) }
	}
	return r
}

// Register makes h callable as name and returns a handle for typed calls. It
// panics with an [*Error] that names the cure where [TryRegister] returns one:
// wiring that can't work is best found at the start of the program.
//
// A handler without an output, func(ctx, In) error, is registered as
// [NoOutput](h), one without an input as [NoInput](h).
//
// A name matches ^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$.
func Register[In, Out any](r *Router, name string, h Handler[In, Out], opts ...FunctionOption) *Function[In, Out] {
	f, err := TryRegister(r, name, h, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// TryRegister is [Register] for names and options that come from outside. It
// returns an error that Is [ErrName], [ErrDuplicate], [ErrInput] (a nil router
// or handler, an impossible option) or [ErrClosed].
func TryRegister[In, Out any](r *Router, name string, h Handler[In, Out], opts ...FunctionOption) (*Function[In, Out], error) {
	if r == nil || h == nil {
		return nil, usageError("register", name, ErrInput, "Register needs a router and a handler, neither may be nil")
	}
	core, err := r.newFunction(name, opts)
	if err != nil {
		return nil, err
	}
	f := &Function[In, Out]{core: core, handler: h}
	if err := r.enter(core, f); err != nil {
		return nil, err
	}
	return f, nil
}

// Lookup returns the handle of a registered function, or an error that Is
// [ErrNotFound], [ErrName] or [ErrType].
func Lookup[In, Out any](r *Router, name string) (*Function[In, Out], error) {
	core, err := r.find("lookup", name)
	if err != nil {
		return nil, err
	}
	f, ok := core.handle.(*Function[In, Out])
	if !ok {
		in, out := core.handle.types()
		return nil, usageError("lookup", name, ErrType, "it is registered as func(%v) %v, asked for as func(%v) %v",
			in, out, reflect.TypeFor[In](), reflect.TypeFor[Out]())
	}
	return f, nil
}

// Function is a handle for typed calls: no look-up, no codec. It is bound to
// its registration: after [Router.Remove] it answers [ErrNotFound], also when
// another function has taken the name. Its methods may be called concurrently.
type Function[In, Out any] struct {
	core    *function
	handler Handler[In, Out] // nil: each instance has its own
	tasks   sync.Pool        // of *typedTask[In, Out]
}

// Invoke calls the function and waits for the answer, at most until the
// function's timeout or the end of ctx.
//
// A nil error means that the handler has returned one. Otherwise the output is
// the zero value, and the error is the handler's own, untouched, or an
// [*Error]: [ErrTimeout], a [*PanicError], [ErrExited], ctx's error, or one of
// the refusals (see [Reason]), which mean that the handler was not entered.
//
// in is handed over as it is, nil included; what it points to is shared with
// the handler unless the function has [WithCopy]. That matters after a timeout,
// when the handler may still be reading it.
//
// It costs about half of what the same promises cost when they are kept with a
// pool, a channel and context.WithTimeout, and allocates next to nothing: see
// faas and ants/obvious in the table of bench.
func (f *Function[In, Out]) Invoke(ctx context.Context, in In) (Out, error) {
	t := f.task()
	if f.core.copy {
		if err := t.copyIn(in); err != nil {
			return t.out, f.core.turnAway(ctx, err)
		}
	} else {
		t.in = in
	}
	reusable, err := f.core.invoke(ctx, t)
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

// invokeBytes is the far side of [Router.Invoke].
func (f *Function[In, Out]) invokeBytes(ctx context.Context, payload []byte) ([]byte, error) {
	core := f.core
	t := f.task()
	t.bytes, t.size = true, len(payload)
	if err := f.accept(payload, t); err != nil {
		return nil, core.turnAway(ctx, err)
	}
	reusable, err := core.invoke(ctx, t)
	if !reusable || err != nil {
		f.recycle(t, reusable)
		return nil, err
	}
	data := t.data
	f.recycle(t, reusable)
	return data, nil
}

func (f *Function[In, Out]) accept(payload []byte, t *typedTask[In, Out]) *Error {
	return f.core.accept(payload, &t.in)
}

func (f *Function[In, Out]) task() *typedTask[In, Out] {
	if t, ok := f.tasks.Get().(*typedTask[In, Out]); ok {
		return t
	}
	return &typedTask[In, Out]{f: f, handler: f.handler}
}

// recycle keeps t for another call, unless its handler still runs: then it is
// the handler's alone.
func (f *Function[In, Out]) recycle(t *typedTask[In, Out], reusable bool) {
	if reusable {
		*t = typedTask[In, Out]{f: f, handler: f.handler}
		f.tasks.Put(t)
	}
}

// task is the typed half of a call. The types end here: what schedules it sees
// methods without them.
type task interface {
	// use sets the handler that is run: an instance's.
	use(handler any)
	// run runs the handler.
	run(ctx context.Context) error
	// payload is the size of the encoded input, if it was.
	payload() int
	// output makes the answer of what the handler returned, and tells its
	// size if it was encoded.
	output() (size int, err error)
}

type typedTask[In, Out any] struct {
	f       *Function[In, Out]
	handler Handler[In, Out]
	in      In
	out     Out
	bytes   bool   // a bytes call: the answer is data
	size    int    // of the payload
	data    []byte // the encoded output
}

func (t *typedTask[In, Out]) use(handler any) {
	t.handler, _ = handler.(Handler[In, Out])
}

func (t *typedTask[In, Out]) payload() int { return t.size }

// copyIn is apart from Invoke so that only calls that are copied have an input
// that escapes to the heap.
func (t *typedTask[In, Out]) copyIn(in In) *Error {
	core := t.f.core
	if err := copyValue(core.codec, &in, &t.in); err != nil {
		return refusal(core.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, err))
	}
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
		if err := copyValue(core.codec, &t.out, &out); err != nil {
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

// Invoke calls a function by name with an encoded input and returns the
// encoded output: what a front door has in hand. Otherwise it is
// [Function.Invoke]; the payload is decoded into a fresh value before the call
// asks for a slot. A payload for a []byte input is passed on without a copy
// (unless [WithCopy]), and must not be changed until the handler has ended.
// An empty payload decodes to struct{}.
func (r *Router) Invoke(ctx context.Context, name string, payload []byte) ([]byte, error) {
	fn, err := r.find("invoke", name)
	if err != nil {
		return nil, r.refuseUnknown(ctx, err)
	}
	return fn.handle.invokeBytes(ctx, payload)
}

// SetConcurrency changes how many calls of a function run at once, n ≥ 0. Calls
// that run finish, so that after a reduction more than n may run for a while;
// after a raise, waiting calls start at once. With 0 the function is switched
// off, until it is given more: calls are refused with [ReasonOff], those that
// wait too. Below [WithReserved], only n are reserved in effect. It answers
// [ErrNotFound] or [ErrInput].
func (r *Router) SetConcurrency(name string, n int) error {
	fn, err := r.find("set concurrency", name)
	if err != nil {
		return err
	}
	if n < 0 || n > admission.Unlimited {
		return usageError("set concurrency", name, ErrInput, "%d is not between 0, which is off, and %d", n, admission.Unlimited)
	}
	if n == 0 {
		fn.class.SetEnabled(false) // before there is nothing to wait for
	}
	if fn.scaling != nil {
		fn.scaling.bound(n)
	} else {
		fn.class.Resize(n)
	}
	if n > 0 {
		fn.class.SetEnabled(true)
	}
	return nil
}

// SetCapacity changes how many calls run at once in the whole router, n ≥ 1, as
// SetConcurrency does for one function. Where it goes below what is reserved for
// functions, that is met in proportion; see [WithReserved].
func (r *Router) SetCapacity(n int) error {
	if n < 1 || n > admission.Unlimited {
		return usageError("set capacity", "", ErrInput, "%d is not between 1 and %d; to stop the router, Shutdown", n, admission.Unlimited)
	}
	if r.capacity != nil {
		r.capacity.bound(n)
	} else {
		r.group.Resize(n)
	}
	return nil
}

// Remove takes a function out of the table. Calls that run or wait go on to
// their end; later ones, by name and by handle, answer [ErrNotFound]. The name
// is free at once.
func (r *Router) Remove(name string) error {
	fn, err := r.find("remove", name)
	if err != nil {
		return err
	}
	if !r.functions.remove(fn) {
		return usageError("remove", name, ErrNotFound, "it has just been removed")
	}
	return nil
}

// accept decodes a payload into in, a pointer to the handler's input.
func (fn *function) accept(payload []byte, in any) *Error {
	if len(payload) > fn.limitIn {
		return refusal(fn.name, uuid.Nil, ReasonTooLarge, tooLarge("payload", len(payload), fn.limitIn))
	}
	if fn.copy && fn.rawIn {
		payload = bytes.Clone(payload)
	}
	if err := decode(fn.codec, payload, in); err != nil {
		return refusal(fn.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, err))
	}
	return nil
}

// broadcast wakes everybody who waits for a change.
type broadcast struct {
	mu sync.Mutex // guards ch
	ch chan struct{}
}

// wait returns a channel that is closed at the next change.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// tellIfEnding is said when a call, an init or a close func of fn is over.
func (fn *function) tellIfEnding() {
	if fn.gone.Load() {
		fn.router.functions.tidy()
	}
	fn.router.tellIfClosing()
}

func (r *Router) tellIfClosing() {
	if r.closing.Load() {
		r.changed.tell()
	}
}
