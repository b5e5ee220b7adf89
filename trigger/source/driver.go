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

	running context.Context //nolint:containedctx // of the source's Run and of items that wait for a place; ends with Stop
	stop    context.CancelFunc
	working context.Context //nolint:containedctx // of items under way; ends when Stop's context does
	abandon context.CancelFunc
	over    chan struct{} // closed when the driver has ended
	remove  func()        // takes Stop back from the router

	gate   gate
	places chan struct{} // one for each item under way
	order  order
	counts counters

	mu   sync.Mutex // guards what follows
	life life
}

// life is what Info tells of the source's runs.
type life struct {
	state    State
	since    time.Time // of the state
	restarts int
	failed   error
	failedAt time.Time
}

// Drive starts src on a goroutine of its own, and makes a job of each item that it brings. The
// driver ends with [Driver.Stop], with the router's Shutdown, and when src has no more items. A
// router that is closed without Shutdown ends it at its next item.
//
// The function of [To] must be registered; an unknown one, and an option out of range, is an error
// of package faas that says what to change: ErrNotFound, ErrType, ErrInput. If the router is
// shutting down it Is ErrClosed.
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

// launch starts the driver's goroutine.
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

// look looks at the function.
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

// Pause has the sink take no more items, and returns at once. Those under way go on.
func (d *Driver) Pause() { d.gate.shut() }

// Resume undoes Pause.
func (d *Driver) Resume() { d.gate.open() }

// Done is closed when the driver has ended: its source has returned for good, and no item is
// under way.
func (d *Driver) Done() <-chan struct{} { return d.over }

// Stop ends the driver, and waits for that: the source takes no more, what is under way is
// acknowledged as it would be otherwise, and Run returns. With the queue in memory, a job that
// waits for its next attempt is not waited for: its item is given back with [ErrStopped]. When ctx
// ends first, so are all others, and the error Is ctx's and says what the driver still waits for.
// It may be called again.
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
	return fmt.Errorf("source %q: %w, and the source has not returned, or has not taken the ends of %d items",
		d.set.name, context.Cause(ctx), len(d.places))
}

// grace is how long a source has to return when the time of Stop is up.
const grace = 100 * time.Millisecond

// gate is shut while the driver is paused. The zero value is open.
type gate struct {
	mu     sync.Mutex    // guards opened
	opened chan struct{} // closed when it is opened; nil: it is open
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

// closed returns what is closed when the gate opens, or nil if it is open.
func (g *gate) closed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}
