package peers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// floor is the cheapest call that can be built from channels and still keeps the promises of
// the class Enforced, apart from the limit. It has a worker that waits for the next call, two
// clock reads, an id, a context for each call, one compare-and-swap that decides how the call
// ends, a recover, a record to a meter, and a timer that is already armed for most calls. It
// has no registry, no counters, no hooks and no admission. The difference between faas and
// floor is the cost of these.
func floor(h Handler, c Config) Instance {
	m := new(meter)
	f := &floorHost{h: h, timeout: c.Timeout, m: m, epoch: time.Now()}
	return Instance{Call: typed(f.invoke), Close: f.close, Recorded: m.calls.Load}
}

type floorHost struct {
	h       Handler
	timeout time.Duration
	m       *meter
	epoch   time.Time
	idle    sync.Pool // of *floorWorker

	mu  sync.Mutex // guards all
	all []*floorWorker
}

// floorWorker runs one call at a time on its goroutine. Only the goroutine that has the call
// may use in, out and err: the caller until it sends to work, the worker until it sends to
// wake. If the timer ends the call, expire sends to wake: the worker keeps the fields, and no
// other call gets that worker.
type floorWorker struct {
	host       *floorHost
	work, wake chan struct{}
	call       atomic.Pointer[floorContext]
	in         In
	out        Out
	err        error
	abandoned  bool // written before wake: the handler is still running
	free       []floorContext
	armed      atomic.Int64
	timer      *time.Timer
}

// floorContext is the context that a handler gets.
type floorContext struct {
	context.Context //nolint:containedctx // it is one
	id              [16]byte
	start, deadline int64
	state           atomic.Uint32
}

func (f *floorHost) now() int64 { return int64(time.Since(f.epoch)) }

// record takes the same record that a meter of faas gets.
func (f *floorHost) record(e faas.Execution) { f.m.record(e.Duration) }

func (f *floorHost) invoke(_ context.Context, in In) (Out, error) {
	w, _ := f.idle.Get().(*floorWorker)
	if w == nil {
		w = f.hire()
	}
	c := w.newContext()
	w.in = in
	w.call.Store(c)
	if a := w.armed.Load(); a == 0 || a > c.deadline {
		w.arm(c.deadline)
	}
	w.work <- struct{}{}
	<-w.wake
	if w.abandoned {
		return Out{}, context.DeadlineExceeded
	}
	out, err := w.out, w.err
	f.idle.Put(w)
	return out, err
}

func (f *floorHost) hire() *floorWorker {
	w := &floorWorker{host: f, work: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	f.mu.Lock()
	f.all = append(f.all, w)
	f.mu.Unlock()
	go func() {
		for range w.work {
			w.exec()
		}
	}()
	return w
}

// close ends the workers. No call may be running.
func (f *floorHost) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.all {
		close(w.work)
		if w.timer != nil {
			w.timer.Stop()
		}
	}
}

const floorChunk = 2048 / 72 // contexts that are allocated at once

func (w *floorWorker) newContext() *floorContext {
	if len(w.free) == 0 {
		w.free = make([]floorContext, floorChunk)
	}
	c := &w.free[0]
	w.free = w.free[1:]
	c.Context = context.Background()
	for i, r := 0, rand.Uint64(); i < 8; i++ {
		c.id[i] = byte(r >> (8 * i))
	}
	c.start = w.host.now()
	c.deadline = c.start + int64(w.host.timeout)
	return c
}

// arm sets the timer. invoke does not call it if the timer is already armed for an earlier
// time: when the timer then fires too early for the call, expire arms it again.
func (w *floorWorker) arm(deadline int64) {
	w.armed.Store(deadline)
	d := time.Duration(deadline - w.host.now())
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.expire)
		return
	}
	w.timer.Reset(d)
}

func (w *floorWorker) expire() {
	w.armed.Store(0)
	c := w.call.Load()
	switch {
	case c.state.Load() != 0: // the call has ended
	case w.host.now() < c.deadline:
		w.arm(c.deadline)
	default:
		w.settle(c, context.DeadlineExceeded, true)
	}
}

func (w *floorWorker) settle(c *floorContext, err error, abandoned bool) {
	at := w.host.now()
	if !c.state.CompareAndSwap(0, 1) {
		return
	}
	if w.abandoned = abandoned; !abandoned {
		w.err = err
	}
	w.host.record(faas.Execution{
		ID: c.id, Function: functionName, Attempt: 1, Err: err,
		Start: w.host.epoch.Add(time.Duration(c.start)), Duration: time.Duration(at - c.start),
	})
	w.wake <- struct{}{}
}

func (w *floorWorker) exec() {
	c := w.call.Load()
	var err error
	returned := false
	defer func() {
		if !returned {
			err = fmt.Errorf("peers: panic: %v", recover())
		}
		w.settle(c, err, false)
	}()
	w.out, err = w.host.h(c, w.in)
	returned = true
}
