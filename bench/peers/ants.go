package peers

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/panjf2000/ants/v2"
)

// antsSubmit runs the call on a pooled goroutine and waits, without a deadline.
func antsSubmit(h Handler, c Config) Instance {
	pool := must(ants.NewPool(c.Limit))
	return Instance{Call: typed(func(ctx context.Context, in In) (Out, error) {
		ch := make(chan result, 1)
		if err := pool.Submit(func() {
			out, err := h(ctx, in)
			ch <- result{out, err}
		}); err != nil {
			return Out{}, err
		}
		r := <-ch
		return r.out, r.err
	}), Close: pool.Release}
}

// antsObvious is the reference for all ratios: the obvious code that keeps the promises of
// faas, on the pool that faas uses. It enforces the deadline, limits concurrency, turns
// panics and runtime.Goexit into errors, makes a context with an id, and meters each call.
func antsObvious(h Handler, c Config) Instance {
	slots := make(chan struct{}, c.Limit)
	return obvious(h, c,
		func(ctx context.Context) error {
			select {
			case slots <- struct{}{}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		func() { <-slots })
}

// antsObviousPoolLimit uses the size of the pool as the limit, instead of a semaphore.
// Its blocking Submit then ignores the deadline, and all functions of the pool would
// share the limit. The difference to the reference is the cost of the semaphore.
func antsObviousPoolLimit(h Handler, c Config) Instance {
	return obvious(h, c, func(context.Context) error { return nil }, nothing)
}

var errExited = errors.New("peers: the handler ended its goroutine")

type idKey struct{}

func obvious(h Handler, c Config, acquire func(context.Context) error, release func()) Instance {
	pool := must(ants.NewPool(c.Limit))
	m := new(meter)
	var ids atomic.Uint64
	invoke := func(ctx context.Context, in In) (Out, error) {
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, idKey{}, ids.Add(1)), c.Timeout)
		defer cancel()
		if err := acquire(ctx); err != nil {
			return Out{}, err
		}
		ch := make(chan result, 1)
		if err := pool.Submit(func() {
			start := time.Now()
			r := result{err: errExited} // remains the result if the handler calls Goexit
			defer func() {
				release()
				m.record(time.Since(start))
				ch <- r
			}()
			r.out, r.err = protect(ctx, h, in)
		}); err != nil {
			release()
			return Out{}, err
		}
		select {
		case r := <-ch:
			return r.out, r.err
		case <-ctx.Done():
			return Out{}, ctx.Err()
		}
	}
	return Instance{Call: typed(invoke), Close: pool.Release, Recorded: m.calls.Load}
}
