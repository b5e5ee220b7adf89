package faas

import (
	"context"
	"slices"
	"sync"
)

// shutdownHook is one function of OnShutdown. Its goroutine writes err; other goroutines
// read err once over is closed.
type shutdownHook struct {
	name string
	f    func(ctx context.Context) error
	over chan struct{}
	err  error
}

// shutdownHooks holds a router's hooks. The first Shutdown takes the list and calls them.
// Further calls of Shutdown wait for the same hooks to return.
type shutdownHooks struct {
	mu    sync.Mutex // guards the fields below
	list  []*shutdownHook
	begun bool // begin has started the hooks: the list does not change any more
}

func (hs *shutdownHooks) add(h *shutdownHook) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.begun {
		return false
	}
	hs.list = append(hs.list, h)
	return true
}

func (hs *shutdownHooks) remove(h *shutdownHook) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if i := slices.Index(hs.list, h); i >= 0 && !hs.begun {
		hs.list = slices.Delete(hs.list, i, i+1)
	}
}

// begin starts each hook on a goroutine of its own, by the func call, unless an earlier
// Shutdown has started them. It returns all hooks.
func (hs *shutdownHooks) begin(call func(h *shutdownHook)) []*shutdownHook {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if !hs.begun {
		hs.begun = true
		for _, h := range hs.list {
			h.over = make(chan struct{})
			go call(h)
		}
	}
	return hs.list
}
