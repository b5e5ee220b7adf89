package faas

import (
	"context"
	"slices"
)

// Runner runs a call's handler, or a middleware and everything that the middleware wraps.
type Runner func(ctx context.Context, inv Invocation) error

// Middleware wraps the handler of a function, for example for tracing or logs. It is
// called once, when the function is registered. The Runner that it returns runs for every
// call, on the handler's goroutine, inside the call's timeout and billed time. Many
// goroutines may call that Runner at once.
//
//   - The Runner passes to next the ctx that it got, or a context derived from that.
//   - It calls next once. A second call of next returns an error and runs nothing.
//   - The error that it returns is the call's error. If it returns nil although the handler
//     returned an error, the call is OK, with the output that came with the error.
//   - If it returns nil and next has not returned, because next was not called, panicked or
//     still runs, the call settles as Failed. So no caller gets (zero, nil) if the handler
//     did not run to its end.
//   - A panic in the Runner counts as a panic of the handler.
type Middleware func(next Runner) Runner

// chain wraps innermost in the middlewares, the first of them outermost. It returns nil if
// there are none: then the call runs the handler directly, without these closures.
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
