package faas

import (
	"context"
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

// chain composes the middlewares around a Runner; nil if there are none.
func chain(all []Middleware, innermost Runner) Runner {
	if len(all) == 0 {
		return nil
	}
	next := innermost
	for _, m := range slices.Backward(all) {
		next = m(next)
	}
	return next
}
