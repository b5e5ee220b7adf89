package source

import (
	"context"
	"sync"
)

// order has the items of one order key accepted in the order in which they were taken: the queue
// of jobs runs them in the order of acceptance.
type order struct {
	mu   sync.Mutex // guards last
	last map[orderKey]*turn
}

// orderKey is what a key is one of: its function and tenant.
type orderKey struct{ function, tenant, key string }

// turn is the place of an item among those of its key.
type turn struct {
	key    orderKey
	before *turn // nil: it is the first
	over   chan struct{}
}

// queue gives an item the turn after all that have the same key.
func (o *order) queue(t *taken) *turn {
	if t.OrderKey == "" {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	own := &turn{key: orderKey{t.Function, t.Tenant, t.OrderKey}, over: make(chan struct{})}
	own.before = o.last[own.key]
	o.last[own.key] = own
	return own
}

// await waits for the turn; it is false if ctx ends before.
func (t *turn) await(ctx context.Context) bool {
	if t == nil || t.before == nil {
		return true
	}
	select {
	case <-t.before.over:
		t.before = nil // or the first of them would be kept as long as the last
		return true
	case <-ctx.Done():
		return false
	}
}

// leave lets the next one go.
func (o *order) leave(t *turn) {
	if t == nil {
		return
	}
	close(t.over)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last[t.key] == t {
		delete(o.last, t.key)
	}
}
