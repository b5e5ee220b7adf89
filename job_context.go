package faas

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// jobContext is the context with which a delivery calls its function. It ends when the delivery is over,
// or earlier by end. It stands in place of context.WithCancelCause, which would allocate three times.
type jobContext struct {
	over  atomic.Bool   // the context has ended; set by end, with mu held and before done is closed
	mu    sync.Mutex    // guards what follows
	done  chan struct{} // what Done returns; nil until Done is called
	cause error         // set by end; nil: the cause is context.Canceled
}

// doneBefore is the Done channel of a context that was over before it was asked for one.
var doneBefore = func() chan struct{} { //nolint:gochecknoglobals // a constant
	c := make(chan struct{})
	close(c)
	return c
}()

// end ends the context. Only the first call sets the cause.
func (c *jobContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over.Load() {
		return
	}
	c.cause = cause
	c.over.Store(true)
	if c.done != nil {
		close(c.done)
	}
}

func (*jobContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *jobContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		if c.over.Load() {
			return doneBefore
		}
		c.done = make(chan struct{})
	}
	return c.done
}

func (c *jobContext) Err() error {
	if c.over.Load() { // without c.mu: each call of the delivery's function looks here several times
		return context.Canceled
	}
	return nil
}

// Value lets [context.Cause] find the cause once the context has ended; callContext.causer says how.
func (c *jobContext) Value(key any) any {
	if _, ok := key.(*int); !ok {
		return nil
	}
	c.mu.Lock()
	over, cause := c.over.Load(), c.cause
	c.mu.Unlock()
	if !over {
		return nil
	}
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	return ended.Value(key)
}
