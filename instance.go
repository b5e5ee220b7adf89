package faas

import (
	"context"
	"errors"

	"github.com/inproc/faas/internal/foreign"
	"github.com/inproc/faas/internal/instances"
)

// newInstances returns the set of instances of a function of RegisterInit; the set is empty. It
// gets what it needs as funcs, because package instances does not depend on functions and routers.
func (fn *function) newInstances() *instances.Set {
	return instances.New(instances.Config{
		Init:  fn.runInit,
		Close: fn.runCloser,
		Ended: fn.tellIfEnding,
		// If the slot of a runaway goes to another call (a replacement), the runaway keeps its seat. So
		// there may be one more instance for each such runaway.
		Limit: func() int { return fn.maxInstances + int(fn.replaced.Load()) },
		Now:   fn.router.clock.now,

		Seats:       fn.perInstance,
		InitTimeout: fn.initTimeout,
		KeepAlive:   fn.keepAlive,
	})
}

// runInit calls the init func, on the goroutine that the set started for it. A panic
// becomes an error. placeOf has the name of this function, so that an init func may
// call Close.
func (fn *function) runInit(ctx context.Context) (handler any, closer instances.Closer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: stack()}
		}
	}()
	return fn.init(ctx)
}

// runCloser calls the close func of one instance, on the goroutine that the set started
// for it. No caller could get its error, so the error is logged. placeOf has the name of
// this function, too.
func (fn *function) runCloser(ctx context.Context, closer instances.Closer) {
	defer fn.router.guardHook("close", fn.who.name)
	if err := closer(ctx); err != nil {
		fn.router.settings.logger.Error("faas: an instance could not be closed", "function", fn.who.name, "error", foreign.Plain(err))
	}
}

// errLeft means that the caller's context ended before the handler began.
var errLeft = errors.New("the caller has left")

// instanceError translates an error of package instances. The error inside an InitError comes
// from an init func and is foreign code. So it is compared with ==, and not by errors.Is,
// which would call its method Is.
func instanceError(err error) error {
	failed, ok := err.(*instances.InitError) //nolint:errorlint // package instances returns it unwrapped
	switch {
	case err == nil:
		return nil
	case ok && failed.Err == instances.ErrExited: //nolint:errorlint // see above
		return wrapCause(ErrInit, ErrExited)
	case ok:
		return wrapCause(ErrInit, failed.Err)
	case errors.Is(err, instances.ErrClosed):
		return ErrClosed
	case errors.Is(err, instances.ErrRemoved):
		return wrapCause(ErrNotFound, err)
	}
	return errLeft
}
