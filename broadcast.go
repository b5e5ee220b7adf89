package faas

import (
	"sync"
	"sync/atomic"
)

// broadcast wakes all goroutines that wait for a change.
type broadcast struct {
	mu      sync.Mutex    // guards ch
	ch      chan struct{} // nil while no goroutine waits
	isAsked atomic.Bool   // ch is not nil: so tell takes no lock while no goroutine waits
}

// wait returns a channel that is closed at the next change. Call it before reading
// what may change: a change between the read and the receive then closes the channel.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
		b.isAsked.Store(true)
	}
	return b.ch
}

// tell reports a change, which must have happened. A goroutine that waits has stored isAsked
// before it reads what may change, and tell loads it after the change: so it reads the change,
// or is told of it.
func (b *broadcast) tell() {
	if !b.isAsked.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
		b.isAsked.Store(false)
	}
}
