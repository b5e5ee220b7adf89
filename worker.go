package faas

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// goroutines is a pool of them.
type goroutines interface {
	Submit(task func()) error
	Release()
}

// slot is the place where a call runs: its timer, its two channels, and a
// worker, which is a goroutine that waits for the next call (none for inline
// calls). It serves one call after the other. Once a call has been abandoned
// the slot is left to its handler, and ends with it.
type worker struct {
	pool     *workerPool
	idle     atomic.Bool                 // whoever turns it false has the slot
	listed   atomic.Bool                 // it stands in a list of idle slots, idle or not
	call     atomic.Pointer[callContext] // the last; published by this store to whoever settles it
	armed    atomic.Int64                // when the timer fires; 0: not armed
	timer    *time.Timer
	work     chan *callContext // one place, so that handing over never waits
	wake     chan struct{}     // one place: whoever settles never waits
	contexts arena
	tenant   string // of the last call in contexts that had one

	// Written by whoever settles, before the wake-up.
	answer    error
	idleSince int64
	abandoned bool
	dead      bool // the worker'w goroutine is ending

	started    bool    // it has its worker; of whoever has the slot
	prev, next *worker // in crew.all; guarded by its lock

	runaway
}

// arena cuts contexts from chunks, which grow from one, so that a slot that
// serves one long call holds no more than it needs. A context that is kept by
// its handler keeps its chunk alive, which is at most 2 KiB and refers to what calls
// hold only while they run.
type arena struct {
	chunk []callContext
	next  int
}

const chunk = 14

// cut makes a context for a call in w; without a slot, one by itself.
func (w *worker) newContext() *callContext {
	if w == nil {
		return &callContext{}
	}
	return w.contexts.alloc()
}

// own is the tenant'w name for a context that is cut: a copy, so that the chunk
// does not hold what the caller has cut it from. Tenants who come again share it.
func (w *worker) shareTenant(tenant string) string {
	if w == nil || tenant == "" {
		return tenant
	}
	if w.tenant != tenant {
		w.tenant = strings.Clone(tenant)
	}
	return w.tenant
}

// formalize makes a formal context of one that was cut and does not suffice, and
// gives that back.
func (w *worker) replaceContext(c *callContext, tenant string) *callContext {
	if c.extra != nil {
		return c
	}
	formal := newContextWithExtra(c.fn, c.task, tenant)
	formal.counted = c.counted
	if w != nil {
		w.contexts.putBack(c)
	}
	return formal
}

func (a *arena) alloc() *callContext {
	if a.next == len(a.chunk) {
		a.chunk, a.next = make([]callContext, min(2*len(a.chunk)+1, chunk)), 0
	}
	c := &a.chunk[a.next]
	a.next++
	return c
}

// putBack takes back the one that was cut last, and not shown to any other party.
func (a *arena) putBack(c *callContext) {
	*c = callContext{}
	a.next--
}

// crew is a router'w slots. Those that wait for a call stand in a list, and
// their pointers also in a pool of hints, which keeps apart what different
// processors used last: a call that finds its hint idle takes it with one
// compare-and-swap and no lock, and gets a worker whose stack is warm.
type workerPool struct {
	newPool     func() (goroutines, error)
	loop        func(*worker)
	clock       *clock
	beforeStart func() // tells that slots are made, before each; or nil
	idleWorkers idleList
	idleInline  idleList
	closed      atomic.Bool
	sweeper     atomic.Bool // the timer of sweep is set

	mu         sync.Mutex // guards what follows
	goroutines goroutines // nil while there is no worker
	all        *worker    // the first of a list
	timer      *time.Timer
}

// idleSlots are the slots that wait for a call, and some that have been taken
// by their hint and stay in the list meanwhile.
type idleList struct {
	hints sync.Pool  // of *slot; one that is not idle is stale
	mu    sync.Mutex // guards list, and is never held for long
	list  []*worker
}

// keepAlive is how long a slot may be idle, at least; at most twice as long.
const keepAlive = 10 * time.Second

// newCrew makes a crew without slots. The pool and what a worker runs are the
// scheduler'w; they are handed in, so that this file does not need it.
func newWorkerPool(clock *clock, newPool func() (goroutines, error), loop func(*worker)) *workerPool {
	return &workerPool{clock: clock, newPool: newPool, loop: loop}
}

func (p *workerPool) idlePool(inline bool) *idleList {
	if inline {
		return &p.idleInline
	}
	return &p.idleWorkers
}

// slot makes one. Its worker begins with its first call, which so finds it ready
// and need not wake it.
func (p *workerPool) newWorker(inline bool) (*worker, error) {
	w := &worker{pool: p, wake: make(chan struct{}, 1)}
	if !inline {
		w.work = make(chan *callContext, 1)
	}
	if p.beforeStart != nil {
		p.beforeStart()
	}
	return w, p.register(w)
}

func (p *workerPool) register(w *worker) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return ErrClosed
	}
	if p.goroutines == nil && w.work != nil {
		pool, err := p.newPool()
		if err != nil {
			return err
		}
		p.goroutines = pool
	}
	if w.next = p.all; w.next != nil {
		w.next.prev = w
	}
	p.all = w
	return nil
}

// man gives the slot its worker. The pool is asked under the lock, because its own
// spins: a thousand callers who come at once would be turned round and round.
//
// It refuses once the router is closed. The call that is in the slot by then has
// been told so, and still needs somebody to see it out.
func (w *worker) start() {
	w.started = true
	p := w.pool
	p.mu.Lock()
	submitted := p.goroutines != nil && p.goroutines.Submit(func() { p.loop(w) }) == nil
	p.mu.Unlock()
	if !submitted {
		go p.loop(w)
	}
}

// rest puts a slot back that is done with its call.
func (p *workerPool) release(w *worker) {
	p.idlePool(w.work == nil).put(w)
	if p.closed.Load() { // Close may have emptied the list before
		p.stopIdle(math.MaxInt64)
	} else if !p.sweeper.Load() && p.sweeper.CompareAndSwap(false, true) {
		p.sweepLater()
	}
}

// sweepLater sets the timer, unless the crew is closed: its idle slots have ended.
// The runtime keeps a timer that was stopped for a while, and what it calls with
// it. So this one knows the crew by a weak pointer, which keeps neither a closed
// router nor one that was forgotten.
func (p *workerPool) sweepLater() {
	weakly := weak.Make(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return
	}
	p.timer = time.AfterFunc(keepAlive, func() {
		if w := weakly.Value(); w != nil {
			w.sweep()
		}
	})
}

// sweep ends the slots that have been idle for long, and comes again while
// there are others.
func (p *workerPool) sweep() {
	p.sweeper.Store(false) // before the look: a slot that comes after it sets the timer
	if p.stopIdle(p.clock.now()-int64(keepAlive)) && p.sweeper.CompareAndSwap(false, true) {
		p.sweepLater()
	}
}

// retire ends the slots that have been idle since before a moment, and tells
// whether there are others.
func (p *workerPool) stopIdle(before int64) (others bool) {
	for _, h := range []*idleList{&p.idleWorkers, &p.idleInline} {
		old, left := h.takeIdleBefore(before)
		for _, w := range old {
			p.stop(w)
		}
		others = others || left
	}
	return others
}

// dismiss ends a slot that has no call.
func (p *workerPool) stop(w *worker) {
	if w.started {
		close(w.work) // the worker forgets the slot as it ends
		return
	}
	p.unregister(w)
}

// forget drops a slot that has ended, and with the last worker the pool. The
// runtime may keep its timer for a while, and hints keep the slot: it lets go of
// its calls.
func (p *workerPool) unregister(w *worker) {
	if w.timer != nil { // armed, it would keep the slot alive until its last deadline
		w.timer.Stop()
	}
	w.call.Store(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlink(w)
	if p.all == nil {
		p.releasePool()
	}
}

// unlink takes a slot out of all, if it is there; the lock is held.
func (p *workerPool) unlink(w *worker) {
	switch {
	case w.prev != nil:
		w.prev.next = w.next
	case p.all == w:
		p.all = w.next
	default:
		return
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
}

// release lets go of the pool; the lock is held.
func (p *workerPool) releasePool() {
	if p.goroutines != nil {
		p.goroutines.Release()
		p.goroutines = nil
	}
}

// close ends what is idle now, and what becomes idle later.
func (p *workerPool) close() {
	p.mu.Lock()
	p.closed.Store(true)
	p.releasePool()
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.stopIdle(math.MaxInt64)
}

// slots returns all there are, idle or not.
func (p *workerPool) list() []*worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*worker
	for w := p.all; w != nil; w = w.next {
		all = append(all, w)
	}
	return all
}

// claim takes a slot that is idle.
func (w *worker) claim() bool { return w.idle.Load() && w.idle.CompareAndSwap(true, false) }

// take takes an idle slot, or returns nil.
func (h *idleList) take() *worker {
	if w, ok := h.hints.Get().(*worker); ok && w.claim() {
		return w
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for n := len(h.list); n > 0; n = len(h.list) {
		w := h.list[n-1]
		h.list[n-1] = nil
		h.list = h.list[:n-1]
		// In this order, and put has the reverse: whichever comes first, the
		// slot is claimed here or listed there.
		w.listed.Store(false)
		if w.claim() {
			return w
		}
	}
	return nil
}

// put makes a slot idle.
func (h *idleList) put(w *worker) {
	w.idle.Store(true)
	if !w.listed.Load() && w.listed.CompareAndSwap(false, true) {
		h.mu.Lock()
		h.list = append(h.list, w)
		h.mu.Unlock()
	}
	h.hints.Put(w)
}

// cut takes the slots that have been idle since before a moment, and tells
// whether there are others.
func (h *idleList) takeIdleBefore(before int64) (old []*worker, others bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = slices.DeleteFunc(h.list, func(w *worker) bool {
		if !w.claim() {
			return false // it is at work
		}
		if w.idleSince <= before { // its own since it is claimed
			old = append(old, w)
			return true
		}
		w.idle.Store(true)
		return false
	})
	return old, len(h.list) > 0
}

// runaway is a call that was settled while its handler ran. A goroutine can't
// be ended from outside, so the handler goes on with its slot until it
// returns, and what that costs is recorded apart. Most return soon: until its grace is
// over, calls wait for its slot as for any other.
//
// Two parties have to be done before it is over: whoever settled the call, and
// the handler. Each writes its fields before it leaves; the second to leave
// reads them all.
type runaway struct {
	left     atomic.Int32
	since    int64                  // when it was settled; by the settler
	ended    int64                  // when the handler ended; by the handler
	replaced bool                   // its slot was given back already; by the settler
	report   *time.Timer            // by the settler
	tell     atomic.Pointer[func()] // what the report says; nil: there is nothing to say any more
}
