package faas

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
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
	home     *idleSlots
	call     atomic.Pointer[callContext] // the last; published by this store to whoever settles it
	armed    atomic.Int64                // when the timer fires; 0: not armed
	timer    *time.Timer
	work     chan *callContext // one place, so that handing over never waits
	wake     chan struct{}     // one place: whoever settles never waits
	contexts arena

	// Written by whoever settles, before the wake-up.
	answer    error
	rested    int64
	abandoned bool
	dead      bool // the worker's goroutine is ending

	runaway
}

// loop is the worker: one long task of the goroutine pool.
func (s *slot) loop() {
	defer s.crew.forget(s) // Goexit in a handler comes through here as well
	for c := range s.work {
		if !s.exec(c) || s.dead {
			return
		}
	}
}

// arena cuts contexts from chunks, which grow from one, so that a slot that
// serves one long call holds no more than it needs. A context that is kept by
// its handler keeps its chunk alive, at most 2 KiB and what the contexts there
// refer to.
type arena struct {
	free []callContext
	size int
}

const chunk = 15

func (a *arena) cut() *callContext {
	if len(a.free) == 0 {
		a.size = min(2*a.size+1, chunk)
		a.free = make([]callContext, a.size)
	}
	c := &a.free[0]
	a.free = a.free[1:]
	return c
}

// crew is a router's slots.
type crew struct {
	clock   *clock
	workers []idleSlots
	inlines []idleSlots
	closed  atomic.Bool
	sweeper atomic.Bool // the timer of sweep is set

	mu   sync.Mutex // guards what follows
	pool goroutines // nil while there is no worker
	all  map[*slot]struct{}
	made uint32
}

// idleSlots is one shard of the slots that wait for a call: one that was used
// last, at hand without a lock, and the others, the warmest on top. With
// several shards, callers on different processors seldom meet.
type idleSlots struct {
	hot atomic.Pointer[slot]
	n   atomic.Int32 // length of all
	mu  sync.Mutex   // guards all, for no longer than a push or pop
	all []*slot
	_   [64]byte
}

// keepAlive is how long a slot may be idle, at least; at most twice as long.
const keepAlive = 10 * time.Second

func newCrew(clock *clock) *crew {
	n := 1
	for n < 2*runtime.GOMAXPROCS(0) { // a power of two
		n *= 2
	}
	return &crew{clock: clock, workers: make([]idleSlots, n), inlines: make([]idleSlots, n), all: map[*slot]struct{}{}}
}

func (w *crew) shards(inline bool) []idleSlots {
	if inline {
		return w.inlines
	}
	return w.workers
}

// idle takes a slot that waits for a call, or returns nil. It begins at a
// random shard, so that no two callers meet more often than by chance.
func (w *crew) idle(inline bool, random uint64) *slot {
	shards := w.shards(inline)
	mask := uint64(len(shards) - 1)
	for i := range shards {
		if s := shards[(random+uint64(i))&mask].pop(); s != nil {
			return s
		}
	}
	return nil
}

// slot takes one that waits, or makes one.
func (w *crew) slot(inline bool) (*slot, error) {
	if s := w.idle(inline, rand.Uint64()); s != nil {
		return s, nil
	}
	s := &slot{crew: w, wake: make(chan struct{}, 1)}
	if !inline {
		s.work = make(chan *callContext, 1)
	}
	pool, err := w.enlist(s, inline)
	if err != nil || inline {
		return s, err
	}
	if err := pool.Submit(s.loop); err != nil {
		w.forget(s)
		return nil, err
	}
	return s, nil
}

func (w *crew) enlist(s *slot, inline bool) (goroutines, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed.Load() {
		return nil, ErrClosed
	}
	if w.pool == nil && !inline {
		pool, err := newPool()
		if err != nil {
			return nil, err
		}
		w.pool = pool
	}
	w.made++
	shards := w.shards(inline)
	s.home = &shards[int(w.made)%len(shards)]
	w.all[s] = struct{}{}
	return w.pool, nil
}

// rest puts a slot back that is done with its call.
func (w *crew) rest(s *slot) {
	s.home.push(s)
	if w.closed.Load() { // Close may have emptied the shard before the push
		w.retire(func(*slot) bool { return true })
	} else if !w.sweeper.Load() && w.sweeper.CompareAndSwap(false, true) {
		time.AfterFunc(keepAlive, w.sweep)
	}
}

// sweep ends the slots that have been idle for long, and comes again while
// there are others.
func (w *crew) sweep() {
	w.sweeper.Store(false) // before the look: a slot that comes after it sets the timer
	before := w.clock.now() - int64(keepAlive)
	left := w.retire(func(s *slot) bool { return s.rested <= before })
	if left && w.sweeper.CompareAndSwap(false, true) {
		time.AfterFunc(keepAlive, w.sweep)
	}
}

// retire ends the idle slots that are old, and tells whether there are others.
func (w *crew) retire(old func(*slot) bool) (left bool) {
	for _, shards := range [][]idleSlots{w.workers, w.inlines} {
		for i := range shards {
			for _, s := range shards[i].cut(old) {
				w.dismiss(s)
			}
			left = left || !shards[i].empty()
		}
	}
	return left
}

// dismiss ends a slot that has no call.
func (w *crew) dismiss(s *slot) {
	if s.work != nil {
		close(s.work) // the worker forgets the slot as it ends
		return
	}
	w.forget(s)
}

// forget drops a slot that has ended, and with the last worker the pool.
func (w *crew) forget(s *slot) {
	if s.timer != nil { // armed, it would keep the slot alive until its last deadline
		s.timer.Stop()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, s)
	if len(w.all) == 0 {
		w.release()
	}
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
	w.mu.Unlock()
	w.retire(func(*slot) bool { return true })
}

// slots returns all there are, idle or not.
func (w *crew) slots() []*slot {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*slot, 0, len(w.all))
	for s := range w.all {
		all = append(all, s)
	}
	return all
}

func (h *idleSlots) push(s *slot) {
	if h.hot.Load() == nil && h.hot.CompareAndSwap(nil, s) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, s)
	h.n.Store(int32(len(h.all)))
}

func (h *idleSlots) pop() *slot {
	if s := h.hot.Load(); s != nil && h.hot.CompareAndSwap(s, nil) {
		return s
	}
	if h.n.Load() == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.all)
	if n == 0 {
		return nil
	}
	s := h.all[n-1]
	h.all[n-1] = nil
	h.all = h.all[:n-1]
	h.n.Store(int32(n - 1))
	return s
}

func (h *idleSlots) empty() bool { return h.n.Load() == 0 && h.hot.Load() == nil }

// cut takes out the slots that are old.
func (h *idleSlots) cut(old func(*slot) bool) (out []*slot) {
	if s := h.hot.Swap(nil); s != nil {
		if old(s) {
			out = append(out, s)
		} else {
			h.push(s)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0 // the coldest lie at the bottom
	for n < len(h.all) && old(h.all[n]) {
		n++
	}
	out = append(out, h.all[:n]...)
	h.all = append([]*slot(nil), h.all[n:]...)
	h.n.Store(int32(len(h.all)))
	return out
}
