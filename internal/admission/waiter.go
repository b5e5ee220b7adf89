package admission

import (
	"context"
	"time"
)

// waiter is a call in a class's queue. g.mu guards all fields except the channel result.
type waiter struct {
	hold                *Hold
	queue               *tenantQueue
	lane                *lane
	queueIndex          int // in lane.waiters
	victimIndex         int // in queue.victims
	priority            int
	ofHandler           bool          // it had a parent when it arrived
	sequence            uint64        // the number of its arrival in the class's queue
	waitsForTenantLimit bool          // no call above can lend it a place, see deadlock.go
	usesLentSlot        bool          // a call above can lend it a slot that comes with a place, see deadlock.go
	candidate           bool          // during the search for deadlocks: it may be in one
	inNested            node[*waiter] // in line.nested; this field and the next two are used only if it has a parent
	inParent            node[*waiter] // in the parent's tracking.waiting
	claims              []claim       // one for each call above it of the same class, which could lend it a slot
	result              chan answer   // has a buffer of one, so that admit and refuse never block
}

// answer is the result of a wait. A nil err does not mean that the call was admitted: the Err
// of a faulty context may be nil although its Done is closed. So admitted is a field of its
// own.
type answer struct {
	admitted bool
	err      error // why the call was not admitted
}

func newWaiter(h *Hold, priority int) *waiter {
	w := &waiter{hold: h, priority: priority, ofHandler: h.parent != nil, result: make(chan answer, 1)}
	w.inNested.value, w.inParent.value = w, w
	h.track()
	return w
}

func (w *waiter) index() *int { return &w.queueIndex }

func (w *waiter) before(v *waiter) bool {
	if w.priority != v.priority {
		return w.priority > v.priority
	}
	return w.sequence < v.sequence
}

// isRoot reports whether w has no parent, so that no call can lend it a slot.
func (w *waiter) isRoot() bool { return w.hold.parent == nil }

// wait returns nil once the call has its slots. It returns an error if the call is refused, if it
// has waited for d, or if ctx ends. If a method of ctx panics (it is foreign code), the call
// leaves the queue and gives back a slot that it may have got meanwhile. g.mu must not be held.
func (w *waiter) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	asking := true
	defer func() {
		if asking && w.giveUp(context.Canceled).admitted {
			w.hold.Release()
		}
	}()
	var got answer
	select {
	case got = <-w.result:
	case <-ctx.Done():
		got = w.giveUp(contextError(ctx))
	case <-timer.C:
		got = w.giveUp(ErrTimeout)
	}
	asking = false
	return got.err
}

// contextError returns the error of ctx, whose Done is closed. If ctx.Err returns nil, as
// that of a context that was pooled and reset may do, it returns context.Canceled.
func contextError(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Canceled
}

// giveUp takes w out of the queue. If w has been admitted or refused in the meantime, giveUp
// returns that answer and changes nothing. It locks g.mu.
func (w *waiter) giveUp(why error) answer {
	c := w.hold.class()
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	w.refuse(why)
	c.refresh()
	return <-w.result
}

// enqueue adds w to its class's queue and, if w is a nested call, to the waiters of its parent.
// It ends with dispatch, because a slot may have been given back on the fast path before
// refresh set the slow bit.
func (w *waiter) enqueue(tenant string) {
	c := w.hold.class()
	c.ownQueue().push(w, tenant)
	if c.inWaiting.in == nil {
		c.group.waiting.push(&c.inWaiting)
	}
	if p := w.hold.parent; p != nil {
		c.nested++
		w.hold.version.line.nested.push(&w.inNested)
		p.tracking.waiting.push(&w.inParent)
		w.addBelow(1)
		w.claim()
		w.classifyWait()
	}
	w.hold.version.refresh()
	c.recall() // the slots that were kept before refresh set the slow bit
	c.group.dispatch()
}

// admit admits w if it can take all its slots, and reports whether it did.
func (w *waiter) admit() bool {
	h, t := w.hold, w.queue
	if h.take(t) != 0 {
		return false
	}
	h.started(t)
	w.leave(answer{admitted: true})
	h.version.refresh()
	return true
}

// refuse takes w out of the queue, if it is still in there. The caller must then call
// Class.refresh.
func (w *waiter) refuse(why error) { w.leave(answer{err: why}) }

func (w *waiter) leave(with answer) {
	if w.queueIndex == 0 {
		return
	}
	c := w.hold.class()
	c.queue.remove(w, with.admitted)
	w.publishQueued()
	if c.queue.len == 0 {
		c.inWaiting.remove()
	}
	w.detach()
	w.hold.version.refreshLine()
	w.result <- with
}

// publishQueued stores the lengths of the queue for goroutines that read them without g.mu.
func (w *waiter) publishQueued() {
	h := w.hold
	h.class().queued.Store(int32(h.class().queue.len))
	h.version.queued.Store(int32(h.version.line.waiting))
}

// detach takes a nested call out of the lists and counts of the calls above it.
func (w *waiter) detach() {
	if w.inNested.in == nil {
		return
	}
	w.inNested.remove()
	w.hold.class().nested--
	w.inParent.remove()
	w.addBelow(-1)
	for i := range w.claims {
		w.claims[i].inClaims.remove()
		w.claims[i].on.updateLenders()
	}
	w.claims = nil
	w.unclassifyWait()
}

// becomeRoot makes w, which goes on waiting, a root call. Its parent has ended: the parent can no
// longer lend a slot to w, and no longer waits for w.
func (w *waiter) becomeRoot() {
	w.detach()
	w.hold.parent = nil
	w.hold.class().queue.trackVictim(w)
	w.hold.class().refresh()
}

// addBelow adds n, which is 1 or -1, to the count of waiters below each call above w. A call
// that gets its first waiter this way is added to the count blocked of its class, its version
// and its tenant; a call that loses its last one is taken out.
func (w *waiter) addBelow(n int32) {
	for a := w.hold.parent; a != nil; a = a.parent {
		changed := addAcrossZero(&a.tracking.waitersBelow, n)
		for _, which := range lendable() {
			if a.keeps(which) {
				a.uses(which).blocked += changed
			}
		}
		if a.tracking.counts {
			a.tracking.queue.blocked += int(changed)
		}
	}
}
