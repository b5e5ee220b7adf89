package source

import (
	"context"
	"runtime/debug"

	"github.com/inproc/faas"
)

// lag calls the source's Lag on a goroutine of its own. If Lag panics, the lag is unknown. If
// Lag does not return when ctx ends, lag returns without it.
func (d *Driver) lag(ctx context.Context) (Lag, error) {
	unknown := Lag{Items: -1, Age: -1}
	if err := ctx.Err(); err != nil {
		return unknown, err
	}
	got := make(chan lagAnswer, 1) // buffered, so that a late answer does not block the goroutine
	go d.askLag(ctx, got)
	select {
	case a := <-got:
		if a.err != nil {
			a.lag = unknown
		}
		return a.lag, a.err
	case <-ctx.Done():
		return unknown, ctx.Err()
	}
}

// lagAnswer is what the source's Lag has returned.
type lagAnswer struct {
	lag Lag
	err error
}

func (d *Driver) askLag(ctx context.Context, to chan<- lagAnswer) {
	a := lagAnswer{err: errExited}
	defer func() {
		if p := recover(); p != nil {
			a.err = &faas.PanicError{Value: p, Stack: debug.Stack()}
		}
		to <- a
	}()
	a.lag, a.err = d.source.Lag(ctx)
}
