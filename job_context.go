package faas

import (
	"context"
	"sync"
	"time"
)

// jobContext is the context of a delivery. It ends with the delivery, or before it by end. It
// stands in place of context.WithCancelCause, which would allocate three times.
type jobContext struct {
	mu    sync.Mutex    // guards what follows
	done  chan struct{} // nil: it was not asked for
	over  bool
	cause error // why it is over; nil: for no other reason than context.Canceled
}

// end ends the context. The first cause stands.
func (c *jobContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over, c.cause = true, cause
	if c.done != nil {
		close(c.done)
	}
}

func (*jobContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *jobContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		if c.over {
			return noMore
		}
		c.done = make(chan struct{})
	}
	return c.done
}

func (c *jobContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return context.Canceled
	}
	return nil
}

// Value lets [context.Cause] find the cause, as that of a callContext does: see
// callContext.causer.
func (c *jobContext) Value(key any) any {
	if _, ok := key.(*int); !ok {
		return nil
	}
	c.mu.Lock()
	over, cause := c.over, c.cause
	c.mu.Unlock()
	if !over {
		return nil
	}
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	return ended.Value(key)
}
