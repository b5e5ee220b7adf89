package ledgersqlite

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// Flush returns when all that was accepted before it is durable, with the error that Err
// has, or with ctx's. It does not wait for what is accepted later.
// [faas.Router.Shutdown] calls it.
func (l *Ledger) Flush(ctx context.Context) error {
	l.mu.Lock()
	if !l.running || l.done == l.accepted {
		defer l.mu.Unlock()
		return l.err
	}
	f := &flush{upTo: l.accepted, over: make(chan error, 1)}
	l.flushes = append(l.flushes, f)
	l.mu.Unlock()
	select {
	case err := <-f.over:
		return err
	case <-ctx.Done():
		return l.giveUp(f, ctx.Err())
	}
}

// flush is a Flush that waits until l.done is upTo, or until a failure.
type flush struct {
	upTo uint64
	over chan error // has room for the one outcome that it gets
}

// giveUp removes f from the flushes that wait. If f is not there, it has its outcome
// although ctx has ended.
func (l *Ledger) giveUp(f *flush, why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.flushes, f)
	if i < 0 {
		return <-f.over
	}
	l.flushes = slices.Delete(l.flushes, i, i+1)
	return wrap("flush", l.path, uuid.Nil, why)
}
