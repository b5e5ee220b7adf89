package admission_test

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// modelTenants has the tenants of a class in the model that have a waiting call, or an empty
// queue whose turn is still to come. Everything about their calls is found by searching.
type modelTenants struct {
	limit    int // how many calls of a tenant may run; 0: no limit
	lanes    []*modelLane
	newcomer bool // the call served last came from a new queue
	level    time.Duration
	numbers  int
}

type modelLane struct {
	tenant     string
	fresh, old bool // if both are false it has no turn: its tenant is at the limit
	used       time.Duration
	number     int
}

func (ts *modelTenants) most() int {
	if ts.limit == 0 {
		return math.MaxInt
	}
	return ts.limit
}

func (ts *modelTenants) lane(tenant string) *modelLane {
	i := slices.IndexFunc(ts.lanes, func(l *modelLane) bool { return l.tenant == tenant })
	if i < 0 {
		return nil
	}
	return ts.lanes[i]
}

func (ts *modelTenants) drop(l *modelLane) {
	ts.lanes = slices.DeleteFunc(ts.lanes, func(o *modelLane) bool { return o == l })
}

// moveToOld moves a tenant to the old ones, behind those that have used as much time.
func (ts *modelTenants) moveToOld(l *modelLane) {
	if !l.old {
		l.used = max(l.used, ts.level)
	}
	ts.numbers++
	l.fresh, l.old, l.number = false, true, ts.numbers
}

// waiting lists a tenant's calls in their order.
func (c *modelClass) waiting(tenant string) (ks []*modelCall) {
	for _, k := range c.queue {
		if k.tenant == tenant {
			ks = append(ks, k)
		}
	}
	slices.SortStableFunc(ks, func(a, b *modelCall) int { return b.priority - a.priority })
	return ks
}

// busy returns how many running calls of a tenant count against its limit.
func (m *model) busy(c *modelClass, tenant string) (n int) {
	if c.tenants.limit == 0 {
		return 0
	}
	for _, k := range m.calls {
		if k.class == c && k.tenant == tenant && m.counted(k) {
			n++
		}
	}
	return n
}

// counted reports whether k counts against its tenant's limit at the moment: while k, or a
// call that borrows its slot of the class from k, runs.
func (m *model) counted(k *modelCall) bool { return k.counts && classHalf.used(k) }

// place reports whether p's slot of the class comes with a place in a tenant's limit: that of
// p, or of a call from which p has borrowed the slot.
func place(p *modelCall, tenant string) bool {
	for ; p != nil; p = p.lender {
		if p.counts && p.tenant == tenant {
			return true
		}
	}
	return false
}

// canUseLentSlot reports whether a call above k can lend it a place.
func (m *model) canUseLentSlot(k *modelCall) bool {
	for p := k.parent; p != nil; p = p.parent {
		if p.class == k.class && p.state == holding && place(p, k.tenant) {
			return true
		}
	}
	return false
}

// below reports whether k's tenant is below its limit.
func (m *model) below(k *modelCall) bool { return m.busy(k.class, k.tenant) < k.class.tenants.most() }

// maySoon reports whether k's tenant is below its limit, or will be. For a call to which no
// other call can lend a place this is always true, see deadlocksByLimit.
func (m *model) maySoon(k *modelCall, good map[*modelCall]bool) bool {
	return m.below(k) || slices.ContainsFunc(m.calls, func(o *modelCall) bool {
		return o.class == k.class && o.tenant == k.tenant && m.counted(o) && comesBack(o, good, classHalf)
	})
}

// deadlocksByLimit reports whether, with k in the queue, a nested call may have to wait for
// its tenant's limit while a call that this limit counts waits for a nested call.
func (m *model) deadlocksByLimit(k *modelCall) bool {
	return slices.ContainsFunc(m.calls, func(o *modelCall) bool {
		return m.counted(o) && slices.ContainsFunc(o.class.queue, func(w *modelCall) bool {
			return w.parent != nil && w.tenant == o.tenant && !m.canUseLentSlot(w) && m.above(o)
		})
	})
}

// blocks reports whether a call that the limit of w's tenant counts waits for a nested call.
func (m *model) blocks(w *modelCall) bool {
	return slices.ContainsFunc(m.calls, func(o *modelCall) bool {
		return o.class == w.class && o.tenant == w.tenant && m.counted(o) && m.above(o)
	})
}

// above reports whether a nested call below o, at any depth, waits.
func (m *model) above(o *modelCall) bool {
	return slices.ContainsFunc(m.calls, func(w *modelCall) bool {
		if w.state != queued {
			return false
		}
		for a := w.parent; a != nil; a = a.parent {
			if a == o {
				return true
			}
		}
		return false
	})
}

// arrived gives the queue of a call that has just arrived its turn.
func (m *model) arrived(k *modelCall) {
	c, ts := k.class, &k.class.tenants
	l := ts.lane(k.tenant)
	if l == nil {
		l = &modelLane{tenant: k.tenant, used: ts.level}
		ts.lanes = append(ts.lanes, l)
	}
	busy := m.busy(c, k.tenant)
	switch {
	case busy >= ts.most():
		l.fresh, l.old = false, false
	case l.old:
	case len(c.waiting(k.tenant)) == 1 && busy == 0:
		l.fresh = true
	default:
		ts.moveToOld(l)
	}
}

// head returns the call that gets the next slot of c. Calls whose version has no room are
// passed over.
func (m *model) head(c *modelClass) *modelCall {
	ts := &c.tenants
	canGo := func(l *modelLane) []*modelCall {
		return slices.DeleteFunc(c.waiting(l.tenant), func(k *modelCall) bool { return !m.roomIn(k.version) })
	}
	for {
		var fresh, old *modelLane
		for _, l := range ts.lanes {
			able := len(canGo(l)) > 0
			if able && l.fresh && fresh == nil {
				fresh = l
			}
			if (able || len(c.waiting(l.tenant)) == 0) && l.old && (old == nil || l.used < old.used || l.used == old.used && l.number < old.number) {
				old = l
			}
		}
		if old != nil && len(c.waiting(old.tenant)) == 0 {
			ts.level = max(ts.level, old.used)
			ts.drop(old)
			continue
		}
		if fresh != nil && (old == nil || !ts.newcomer) {
			return canGo(fresh)[0]
		}
		return canGo(old)[0]
	}
}

// served moves the queue of k's tenant, after k was admitted.
func (m *model) served(k *modelCall) {
	ts := &k.class.tenants
	l := ts.lane(k.tenant)
	ts.newcomer = l.fresh
	if l.old {
		ts.level = max(ts.level, l.used)
	}
	if k.version.limited {
		l.used = max(l.used, ts.level)
	}
	ts.moveToOld(l)
	m.tidy(k.class)
}

// gaveUp forgets the queue of k's tenant, after k has left the queue without a slot, unless a
// turn of it is still to come.
func (m *model) gaveUp(k *modelCall) {
	ts := &k.class.tenants
	if l := ts.lane(k.tenant); len(k.class.waiting(k.tenant)) == 0 && !l.old {
		ts.drop(l)
	}
	m.tidy(k.class)
}

func (m *model) tidy(c *modelClass) {
	if len(c.queue) == 0 {
		c.tenants.lanes, c.tenants.newcomer = nil, false
	}
}

// park takes the turn away from a tenant that has reached its limit and has waiting calls.
func (m *model) park(k *modelCall) {
	ts := &k.class.tenants
	if l := ts.lane(k.tenant); l != nil && len(k.class.waiting(k.tenant)) > 0 && m.busy(k.class, k.tenant) >= ts.most() {
		l.fresh, l.old = false, false
	}
}

func (m *model) unpark(c *modelClass, tenant string) {
	ts := &c.tenants
	if l := ts.lane(tenant); l != nil && !l.fresh && !l.old && m.busy(c, tenant) < ts.most() {
		ts.moveToOld(l)
	}
}

// charge adds the time of a call that ends to what its tenant has used.
func (m *model) charge(k *modelCall) {
	ts := &k.class.tenants
	l := ts.lane(k.tenant)
	if !k.charged || k.classFrom != k || l == nil {
		return
	}
	if !l.old {
		l.used = max(l.used, ts.level)
	}
	l.used += m.now - k.since
	if l.fresh {
		ts.moveToOld(l)
	}
}

// victim returns the call that k displaces if the queue is full.
func (m *model) victim(k *modelCall) *modelCall {
	c := k.class
	if len(c.queue) < c.bound || len(c.queue) == 0 {
		return nil
	}
	count := func(tenant string) int { return len(c.waiting(tenant)) }
	victimOf := func(tenant string) *modelCall {
		return slices.MinFunc(c.waiting(tenant), func(a, b *modelCall) int {
			return cmp.Or(
				cmp.Compare(a.priority, b.priority),
				cmp.Compare(nested(a), nested(b)),
				cmp.Compare(slices.Index(c.queue, b), slices.Index(c.queue, a)))
		})
	}
	most := slices.MaxFunc(c.queue, func(a, b *modelCall) int {
		return cmp.Or(
			cmp.Compare(count(a.tenant), count(b.tenant)),
			cmp.Compare(slices.Index(c.queue, victimOf(a.tenant)), slices.Index(c.queue, victimOf(b.tenant))))
	}).tenant
	switch own := count(k.tenant); {
	case own+1 < count(most):
		return victimOf(most)
	case own > 0 && victimOf(k.tenant).priority < k.priority:
		return victimOf(k.tenant)
	}
	return nil
}

func nested(k *modelCall) int {
	if k.parent == nil {
		return 0
	}
	return 1
}
