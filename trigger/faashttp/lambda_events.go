package faashttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// Bounds of the payload of one event, and of all accepted events together. The
// first is Lambda's limit for asynchronous invocations.
const (
	maxEvent  = 1 << 20
	maxEvents = 64 << 20
)

// events are the asynchronous invocations that are accepted and not yet done. Each
// has a goroutine of its own, so maxCount bounds these goroutines too.
type events struct {
	router   *faas.Router
	log      *slog.Logger
	maxCount int
	ctx      context.Context //nolint:containedctx // of all events: ends when shutdown abandons them
	abandon  context.CancelFunc

	mu     sync.Mutex    // guards the fields below; never held during a call
	n      int           // events accepted and not done
	bytes  int           // of their payloads
	lost   int           // events that were refused for good, or given up before their handler ran to its end
	closed bool          // put accepts no more
	idle   chan struct{} // closed when n becomes 0; nil if shutdown does not wait
}

// event is one asynchronous invocation.
type event struct {
	name string
	body []byte
}

func newEvents(r *faas.Router, maxCount int, log *slog.Logger) *events {
	ctx, cancel := context.WithCancel(context.Background())
	return &events{router: r, log: log, maxCount: maxCount, ctx: ctx, abandon: cancel}
}

// put accepts an event and starts its goroutine. ctx says for which tenant and
// request; it must not end with the request. closed reports that shutdown has
// begun.
func (e *events) put(ctx context.Context, ev event) (ok, closed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.n >= e.maxCount || e.bytes+len(ev.body) > maxEvents {
		return false, e.closed
	}
	e.n++
	e.bytes += len(ev.body)
	go e.run(ctx, ev)
	return true, false
}

// run is an event's goroutine.
func (e *events) run(ctx context.Context, ev event) {
	err := errGone
	defer func() { e.done(ctx, ev, err) }() // deferred: an inline handler may end this goroutine by Goexit
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	err = e.deliver(ctx, ev)
}

// errGone is the error of an event if its inline handler ended the goroutine by
// Goexit.
var errGone = errors.New("the handler ended the event's goroutine")

// Waits between two attempts of an event: the first, and what they double up to.
const (
	firstWait = 100 * time.Millisecond
	maxWait   = 10 * time.Second
)

// deliver calls the function, again and again while its handler could not be
// reached. It returns when the handler was called, when the event is refused for
// good, or when ctx ends.
func (e *events) deliver(ctx context.Context, ev event) error {
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		_, err := e.router.Invoke(ctx, ev.name, ev.body)
		end := faas.EndOf(err, ev.name)
		if !isWorthRetrying(end) {
			return err
		}
		pause(ctx, max(wait, min(end.Err.RetryAfter, maxWait)))
		if ctx.Err() != nil {
			return err
		}
	}
}

// isWorthRetrying reports whether a call ended before its handler saw the event,
// and may reach it later. A failed init counts: the call that meets it ends as
// InitFailed, and the calls during the backoff that follows are refused as
// unavailable.
func isWorthRetrying(end faas.End) bool {
	return end.Kind == faas.KindBusy || end.Kind == faas.KindUnavailable || end.Outcome == faas.InitFailed
}

// done counts the event out. If the handler did not see the event, or was canceled,
// the event is lost: done logs that, and shutdown reports it. Otherwise the call's
// record tells how it ended. done also runs when Goexit ends the event's goroutine.
//
// It counts under e.mu, and only as its last step: when shutdown sees n == 0, all
// that the event did has happened before.
func (e *events) done(ctx context.Context, ev event, err error) {
	end := faas.EndOf(err, ev.name)
	lost := end.Kind != faas.KindNone || end.Outcome == faas.Canceled || end.Outcome == faas.InitFailed
	if lost {
		e.log.Warn("faashttp: an event was lost", "function", ev.name, "request", carriedBy(ctx).ID, "reason", string(end.Err.Reason))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if lost {
		e.lost++
	}
	e.bytes -= len(ev.body)
	if e.n--; e.n == 0 && e.idle != nil {
		close(e.idle)
		e.idle = nil
	}
}

// shutdown stops put, and waits for the events. When ctx ends it cancels what is
// left and waits on: canceled calls are settled at once, so that this wait is
// short.
func (e *events) shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	select {
	case <-e.wait():
	case <-ctx.Done():
		e.abandon()
		<-e.wait()
	}
	e.abandon()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lost > 0 {
		return fmt.Errorf("faashttp: %d events were accepted and not delivered", e.lost)
	}
	return nil
}

// wait returns a channel that is closed when no event is left. It checks e.n and
// makes the channel in one critical section of e.mu: an event that ends after the
// check finds the channel and closes it.
func (e *events) wait() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n == 0 {
		idle := make(chan struct{})
		close(idle)
		return idle
	}
	if e.idle == nil {
		e.idle = make(chan struct{})
	}
	return e.idle
}
