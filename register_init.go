package faas

import "context"

// Init builds one instance of a function: it opens what the handler needs
// (connections, models, caches) and returns the handler and, if something is to
// be closed, how.
//
// It runs on a goroutine of its own, many at once if many are needed, and its
// ctx ends after [WithInitTimeout], with the router, or with the function if no
// call waits for it; it has no values. An error, a panic or
// a Goexit fails the calls that waited for this instance, with [ErrInit], and no
// others; the next try is made after a pause that doubles from 100 ms to 30 s,
// and calls that find no instance meanwhile are refused with [ReasonInit]. An
// init that is late is not waited for, and what it still makes is closed.
//
// The handler is called by up to [WithInstanceConcurrency] goroutines at once.
// closer is called once, when no call has the instance any more, with a ctx that
// lasts as long as WithInitTimeout; it may be nil. Its error is logged, its panic
// caught and counted.
type Init[In, Out any] func(ctx context.Context) (h Handler[In, Out], closer func(context.Context) error, err error)

// RegisterInit is [Register] for a function whose instances have to be built.
// A call goes to the instance that was used last and has room; where none has,
// one is made and the call waits for it, or for a place that comes free before
// that. Its record then says Cold, and how long Init took. How many are kept
// is for [WithScaler] to say, [WithMinInstances], [WithMaxInstances] and
// [WithKeepAlive].
//
// An instance whose handler panics or calls Goexit gets no more calls: nobody
// knows what it left behind. A recursive call, also through other functions,
// that uses the slot of a call above it runs in that one's instance.
func RegisterInit[In, Out any](r *Router, name string, init Init[In, Out], opts ...FunctionOption) *Function[In, Out] {
	f, err := TryRegisterInit(r, name, init, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// TryRegisterInit is [TryRegister] likewise. It also answers [ErrInit], where one
// of [WithMinInstances] could not be made, and [ErrNotFound], where the function was
// removed before they were ready. With an error the function is not registered, and
// what was made of it is closed.
func TryRegisterInit[In, Out any](r *Router, name string, init Init[In, Out], opts ...FunctionOption) (*Function[In, Out], error) {
	if r == nil || init == nil {
		return nil, usageError("register", name, ErrInput, "RegisterInit needs a router and an init func, neither may be nil")
	}
	core, err := r.newFunction(name, opts)
	if err != nil {
		return nil, err
	}
	core.init = func(ctx context.Context) (any, func(context.Context) error, error) {
		h, closer, err := init(ctx)
		if h == nil {
			return nil, closer, err
		}
		return h, closer, err
	}
	f := &Function[In, Out]{core: core}
	if err := r.enter(core, f); err != nil {
		return nil, err
	}
	return f, nil
}
