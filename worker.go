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
type slot struct {
	crew     *crew
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
	rested    int64
	abandoned bool
	dead      bool // the worker's goroutine is ending

	manned     bool  // it has its worker; of whoever has the slot
	prev, next *slot // in crew.all; guarded by its lock

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

// cut makes a context for a call in s; without a slot, one by itself.
func (s *slot) cut() *callContext {
	if s == nil {
		return &callContext{}
	}
	return s.contexts.cut()
}

// own is the tenant's name for a context that is cut: a copy, so that the chunk
// does not hold what the caller has cut it from. Tenants who come again share it.
func (s *slot) own(tenant string) string {
	if s == nil || tenant == "" {
		return tenant
	}
	if s.tenant != tenant {
		s.tenant = strings.Clone(tenant)
	}
	return s.tenant
}

// formalize makes a formal context of one that was cut and does not suffice, and
// gives that back.
func (s *slot) formalize(c *callContext, tenant string) *callContext {
	if c.more != nil {
		return c
	}
	formal := newFormal(c.fn, c.task, tenant)
	formal.counted = c.counted
	if s != nil {
		s.contexts.putBack(c)
	}
	return formal
}

func (a *arena) cut() *callContext {
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

// crew is a router's slots. Those that wait for a call stand in a list, and
// their pointers also in a pool of hints, which keeps apart what different
// processors used last: a call that finds its hint idle takes it with one
// compare-and-swap and no lock, and gets a worker whose stack is warm.
type crew struct {
	newPool func() (goroutines, error)
	loop    func(*slot)
	clock   *clock
	awake   func() // tells that slots are made, before each; or nil
	workers idleSlots
	inlines idleSlots
	closed  atomic.Bool
	sweeper atomic.Bool // the timer of sweep is set

	mu    sync.Mutex // guards what follows
	pool  goroutines // nil while there is no worker
	all   *slot      // the first of a list
	timer *time.Timer
}

// idleSlots are the slots that wait for a call, and some that have been taken
// by their hint and stay in the list meanwhile.
type idleSlots struct {
	hints sync.Pool  // of *slot; one that is not idle is stale
	mu    sync.Mutex // guards list, and is never held for long
	list  []*slot
}

// keepAlive is how long a slot may be idle, at least; at most twice as long.
const keepAlive = 10 * time.Second

// newCrew makes a crew without slots. The pool and what a worker runs are the
// scheduler's; they are handed in, so that this file does not need it.
func newCrew(clock *clock, newPool func() (goroutines, error), loop func(*slot)) *crew {
	return &crew{clock: clock, newPool: newPool, loop: loop}
}

func (w *crew) idlers(inline bool) *idleSlots {
	if inline {
		return &w.inlines
	}
	return &w.workers
}

// slot makes one. Its worker begins with its first call, which so finds it ready
// and need not wake it.
func (w *crew) slot(inline bool) (*slot, error) {
	s := &slot{crew: w, wake: make(chan struct{}, 1)}
	if !inline {
		s.work = make(chan *callContext, 1)
	}
	if w.awake != nil {
		w.awake()
	}
	return s, w.enlist(s)
}

func (w *crew) enlist(s *slot) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed.Load() {
		return ErrClosed
	}
	if w.pool == nil && s.work != nil {
		pool, err := w.newPool()
		if err != nil {
			return err
		}
		w.pool = pool
	}
	if s.next = w.all; s.next != nil {
		s.next.prev = s
	}
	w.all = s
	return nil
}

// man gives the slot its worker. The pool is asked under the lock, because its own
// spins: a thousand callers who come at once would be turned round and round.
//
// It refuses once the router is closed. The call that is in the slot by then has
// been told so, and still needs somebody to see it out.
func (s *slot) man() {
	s.manned = true
	w := s.crew
	w.mu.Lock()
	hired := w.pool != nil && w.pool.Submit(func() { w.loop(s) }) == nil
	w.mu.Unlock()
	if !hired {
		go w.loop(s)
	}
}

// rest puts a slot back that is done with its call.
func (w *crew) rest(s *slot) {
	w.idlers(s.work == nil).put(s)
	if w.closed.Load() { // Close may have emptied the list before
		w.retire(math.MaxInt64)
	} else if !w.sweeper.Load() && w.sweeper.CompareAndSwap(false, true) {
		w.sweepLater()
	}
}

// sweepLater sets the timer, unless the crew is closed: its idle slots have ended.
// The runtime keeps a timer that was stopped for a while, and what it calls with
// it. So this one knows the crew by a weak pointer, which keeps neither a closed
// router nor one that was forgotten.
func (w *crew) sweepLater() {
	weakly := weak.Make(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed.Load() {
		return
	}
	w.timer = time.AfterFunc(keepAlive, func() {
		if w := weakly.Value(); w != nil {
			w.sweep()
		}
	})
}

// sweep ends the slots that have been idle for long, and comes again while
// there are others.
func (w *crew) sweep() {
	w.sweeper.Store(false) // before the look: a slot that comes after it sets the timer
	if w.retire(w.clock.now()-int64(keepAlive)) && w.sweeper.CompareAndSwap(false, true) {
		w.sweepLater()
	}
}

// retire ends the slots that have been idle since before a moment, and tells
// whether there are others.
func (w *crew) retire(before int64) (others bool) {
	for _, h := range []*idleSlots{&w.workers, &w.inlines} {
		old, left := h.cut(before)
		for _, s := range old {
			w.dismiss(s)
		}
		others = others || left
	}
	return others
}

// dismiss ends a slot that has no call.
func (w *crew) dismiss(s *slot) {
	if s.manned {
		close(s.work) // the worker forgets the slot as it ends
		return
	}
	w.forget(s)
}

// forget drops a slot that has ended, and with the last worker the pool. The
// runtime may keep its timer for a while, and hints keep the slot: it lets go of
// its calls.
func (w *crew) forget(s *slot) {
	if s.timer != nil { // armed, it would keep the slot alive until its last deadline
		s.timer.Stop()
	}
	s.call.Store(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(s)
	if w.all == nil {
		w.release()
	}
}

// unlink takes a slot out of all, if it is there; the lock is held.
func (w *crew) unlink(s *slot) {
	switch {
	case s.prev != nil:
		s.prev.next = s.next
	case w.all == s:
		w.all = s.next
	default:
		return
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}

// release lets go of the pool; the lock is held.
func (w *crew) release() {
	if w.pool != nil {
		w.pool.Release()
		w.pool = nil
	}
}

// close ends what is idle now, and what becomes idle later.
func (w *crew) close() {
	w.mu.Lock()
	w.closed.Store(true)
	w.release()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.retire(math.MaxInt64)
}

// slots returns all there are, idle or not.
func (w *crew) slots() []*slot {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*slot
	for s := w.all; s != nil; s = s.next {
		all = append(all, s)
	}
	return all
}

// claim takes a slot that is idle.
func (s *slot) claim() bool { return s.idle.Load() && s.idle.CompareAndSwap(true, false) }

// take takes an idle slot, or returns nil.
func (h *idleSlots) take() *slot {
	if s, ok := h.hints.Get().(*slot); ok && s.claim() {
		return s
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for n := len(h.list); n > 0; n = len(h.list) {
		s := h.list[n-1]
		h.list[n-1] = nil
		h.list = h.list[:n-1]
		// In this order, and put has the reverse: whichever comes first, the
		// slot is claimed here or listed there.
		s.listed.Store(false)
		if s.claim() {
			return s
		}
	}
	return nil
}

// put makes a slot idle.
func (h *idleSlots) put(s *slot) {
	s.idle.Store(true)
	if !s.listed.Load() && s.listed.CompareAndSwap(false, true) {
		h.mu.Lock()
		h.list = append(h.list, s)
		h.mu.Unlock()
	}
	h.hints.Put(s)
}

// cut takes the slots that have been idle since before a moment, and tells
// whether there are others.
func (h *idleSlots) cut(before int64) (old []*slot, others bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = slices.DeleteFunc(h.list, func(s *slot) bool {
		if !s.claim() {
			return false // it is at work
		}
		if s.rested <= before { // its own since it is claimed
			old = append(old, s)
			return true
		}
		s.idle.Store(true)
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
