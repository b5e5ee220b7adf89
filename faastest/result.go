package faastest

import (
	"context"
	"testing"

	"github.com/inproc/faas"
)

// Result is what came of one call. It is the caller's alone.
type Result[Out any] struct {
	Output    Out            // the zero value, if Err is set
	Err       error          // as [faas.Function.Invoke] answers it
	Admitted  bool           // false: the call was refused, and the handler not entered
	Execution faas.Execution // the record of an admitted call; zero if it was refused
}

// Invoke calls h once as a router does, with its timeout, panics stopped at the
// border, gates, middlewares and meters, and returns answer and record. The
// function's name is "handler"; the router is Invoke's own, so that calls share
// nothing but h, and ends as [New] describes: a handler that outlives its call is
// waited for at the end of the test, not here.
//
// What such a handler uses beyond its call is not known when Invoke returns;
// give a [Recorder] to [faas.WithMeter] to learn it.
//
// An impossible option is fatal to tb. Invoke may be called concurrently, and
// inside a [testing/synctest] bubble; b.Loop may call it, and measures a new
// router for each call.
func Invoke[In, Out any](ctx context.Context, tb testing.TB, h faas.Handler[In, Out], in In, opts ...faas.FunctionOption) Result[Out] {
	tb.Helper()
	var (
		rec Recorder
		res Result[Out]
	)
	r := New(tb)
	defer r.Close() // what is idle need not wait for the end of the test
	f, err := faas.TryRegister(r, "handler", h, append([]faas.FunctionOption{faas.WithMeter(&rec)}, opts...)...)
	if err != nil {
		tb.Fatalf("faastest.Invoke: %v", err)
		return Result[Out]{Err: err}
	}
	res.Output, res.Err = f.Invoke(ctx, in)
	// The record is made before the caller has its answer.
	for _, e := range rec.Executions() {
		res.Admitted, res.Execution = true, e
	}
	return res
}
