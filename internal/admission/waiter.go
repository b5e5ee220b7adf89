package admission

import (
	"context"
	"time"
)

// waiter is a call in line. All but ready is guarded by the group's lock.
type waiter struct {
	hold     *Hold
	lane     *lane
	at       int // in its lane
	priority int
	number   uint64        // of its arrival
	begs     bool          // see cycle.go
	kin      node[*waiter] // in its class's nested, if its parent can lend
	sibling  node[*waiter] // in its parent's waiting, likewise
	ready    chan error    // one slot: whoever lets it in never waits
}

func newWaiter(h *Hold, priority int) *waiter {
	w := &waiter{hold: h, priority: priority, ready: make(chan error, 1)}
	w.kin.value, w.sibling.value = w, w
	h.prepare()
	return w
}

func (w *waiter) place() *int { return &w.at }

func (w *waiter) before(v *waiter) bool {
	if w.priority != v.priority {
		return w.priority > v.priority
	}
	return w.number < v.number
}

// wait returns once the slot is taken or will not be.
func (w *waiter) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var err error
	select {
	case err = <-w.ready:
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = ErrTimeout
	}
	c := w.hold.class
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	w.leave(err) // unless it was let in, or turned away, in the same moment: that stands
	c.refresh()
	return <-w.ready
}

func (w *waiter) enqueue(tenant string) {
	c := w.hold.class
	c.queue.push(w, tenant)
	c.queued.Add(1)
	if c.line.in == nil {
		c.group.waiting.push(&c.line)
	}
	if p := w.hold.parent; p != nil {
		c.nested.push(&w.kin)
		p.family.waiting.push(&w.sibling)
		w.count(1)
		w.beg()
	}
	c.refresh()
	c.group.dispatch()
}

// admit lets w in if its slot can be taken.
func (w *waiter) admit() bool {
	h, l := w.hold, w.lane
	rides := h.rides(l)
	if !rides && !h.class.queue.permits(l) || !h.take() {
		return false
	}
	h.begin(l, rides)
	w.leave(nil)
	h.class.refresh()
	return true
}

// leave takes w out of line, if it still stands there, with the answer for
// the one who waits: nil for a slot that is taken. The class is to be
// refreshed afterwards.
func (w *waiter) leave(answer error) {
	if w.at == 0 {
		return
	}
	c := w.hold.class
	c.queue.remove(w, answer == nil)
	c.queued.Add(-1)
	if c.queue.len == 0 {
		c.line.leave()
	}
	w.unrelate()
	w.ready <- answer
}

// unrelate takes w out of its parent's sight.
func (w *waiter) unrelate() {
	if w.kin.in == nil {
		return
	}
	w.kin.leave()
	w.sibling.leave()
	w.count(-1)
	if w.begs {
		w.begs = false
		w.lane.begging--
	}
}

// orphan makes w wait on as a root would: its parent has ended, has nothing to
// lend any more, and waits for nobody.
func (w *waiter) orphan() {
	w.unrelate()
	w.hold.parent = nil
}

// recursive tells whether w waits for the class of its parent.
func (w *waiter) recursive() bool { return w.hold.parent.class == w.hold.class }

// count tells w's ancestors that one waiter more, or fewer, is below them, and
// their classes and lanes how many of their slots wait so.
func (w *waiter) count(n int) {
	for a := w.hold.parent; a != nil; a = a.parent {
		changed := step(&a.family.below, n)
		if a.ownsClass() {
			a.class.blocked += changed
		}
		if a.family.counts {
			a.family.lane.blocked += changed
		}
	}
}
