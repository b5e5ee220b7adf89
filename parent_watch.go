package faas

import (
	"context"
	"math"
	"sync"
	"time"
)

// parentWatch is what a worker knows of the context that its last calls were made with.
//
// A caller whose context can end waits for two channels at once. That costs a quarter of a
// call, and all callers below one context share the lock of its Done channel. So a context
// with which several calls in a row have come is watched: package context calls a func when
// it ends, that func wakes the caller, and the caller waits for its worker alone.
//
// A watch changes how the caller learns of the end, and nothing else: the caller that was
// woken looks at Done, and leaves the call as without a watch. Calls on their caller's goroutine
// have none: there nothing waits for the end of the context.
type parentWatch struct {
	done  <-chan struct{} // of the last call's context; nil: that never ends
	calls int32           // how many calls in a row came with done since the first; unwatchable: see start
	stop  func() bool     // ends the watch; nil: there is none
}

const (
	// repeats is after how many calls with one context it is watched. A watch costs as much as
	// several calls gain by it, so that a context that makes only a few calls has none.
	repeats = 8
	// unwatchable stands for calls if package context would need a goroutine to watch.
	unwatchable = math.MinInt32
	// watchAlive is for how long an idle worker keeps its watch at least, if no call with another
	// context comes. As the pool looks once in a watchAlive it may be twice as long: a second.
	watchAlive = 500 * time.Millisecond
)

// sees notes that a call has come whose context has this Done channel, and tells whether the
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

// isDue tells whether the context that sees has noted came often enough to be watched.
func (p *parentWatch) isDue() bool { return p.calls >= repeats && p.stop == nil }

// start watches ctx, whose Done channel sees has noted. It calls ctx.Value, which may block or
// call Goexit. It starts no watch if there would have to be a goroutine for it: one for each
// worker would cost more than the watch gains. looking is wake's, and of all its watches.
func (p *parentWatch) start(ctx context.Context, wake chan<- bool, looking *sync.Mutex) {
	h := &watchedParent{ctx: ctx, done: p.done}
	stop := context.AfterFunc(h, func() {
		looking.Lock()
		defer looking.Unlock()
		if len(wake) == 0 { // else the caller wakes without this
			wake <- false
		}
	})
	h.ctx = nil // the watch keeps no more of ctx than package context has to
	if h.foreign {
		p.calls = unwatchable
		return
	}
	p.stop = stop
}

// forget ends the watch, and lets go of the context. It calls no foreign code: a context
// that is watched is one of package context's own.
func (p *parentWatch) forget() {
	if p.stop != nil {
		p.stop()
	}
	*p = parentWatch{}
}

// watchedParent is a caller's context as package context sees it when a watch starts. If that
// package knows the context's own kind by Value, it appends the watch to what ends with it. If
// not, it would start a goroutine; but before that it looks for a method AfterFunc, and so
// this type learns of it.
//
// It has the answer of Value after the start too, because package context asks again, by the
// same key, when the watch ends.
type watchedParent struct {
	ctx     context.Context //nolint:containedctx // this type stands for it; nil once the watch has started
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

// valueOf is ctx.Value, or nil if that panics.
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
