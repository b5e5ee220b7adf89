package faas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// OnShutdown has f called when [Router.Shutdown] begins, while calls are still
// admitted: for what brings calls in, such as a server that stops to listen and ends
// its requests, or a source that stops to take messages.
//
// All functions are called at once, each on a goroutine of its own and with
// Shutdown's context, and once, however often Shutdown is called. Shutdown waits for
// them, at most until its context ends, and goes on to drain the router then. An
// error, a panic or a Goexit of f, and that it has not returned, stand in
// Shutdown's error under name; they keep nothing else from ending. f must not call
// Shutdown of this router, which answers an error there. [Router.Close] ends the
// router at once and does not call them.
//
// remove takes f back, for what ends before the router does; it does nothing once f
// is being called. f is not called if Shutdown or Close has begun: then the error Is
// [ErrClosed]. A nil f is an error that Is [ErrInput].
func (r *Router) OnShutdown(name string, f func(ctx context.Context) error) (remove func(), err error) {
	if f == nil {
		return nil, usageError("on shutdown", "", ErrInput, "%q: the function is nil", name)
	}
	h := &shutdownHook{name: name, f: f}
	if r.closing.Load() || !r.shutdownHooks.add(h) {
		return nil, usageError("on shutdown", "", ErrClosed, "%q: the router is shutting down", name)
	}
	return func() { r.shutdownHooks.remove(h) }, nil
}

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

// beginShutdownHooks starts the hooks, unless an earlier Shutdown has.
func (r *Router) beginShutdownHooks(ctx context.Context) []*shutdownHook {
	hs := &r.shutdownHooks
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if !hs.begun {
		hs.begun = true
		for _, h := range hs.list {
			h.over = make(chan struct{})
			go r.callShutdownHook(ctx, h)
		}
	}
	return hs.list
}

// awaitShutdownHooks calls the hooks and waits for them, until ctx ends.
func (r *Router) awaitShutdownHooks(ctx context.Context) error {
	var errs []error
	for _, h := range r.beginShutdownHooks(ctx) {
		select {
		case <-h.over:
		default:
			select {
			case <-h.over:
			case <-ctx.Done():
				errs = append(errs, fmt.Errorf("OnShutdown %q has not returned: %w", h.name, contextEnd(ctx)))
				continue
			}
		}
		if h.err != nil {
			errs = append(errs, fmt.Errorf("OnShutdown %q: %w", h.name, h.err))
		}
	}
	return errors.Join(errs...)
}

// callShutdownHook is a hook's goroutine.
func (r *Router) callShutdownHook(ctx context.Context, h *shutdownHook) {
	h.err = ErrExited
	defer func() { // by return, panic and Goexit alike
		if p := recover(); p != nil {
			r.hookPanicked("OnShutdown", h.name, p)
			h.err = &PanicError{Value: p, Stack: stack()}
		}
		close(h.over)
	}()
	h.err = h.f(ctx)
}
