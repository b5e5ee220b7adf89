package source

import (
	"context"
	"time"
)

// backoff is how long to wait after failures in a row.
type backoff struct{ shortest, longest time.Duration }

// wait returns how long to wait after the nth failure in a row, from 1 on.
func (b backoff) wait(n int) time.Duration {
	d := b.shortest
	for ; n > 1 && d < b.longest; n-- {
		d *= 2
	}
	return min(d, b.longest)
}

// pause waits for d, or until ctx ends: then it is false.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
