package admission

import "fmt"

// Slow tells whether somebody waits for what w counts, so that every change
// goes through the lock.
func (w *word) slow() bool { return w.v.Load()&slowBit != 0 }

func (c *Class) Slow() bool { return c.word.slow() }
func (g *Group) Slow() bool { return g.word.slow() }

// OwnsClass tells whether h was let in with a slot of its class of its own.
func (h *Hold) OwnsClass() bool { return h.loan&ofClass == 0 }

// OwnsGroup tells the same of the group's slot.
func (h *Hold) OwnsGroup() bool { return h.loan&ofGroup == 0 }

// Locked runs f while the group's lock is held: what f does takes no lock.
func (g *Group) Locked(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// Between gives g a limit of n and runs f before anybody is let in: a moment
// as there is one in each release.
func (g *Group) Between(n int, f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.word.resize(n)
	f()
	g.dispatch()
}

// TakeHalf takes the class's half of a slot and returns what puts it back:
// TryAcquire, stopped in its middle, where it finds the group full.
func (c *Class) TakeHalf() (putBack func(), ok bool) { return c.putBack, c.word.fastInc() }

// Check says what is wrong with the state of g and of classes, or nil. It may
// be called at any time: every section under the lock leaves things in order.
func (g *Group) Check(classes ...*Class) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting, ready := 0, 0
	for i, c := range classes {
		if err := c.check(); err != nil {
			return fmt.Errorf("class %d: %w", i, err)
		}
		if c.line.in != nil {
			waiting++
		}
		if c.at > 0 {
			ready++
		}
	}
	switch {
	case waiting != g.waiting.len || ready != g.ready.len():
		return fmt.Errorf("%d classes wait and %d are ready, counted %d and %d", waiting, ready, g.waiting.len, g.ready.len())
	case g.word.slow() != (ready > 0):
		return fmt.Errorf("slow bit of the group is %v with %d ready", g.word.slow(), ready)
	case ready > 0 && g.word.room():
		return fmt.Errorf("%d classes are ready and the group has room", ready)
	case len(g.homes)+len(g.returned)+len(g.roomy) > 0:
		return fmt.Errorf("work was left for nobody")
	}
	return nil
}

func (c *Class) check() error {
	nested := 0
	for _, w := range c.queue.all() {
		if err := w.check(); err != nil {
			return err
		}
		if w.hold.parent != nil {
			nested++
		}
	}
	switch waits := c.queue.len > 0; {
	case waits != c.word.slow():
		return fmt.Errorf("slow bit is %v with %d waiting", c.word.slow(), c.queue.len)
	case waits != (c.line.in != nil):
		return fmt.Errorf("among the waiting: %v with %d waiting", c.line.in != nil, c.queue.len)
	case c.open != (c.queue.open > 0 && c.word.room()):
		return fmt.Errorf("open: %v, %d lanes are", c.open, c.queue.open)
	case (c.open || c.able() != nil) != (c.at > 0):
		return fmt.Errorf("ready: %v, open: %d, used: %d of %d", c.at > 0, c.queue.open, c.word.used(), c.word.limit())
	case c.held() < 0:
		return fmt.Errorf("%d used and %d apart", c.word.used(), c.apart)
	case nested != c.nested.len:
		return fmt.Errorf("%d nested wait, counted %d", nested, c.nested.len)
	case c.queue.len != c.Queued():
		return fmt.Errorf("%d wait, counted %d", c.queue.len, c.Queued())
	case c.blocked < 0 || c.stuck < 0 || c.riders < 0 || c.pinned != 0 || c.suspects != 0:
		return fmt.Errorf("blocked %d, stuck %d, riders %d, pinned %d, suspects %d", c.blocked, c.stuck, c.riders, c.pinned, c.suspects)
	}
	return c.queue.check()
}

// check counts again what the lanes keep count of.
func (q *lanes) check() error {
	open, waiting, busy := 0, 0, 0
	for tenant, l := range q.byTenant {
		turn := l.at > 0 || l.turn.in != nil
		if turn && l.waiters.len() > 0 {
			open++
		}
		waiting += l.waiters.len()
		busy += l.busy
		switch {
		case l.at > 0 && l.turn.in != nil:
			return fmt.Errorf("lane %q is both old and new", tenant)
		case l.waiters.len() > 0 && turn != q.permits(l):
			return fmt.Errorf("lane %q of %d busy has a turn: %v", tenant, l.busy, turn)
		case l.waiters.len() == 0 && l.at == 0 && l.busy == 0:
			return fmt.Errorf("lane %q is kept for nobody", tenant)
		case q.limit > 0 && l.busy > q.limit, l.busy < 0:
			return fmt.Errorf("lane %q: %d busy", tenant, l.busy)
		case l.begging > 0 && l.blocked > 0, l.begging < 0, l.blocked < 0, l.pinned != 0:
			return fmt.Errorf("lane %q: %d beg, %d are blocked, %d pinned", tenant, l.begging, l.blocked, l.pinned)
		}
	}
	switch {
	case len(q.crowds.members) != len(q.crowded()):
		return fmt.Errorf("%d lanes are crowds, and %d have a waiter", len(q.crowds.members), len(q.crowded()))
	case open != q.open || waiting != q.len:
		return fmt.Errorf("%d lanes are open and %d calls wait, counted %d and %d", open, waiting, q.open, q.len)
	case waiting == 0 && q.limit == 0 && len(q.byTenant) > 0, q.limit > 0 && waiting == 0 && busy < len(q.byTenant):
		return fmt.Errorf("%d lanes are kept while nobody waits", len(q.byTenant))
	}
	return nil
}

// crowded lists the tenants with a waiter.
func (q *lanes) crowded() (tenants []string) {
	for tenant, l := range q.byTenant {
		if l.waiters.len() != l.victims.len() {
			return nil
		}
		if l.waiters.len() > 0 {
			tenants = append(tenants, tenant)
		}
	}
	return tenants
}

func (w *waiter) check() error {
	h := w.hold
	switch {
	case w.at == 0, (w.kin.in != nil) != (h.parent != nil), (w.sibling.in != nil) != (h.parent != nil):
		return fmt.Errorf("a waiter's places disagree")
	case h.parent != nil && h.parent.gone():
		return fmt.Errorf("a waiter's parent has ended")
	case h.loanAtHome() && (h.class.word.room() && h.class.queue.permits(w.lane) || h.lenderFor(w.lane) != nil):
		return fmt.Errorf("a waiter has a loan to take")
	}
	return nil
}

// Quiet says what is left behind where everything has ended, or nil.
func (g *Group) Quiet(classes ...*Class) error {
	if err := g.Check(classes...); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.word.used() != 0 || g.stuck != 0 || g.waiting.len != 0 {
		return fmt.Errorf("group: %d used, %d stuck, %d waiting", g.word.used(), g.stuck, g.waiting.len)
	}
	for i, c := range classes {
		if c.word.used() != 0 || c.apart != 0 || c.stuck != 0 || c.blocked != 0 || c.riders != 0 || c.lenders.len != 0 || len(c.queue.byTenant) > 0 {
			return fmt.Errorf("class %d: %d used, %d apart, %d stuck, %d blocked, %d lanes",
				i, c.word.used(), c.apart, c.stuck, c.blocked, len(c.queue.byTenant))
		}
	}
	return nil
}

// Orphan tells whether h has, or had when it was let in, no parent to lend.
func (h *Hold) Orphan() bool { return h.parent == nil }

// Answer is what a wait ends with.
type Answer = answer

// Err is nil for a slot.
func (a answer) Err() error { return a.err }

// Join is Acquire that does not wait: the answer comes when there is one.
func (c *Class) Join(h *Hold, r Request) <-chan Answer {
	w, err := c.enter(h, r)
	if w != nil {
		return w.ready
	}
	told := make(chan answer, 1)
	told <- answer{admitted: err == nil, err: err}
	return told
}

// Held is how many slots of the group the class's calls have, by the books.
func (c *Class) Held() int {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.held()
}

// Lanes is how many tenants the class remembers.
func (c *Class) Lanes() int {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return len(c.queue.byTenant)
}

// Turns tells whether c waits below its floor, when it was served last, and when
// anybody was.
func (c *Class) Turns() (low bool, own, all uint64) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.at > 0 && c.held() < c.reserved, c.turn, c.group.turns
}
