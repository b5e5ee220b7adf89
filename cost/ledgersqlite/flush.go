package ledgersqlite

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// Flush waits until all records that were accepted before the call are durable. It returns
// the error of Err if they can't be written, and that of ctx if ctx ends first. It does not
// wait for records that are accepted later. [faas.Router.Shutdown] calls it.
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

// flush is a call of Flush that waits until l.done has reached upTo, or until a failure.
type flush struct {
	upTo uint64
	over chan error // has a buffer of one, for the outcome
}

// giveUp removes f from the waiting flushes, and returns why. If f is no longer among them it
// has its outcome, and giveUp returns that instead.
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
