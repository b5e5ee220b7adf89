package faas

import "context"

// Init builds one instance of a function. It opens what the handler needs, for example a
// connection or a model. It returns the handler and a closer, which releases what was opened.
// The closer may be nil.
//
// Each Init runs on a goroutine of its own, and several may run at once. Its ctx has no
// values. It ends after [WithInitTimeout], when the router is closed, or when the function
// is removed and no call waits for the instance.
//
// If Init returns an error, panics or calls Goexit, the calls that waited for this
// instance fail with [ErrInit]. Other calls do not fail as long as the function has another
// instance, even one that is still being built. If it has none, all calls that wait fail with
// ErrInit, those too that waited for a seat to become free. The next Init starts after a pause,
// which is 100 ms at first and doubles with each failure up to 30 s. Calls that find no instance
// during the pause are refused with [ReasonInit]. When the ctx of Init ends, the calls stop
// waiting, even if Init continues; an instance that Init returns later is closed.
//
// Up to [WithInstanceConcurrency] goroutines call the handler at once. The closer is
// called once, after the last call on the instance has ended, with a ctx that ends after
// WithInitTimeout. Its error is logged; its panic is recovered and counted in
// Stats.HookPanics.
type Init[In, Out any] func(ctx context.Context) (h Handler[In, Out], closer func(context.Context) error, err error)

// RegisterInit is [Register] for a function whose instances have to be built.
// A call goes to the most recently used instance that has a free seat (room for one more
// call). If there is none, an instance is built. The call waits for that instance, or for a
// seat that becomes free before. If the call ran on the new instance, its record has Cold set,
// and its field Init is how long the call waited for the init func.
// [WithScaler], [WithMinInstances], [WithMaxInstances] and [WithKeepAlive] set how many
// instances are kept.
//
// An instance whose handler panics or calls Goexit gets no more calls, since its state
// is not known. A recursive call, directly or through other functions, that uses the slot of
// a call above it runs on that call's instance.
func RegisterInit[In, Out any](r *Router, name string, init Init[In, Out], opts ...FunctionOption) *Function[In, Out] {
	f, err := TryRegisterInit(r, name, init, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// TryRegisterInit is like [RegisterInit] but returns an error instead of panicking. It may
// return the errors of [TryRegister]. Its error Is [ErrInit] if an instance of
// [WithMinInstances] could not be built, and [ErrNotFound] if the function was removed before
// these were ready. After an error the function is not registered, and the instances
// that were built are closed.
func TryRegisterInit[In, Out any](r *Router, name string, init Init[In, Out], opts ...FunctionOption) (*Function[In, Out], error) {
	if r == nil || init == nil {
		return nil, usageError("register", name, ErrInput, "RegisterInit needs a router and an init func that are not nil")
	}
	core, err := r.newFunction(name, opts)
	if err != nil {
		return nil, err
	}
	core.init = func(ctx context.Context) (any, func(context.Context) error, error) {
		h, closer, err := init(ctx)
		if h == nil { // return an untyped nil: an interface that holds a nil Handler is not nil
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
