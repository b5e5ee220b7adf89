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
	type answer struct {
		lag Lag
		err error
	}
	got := make(chan answer, 1) // so that a late answer holds no goroutine
	go func() {
		a := answer{unknown, errExited}
		defer func() {
			if p := recover(); p != nil {
				a = answer{unknown, &faas.PanicError{Value: p, Stack: debug.Stack()}}
			}
			got <- a
		}()
		a.lag, a.err = d.source.Lag(ctx)
	}()
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
