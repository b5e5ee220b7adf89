package faas

import (
	"context"
	"errors"
	"slices"
)

// Runner is one step of what runs in a call: the handler, or a middleware
// around it.
type Runner func(ctx context.Context, inv Invocation) error

// Middleware wraps what runs in a call: tracing, retries of its own
// resources, logs. It is composed once, when the function is registered; the
// Runner it returns runs for every call, on the handler's goroutine and inside
// its timeout and its billed time, and may be called by many goroutines at once.
//
//   - It passes on the ctx it was given, or one derived from it.
//   - It calls next once. A second call answers an error and runs nothing.
//   - The error it answers is the call's. An error of the handler that it
//     swallows makes the call OK, with the output that came with the error.
//   - nil without a next that has returned settles as Failed: no call answers
//     (zero, nil) for a handler that did not run to its end.
//   - A panic in it is the call's panic.
type Middleware func(next Runner) Runner

var (
	errNextTwice   = errors.New("faas: middleware called next a second time; it may call it once")
	errNextNever   = errors.New("faas: middleware answered nil although next has not returned; answer an error, or call next and wait for it")
	errNextLate    = errors.New("faas: middleware called next after it had returned; call it before, and wait for it")
	errNextForeign = errors.New("faas: middleware called next with a context that is not derived from the one it was given")
)

// Progress of the handler inside its middlewares.
const (
	notRun = iota
	running
	returned
	forgone // the middlewares ended without it: it may not start any more
)

// chain composes the middlewares around the handler; nil if there are none.
func chain(all []Middleware) Runner {
	if len(all) == 0 {
		return nil
	}
	next := Runner(runHandler)
	for _, m := range slices.Backward(all) {
		next = m(next)
	}
	return next
}

// runHandler is the innermost Runner.
func runHandler(ctx context.Context, inv Invocation) error {
	c := callOf(ctx)
	if c == nil || c.id != inv.ID {
		return errNextForeign
	}
	if !c.more.progress.CompareAndSwap(notRun, running) {
		if c.more.progress.Load() == forgone {
			return errNextLate
		}
		return errNextTwice
	}
	err := c.task.run(ctx)
	c.more.progress.Store(returned)
	return err
}
