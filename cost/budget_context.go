package cost

import (
	"context"
	"time"

	"github.com/inproc/faas"
)

// Track returns a middleware that lets handlers ask [FromContext] what the
// budgets have left for calls like theirs. It allocates once a call.
func (b *Budgets) Track() faas.Middleware {
	return func(next faas.Runner) faas.Runner {
		return func(ctx context.Context, inv faas.Invocation) error {
			return next(context.WithValue(ctx, budgetsKey{}, b), inv)
		}
	}
}

type budgetsKey struct{}

// balancesOf returns the balances that matter to ctx's call, and nothing about
// its cost; false: no budgets are tracked.
func balancesOf(ctx context.Context) (Running, bool) {
	b, ok := ctx.Value(budgetsKey{}).(*Budgets)
	if !ok {
		return Running{}, false
	}
	inv, _ := faas.FromContext(ctx) // the middleware has set b inside a call
	return Running{Elapsed: time.Since(inv.Start), Left: b.of(&inv)}, true
}
