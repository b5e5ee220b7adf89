package faas

import (
	"context"
	"errors"

	"github.com/inproc/faas/internal/foreign"
	"github.com/inproc/faas/internal/instances"
)

// newInstances returns the instances of a function of RegisterInit; there is none
// yet. The set is told what it needs by funcs: it knows no function or router.
func (fn *function) newInstances() *instances.Set {
	return instances.New(instances.Config{
		Init:  fn.runInit,
		Close: fn.runCloser,
		Ended: fn.tellIfEnding,
		// A runaway that gave its slot to a replacement keeps its seat: there may be
		// one more instance for each.
		Limit: func() int { return fn.maxInstances + int(fn.replaced.Load()) },
		Now:   fn.router.clock.now,

		Seats:       fn.perInstance,
		InitTimeout: fn.initTimeout,
		KeepAlive:   fn.keepAlive,
	})
}

// runInit calls the init func, on the goroutine that the set started for it. A panic
// becomes an error. placeOf knows this function by its name, so that an init func may
// call Close.
func (fn *function) runInit(ctx context.Context) (handler any, closer instances.Closer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: stack()}
		}
	}()
	return fn.init(ctx)
}

// runCloser calls the close func of one instance, on the goroutine that the set
// started for it. No caller is left to get its error, so that is logged. placeOf knows
// this function too.
func (fn *function) runCloser(ctx context.Context, closer instances.Closer) {
	defer fn.router.guardHook("close", fn.who.name)
	if err := closer(ctx); err != nil {
		fn.router.settings.logger.Error("faas: an instance could not be closed", "function", fn.who.name, "error", foreign.Plain(err))
	}
}

// errLeft says that the caller's context ended before the handler began.
var errLeft = errors.New("the caller has left")

// instanceError translates an error of package instances. What an init func returned
// is foreign code inside an InitError: it is compared with ==, and not by errors.Is,
// which would call its Is method.
func instanceError(err error) error {
	failed, ok := err.(*instances.InitError) //nolint:errorlint // it comes unwrapped
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
