package faas_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// An instance opens once what its handler needs, and closes it when the instance is no longer
// needed.
func ExampleRegisterInit() {
	r := faas.New()
	greet := faas.RegisterInit(r, "greet", func(context.Context) (faas.Handler[string, string], func(context.Context) error, error) {
		connection := "connection 1" // stands for something that is expensive to make
		handler := func(_ context.Context, name string) (string, error) {
			return "hello, " + name + ", by " + connection, nil
		}
		closer := func(context.Context) error { fmt.Println("closed", connection); return nil }
		return handler, closer, nil
	})
	for _, name := range []string{"ana", "bo"} {
		answer, err := greet.Invoke(context.Background(), name)
		fmt.Println(answer, err)
	}
	_ = r.Shutdown(context.Background())
	// Output:
	// hello, ana, by connection 1 <nil>
	// hello, bo, by connection 1 <nil>
	// closed connection 1
}

// A context names a tenant. If calls wait, tenants take turns, and no tenant has more calls at
// once than its limit.
func ExampleWithTenant() {
	r := faas.New(faas.WithTenantConcurrency(2))
	defer r.Close()
	whose := faas.Register(r, "whose", func(ctx context.Context, _ struct{}) (string, error) {
		inv, _ := faas.FromContext(ctx)
		return inv.Tenant, nil
	})
	ctx := faas.WithTenant(context.Background(), "acme")
	fmt.Println(whose.Invoke(ctx, struct{}{}))
	// Output: acme <nil>
}

// A front door describes where a call comes from. The platform's deadline shortens the
// function's timeout. A call that misses this deadline has timed out; it is not canceled.
func ExampleWithOrigin() {
	r := faas.New(faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) {
		fmt.Println(e.Outcome, e.Origin.Door, e.Origin.RequestID)
	})))
	defer r.Close()
	slow := faas.Register(r, "slow", func(ctx context.Context, _ struct{}) (struct{}, error) {
		<-ctx.Done()
		return struct{}{}, ctx.Err()
	})
	ctx := faas.WithOrigin(context.Background(), faas.Origin{
		Trigger: "http", Door: "gateway", RequestID: "req-7", Timeout: 10 * time.Millisecond,
	})
	_, err := slow.Invoke(ctx, struct{}{})
	fmt.Println(err)
	// Output:
	// TimedOut gateway req-7
	// faas: invoke "slow": function timed out after 10ms; see WithOrigin
}

// stopwatch is a Trace that prints how its call ended.
type stopwatch struct{ function string }

// stopwatchKey is the key by which a handler finds the stopwatch of its call.
type stopwatchKey struct{}

func (w *stopwatch) Value(key any) any {
	if key == (stopwatchKey{}) {
		return w
	}
	return nil
}

func (w *stopwatch) End(e *faas.Execution) {
	if e == nil {
		fmt.Println(w.function, "was refused")
		return
	}
	fmt.Println(w.function, e.Outcome)
}

// A Trace follows a call from before its admission to its end. The handler finds the Trace on
// its context, without a middleware. In a real program the Trace would be a span, whose parent is
// the span on the caller's context.
func ExampleWithTracing() {
	r := faas.New(faas.WithTracing(func(ctx context.Context, inv faas.Invocation) faas.Trace {
		if parent, ok := ctx.Value(stopwatchKey{}).(*stopwatch); ok {
			fmt.Println(inv.Function, "is called by", parent.function)
		}
		return &stopwatch{inv.Function}
	}))
	defer r.Close()
	off := faas.Register(r, "off", faas.NoInputOrOutput(func(context.Context) error { return nil }), faas.WithConcurrency(0))
	outer := faas.Register(r, "outer", faas.NoInputOrOutput(func(ctx context.Context) error {
		_, err := off.Invoke(ctx, struct{}{})
		return err
	}))
	_, _ = outer.Invoke(context.Background(), struct{}{})
	// Output:
	// off is called by outer
	// off was refused
	// outer Failed
}

// Among the waiting calls of one tenant, the highest priority goes first.
func ExampleWithPriority() {
	r := faas.New()
	defer r.Close()
	started, release := make(chan struct{}), make(chan struct{})
	f := faas.Register(r, "f", func(_ context.Context, name string) (string, error) {
		if name == "first" {
			close(started)
			<-release
		}
		fmt.Println(name)
		return name, nil
	}, faas.WithConcurrency(1))

	var all sync.WaitGroup
	all.Go(func() { _, _ = f.Invoke(context.Background(), "first") })
	<-started
	for i, name := range []string{"usual", "urgent"} {
		all.Go(func() { _, _ = f.Invoke(faas.WithPriority(context.Background(), i), name) })
		for f.Info().Queued <= i { // until it waits
			time.Sleep(time.Millisecond)
		}
	}
	close(release)
	all.Wait()
	// Output:
	// first
	// urgent
	// usual
}

// A reservation keeps part of the router's slots for one function; slots that this function does
// not use are lent to others. The other slots are shared by weight.
func ExampleWithReserved() {
	r := faas.New(faas.WithCapacity(10))
	defer r.Close()
	faas.Register(r, "checkout", price, faas.WithReserved(4))
	faas.Register(r, "search", price, faas.WithWeight(2))
	faas.Register(r, "report", price)
	for f := range r.Functions() {
		fmt.Println(f.Name, "reserved", f.Reserved, "weight", f.Weight)
	}
	// Output:
	// checkout reserved 4 weight 1
	// report reserved 0 weight 1
	// search reserved 0 weight 2
}

// Calls beyond the limit and the queue are refused at once, with an error of the kind Busy.
func ExampleWithQueue() {
	r := faas.New()
	defer r.Close()
	started, release := make(chan struct{}), make(chan struct{})
	f := faas.Register(r, "f", func(context.Context, struct{}) (struct{}, error) {
		close(started)
		<-release
		return struct{}{}, nil
	}, faas.WithConcurrency(1), faas.WithQueue(0))
	var running sync.WaitGroup
	running.Go(func() { _, _ = f.Invoke(context.Background(), struct{}{}) })
	<-started

	_, err := f.Invoke(context.Background(), struct{}{})
	fmt.Println(errors.Is(err, faas.ErrOverloaded), faas.EndOf(err, "f").Kind)
	close(release)
	running.Wait()
	// Output: true Busy
}

// A streaming function writes its answer in pieces. Another function has one piece, its output.
func ExampleRouter_InvokeStream() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "price", price)
	err := r.InvokeStream(context.Background(), "price", []byte(`{"item": "tea", "count": 2}`), os.Stdout)
	fmt.Println(err)
	// Output: {"total":10}<nil>
}

// A front door can check whether a caller may make a call before it reads the body.
func ExampleRouter_DryRun() {
	r := faas.New(faas.WithGate(onlyAcme{}))
	defer r.Close()
	faas.Register(r, "price", price)
	acme := faas.WithTenant(context.Background(), "acme")
	fmt.Println(r.DryRun(acme, "price"))
	err := r.DryRun(context.Background(), "price")
	fmt.Println(faas.EndOf(err, "price").Kind)
	// Output:
	// <nil>
	// Denied
}

type onlyAcme struct{}

func (onlyAcme) Admit(_ context.Context, inv faas.Invocation) error {
	if inv.Tenant != "acme" {
		return errors.New("not a customer")
	}
	return nil
}
func (onlyAcme) Done(faas.Invocation, *faas.Execution) {}

// Each change of scale is a Decision, which has the reason.
func ExampleRouter_Decisions() {
	r := faas.New()
	defer r.Close()
	f := faas.Register(r, "price", price, faas.WithScaler(faas.FixedScaler{N: 2}))
	_, _ = f.Invoke(context.Background(), basket{"tea", 1})
	decisions, err := r.Decisions("price")
	for _, d := range decisions {
		fmt.Printf("%d to %d: %s\n", d.From, d.To, d.Rule)
	}
	fmt.Println(err)
	// Output:
	// 0 to 2: fixed
	// <nil>
}

// A router whose process has too much to do serves fewer calls at a time.
func ExampleWithCapacityScaler() {
	r := faas.New(faas.WithCapacity(64), faas.WithCapacityScaler(faas.SaturationScaler{Floor: 4}))
	defer r.Close()
	fmt.Println(r.Stats().Capacity)
	// Output: 64
}

// How a call ended is one of two closed sets: the kind of its refusal, or its outcome.
func ExampleEndOf() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "price", price)
	for _, call := range []struct{ name, payload string }{
		{"price", `{"count": 1}`}, {"price", `{"count": 0}`}, {"price", `{"count": "one"}`}, {"prices", `{}`},
	} {
		_, err := r.Invoke(context.Background(), call.name, []byte(call.payload))
		switch end := faas.EndOf(err, call.name); end.Kind {
		case faas.KindNone:
			fmt.Println("ended:", end.Outcome)
		default:
			fmt.Println("refused:", end.Kind)
		}
	}
	// Output:
	// ended: OK
	// ended: Failed
	// refused: Invalid
	// refused: NotFound
}

// Refusals have no record; a hook reports them.
func ExampleWithRefusals() {
	r := faas.New(faas.WithRefusals(func(_ context.Context, ref faas.Refusal) {
		fmt.Printf("%s refused to %s: %v (%s)\n", ref.Function, ref.Tenant, ref.Kind, ref.Reason)
	}))
	defer r.Close()
	faas.Register(r, "price", price, faas.WithLimits(16, 16))
	ctx := faas.WithTenant(context.Background(), "acme")
	_, _ = r.Invoke(ctx, "price", []byte(strings.Repeat(" ", 17)))
	// Output: price refused to acme: TooLarge (too_large)
}

// Options that several functions have in common can be joined to one option.
func ExampleWithOptions() {
	r := faas.New()
	defer r.Close()
	small := faas.WithOptions(faas.WithTimeout(time.Second), faas.WithConcurrency(2), faas.WithMemory(64<<20))
	f := faas.Register(r, "price", price, small, faas.WithConcurrency(4)) // of two equal options, the later one wins
	fmt.Println(f.Info().Timeout, f.Info().Limit, f.Info().Memory>>20)
	// Output: 1s 4 64
}

// The log lines of a handler name the call that they belong to. A function's log level can be
// changed while the function runs.
func ExampleLogger() {
	text := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" || a.Key == "id" {
			return slog.Attr{} // their values differ from run to run
		}
		return a
	}})
	r := faas.New(faas.WithLogger(slog.New(text)))
	defer r.Close()
	resize := faas.Register(r, "resize", func(ctx context.Context, width int) (int, error) {
		faas.Logger(ctx).Debug("asked", "width", width)
		return width / 2, nil
	})
	ctx := faas.WithTenant(context.Background(), "acme")
	_, _ = resize.Invoke(ctx, 640) // logs nothing: the logger's level is info
	_ = r.SetLogLevel("resize", slog.LevelDebug)
	_, _ = resize.Invoke(ctx, 800)
	// Output:
	// level=DEBUG msg=asked function=resize version=$LATEST attempt=1 tenant=acme width=800
}

// Two versions of a function share its limits, and each has a name of its own.
func ExampleWithVersion() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "greet", func(_ context.Context, name string) (string, error) { return "Hello, " + name, nil },
		faas.WithConcurrency(8)) // the limit of all versions together
	faas.Register(r, "greet", func(_ context.Context, name string) (string, error) { return "Good day, " + name, nil },
		faas.WithVersion(2), faas.WithTimeout(time.Second))

	for _, name := range []string{"greet", "greet:2"} {
		out, err := r.Invoke(context.Background(), name, []byte(`"Ana"`))
		fmt.Println(name, string(out), err)
	}
	versions, err := r.Versions("greet")
	for _, v := range versions {
		fmt.Println(v.Version, v.Timeout, v.Limit, err)
	}
	// Output:
	// greet "Hello, Ana" <nil>
	// greet:2 "Good day, Ana" <nil>
	// $LATEST 30s 8 <nil>
	// 2 1s 8 <nil>
}

// The inputs of failed calls are kept, without secret values, and the calls can be tried again.
func ExampleWithCapture() {
	secret := func(key string) bool { return strings.EqualFold(key, "password") }
	failed := faas.NewRing(100, 1<<20, secret)
	r := faas.New(faas.WithCapture(failed))
	defer r.Close()
	type login struct{ User, Password string }
	faas.Register(r, "login", func(_ context.Context, in login) (bool, error) {
		if in.User == "" {
			return false, errors.New("no user")
		}
		return true, nil
	})
	_, _ = r.Invoke(context.Background(), "login", []byte(`{"User":"ann","Password":"x"}`))
	_, _ = r.Invoke(context.Background(), "login", []byte(`{"user":"","password":"hunter2"}`))
	for c := range failed.All() {
		fmt.Printf("%s %v %s: %s\n", c.Function, c.Outcome, c.State, c.Input)
	}
	// Output:
	// login Failed as given: {"user":"","password":"[redacted]"}
}
