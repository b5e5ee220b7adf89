package memqueue

import "slices"

// function has what is known about one function. It is dropped with its last job.
type function[B any] struct {
	name   string
	lanes  map[string]*lane[B] // by tenant
	turn   fifo[*lane[B]]      // those that may have a job to give; see lane.queued
	queued bool                // it is in Queue.turn
	aging  *nodeHeap[B]        // Queue.aging
	counts [states]int
	bytes  int64 // of the jobs that are not settled
}

// lane is one tenant of a function, and has its jobs that are not settled. It is dropped
// with the last of them, or with its function if that has few lanes.
type lane[B any] struct {
	function *function[B]
	tenant   string
	owner    *tenant
	jobs     int         // not settled
	ready    nodeHeap[B] // due, and their order key, if any, is free for them
	mixed    bool        // the jobs in ready differ in priority, or have
	blocked  bool        // one of its jobs is leased and has not begun
	queued   bool        // it is in function.turn
	keys     map[string]*orderKey[B]
}

// spareLanes is how many lanes of a function may be without jobs: with few tenants it is
// the same ones that come again.
const spareLanes = 16

// orderKey has the jobs of a lane with one order key. It is dropped with the last of
// those that it has in a field.
type orderKey[B any] struct {
	holder  *node[B]    // was leased, and is not settled: no other may run
	next    *node[B]    // with no holder: the one that is in lane.ready
	waiting nodeHeap[B] // due, behind them
}

// canGive reports whether a Lease would find a job.
func (l *lane[B]) canGive() bool { return !l.blocked && l.ready.len() > 0 }

func (l *lane[B]) addReady(n *node[B]) {
	if l.ready.len() == 0 {
		l.mixed = false
	} else if l.ready.first().Priority != n.Priority {
		l.mixed = true
	}
	l.ready.push(n)
	n.place = inReady
}

// addDue takes a job whose time has come.
func (l *lane[B]) addDue(n *node[B]) {
	if n.Order == "" {
		l.addReady(n)
		return
	}
	k := l.keys[n.Order]
	if k == nil {
		k = &orderKey[B]{}
		if l.keys == nil {
			l.keys = map[string]*orderKey[B]{}
		}
		l.keys[n.Order] = k
	}
	switch {
	case k.holder == n:
		l.addReady(n)
	case k.holder == nil && k.next == nil:
		k.next = n
		l.addReady(n)
	case k.holder == nil && n.earlier(k.next): // it came later and is due since before: a due time may lie in the past
		l.ready.remove(k.next)
		l.waitForKey(k, k.next)
		k.next = n
		l.addReady(n)
	default:
		l.waitForKey(k, n)
	}
}

func (l *lane[B]) waitForKey(k *orderKey[B], n *node[B]) {
	k.waiting.push(n)
	n.place = inKey
	if n.Expires != 0 {
		l.function.aging.push(n)
	}
}

// waitNoMore is the reverse of waitForKey.
func (l *lane[B]) waitNoMore(k *orderKey[B], n *node[B]) {
	k.waiting.remove(n)
	if n.Expires != 0 {
		l.function.aging.remove(n)
	}
}

// removeDue takes back what addDue has done, for a job that was not leased.
func (l *lane[B]) removeDue(n *node[B]) {
	if n.place == inReady {
		l.ready.remove(n)
	} else {
		l.waitNoMore(l.keys[n.Order], n)
	}
	n.place = nowhere
	if n.Order == "" {
		return
	}
	if k := l.keys[n.Order]; k.next == n {
		k.next = nil
		l.passKey(n.Order, k)
	}
}

// take takes the first job for a lease. There must be one.
func (l *lane[B]) take() *node[B] {
	n := l.ready.first()
	l.ready.remove(n)
	n.place = nowhere
	if n.Order != "" {
		k := l.keys[n.Order]
		k.holder, k.next = n, nil
	}
	return n
}

// freeKey lets the next job of n's order key go on, if n holds it.
func (l *lane[B]) freeKey(n *node[B]) {
	if n.Order == "" {
		return
	}
	if k := l.keys[n.Order]; k != nil && k.holder == n {
		k.holder = nil
		l.passKey(n.Order, k)
	}
}

// passKey gives a key that has neither holder nor next to the first that waits for it.
func (l *lane[B]) passKey(key string, k *orderKey[B]) {
	if k.waiting.len() == 0 {
		delete(l.keys, key)
		return
	}
	k.next = k.waiting.first()
	l.waitNoMore(k, k.next)
	l.addReady(k.next)
}

// keyHolder returns the job that n waits for, or nil.
func (l *lane[B]) keyHolder(n *node[B]) *node[B] {
	if n.Order == "" {
		return nil
	}
	k := l.keys[n.Order]
	switch {
	case k == nil || k.holder == n || k.next == n:
		return nil
	case k.holder != nil:
		return k.holder
	case n.place == inKey:
		return k.next
	}
	return nil
}

// oldest returns the node of ready that was due first, or nil.
func (l *lane[B]) oldest() *node[B] {
	if l.ready.len() == 0 {
		return nil
	}
	if !l.mixed {
		return l.ready.first()
	}
	return slices.MinFunc(l.ready.nodes, func(a, b *node[B]) int {
		if a.earlier(b) {
			return -1
		}
		return 1
	})
}

// lane returns the lane of a function and a tenant, a new one if need be.
func (q *Queue[B]) lane(name, tenant string) *lane[B] {
	if l := q.recent; l != nil && l.tenant == tenant && l.function.name == name {
		return l
	}
	f := q.function(name)
	l := f.lanes[tenant]
	if l == nil {
		l = q.newLane(f, tenant)
	}
	q.recent = l
	return l
}

func (q *Queue[B]) newLane(f *function[B], name string) *lane[B] {
	owner := q.tenants[name]
	if owner == nil {
		owner = &tenant{}
		q.tenants[name] = owner
	}
	owner.lanes++
	l := &lane[B]{function: f, tenant: name, owner: owner, ready: nodeHeap[B]{byUrgent: true}}
	f.lanes[name] = l
	return l
}

// dropLane lets go of a lane that is in its function no more, or whose function is dropped.
func (q *Queue[B]) dropLane(l *lane[B]) {
	if l.owner.lanes--; l.owner.lanes == 0 {
		delete(q.tenants, l.tenant)
	}
	if q.recent == l {
		q.recent = nil
	}
}

func (q *Queue[B]) dropFunction(f *function[B]) {
	delete(q.functions, f.name)
	for _, l := range f.lanes {
		q.dropLane(l)
	}
}

func (q *Queue[B]) function(name string) *function[B] {
	f := q.functions[name]
	if f == nil {
		f = &function[B]{name: name, lanes: map[string]*lane[B]{}, aging: &q.aging}
		q.functions[name] = f
	}
	return f
}

// queueUp lets a lane take part in the turns if it can give, and wakes what waits for it.
// It is called after each change that may have that effect.
func (q *Queue[B]) queueUp(l *lane[B]) {
	if !l.canGive() {
		return // if it is queued, it is dropped when its turn comes
	}
	f := l.function
	if !l.queued {
		l.queued = true
		f.turn.push(l)
	}
	if !f.queued {
		f.queued = true
		q.turn.push(f)
	}
	if !q.isTaking {
		q.changed.tell()
	}
}

// nextLane takes the lane whose turn it is out of the turns: of the functions in names,
// which are sorted. It returns nil if there is none. Each function that is not in names
// costs a step, and each that was queued in vain is dropped.
func (q *Queue[B]) nextLane(names []string) *lane[B] {
	for range q.turn.len() {
		f := q.turn.pop()
		if _, hosted := slices.BinarySearch(names, f.name); !hosted {
			q.turn.push(f)
			continue
		}
		for f.turn.len() > 0 {
			l := f.turn.pop()
			l.queued = false
			if !l.canGive() {
				continue
			}
			if f.turn.len() > 0 {
				q.turn.push(f)
			} else {
				f.queued = false
			}
			return l
		}
		f.queued = false
	}
	return nil
}

// Ahead returns how many jobs that could run come before a new one of a function and a tenant:
// those of the tenant, and since tenants take turns as many of each other, if it has as many.
func (q *Queue[B]) Ahead(name, tenant string) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := q.functions[name]
	if f == nil || f.lanes[tenant] == nil {
		return 0
	}
	own := f.lanes[tenant].ready.len()
	if own == 0 {
		return 0
	}
	for _, l := range f.lanes {
		n += min(own, l.ready.len())
	}
	return n
}

// Most returns how many jobs that are not settled the queue holds at most.
func (q *Queue[B]) Most() int { return q.maxCount }
