package source

import (
	"context"
	"time"
)

// backoff computes the waits between failures that follow each other.
type backoff struct{ shortest, longest time.Duration }

// wait returns how long to wait after the nth failure in a row, where n begins at 1.
func (b backoff) wait(n int) time.Duration {
	d := b.shortest
	for ; n > 1 && d < b.longest; n-- {
		d *= 2
	}
	return min(d, b.longest)
}

// pause waits for d. It returns false if ctx has ended before.
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
