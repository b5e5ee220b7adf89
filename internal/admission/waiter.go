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
	victim   int // in its lane's victims
	priority int
	number   uint64        // of its arrival
	begs     bool          // see cycle.go
	rides    bool          // likewise
	suspect  bool          // likewise
	kin      node[*waiter] // in its class's nested, if its parent can lend
	sibling  node[*waiter] // in its parent's waiting, likewise
	claims   []claim       // on the calls above of its class, likewise
	ready    chan answer   // one place: whoever answers never waits
}

// answer is what a wait ends with. That there is a slot is said by a word of its
// own and not by a nil error: a context whose Done is closed may have an Err that
// is nil, and a call must not run without a slot because of it.
type answer struct {
	admitted bool
	err      error // why not
}

// claim is a waiter's place among those that could use a slot of on's.
type claim struct {
	place node[*waiter]
	on    *Hold
}

func newWaiter(h *Hold, priority int) *waiter {
	w := &waiter{hold: h, priority: priority, ready: make(chan answer, 1)}
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

// wait returns once the slot is taken or will not be. A context that panics takes
// the call out of line, and gives back a slot that it got in the same moment.
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
	case got = <-w.ready:
	case <-ctx.Done():
		got = w.giveUp(endOf(ctx))
	case <-timer.C:
		got = w.giveUp(ErrTimeout)
	}
	asking = false
	return got.err
}

// endOf is why ctx, whose Done is closed, has ended, and never nil: contexts that
// are pooled and used again are closed while they have no error.
func endOf(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Canceled
}

// giveUp takes w out of line, unless it was let in, or turned away, in the same
// moment: that stands.
func (w *waiter) giveUp(why error) answer {
	c := w.hold.class
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	w.refuse(why)
	c.refresh()
	return <-w.ready
}

func (w *waiter) enqueue(tenant string) {
	c := w.hold.class
	c.queue.push(w, tenant)
	if c.line.in == nil {
		c.group.waiting.push(&c.line)
	}
	if p := w.hold.parent; p != nil {
		c.nested.push(&w.kin)
		p.family.waiting.push(&w.sibling)
		w.count(1)
		w.claim()
		w.beg()
	}
	c.refresh()
	c.group.dispatch()
}

// admit lets w in if its slot can be taken.
func (w *waiter) admit() bool {
	h, l := w.hold, w.lane
	if !h.take(l) {
		return false
	}
	h.begin(l)
	w.leave(answer{admitted: true})
	h.class.refresh()
	return true
}

// refuse takes w out of line, if it still stands there. The class is to be
// refreshed afterwards.
func (w *waiter) refuse(why error) { w.leave(answer{err: why}) }

func (w *waiter) leave(with answer) {
	if w.at == 0 {
		return
	}
	c := w.hold.class
	c.queue.remove(w, with.admitted)
	c.queued.Store(int32(c.queue.len))
	if c.queue.len == 0 {
		c.line.leave()
	}
	w.unrelate()
	w.ready <- with
}

// unrelate takes w out of its parent's sight.
func (w *waiter) unrelate() {
	if w.kin.in == nil {
		return
	}
	w.kin.leave()
	w.sibling.leave()
	w.count(-1)
	for i := range w.claims {
		w.claims[i].place.leave()
		w.claims[i].on.list()
	}
	w.claims = nil
	w.bare()
}

// claim lines w up with the calls above that could lend it a slot of its class.
func (w *waiter) claim() {
	n := 0
	for p := w.hold.parent; p != nil; p = p.parent {
		if p.class == w.hold.class && !p.gone() {
			n++
		}
	}
	if n == 0 {
		return
	}
	w.claims = make([]claim, 0, n) // whose places must not move
	for p := w.hold.parent; p != nil; p = p.parent {
		if p.class == w.hold.class && !p.gone() {
			w.claims = append(w.claims, claim{on: p})
			c := &w.claims[len(w.claims)-1]
			c.place.value = w
			p.family.claims.push(&c.place)
			p.list()
		}
	}
}

// orphan makes w wait on as a root would: its parent has ended, has nothing to
// lend any more, and waits for nobody.
func (w *waiter) orphan() {
	w.unrelate()
	w.hold.parent = nil
	w.hold.class.queue.expose(w)
	w.hold.class.refresh()
}

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
