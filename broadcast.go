package faas

import (
	"sync"
	"sync/atomic"
)

// broadcast wakes all goroutines that wait for a change.
type broadcast struct {
	mu      sync.Mutex    // guards ch
	ch      chan struct{} // nil while no goroutine waits
	isAsked atomic.Bool   // ch is not nil; with it, tell takes no lock while no goroutine waits
}

// wait returns a channel that is closed at the next change. Call wait before reading the data
// that may change: then a change after the read closes the channel.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
		b.isAsked.Store(true)
	}
	return b.ch
}

// tell wakes the goroutines that wait. Call it after the change. No change is missed: a goroutine
// that waits stores isAsked and then reads the data that may change; a goroutine that changes the
// data then loads isAsked, in tell. So either the first one reads the change, or tell closes its channel.
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
