package admission

// The places of a full queue are shared as its slots are. A call that comes to
// one displaces a call of the tenant that has the most waiting, if its own tenant
// has at least two fewer: so each displacement brings the two closer together, and
// two tenants can't displace each other's calls in turn. Otherwise it displaces one
// of its own tenant of lower priority. Priorities are compared within a tenant only:
// no tenant gains a place from another by calling itself urgent.
//
// All waiters stand in two more heaps for that, whether the queue is full or not:
// each lane's in one of victims, and the lanes in one of crowds. The cost of a
// displacement is a logarithm of the calls and tenants that wait.

// victim is a waiter in its place among those of its lane: first the one that is
// displaced first. A nested call comes after the roots of its priority, because
// a call that runs, and has used a slot so far, would fail with it.
type victim waiter

func (v *victim) place() *int { return &v.victim }

func (v *victim) before(u *victim) bool {
	if v.priority != u.priority {
		return v.priority < u.priority
	}
	if root, other := v.hold.parent == nil, u.hold.parent == nil; root != other {
		return root
	}
	return v.number > u.number
}

// crowd is a lane in its place among those that have a call waiting: first the one
// with the most and, of those with as many, the one whose victim came last.
type crowd lane

func (c *crowd) place() *int { return &c.crowd }

func (c *crowd) before(d *crowd) bool {
	if n, m := c.waiters.len(), d.waiters.len(); n != m {
		return n > m
	}
	return c.victims.first().number > d.victims.first().number
}

// expose gives w its place among the victims, or another, where it has become a
// root.
func (q *lanes) expose(w *waiter) {
	w.lane.victims.put((*victim)(w))
	q.crowds.put((*crowd)(w.lane))
}

// conceal takes w out from there, after it has left its lane.
func (q *lanes) conceal(w *waiter) {
	l := w.lane
	l.victims.remove((*victim)(w))
	if l.waiters.len() > 0 {
		q.crowds.put((*crowd)(l))
	} else {
		q.crowds.remove((*crowd)(l))
	}
}

// victim is who gives its place to a newcomer in a full queue, or nil.
func (q *lanes) victim(tenant string, priority int) *waiter {
	if q.len == 0 {
		return nil
	}
	mine, own := 0, q.byTenant[tenant]
	if own != nil {
		mine = own.waiters.len()
	}
	switch most := q.crowds.first(); {
	case mine+1 < most.waiters.len():
		return (*waiter)(most.victims.first())
	case mine > 0 && own.victims.first().priority < priority:
		return (*waiter)(own.victims.first())
	}
	return nil
}
