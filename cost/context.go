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
	// Cost is what the call would cost if it ended now, rounded by the book, with its
	// request; zero without Track.
	Cost Money
	// Left is the accounts that the call is charged to; nil without Budgets.Track.
	Left []Balance
}

// Track returns a middleware that lets handlers ask [FromContext] what their calls cost
// by the book. It allocates once or twice a call.
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

// FromContext tells a handler what its own call has cost so far, without the calls that
// it made and without the initialization of its instance. Ask again for a later answer.
// It is false outside a call with [Track] or [Budgets.Track], and if the book has no
// price for the function's memory.
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

// balancesOf returns the balances of the accounts that ctx's call is charged to, and
// nothing about its cost; false: no budgets are tracked.
func balancesOf(ctx context.Context) (Running, bool) {
	b, ok := ctx.Value(budgetsKey{}).(*Budgets)
	if !ok {
		return Running{}, false
	}
	inv, _ := faas.FromContext(ctx) // the middleware has set b inside a call
	return Running{Elapsed: time.Since(inv.Start), Left: b.of(&inv)}, true
}
