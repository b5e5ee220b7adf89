package source

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// Driver drives one source, see [Drive]. Its methods may be called concurrently.
type Driver struct {
	router *faas.Router
	source Source
	set    *settings
	batch  *batcher // nil: each item is a job of its own

	running context.Context //nolint:containedctx // of the source's Run, and of Sends that wait for a place; Stop ends it
	stop    context.CancelFunc
	working context.Context //nolint:containedctx // of the items under way; ends when Stop's context has ended first
	abandon context.CancelFunc
	over    chan struct{} // closed when the driver has ended
	remove  func()        // removes Stop from the router's shutdown hooks

	gate   gate
	places chan struct{} // holds one element for each item under way
	order  order
	counts counters

	mu   sync.Mutex // guards life
	life life
}

// life is the state of the source's runs, for Info.
type life struct {
	state    State
	since    time.Time // when the state began
	restarts int
	failed   error
	failedAt time.Time
}

// Drive starts src on a goroutine of its own, and makes a job of each item that src brings.
// Three things end the driver: [Driver.Stop], the router's Shutdown, and a src that has no more
// items. If the router is closed without Shutdown, the driver ends at the next item.
//
// The function of [To] must be registered. If the function is unknown or does not fit, or an
// option is out of range, the error is one of package faas that says what to change:
// ErrNotFound, ErrType or ErrInput. If the router is shutting down, the error Is ErrClosed.
func Drive(r *faas.Router, src Source, opts ...Option) (*Driver, error) {
	s := newSettings(opts)
	if err := s.check(); err != nil {
		return nil, err
	}
	if r == nil || src == nil {
		return nil, fmt.Errorf("source: %w: Drive needs a router and a source", faas.ErrInput)
	}
	d := &Driver{router: r, source: src, set: s, over: make(chan struct{}), places: make(chan struct{}, s.concurrency)}
	d.order.last = map[orderKey]*turn{}
	if err := d.look(); err != nil {
		return nil, err
	}
	if err := d.launch(); err != nil {
		return nil, err
	}
	return d, nil
}

// launch makes Stop a shutdown hook of the router, and starts the driver's goroutine.
func (d *Driver) launch() error {
	d.running, d.stop = context.WithCancel(context.Background())
	d.working, d.abandon = context.WithCancel(context.Background())
	remove, err := d.router.OnShutdown(fmt.Sprintf("source %q", d.set.name), d.Stop)
	if err != nil {
		d.stop()
		d.abandon()
		return err
	}
	d.remove = remove
	if d.batch != nil {
		context.AfterFunc(d.running, d.batch.flush)
	}
	d.become(Running)
	go d.live()
	return nil
}

// look checks the function of To, and makes the batcher if the function takes batches.
func (d *Driver) look() error {
	if d.set.function == "" {
		if d.set.size > 0 {
			return fmt.Errorf("source: %w: WithBatch needs the function of To", faas.ErrInput)
		}
		return nil
	}
	sig, err := d.router.Signature(d.set.function)
	if err != nil {
		return err
	}
	if sig.Stream {
		return fmt.Errorf("source: %w: %q streams its answer, and a job has no caller to take it", faas.ErrType, d.set.function)
	}
	d.batch, err = newBatcher(d, &sig)
	return err
}

// Pause makes the sink take no more items, and returns at once. Items under way go on.
func (d *Driver) Pause() { d.gate.shut() }

// Resume ends a Pause.
func (d *Driver) Resume() { d.gate.open() }

// Done returns a channel that is closed when the driver has ended: its source has returned for
// good, and no item is under way.
func (d *Driver) Done() <-chan struct{} { return d.over }

// Stop ends the driver, and waits until it has ended: the source takes no more items, the items
// under way are acknowledged as usual, and Run returns. There is one exception: with the queue
// in memory, Stop does not wait for a job that waits for its next attempt, and its item is
// given back with [ErrStopped]. If ctx ends first, all other items are given back too. If the
// source does not return even then, Stop returns an error that Is ctx's and says what the
// driver still waits for. Stop may be called again.
func (d *Driver) Stop(ctx context.Context) error {
	d.stop()
	select {
	case <-d.over:
		return nil
	case <-ctx.Done():
	}
	d.abandon()
	select {
	case <-d.over:
		return nil
	case <-time.After(grace):
	}
	return fmt.Errorf("source %q: %w, and the source has not returned, or %d items are still under way",
		d.set.name, context.Cause(ctx), len(d.places))
}

// grace is how long a source may take to return after the context of Stop has ended.
const grace = 100 * time.Millisecond

// gate makes Sends wait while the driver is paused. The zero value is open.
type gate struct {
	mu     sync.Mutex    // guards opened
	opened chan struct{} // closed when the gate opens again; nil: the gate is open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

// closed returns the channel that is closed when the gate opens, or nil if the gate is open.
func (g *gate) closed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}
