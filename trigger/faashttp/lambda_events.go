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

// The payload of an event, and of all that are on their way. The first is the
// limit of Lambda's asynchronous invocations.
const (
	maxEvent  = 1 << 20
	maxEvents = 64 << 20
)

// events are the asynchronous invocations on their way: each has a goroutine,
// and what bounds them bounds those.
type events struct {
	router   *faas.Router
	log      *slog.Logger
	maxCount int
	ctx      context.Context //nolint:containedctx // ends with what is given up; no caller's
	abandon  context.CancelFunc

	mu     sync.Mutex // guards what follows
	n      int
	bytes  int
	lost   int
	closed bool
	idle   chan struct{} // closed when n turns 0; nil: nobody waits
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

// put takes an event whose caller does not wait. Who he is, ctx goes on to say.
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

func (e *events) run(ctx context.Context, ev event) {
	err := errGone
	defer func() { e.done(ctx, ev, err) }() // also where an inline handler ends this goroutine
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	err = e.deliver(ctx, ev)
}

var errGone = errors.New("the handler ended the event's goroutine")

// How long an event waits before the router is asked for room again; the wait
// doubles.
const (
	firstWait = 100 * time.Millisecond
	maxWait   = 10 * time.Second
)

// deliver calls the function once there is room.
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

// isWorthRetrying tells whether a call ended before its handler saw the event, and
// may reach it later. A failed init counts: the call that meets it ends as InitFailed,
// and the calls during the backoff that follows are refused as unavailable.
func isWorthRetrying(end faas.End) bool {
	return end.Kind == faas.KindBusy || end.Kind == faas.KindUnavailable || end.Outcome == faas.InitFailed
}

// done settles an event. One that its handler has seen has a record; one that
// it hasn't is lost, and said to be.
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
