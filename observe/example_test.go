package observe_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
)

func ExampleNewProfiler() {
	profiler := observe.NewProfiler()
	r := faas.New(profiler)
	defer r.Close()

	// Call this while the functions are called.
	profile, err := profiler.Profile(context.Background(), 10*time.Millisecond)
	if err != nil {
		fmt.Println("try again later:", err)
		return
	}
	for _, u := range profile.Uses {
		fmt.Println(u.Function, u.Tenant, u.Time, "in", u.Samples, "samples")
	}
	fmt.Println("in Go's own format too:", len(profile.Pprof) > 0)
	// Output: in Go's own format too: true
}

func ExampleNewRecorder() {
	book, err := cost.Preset("scaleway-functions")
	if err != nil {
		panic(err)
	}
	book = book.AnyTime()
	rec := observe.NewRecorder(observe.WithBooks(book))
	r := faas.New(faas.WithMeter(rec), faas.WithRefusals(rec.Refused))
	defer r.Close()
	half := faas.Register(r, "half", func(_ context.Context, n int) (int, error) {
		if n%2 != 0 {
			return 0, errors.New("odd")
		}
		return n / 2, nil
	}, faas.WithMemory(128<<20))
	for n := range 10 {
		_, _ = half.Invoke(faas.WithTenant(context.Background(), "acme"), n)
	}
	_, _ = r.Invoke(context.Background(), "half", []byte("ten"))

	for s := range rec.Snapshot() {
		fmt.Println(s.Function, s.Outcomes.Calls(), "calls,", s.Outcomes.Failures(), "failures,", s.Refused(), "refused")
		fmt.Println("within a second:", s.Run.Quantile(0.99) < time.Second)
	}
	spent, err := rec.Spend(book)
	if err != nil {
		panic(err)
	}
	for _, s := range spent {
		fmt.Println(s.Tenant, s.Calls, "calls cost something:", s.List.Sign() > 0)
	}
	// Output:
	// half 10 calls, 5 failures, 1 refused
	// within a second: true
	// acme 10 calls cost something: true
}

func ExampleLog() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" || a.Key == "id" || a.Key == "wait" || a.Key == "run" {
			return slog.Attr{} // these differ from run to run
		}
		return a
	}}))
	calls := observe.Log(logger)
	r := faas.New(faas.WithMeter(calls), faas.WithRefusals(calls.Refused), faas.WithLogger(logger))
	greet := faas.Register(r, "greet", func(_ context.Context, name string) (string, error) {
		if name == "" {
			return "", errors.New("no name")
		}
		return "hello, " + name, nil
	})
	_, _ = greet.Invoke(faas.WithTenant(context.Background(), "acme"), "gopher")
	_, _ = greet.Invoke(context.Background(), "")
	for range 3 {
		_, _ = r.Invoke(context.Background(), "greet", []byte("no JSON"))
	}
	if err := r.Shutdown(context.Background()); err != nil { // writes the refusals that were counted
		panic(err)
	}
	// Output:
	// level=INFO msg=call function=greet version=$LATEST tenant=acme attempt=1 outcome=OK
	// level=WARN msg=call function=greet version=$LATEST attempt=1 outcome=Failed
	// level=WARN msg=refused function=greet version=$LATEST kind=Invalid reason=input count=3 within=1s
}

func ExampleTail() {
	tail := observe.Tail(2)
	logger := slog.New(slog.NewMultiHandler(slog.DiscardHandler, tail))
	for _, city := range []string{"Aix", "Bath", "Cork"} {
		logger.Info("arrived", "function", "travel", "city", city)
	}
	for _, l := range tail.Lines(0) {
		fmt.Println(l.Seq, l.Function, l.Message)
	}
	// Output:
	// 2 travel arrived
	// 3 travel arrived
}

// A reader that reads each second gets only what has changed.
func ExampleRecorder_Changed() {
	rec := observe.NewRecorder()
	r := faas.New(faas.WithMeter(rec))
	defer r.Close()
	for _, name := range []string{"greet", "part"} {
		faas.Register(r, name, func(context.Context, struct{}) (string, error) { return "done", nil })
	}
	mark := uint64(0)
	look := func() {
		changed, next := rec.Changed(observe.TenSeconds, time.Now().Add(-time.Minute), mark)
		for l := range changed {
			fmt.Println(l.Function, "has changed")
		}
		mark = next
	}
	_, _ = r.Invoke(context.Background(), "greet", nil)
	_, _ = r.Invoke(context.Background(), "part", nil)
	look()
	_, _ = r.Invoke(context.Background(), "part", nil)
	look()
	look()
	// Output:
	// greet has changed
	// part has changed
	// part has changed
}
