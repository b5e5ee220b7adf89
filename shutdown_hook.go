package faas

import (
	"context"
	"slices"
	"sync"
)

// shutdownHook is one function of OnShutdown. err is written by its goroutine, and
// read once over is closed.
type shutdownHook struct {
	name string
	f    func(ctx context.Context) error
	over chan struct{}
	err  error
}

// shutdownHooks are a router's. The first Shutdown takes the list and calls them;
// others wait for the same calls.
type shutdownHooks struct {
	mu    sync.Mutex // guards what follows
	list  []*shutdownHook
	begun bool // the hooks are called: the list does not change any more
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

// begin starts each hook by call, on a goroutine of its own, unless an earlier Shutdown has.
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
