package source

import (
	"context"
	"runtime/debug"

	"github.com/inproc/faas"
)

// lag asks the source. A source that panics has an unknown lag; one that does not heed ctx is
// left behind.
func (d *Driver) lag(ctx context.Context) (Lag, error) {
	unknown := Lag{Items: -1, Age: -1}
	if err := ctx.Err(); err != nil {
		return unknown, err
	}
	got := make(chan lagAnswer, 1) // so that a late answer holds no goroutine
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

// lagAnswer is what a source has answered.
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
