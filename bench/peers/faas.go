package peers

import (
	"context"
	"strconv"

	"github.com/inproc/faas"
)

const functionName = "add"

// newFaas hosts h with a deadline, a limit of the function and a meter, in addition to the
// features that cannot be turned off.
func newFaas(h Handler, c Config, m *meter, opts ...faas.FunctionOption) (*faas.Router, *faas.Function[In, Out]) {
	r := newRouter(c, m)
	opts = append([]faas.FunctionOption{faas.WithTimeout(c.Timeout), faas.WithConcurrency(c.Limit)}, opts...)
	return r, faas.Register(r, functionName, faas.Handler[In, Out](h), opts...)
}

func newRouter(c Config, m *meter) *faas.Router {
	return faas.New(
		faas.WithCapacity(max(1000, c.Limit)),
		faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) { m.record(e.Duration) })),
	)
}

// hosted makes an Instance of a typed function.
func hosted(h Handler, c Config, opts ...faas.FunctionOption) Instance {
	m := new(meter)
	r, f := newFaas(h, c, m, opts...)
	return Instance{Call: typed(f.Invoke), Close: closer(r), Recorded: m.calls.Load}
}

// closer returns a Close that panics if the router can't be closed: goroutines that go on
// running would distort the later measurements.
func closer(r *faas.Router) func() {
	return func() {
		if err := r.Close(); err != nil {
			panic(err)
		}
	}
}

func faasTyped(h Handler, c Config) Instance  { return hosted(h, c) }
func faasInline(h Handler, c Config) Instance { return hosted(h, c, faas.WithInline()) }
func faasCopy(h Handler, c Config) Instance   { return hosted(h, c, faas.WithCopy()) }

// faasFunc gets its answers by InvokeFunc. Deadlines are enforced, but a Call returns only
// when the handler has returned, because the handler runs on the caller's goroutine.
func faasFunc(h Handler, c Config) Instance {
	m := new(meter)
	r, f := newFaas(h, c, m)
	return Instance{Call: typed(func(ctx context.Context, in In) (out Out, err error) {
		f.InvokeFunc(ctx, in, func(o Out, e error) { out, err = o, e })
		return out, err
	}), Close: closer(r), Recorded: m.calls.Load}
}

// faasCancellable calls with a context that can be canceled, like that of an HTTP request.
// faas then has to watch the context.
func faasCancellable(h Handler, c Config) Instance {
	inst := hosted(h, c)
	parent, cancel := context.WithCancel(context.Background())
	call, closeRouter := inst.Call, inst.Close
	inst.Call = func(_ context.Context, i int) error { return call(parent, i) }
	inst.Close = func() { cancel(); closeRouter() }
	return inst
}

// faasBytes calls by name, with JSON in and out.
func faasBytes(h Handler, c Config) Instance {
	m := new(meter)
	r, _ := newFaas(h, c, m)
	return Instance{Call: wire(func(ctx context.Context, payload []byte) ([]byte, error) {
		return r.Invoke(ctx, functionName, payload)
	}), Close: closer(r), Recorded: m.calls.Load}
}

// FaasIdle makes a router, calls baseline, registers n functions, calls none of them,
// and returns the router's Close.
func FaasIdle(n int, baseline func()) (closeRouter func()) {
	m := new(meter)
	r := faas.New(faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) { m.record(e.Duration) })))
	baseline()
	for i := range n {
		faas.Register(r, "fn-"+strconv.Itoa(i), faas.Handler[In, Out](add),
			faas.WithTimeout(Default.Timeout), faas.WithConcurrency(Default.Limit))
	}
	return closer(r)
}
