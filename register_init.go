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
// A call goes to the most recently used instance that has a free seat. If there is
// none, an instance is built, and the call waits for it or for a seat that becomes free
// before that; if it ran on the new one, its record says Cold, and how long Init took.
// [WithScaler], [WithMinInstances], [WithMaxInstances] and [WithKeepAlive] say how many
// instances are kept.
//
// An instance whose handler panics or calls Goexit gets no more calls, since its state
// is not known. A recursive call, also through other functions, that uses the slot of
// a call above it runs on that call's instance.
func RegisterInit[In, Out any](r *Router, name string, init Init[In, Out], opts ...FunctionOption) *Function[In, Out] {
	f, err := TryRegisterInit(r, name, init, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// TryRegisterInit is like [RegisterInit] but returns an error instead of panicking:
// those of [TryRegister], one that Is [ErrInit] if an instance of [WithMinInstances]
// could not be built, and one that Is [ErrNotFound] if the function was removed before
// they were ready. After an error the function is not registered, and the instances
// that were built are closed.
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
