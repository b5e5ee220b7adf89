package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// register registers functions whose calls fill every panel of the dashboard.
func (h *host) register() {
	faas.RegisterInit(h.Router, "resize", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
		time.Sleep(20 * time.Millisecond)
		return resize, nil, nil
	}, faas.WithScaler(faas.ConcurrencyScaler{}), faas.WithInstanceConcurrency(1), faas.WithMaxInstances(8), faas.WithMemory(512<<20), faas.WithQueue(100))
	faas.Register(h.Router, "upper", func(_ context.Context, s string) (string, error) { return strings.ToUpper(s), nil })
	faas.Register(h.Router, "partner", partner, faas.WithTimeout(30*time.Millisecond), faas.WithConcurrency(20), faas.WithRunaways(5))
	faas.Register(h.Router, "narrow", func(context.Context, int) (int, error) {
		time.Sleep(20 * time.Millisecond)
		return 0, nil
	}, faas.WithConcurrency(1), faas.WithQueue(1))
}

// resize takes some milliseconds. One call in 50 panics, which ends its instance, so that there are cold starts.
func resize(_ context.Context, n int) (int, error) {
	time.Sleep(time.Duration(5e6 * rand.ExpFloat64()))
	if n%50 == 0 {
		panic("a broken file")
	}
	return n, nil
}

// partner calls a service that sometimes fails and sometimes does not answer. In the second case the handler
// outlives its call.
func partner(_ context.Context, n int) (int, error) {
	switch n % 20 {
	case 0:
		return 0, errors.New("the partner is down")
	case 1:
		time.Sleep(60 * time.Millisecond)
	}
	return n, nil
}

// play starts callers for three tenants. They call until quiet is called, or ctx ends.
func (h *host) play(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var callers sync.WaitGroup
	for _, tenant := range []string{"acme", "globex", "initech"} {
		for range 3 {
			callers.Go(func() { h.call(faas.WithTenant(ctx, tenant)) })
		}
	}
	h.quiet = func() { stop(); callers.Wait() }
}

// call calls all functions in turn. It ignores the results, because the recorder counts them.
func (h *host) call(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		_, _ = h.Invoke(ctx, "resize", []byte(number(n)))
		_, _ = h.Invoke(ctx, "upper", []byte(`"some text"`))
		_, _ = h.Invoke(ctx, "partner", []byte(number(n)))
		_, _ = h.Invoke(ctx, "narrow", []byte(`1`))
		if n%10 == 0 {
			_, _ = h.Invoke(ctx, "unknown", nil)
			_, _ = h.Send(ctx, "upper", []byte(`"a job"`))
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}
