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

// worker runs one call after the other. It is a timer, two channels and a goroutine
// that waits for the next call; a worker for inline calls, and for those of InvokeFunc,
// has no goroutine. When a call's handler becomes a runaway the worker is abandoned: it
// belongs to that handler, takes no more calls, and ends with it.
//
// One goroutine owns a worker at a time: the one that made it, or that turned idle
// from true to false, until put. A field without another note belongs to the
// owner. The compare-and-swap on idle is the edge from one owner to the next.
type worker struct {
	pool     *workerPool
	idle     atomic.Bool                 // a caller that turns it to false owns the worker
	listed   atomic.Bool                 // it is in an idleList's list, where a caller that took it in another way leaves it
	hinted   atomic.Bool                 // likewise for the list's hints; the sync.Pool may have dropped it
	call     atomic.Pointer[callContext] // the last one; the timer and Close settle what they load from here
	armed    atomic.Int64                // the time for which the timer is set; 0: it is not set
	timer    *time.Timer                 // made by the owner in arm; expire and unregister use it too
	work     chan *callContext           // buffer of one: the caller that sends never blocks; nil: see isHere
	wake     chan bool                   // true: the call is settled; false: look at the parent, see parentWatch. It has room for one of each, so that no sender waits
	looking  *sync.Mutex                 // of the watches that send to wake: so one false is in it at most; apart from w, which a late watch must not keep
	contexts arena
	parent   parentWatch // of the caller's context; conclude ends the watch of an abandoned worker
	direct   *direct     // of the call, if it is one of InvokeFunc; the goroutine that settles the call takes it
	tenant   string      // the copy that calls in contexts share, see shareTenant

	// The goroutine that settles the call writes these in conclude, and the caller
	// reads them: after its receive from wake, or because it settled the call itself.
	answer    error
	idleSince int64
	abandoned bool
	// dead says that the handler's goroutine ends with this call. That goroutine sets it
	// before it settles the call. If abandoned is true, only that goroutine may read it.
	dead bool

	started    bool    // the goroutine runs
	prev, next *worker // in workerPool.all; guarded by workerPool.mu

	runaway
}

// arena allocates contexts in chunks, since one allocation for each call would cost
// more. No context is used twice. The first chunk holds one context and the next
// ones grow, so that a worker that serves one long call holds little. A handler that
// keeps its context keeps the chunk in memory: at most 2 KiB, and no input or output
// of a call that is over.
type arena struct {
	chunk []callContext
	next  int
}

const chunk = 14 // contexts in the largest chunk

// newContext makes a context for a call on w. A nil w makes one outside a chunk.
func (w *worker) newContext() *callContext {
	if w == nil {
		return &callContext{}
	}
	return w.contexts.alloc()
}

// shareTenant returns the tenant name for a context in a chunk. It is a copy: the
// caller's string may be a part of a large one, for example of a request header, and
// a kept chunk would keep all of that. Calls of one tenant in a row share the copy.
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
// need one, and puts c back into its chunk. No other goroutine has seen c.
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

// putBack takes back c, which must be the last one that alloc returned, and which no
// other goroutine may have seen: it is the exception to "no context is used twice".
func (a *arena) putBack(c *callContext) {
	*c = callContext{}
	a.next--
}

// workerPool holds a router's workers: all of them in one linked list, and the idle
// ones in an idleList, from which a call takes one.
//
// Of its locks at most one is held at a time: mu guards the list of all workers, and
// each idleList has a mutex for its own slice.
type workerPool struct {
	newPool     func() (goroutines, error)
	loop        func(*worker)
	clock       *clock
	beforeStart func() // called before each new worker; nil: nothing to call
	idleWorkers idleList
	idleInline  idleList    // workers without a goroutine, for inline calls and those of InvokeFunc
	closed      atomic.Bool // stored under mu; also read without it
	sweeper     atomic.Bool // the timer of sweep is set
	unwatcher   atomic.Bool // the timer of endWatches is set

	mu         sync.Mutex  // guards the fields below
	goroutines goroutines  // nil while no worker has a goroutine
	all        *worker     // head of the list of all workers, idle or not, linked by prev and next
	timer      *time.Timer // of sweep
	watchTimer *time.Timer // of endWatches
}

// idleList finds an idle worker in two ways, for calls whose task does not remember one
// (see workerPool.take). hints is a sync.Pool, which keeps apart what each processor used
// last: a worker is taken from there with one compare-and-swap, no lock, and a stack that
// is warm. list has every idle worker, since a sync.Pool may drop what it holds. A worker
// that was taken in another way stays in both meanwhile: to look for it in list would need
// the lock.
type idleList struct {
	hints sync.Pool  // of *worker; some are not idle any longer, so claim may fail
	mu    sync.Mutex // guards list; no foreign code runs and nothing waits under it
	list  []*worker
}

// keepAlive is for how long a worker stays idle before it is stopped, at least. As
// sweep runs once in a keepAlive it may be twice as long.
const keepAlive = 10 * time.Second

// newWorkerPool makes a pool without workers. loop comes from scheduler.go; it is a
// parameter so that this file does not depend on that one.
func newWorkerPool(clock *clock, newPool func() (goroutines, error), loop func(*worker)) *workerPool {
	return &workerPool{clock: clock, newPool: newPool, loop: loop}
}

// take claims an idle worker, or returns nil. near is where the call's task remembers the
// worker of its last call: the two were used by the same processor, and most calls find
// that worker idle. If another call has it, take remembers the one that it finds.
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

// newWorker makes a worker without its goroutine. serve starts that after it has sent the
// first call to work: so the goroutine finds the call at once, and does not park first.
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

// register adds w to the list of all workers. It fails once the pool is closed.
// close sets closed under mu too, so each worker is registered before close, or not
// at all.
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

// start starts the worker's goroutine. It calls Submit with p.mu locked, because ants
// guards its queue with a spin lock: with 1,000 concurrent callers that compete for the
// spin lock, a burst took twice as long as when they wait for p.mu. Submit does not block,
// since the ants pool has no limit.
//
// Once the router is closed, Submit fails or the pool is gone. Close has settled the call
// in work by then, but that call still needs a goroutine that runs finish for it: hence
// the go statement.
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

// release makes w idle again. Its call must be settled, and must not be a runaway. If close
// runs at the same time there are two cases: it finds w in the idle list and stops it, or it
// emptied the lists before put. Then closed is set already, and stopIdle here stops w.
func (p *workerPool) release(w *worker) {
	watches := w.parent.stop != nil // before put: w is another goroutine's from there on
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

// later sets a timer for do, unless the pool is closed: then no worker is idle. The
// runtime keeps a stopped timer in memory for a while, and with it the function that it
// would call. That function has only a weak pointer to the pool, so that a router that is
// closed, or has no users left, can be collected.
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
// while others are left.
func (p *workerPool) sweep() {
	p.sweeper.Store(false) // before stopIdle looks: a worker that is put back after the look sets the timer itself
	if p.stopIdle(p.clock.now()-int64(keepAlive)) && p.sweeper.CompareAndSwap(false, true) {
		p.later(keepAlive, &p.timer, (*workerPool).sweep)
	}
}

// endWatches ends the watches of workers that have been idle for watchAlive. release sets
// its timer again for each of the others: those that are idle here, and those that are not
// yet, since unwatcher is false before they are looked at.
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

// stopIdle stops the workers that became idle at or before the time before, which is on
// p.clock. others tells whether more workers are in the lists.
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

// stop ends a worker that has no call. The goroutine that calls it owns w.
func (p *workerPool) stop(w *worker) {
	w.parent.forget()
	if w.started {
		close(w.work) // loop ends, and unregisters w
		return
	}
	p.unregister(w)
}

// unregister removes w, which has ended, from the list of all workers; a second call
// does nothing. If w was the last worker, the ants pool is released. An idleList's hints, and
// the runtime's timer, may keep w in memory for a while, so w lets go of its call.
func (p *workerPool) unregister(w *worker) {
	if w.timer != nil { // a timer that is set keeps w in memory until it fires
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

// releasePool ends the ants pool; tasks that run in it go on. p.mu must be held.
func (p *workerPool) releasePool() {
	if p.goroutines != nil {
		p.goroutines.Release()
		p.goroutines = nil
	}
}

// close stops the idle workers, and has release stop those that become idle later.
// It does not wait: a worker with a runaway ends when its handler returns.
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

// list returns all workers, idle or not, as they were at one moment. Close uses it
// with p.mu unlocked, because settling a call runs hooks.
func (p *workerPool) list() []*worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*worker
	for w := p.all; w != nil; w = w.next {
		all = append(all, w)
	}
	return all
}

// claim makes the calling goroutine the owner of w, if w is idle. The plain load is
// first, since a compare-and-swap that fails would still take the cache line from
// the processor that uses w.
func (w *worker) claim() bool { return w.idle.Load() && w.idle.CompareAndSwap(true, false) }

// take claims an idle worker, or returns nil. It tries one hint and then the list, the
// worker that came last first.
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
		// So take claims w here, or put sees that w is not listed and appends it.
		w.listed.Store(false)
		if w.claim() {
			w.hinted.Store(false) // so that put hints at it again: the sync.Pool may have dropped its hint
			return w
		}
	}
	return nil
}

// put makes w idle. From the first line on another goroutine may own w.
func (l *idleList) put(w *worker) {
	w.idle.Store(true)
	if !w.listed.Load() && w.listed.CompareAndSwap(false, true) {
		l.mu.Lock()
		l.list = append(l.list, w)
		l.mu.Unlock()
	}
	if !w.hinted.Load() { // two goroutines may both see this and put a hint: one of the claims then fails
		w.hinted.Store(true)
		l.hints.Put(w)
	}
}

// takeIdleBefore claims the workers that became idle at or before the time before, and
// takes them out of the list. others tells whether it leaves any there. The workers
// that it returns keep listed set: they are never put back.
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

// runaway is the part of a worker that is used when its call is settled while the
// handler still runs. Go can't end a goroutine from outside, so the handler keeps its
// worker until it returns, and its slot too unless WithRunaways lets another call have
// it. What the handler uses after the end of its call is recorded as an Overrun. Most
// handlers return soon: until the grace of WithStuck is over, other calls wait for the
// slot as for any other.
//
// Two goroutines call leave: the one that settled the call, and the handler's. Each
// writes its fields below before it adds to left. The one that adds second reads all
// of them: the atomic add is the edge. That goroutine also gives back the slot, see
// runaway.go.
type runaway struct {
	left     atomic.Int32
	since    int64                  // when the call was settled; written by the goroutine that settled it
	ended    int64                  // when the handler returned; written by the handler's goroutine
	replaced bool                   // its slot went to another call already; written like since
	report   *time.Timer            // fires after the grace; written like since
	tell     atomic.Pointer[func()] // what report calls; nil: the handler has returned, or there was no runaway
}

// takeAnswer also clears the answer, so that an idle worker keeps no error alive.
// Only the caller's goroutine calls it, after the call is settled.
func (w *worker) takeAnswer() error {
	err := w.answer
	if err != nil {
		w.answer = nil
	}
	return err
}
