package admission

import (
	"context"
	"slices"
	"time"
)

// waiter is a call in line. All but ready is guarded by the group's lock.
type waiter struct {
	hold       *Hold
	next, prev *waiter
	queued     bool
	ready      chan error // one slot: whoever lets it in never waits
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

func (w *waiter) enqueue() {
	c := w.hold.class
	w.queued = true
	c.queue.push(w)
	c.queued.Add(1)
	c.group.waiting[c] = struct{}{}
	if p := w.hold.parent; p != nil {
		c.nested++
		c.group.nested[w] = struct{}{}
		p.family.waiting = append(p.family.waiting, w)
		w.countBelow(1)
	}
	c.refresh()
	c.group.dispatch()
}

// leave takes w out of line, if it still stands there, with the answer for
// the one who waits: nil for a slot that is taken. The class is to be
// refreshed afterwards.
func (w *waiter) leave(answer error) {
	if !w.queued {
		return
	}
	c := w.hold.class
	w.queued = false
	c.queue.remove(w)
	c.queued.Add(-1)
	if c.queue.len == 0 {
		delete(c.group.waiting, c)
	}
	if p := w.hold.parent; p != nil {
		c.nested--
		delete(c.group.nested, w)
		if i := slices.Index(p.family.waiting, w); i >= 0 {
			p.family.waiting = slices.Delete(p.family.waiting, i, i+1)
		}
		w.countBelow(-1)
	}
	w.ready <- answer
}

// countBelow tells w's ancestors that one waiter more, or fewer, is below
// them, and their classes how many of their slots wait so.
func (w *waiter) countBelow(n int) {
	for a := w.hold.parent; a != nil; a = a.parent {
		was := a.family.below
		a.family.below += n
		if a.ownsClass() && (was == 0) != (a.family.below == 0) {
			a.class.blocked += n
		}
	}
}

// list is a queue that anybody may leave from the middle.
type list struct {
	head, tail *waiter
	len        int
}

func (l *list) push(w *waiter) {
	w.prev = l.tail
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.len++
}

func (l *list) remove(w *waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev = nil, nil
	l.len--
}
