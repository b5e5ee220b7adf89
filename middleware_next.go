package faas

import (
	"context"
	"errors"
)

var (
	errNextTwice   = errors.New("faas: middleware called next a second time; it may call it once")
	errNextLate    = errors.New("faas: middleware called next after it had returned; call it before, and wait for it")
	errNextForeign = errors.New("faas: middleware called next with a context that is not derived from the one it was given")
)

// runHandler is the Runner that the innermost middleware gets as next. next may be called
// several times and on any goroutine: the compare-and-swap lets one of these calls run the
// handler. Once the middlewares have returned, no call of next runs it.
func runHandler(ctx context.Context, inv Invocation) error {
	c := callOf(ctx)
	if c == nil || c.id != inv.ID {
		return errNextForeign
	}
	if !c.extra.progress.CompareAndSwap(notRun, running) {
		if c.extra.progress.Load() == nextClosed {
			return errNextLate
		}
		return errNextTwice
	}
	err := c.task.run(ctx)
	c.extra.progress.Store(returned)
	return err
}
