package faastest

import (
	"context"
	"testing"

	"github.com/inproc/faas"
)

// Result is the outcome of one call. It shares no memory with the router, apart
// from what the handler's output refers to and the record's Labels.
type Result[Out any] struct {
	Output    Out            // the zero value, if Err is set
	Err       error          // as [faas.Function.Invoke] returns it
	Admitted  bool           // false: the call was refused, and the handler not entered
	Execution faas.Execution // the record of an admitted call; zero if it was refused
}

// Invoke calls h once as a router does (with the timeout, gates, middlewares and
// meters of opts, and with panics recovered) and returns the answer and the
// record. The function's name is "handler". Each Invoke makes a router, so that
// calls share nothing but h. The router ends as [New] describes: the end of the
// test, not Invoke, waits for a handler that outlives its call.
//
// What such a handler uses after its call is not known when Invoke returns. To
// learn it, pass a [Recorder] in [faas.WithMeter].
//
// An invalid option is fatal to tb. Invoke may be called concurrently, and inside
// a [testing/synctest] bubble. A benchmark may call it, and then measures a new
// router for each call.
func Invoke[In, Out any](ctx context.Context, tb testing.TB, h faas.Handler[In, Out], in In, opts ...faas.FunctionOption) Result[Out] {
	tb.Helper()
	var (
		rec Recorder
		res Result[Out]
	)
	r := New(tb)
	defer r.Close() // frees idle workers before the end of the test
	f, err := faas.TryRegister(r, "handler", h, append([]faas.FunctionOption{faas.WithMeter(&rec)}, opts...)...)
	if err != nil {
		tb.Fatalf("faastest.Invoke: %v", err)
		return Result[Out]{Err: err}
	}
	res.Output, res.Err = f.Invoke(ctx, in)
	// Invoke returns after the record was made; there is one, or none.
	for _, e := range rec.Executions() {
		res.Admitted, res.Execution = true, e
	}
	return res
}
