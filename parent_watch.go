package faas

import (
	"context"
	"math"
	"sync"
	"time"
)

// parentWatch is a worker's record of the context that its last calls were made with, and
// its watch of that context.
//
// Without a watch, a caller whose context can end waits for two channels at once: its worker's
// and Done. That costs a quarter of a call, and all callers with contexts below one parent
// compete for the lock of its Done channel. So a context with which several calls in a row have
// come is watched: when it ends, package context calls a func, and that func wakes the caller.
// Meanwhile the caller waits only for its worker.
//
// A watch changes how the caller learns of the end, and nothing else: a caller that was
// woken looks at Done, and leaves the call as without a watch. Calls whose handler runs on
// the caller's goroutine have no watch, because no goroutine waits for the end of their context.
type parentWatch struct {
	done  <-chan struct{} // of the last call's context; nil: that context never ends
	calls int32           // how many calls in a row came with done, after the first; unwatchable: see start
	stop  func() bool     // ends the watch; nil: there is none
}

const (
	// repeats is the number of calls with one context after which it is watched. Starting a watch
	// costs as much as several calls gain by it, so a context that makes only a few calls gets none.
	repeats = 8
	// unwatchable is the value of calls if package context would need a goroutine for the watch.
	unwatchable = math.MinInt32
	// watchAlive is how long an idle worker keeps its watch at least, if no call with another
	// context comes. The pool checks once per watchAlive, so it may be twice as long: one second.
	watchAlive = 500 * time.Millisecond
)

// sees counts a call whose context has this Done channel, and reports whether that
// context is watched. It compares channels, since contexts may not be comparable.
func (p *parentWatch) sees(done <-chan struct{}) bool {
	switch {
	case p.done != done:
		p.forget()
		p.done = done
	case p.stop != nil:
		return true
	case done != nil:
		p.calls++
	}
	return false
}

// isDue reports whether enough calls have come with the context that a watch should start.
func (p *parentWatch) isDue() bool { return p.calls >= repeats && p.stop == nil }

// start watches ctx, whose Done channel was passed to sees. It calls ctx.Value, which may block or
// call Goexit. It starts no watch if that would need a goroutine: one goroutine for each
// worker would cost more than the watch gains. looking is the mutex that belongs to wake; all
// watches that send to wake lock it.
func (p *parentWatch) start(ctx context.Context, wake chan<- bool, looking *sync.Mutex) {
	h := &watchedParent{ctx: ctx, done: p.done}
	stop := context.AfterFunc(h, func() {
		looking.Lock()
		defer looking.Unlock()
		if len(wake) == 0 { // if not, the caller wakes up anyway
			wake <- false
		}
	})
	h.ctx = nil // the watch keeps nothing of ctx in memory except what package context needs
	if h.foreign {
		p.calls = unwatchable
		return
	}
	p.stop = stop
}

// forget ends the watch, and drops the reference to the context. It calls no foreign code,
// since only package context's own contexts are watched.
func (p *parentWatch) forget() {
	if p.stop != nil {
		p.stop()
	}
	*p = parentWatch{}
}

// watchedParent is the context that start passes to package context in place of the caller's
// context. Its purpose is to learn whether a watch would need a goroutine. Package context
// calls Value to find a context of its own kind; if it finds one, it adds the watch to that
// context. If not, it looks for a method AfterFunc before it would start a goroutine. So
// if the method AfterFunc of watchedParent is called, the caller's context can't be watched.
//
// watchedParent keeps the result of Value, because package context calls Value again, with the
// same key, when the watch ends.
type watchedParent struct {
	ctx     context.Context //nolint:containedctx // this type stands for the context; nil once the watch has started
	done    <-chan struct{}
	known   bool
	nearest any
	foreign bool
}

func (*watchedParent) Deadline() (time.Time, bool) { return time.Time{}, false }

func (h *watchedParent) Done() <-chan struct{} { return h.done }

func (h *watchedParent) Err() error {
	select {
	case <-h.done:
		return context.Canceled
	default:
		return nil
	}
}

func (h *watchedParent) Value(key any) any {
	if !h.known && h.ctx != nil {
		h.known = true
		h.nearest = valueOf(h.ctx, key)
	}
	return h.nearest
}

// valueOf returns ctx.Value(key), or nil if that panics.
func valueOf(ctx context.Context, key any) (value any) {
	defer func() {
		if recover() != nil {
			value = nil
		}
	}()
	return ctx.Value(key)
}

func (h *watchedParent) AfterFunc(func()) (stop func() bool) {
	h.foreign = true
	return func() bool { return false }
}
