package source

import (
	"context"
	"sync"
)

// order makes the queue accept items of one order key in the order in which they were taken,
// since the queue runs the jobs of a key in the order of acceptance.
type order struct {
	mu   sync.Mutex // guards last
	last map[orderKey]*turn
}

// orderKey is an order key with its function and tenant: the same text is another key
// elsewhere.
type orderKey struct{ function, tenant, key string }

// turn is the place of an item among those with the same order key.
type turn struct {
	key    orderKey
	before *turn         // the item before it, which is accepted first; nil: there is none
	over   chan struct{} // closed when the item was accepted, or given up
}

// queue gives an item the last turn of its order key.
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

// await waits for the item's turn. It returns false if ctx ends before.
func (t *turn) await(ctx context.Context) bool {
	if t == nil || t.before == nil {
		return true
	}
	select {
	case <-t.before.over:
		t.before = nil // else the first turn would be kept in memory as long as the last
		return true
	case <-ctx.Done():
		return false
	}
}

// leave ends an item's turn, and so begins the next.
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
