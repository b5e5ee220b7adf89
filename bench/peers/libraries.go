package peers

import (
	"context"
	"sync"

	"github.com/alitto/pond/v2"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/timeout"
)

// pondResultPool recovers panics itself; it has no deadline.
func pondResultPool(h Handler, c Config) Instance {
	pool := pond.NewResultPool[Out](c.Limit)
	return Instance{Call: typed(func(ctx context.Context, in In) (Out, error) {
		return pool.SubmitErr(func() (Out, error) { return h(ctx, in) }).Wait()
	}), Close: pool.StopAndWait}
}

// failsafeTimeoutBulkhead cancels the handler's context at the deadline, but
// waits for the handler: the deadline is not enforced.
func failsafeTimeoutBulkhead(h Handler, c Config) Instance {
	executor := failsafe.With[Out](timeout.New[Out](c.Timeout), bulkhead.New[Out](uint(c.Limit)))
	return Instance{Call: typed(func(ctx context.Context, in In) (Out, error) {
		//nolint:contextcheck // the execution's context is a child of ctx
		return executor.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[Out]) (Out, error) {
			return h(e.Context(), in)
		})
	}), Close: nothing}
}

// lambdaInvoke is the dispatcher of aws-lambda-go without the network: JSON in,
// reflection, JSON out. A lambda.Handler reuses its output buffer, because an instance
// of Lambda serves one call at a time. So each concurrent call gets a Handler of its
// own, and keeps it until the answer has been compared.
func lambdaInvoke(h Handler, _ Config) Instance {
	calls := sync.Pool{New: func() any { return wire(lambda.NewHandler(h).Invoke) }}
	return Instance{Call: func(ctx context.Context, i int) error {
		call := calls.Get().(Call) //nolint:forcetypeassert // New makes only this type
		defer calls.Put(call)
		return call(ctx, i)
	}, Close: nothing}
}
