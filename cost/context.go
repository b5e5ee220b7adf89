package cost

import (
	"context"
	"time"

	"github.com/inproc/faas"
)

// Running is what a call has cost so far.
type Running struct {
	// Elapsed is the time since the handler was started.
	Elapsed time.Duration
	// Cost is what the call would cost if it ended now, rounded as the book rounds and
	// including the price of its request. It is zero without Track.
	Cost Money
	// Left has the balances of the budgets' accounts that the call is charged to. It is nil
	// without Budgets.Track.
	Left []Balance
}

// Track returns a middleware with which handlers can find out by [FromContext] what their
// calls cost by the book. It makes one or two allocations per call.
func Track(b *Book) faas.Middleware {
	rater := NewRater(b)
	return func(next faas.Runner) faas.Runner {
		return func(ctx context.Context, inv faas.Invocation) error {
			return next(context.WithValue(ctx, runningKey{}, &tracked{rater, inv}), inv)
		}
	}
}

type runningKey struct{}

type tracked struct {
	rater *Rater
	inv   faas.Invocation
}

// FromContext returns what the handler's own call has cost up to this moment, without the
// calls that it made and without the initialization of its instance. The result is not
// updated: call FromContext again for a later one. It returns false outside a call with
// [Track] or [Budgets.Track], and if the book has no price for the function's memory.
func FromContext(ctx context.Context) (Running, bool) {
	under, known := balancesOf(ctx)
	t, ok := ctx.Value(runningKey{}).(*tracked)
	if !ok {
		return under, known
	}
	elapsed := time.Since(t.inv.Start)
	spent, err := t.rater.Call(faas.Execution{Function: t.inv.Function, Duration: elapsed, Memory: t.inv.Memory})
	return Running{elapsed, spent, under.Left}, err == nil
}

// balancesOf returns the balances of the accounts that ctx's call is charged to, without its
// cost. It returns false if no budgets are tracked.
func balancesOf(ctx context.Context) (Running, bool) {
	b, ok := ctx.Value(budgetsKey{}).(*Budgets)
	if !ok {
		return Running{}, false
	}
	inv, _ := faas.FromContext(ctx) // ctx has budgets, so it is of a call
	return Running{Elapsed: time.Since(inv.Start), Left: b.of(&inv)}, true
}
