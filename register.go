package faas

import (
	"reflect"
	"slices"
	"strconv"

	"github.com/inproc/faas/internal/admission"
	"github.com/inproc/faas/internal/foreign"
	"github.com/inproc/faas/internal/redact"
)

// Register makes h callable under the name and returns a handle for typed calls. It
// panics with an [*Error] where [TryRegister] returns one, so that a mistake in the set-up
// is found when the program starts. The error's text says what to change.
//
// A handler without an output, func(ctx, In) error, is registered as
// [NoOutput](h), and a handler without an input as [NoInput](h).
//
// A name matches ^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$. [WithVersion] registers another
// version of a name that is taken.
func Register[In, Out any](r *Router, name string, h Handler[In, Out], opts ...FunctionOption) *Function[In, Out] {
	f, err := TryRegister(r, name, h, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// TryRegister is like [Register] but returns an error instead of panicking. It is for
// names and options that come from outside the program. The error Is [ErrName],
// [ErrDuplicate], [ErrType] (see [WithVersion]), [ErrClosed], or [ErrInput]: for a nil router
// or handler, for an option out of range, or for one that differs from the name's other versions.
// TryRegister may be called at any time, also while calls run.
func TryRegister[In, Out any](r *Router, name string, h Handler[In, Out], opts ...FunctionOption) (*Function[In, Out], error) {
	if r == nil || h == nil {
		return nil, usageError("register", name, ErrInput, "Register needs a router and a handler that are not nil")
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

// newFunction makes the untyped half of a function, without adding it to the registry.
func (r *Router) newFunction(name string, opts []FunctionOption) (*function, error) {
	if err := checkName("register", name); err != nil {
		return nil, err
	}
	if r.closing.Load() {
		return nil, errClosing(name)
	}
	// Options are copied only for a function that has some: thousands of functions
	// without any share those of the router.
	s := &r.common
	if len(opts) > 0 {
		var err error
		if s, err = r.settings.defaults.with(name, opts); err != nil {
			return nil, err
		}
	}
	fn, version := &function{settings: s, router: r}, versionLatest
	if s.number < 0 {
		return nil, usageError("register", name, ErrInput, "WithVersion: versions are numbered from 1; leave the option out for the version without a number")
	} else if s.number > 0 {
		version = strconv.Itoa(s.number)
	}
	fn.identify(name, version)
	if err := fn.compose(); err != nil {
		return nil, err
	}
	return fn, nil
}

// enter adds a function to the registry, and builds its minimum of instances. If a
// step fails, or a hook calls Goexit, the function is removed again.
func (r *Router) enter(fn *function, h handle) error {
	fn.bind(h)
	// All of this is done before add. After add, calls may arrive on other goroutines, and
	// the fields of fn have no lock. The registry's map is the happens-before edge to those goroutines.
	if fn.isScaled() {
		s, err := fn.newScaling()
		if err != nil {
			return err
		}
		fn.scaling = s
	}
	if err := r.functions.add(fn, r.group); err != nil {
		return err
	}
	entered := false
	defer func() { // deferred: a WithDecisions hook may call Goexit
		if !entered {
			_ = r.functions.remove(fn) // no error is possible: fn is in the registry, and no alias names it yet
		}
	}()
	err := r.open(fn)
	if entered = err == nil; entered {
		r.functions.confirm(fn)
		r.jobs.registered(fn.who.name, true)
	}
	return err
}

// open builds a function's minimum of instances. Shutdown and Close store closing and
// then look through the registry; enter adds the function and then loads closing here.
// So either they see the function, or open sees closing before it builds an instance. It loads
// closing again afterwards, because the init funcs may have taken long.
func (r *Router) open(fn *function) error {
	if r.closing.Load() {
		return errClosing(fn.who.name)
	}
	if fn.scaling == nil {
		return nil
	}
	err := fn.scaling.provide()
	switch {
	case r.closing.Load():
		return errClosing(fn.who.name)
	case err != nil:
		return &Error{Op: "register", Function: fn.who.name, Err: err}
	}
	return nil
}

// errClosing returns the error of a registration after Shutdown or Close has begun.
func errClosing(name string) *Error {
	return usageError("register", name, ErrClosed, "register functions before Shutdown or Close")
}

// isScaled reports whether an option asks for scaling, or the function has an init func.
func (fn *function) isScaled() bool {
	return fn.init != nil || fn.scaler != nil || fn.minInstances > 0 || fn.maxInstances < admission.Unlimited || fn.perInstance > 1
}

// compose builds the chain of middlewares, and finds out once, for all calls, which hooks there
// are. A middleware is foreign code: its panic becomes an error.
func (fn *function) compose() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = usageError("register", fn.who.name, ErrInput, "a middleware panicked at registration: %s", foreign.Plain(p))
		}
	}()
	fn.chain = chain(fn.middleware, runHandler)
	if len(fn.middleware) > 0 && fn.chain == nil {
		return usageError("register", fn.who.name, ErrInput, "a middleware returned a nil Runner")
	}
	fn.reserves = slices.ContainsFunc(fn.meters, func(m Meter) bool { _, ok := m.(Reserver); return ok })
	fn.plain = !fn.reserves && len(fn.gates) == 0 && len(fn.contexts) == 0 && fn.tenantKey == nil
	return nil
}

// bind adds the typed half, and sets what depends on its types.
func (fn *function) bind(h handle) {
	raw := reflect.TypeFor[[]byte]()
	in, out := h.types()
	fn.handle, fn.rawIn, fn.rawOut = h, in == raw, out == raw
	fn.needsExtra = fn.init != nil || fn.chain != nil
	fn.hidesInput = fn.capture != nil && redact.Hides(in)
}

// identify makes fn.who, once, before the first call.
func (fn *function) identify(name, version string) {
	fn.who = &identity{about: about{
		name: name, version: version, labels: fn.labels, timeout: fn.timeout, memory: fn.memory,
		inline: fn.inline, clock: fn.router.clock, sampler: fn.sampler,
	}}
	fn.who.log.logger = fn.router.settings.logger
	fn.who.log.level.Store(int64(fn.logLevel))
}
