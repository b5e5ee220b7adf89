package faas

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/inproc/faas/internal/admission"
)

// worker runs one call after the other. It has a timer, two channels and a goroutine
// that waits for the next call. A worker for inline calls, or for calls of InvokeFunc, has
// no goroutine. When a call's handler becomes a runaway the worker is abandoned: it
// takes no more calls, and ends when that handler returns.
//
// One goroutine at a time owns a worker: the goroutine that made it, or that changed
// idle from true to false. It owns the worker until it calls put. A field without another
// note belongs to the owner. The compare-and-swap on idle is the happens-before edge from
// one owner to the next.
type worker struct {
	pool     *workerPool
	idle     atomic.Bool                 // a caller that turns it to false owns the worker
	listed   atomic.Bool                 // the worker is in idleList.list, perhaps while it is busy: see idleList
	hinted   atomic.Bool                 // the worker is in idleList.hints, or was: the sync.Pool may have dropped it
	call     atomic.Pointer[callContext] // the worker's last call; the timer and Close settle the call that they load from here
	armed    atomic.Int64                // the time for which the timer is set; 0: the timer is not set
	timer    *time.Timer                 // made by the owner in arm; expire and unregister use it too
	work     chan *callContext           // buffer of one, so the caller that sends never blocks; nil: the worker has no goroutine, see isHere
	wake     chan bool                   // true: the call is settled; false: look at the caller's context, see parentWatch. Room for one of each: no sender waits
	keeper   admission.Keeper            // of the slot that the last call has left for the next one
	looking  *sync.Mutex                 // a watch locks it while it sends false to wake: at most one false is there; apart: a late watch keeps no w in memory
	contexts arena
	parent   parentWatch // the watch of the caller's context; conclude ends the watch of an abandoned worker
	direct   *direct     // of the current call if it is one of InvokeFunc; the goroutine that settles that call takes it from here
	tenant   string      // the copy of the tenant's name that the contexts of this worker's calls share, see shareTenant

	// The goroutine that settles the call writes these fields in conclude. The caller
	// reads them after its receive from wake, or because it settled the call itself.
	answer    error
	idleSince int64
	abandoned bool
	// dead is true if the handler's goroutine ends with this call. That goroutine sets it
	// before it settles the call. If abandoned is true, no other goroutine may read dead.
	dead bool

	started    bool    // the goroutine runs
	prev, next *worker // in workerPool.all; guarded by workerPool.mu

	runaway
}

// arena allocates contexts in chunks, since one allocation for each call would cost
// more. No context is used twice. The first chunk holds one context and each further
// chunk is larger, so that a worker that serves one long call holds little memory. A
// handler that keeps its context after the call keeps the whole chunk in memory: at most
// 2 KiB, and no input or output of a call that is over.
type arena struct {
	chunk []callContext
	next  int
}

const chunk = 14 // contexts in the largest chunk

// newContext makes a context for a call on w. If w is nil, the context is not part of a chunk.
func (w *worker) newContext() *callContext {
	if w == nil {
		return &callContext{}
	}
	return w.contexts.alloc()
}

// shareTenant returns a copy of the tenant's name for a context in a chunk. The
// caller's string may be a part of a large string, for example of a request header. A
// chunk that a handler keeps would keep all of that in memory. Consecutive calls of one
// tenant share one copy.
func (w *worker) shareTenant(tenant string) string {
	if w == nil || tenant == "" {
		return tenant
	}
	if w.tenant != tenant {
		w.tenant = strings.Clone(tenant)
	}
	return w.tenant
}

// replaceContext returns a context with a callExtra for a call that turned out to
// need a callExtra, and puts c back into its chunk. No other goroutine has seen c.
func (w *worker) replaceContext(c *callContext, tenant string) *callContext {
	if c.extra != nil {
		return c
	}
	replacement := target{fn: c.fn, who: c.who}.newContext(c.task, tenant)
	replacement.counted = c.counted
	if w != nil {
		w.contexts.putBack(c)
	}
	return replacement
}

func (a *arena) alloc() *callContext {
	if a.next == len(a.chunk) {
		a.chunk, a.next = make([]callContext, min(2*len(a.chunk)+1, chunk)), 0
	}
	c := &a.chunk[a.next]
	a.next++
	return c
}

// putBack takes back c, which must be the context that alloc returned last, and must not
// have been seen by another goroutine. It is the exception to "no context is used twice".
func (a *arena) putBack(c *callContext) {
	*c = callContext{}
	a.next--
}

// workerPool holds a router's workers: all of them in one linked list, and the idle
// workers in an idleList, from which a call takes one.
//
// A goroutine holds at most one of these locks at a time: mu, which guards the list of
// all workers, and the mutex of each idleList, which guards that idleList's slice.
type workerPool struct {
	newPool     func() (goroutines, error)
	loop        func(*worker)
	clock       *clock
	beforeStart func() // called before each new worker is made; nil: nothing to call
	idleWorkers idleList
	idleInline  idleList    // workers without a goroutine, for inline calls and calls of InvokeFunc
	closed      atomic.Bool // stored with mu locked; also read without mu
	sweeper     atomic.Bool // the timer that calls sweep is set
	unwatcher   atomic.Bool // the timer that calls endWatches is set

	mu         sync.Mutex  // guards the fields below
	goroutines goroutines  // nil while no worker has a goroutine
	all        *worker     // head of the list of all workers, idle or not, linked by prev and next
	timer      *time.Timer // calls sweep
	watchTimer *time.Timer // calls endWatches
}

// idleList finds an idle worker for a call whose task does not remember one (see
// workerPool.take). It looks in two places. The field hints is a sync.Pool, which keeps what each
// processor used last: to take a worker from there needs one compare-and-swap and no lock, and
// the worker's stack is probably still in the processor's cache. The field list has every idle
// worker, since a sync.Pool may drop what it holds. A worker that was found in one place stays in
// the other while it is busy: to remove it from list would need the lock.
type idleList struct {
	hints sync.Pool  // of *worker; a worker in it may be busy, so claim may fail
	mu    sync.Mutex // guards list; while it is locked, no foreign code runs and no goroutine waits
	list  []*worker
}

// keepAlive is how long a worker stays idle, at least, before it is stopped. Since
// sweep runs once per keepAlive, a worker may stay idle for twice as long.
const keepAlive = 10 * time.Second

// newWorkerPool makes a pool without workers. loop is the function of that name in
// scheduler.go. It is a parameter so that this file does not depend on scheduler.go.
func newWorkerPool(clock *clock, newPool func() (goroutines, error), loop func(*worker)) *workerPool {
	return &workerPool{clock: clock, newPool: newPool, loop: loop}
}

// take claims an idle worker, or returns nil. The parameter near points to the field in which the
// call's task remembers the worker of its last call. The same processor probably used both, and
// in most cases that worker is idle. If it is busy, take remembers the worker that it finds instead.
func (p *workerPool) take(inline bool, near **worker) *worker {
	if w := *near; w != nil && (w.work == nil) == inline && w.claim() {
		return w
	}
	w := p.idlePool(inline).take()
	if w != nil {
		*near = w
	}
	return w
}

func (p *workerPool) idlePool(inline bool) *idleList {
	if inline {
		return &p.idleInline
	}
	return &p.idleWorkers
}

// newWorker makes a worker without its goroutine. serve starts the goroutine after it has
// sent the first call to work, so that the goroutine finds the call at once and does not park.
func (p *workerPool) newWorker(inline bool) (*worker, error) {
	w := &worker{pool: p, wake: make(chan bool, 2)}
	if !inline {
		w.work, w.looking = make(chan *callContext, 1), &sync.Mutex{}
	}
	if p.beforeStart != nil {
		p.beforeStart()
	}
	return w, p.register(w)
}

// register adds w to the list of all workers. It returns ErrClosed once the pool is
// closed. close sets closed with mu locked too, so each worker is either registered
// before close looks at the list, or not at all.
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

// start starts the worker's goroutine. It calls Submit with p.mu locked, because ants guards its queue with
// a spin lock. Measured with a burst of 1,000 concurrent callers: the burst took twice as long when they competed
// for the spin lock as when they waited for p.mu. Submit does not block, since the ants pool has no limit.
//
// Once the router is closed, Submit fails or p.goroutines is nil. By then Close has settled the call that is in
// work, but a goroutine still has to run finish for that call. So start uses a go statement instead.
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

// release makes w idle again. The call of w must be settled, and must not be a runaway. If close runs at
// the same time, there are two cases. If close finds w in the idle list, close stops w. If close emptied the
// lists before put, closed is set already, and stopIdle here stops w.
func (p *workerPool) release(w *worker) {
	watches := w.parent.stop != nil // before put: after put, another goroutine may own w
	p.idlePool(w.work == nil).put(w)
	if p.closed.Load() {
		p.stopIdle(math.MaxInt64)
		return
	}
	if !p.sweeper.Load() && p.sweeper.CompareAndSwap(false, true) {
		p.later(keepAlive, &p.timer, (*workerPool).sweep)
	}
	if watches && !p.unwatcher.Load() && p.unwatcher.CompareAndSwap(false, true) {
		p.later(watchAlive, &p.watchTimer, (*workerPool).endWatches)
	}
}

// later sets a timer that calls the func do after d. It sets none if the pool is closed: then no
// worker is idle. The runtime keeps a stopped timer in memory for a while, and with it the
// timer's function. So that function has only a weak pointer to the pool. This way a router that
// is closed, or that no code refers to, can be garbage-collected.
func (p *workerPool) later(d time.Duration, timer **time.Timer, do func(*workerPool)) {
	pool := weak.Make(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return
	}
	*timer = time.AfterFunc(d, func() {
		if p := pool.Value(); p != nil {
			do(p)
		}
	})
}

// sweep stops the workers that have been idle for keepAlive, and sets its timer again
// if other idle workers are left.
func (p *workerPool) sweep() {
	p.sweeper.Store(false) // before stopIdle: for a worker that becomes idle after stopIdle has looked, release sets the timer
	if p.stopIdle(p.clock.now()-int64(keepAlive)) && p.sweeper.CompareAndSwap(false, true) {
		p.later(keepAlive, &p.timer, (*workerPool).sweep)
	}
}

// endWatches ends the watches of workers that have been idle for watchAlive. Other workers may still have watches:
// those that became idle later, and busy ones. release sets the timer again for them, when it is called here or at
// the end of their calls. unwatcher is cleared first, so that release sees it as false.
func (p *workerPool) endWatches() {
	p.unwatcher.Store(false)
	before := p.clock.now() - int64(watchAlive)
	for _, w := range p.idleWorkers.takeWatching() {
		if w.idleSince <= before {
			w.parent.forget()
		}
		p.release(w)
	}
}

// stopIdle stops the workers that have been idle since the given time (a reading of p.clock) or
// longer. The result others reports whether more workers are in the lists.
func (p *workerPool) stopIdle(before int64) (others bool) {
	for _, l := range []*idleList{&p.idleWorkers, &p.idleInline} {
		old, left := l.takeIdleBefore(before)
		for _, w := range old {
			p.stop(w)
		}
		others = others || left
	}
	return others
}

// stop ends a worker that has no call. The calling goroutine must own w.
func (p *workerPool) stop(w *worker) {
	w.parent.forget()
	if w.started {
		close(w.work) // loop ends, and unregisters w
		return
	}
	p.unregister(w)
}

// unregister removes w, which has ended, from the list of all workers; a second call
// does nothing. If w was the last worker, the ants pool is released. An idleList's hints,
// and the runtime's timer, may keep w in memory for a while, so unregister clears w.call.
func (p *workerPool) unregister(w *worker) {
	if w.timer != nil { // a timer that is set would keep w in memory until it fires
		w.timer.Stop()
	}
	w.call.Store(nil)
	w.keeper.Drop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlink(w)
	if p.all == nil {
		p.releasePool()
	}
}

// unlink removes w from the list p.all, if it is there. p.mu must be held.
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

// releasePool ends the ants pool; tasks that run in the pool continue. p.mu must be held.
func (p *workerPool) releasePool() {
	if p.goroutines != nil {
		p.goroutines.Release()
		p.goroutines = nil
	}
}

// close stops the idle workers, and sets closed, so that release stops those that become
// idle later. It does not wait: a worker with a runaway ends when its handler returns.
func (p *workerPool) close() {
	p.mu.Lock()
	p.closed.Store(true)
	p.releasePool()
	for _, t := range []*time.Timer{p.timer, p.watchTimer} {
		if t != nil {
			t.Stop()
		}
	}
	p.mu.Unlock()
	p.stopIdle(math.MaxInt64)
}

// list returns all workers, idle or not, as they were at one moment. Close settles their
// calls with p.mu unlocked, because settling a call runs hooks. So it needs this copy.
func (p *workerPool) list() []*worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*worker
	for w := p.all; w != nil; w = w.next {
		all = append(all, w)
	}
	return all
}

// claim makes the calling goroutine the owner of w, if w is idle. The plain load comes
// first, because even a compare-and-swap that fails takes the cache line away from
// the processor that uses w.
func (w *worker) claim() bool { return w.idle.Load() && w.idle.CompareAndSwap(true, false) }

// take claims an idle worker, or returns nil. It tries one hint, and then the list,
// starting with the worker that was added last.
func (l *idleList) take() *worker {
	if w, ok := l.hints.Get().(*worker); ok {
		w.hinted.Store(false)
		if w.claim() {
			return w
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := len(l.list); n > 0; n = len(l.list) {
		w := l.list[n-1]
		l.list[n-1] = nil
		l.list = l.list[:n-1]
		// w can't get lost if another goroutine puts it back at this moment. take stores
		// listed and then reads idle (in claim); put stores idle and then reads listed.
		// So either take claims w here, or put sees that w is not listed and appends it.
		w.listed.Store(false)
		if w.claim() {
			w.hinted.Store(false) // so that put adds a hint for w again: the sync.Pool may have dropped the old one
			return w
		}
	}
	return nil
}

// put makes w idle. After its first line another goroutine may own w.
func (l *idleList) put(w *worker) {
	w.idle.Store(true)
	if !w.listed.Load() && w.listed.CompareAndSwap(false, true) {
		l.mu.Lock()
		l.list = append(l.list, w)
		l.mu.Unlock()
	}
	if !w.hinted.Load() { // two goroutines may both see false and put a hint for w; one of the later claims then fails
		w.hinted.Store(true)
		l.hints.Put(w)
	}
}

// takeIdleBefore claims the workers that have been idle since the given time or longer, and
// removes them from the list. The result others reports whether more workers are in the list.
// The field listed of the removed workers stays true, because they are never put back.
func (l *idleList) takeIdleBefore(before int64) (old []*worker, others bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(w *worker) bool {
		if !w.claim() {
			return false // a call runs on it
		}
		if w.idleSince <= before { // safe to read: claim made this goroutine the owner
			old = append(old, w)
			return true
		}
		w.idle.Store(true)
		return false
	})
	return old, len(l.list) > 0
}

// takeWatching claims the idle workers that watch a context. They stay in the list.
func (l *idleList) takeWatching() (watching []*worker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.list {
		switch {
		case !w.claim():
		case w.parent.stop != nil:
			watching = append(watching, w)
		default:
			w.idle.Store(true)
		}
	}
	return watching
}

// runaway is the part of a worker that is used when its call is settled while the handler still runs. Go
// can't end a goroutine from outside, so the handler keeps its worker until it returns. It also keeps its
// slot, unless WithRunaways gives the slot to another call. What the handler uses after the end of its call
// is recorded as an Overrun. Most handlers return soon. So until the grace of WithStuck is over, other calls
// wait for this slot as for any other.
//
// Two goroutines call leave: the goroutine that settled the call, and the handler's. Each writes
// its fields below before leave adds 1 to the counter left. The goroutine that adds second reads
// all of them: the atomic add is the happens-before edge. That goroutine also gives back the
// slot, see runaway.go.
type runaway struct {
	left     atomic.Int32           // how many of the two goroutines have called leave
	since    int64                  // when the call was settled; written by the goroutine that settled the call
	ended    int64                  // when the handler returned; written by the handler's goroutine
	replaced bool                   // the slot has already gone to another call; written by the goroutine that settled the call
	report   *time.Timer            // fires after the grace; written by the goroutine that settled the call
	tell     atomic.Pointer[func()] // what the timer report calls; nil: the handler has returned, or there was no runaway
}

// takeAnswer returns the answer and clears it, so that an idle worker keeps no error alive.
// Only the caller's goroutine calls it, after the call is settled.
func (w *worker) takeAnswer() error {
	err := w.answer
	if err != nil {
		w.answer = nil
	}
	return err
}
