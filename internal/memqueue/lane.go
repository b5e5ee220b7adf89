package memqueue

import "slices"

// function holds the jobs of one function, by lanes (a lane: one tenant's jobs of it). It is
// dropped when it has no job left, not even a settled one.
type function[B any] struct {
	name   string
	lanes  map[string]*lane[B] // by tenant
	turn   fifo[*lane[B]]      // the lanes that may have a job to lease; see lane.queued
	queued bool                // the function is in Queue.turn
	aging  *nodeHeap[B]        // points to Queue.aging
	counts [states]int         // how many of the function's jobs are in each State
	bytes  int64               // of the jobs that are not settled

	accepted accepted // the function's jobs that are not forgotten, in the order of seq
	number   uint32   // the function's index in Queue.numbered
}

// lane holds the jobs of one tenant of one function that are not settled. It is dropped when it
// has no job, but a function keeps a few empty lanes: see spareLanes.
type lane[B any] struct {
	function *function[B]
	tenant   string
	owner    *tenant
	jobs     int                     // not settled
	ready    nodeHeap[B]             // the jobs that can be leased: due, and their order key, if they have one, is free for them
	mixed    bool                    // false: all jobs in ready have the same priority
	blocked  bool                    // a job of the lane is leased and has no slot yet (see Begin), so the lane gives no other
	queued   bool                    // the lane is in function.turn
	keys     map[string]*orderKey[B] // by order key; see orderKey
}

// spareLanes is how many lanes of a function may be kept without jobs: where there are few
// tenants, the same ones send again.
const spareLanes = 16

// orderKey lets the jobs of a lane that have the same order key run one at a time. It is dropped
// when no job has or waits for the key.
type orderKey[B any] struct {
	holder  *node[B]    // the job of the key that was leased and is not settled: no other may run; nil: there is none
	next    *node[B]    // if there is no holder: the key's job in lane.ready
	waiting nodeHeap[B] // the due jobs that wait for holder or next
}

// canGive reports whether a job of the lane can be leased now.
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

// addDue puts a job that is due into the heap l.ready or, if it must wait for its order key, into
// the heap waiting of that key.
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
	case k.holder == nil && n.earlier(k.next): // n came later, and was due earlier: a due time may be in the past
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

// waitNoMore undoes waitForKey.
func (l *lane[B]) waitNoMore(k *orderKey[B], n *node[B]) {
	k.waiting.remove(n)
	if n.Expires != 0 {
		l.function.aging.remove(n)
	}
}

// removeDue undoes addDue for a job that was not leased in between.
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

// take takes the first job out of ready, to be leased. There must be one.
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

// freeKey gives the order key of n to the next job, if n is its holder.
func (l *lane[B]) freeKey(n *node[B]) {
	if n.Order == "" {
		return
	}
	if k := l.keys[n.Order]; k != nil && k.holder == n {
		k.holder = nil
		l.passKey(n.Order, k)
	}
}

// passKey makes the first job that waits for an order key the key's next, and puts it into
// l.ready. The key must have no holder and no next. If no job waits, passKey drops the key.
func (l *lane[B]) passKey(key string, k *orderKey[B]) {
	if k.waiting.len() == 0 {
		delete(l.keys, key)
		return
	}
	k.next = k.waiting.first()
	l.waitNoMore(k, k.next)
	l.addReady(k.next)
}

// keyHolder returns the job that n waits for because of their order key, or nil.
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

// oldest returns the job in ready that was due first, or nil.
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

// lane returns the lane of a function and a tenant, and makes it if there is none.
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

// dropLane removes the queue's pointers to a lane. The lane was removed from function.lanes
// before, or its whole function is being removed.
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
	q.numbered[f.number] = nil
	for _, l := range f.lanes {
		q.dropLane(l)
	}
}

func (q *Queue[B]) function(name string) *function[B] {
	f := q.functions[name]
	if f == nil {
		f = &function[B]{name: name, lanes: map[string]*lane[B]{}, aging: &q.aging}
		q.functions[name] = f
		q.number(f)
	}
	return f
}

// number gives a function the first number that is free.
func (q *Queue[B]) number(f *function[B]) {
	at := slices.Index(q.numbered, nil)
	if at < 0 {
		at = len(q.numbered)
		q.numbered = append(q.numbered, nil)
	}
	q.numbered[at], f.number = f, uint32(at)
}

// queueUp is called after each change that may let a job of the lane be leased. If one can be, it
// puts the lane into function.turn, and the function into Queue.turn, and wakes the Leases that
// wait.
func (q *Queue[B]) queueUp(l *lane[B]) {
	if !l.canGive() {
		return // if the lane is in function.turn, it stays there until nextLane drops it
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

// nextLane returns the lane whose turn it is, of the functions in names, and takes it out of
// function.turn; nil: there is none. names is sorted. On the way, nextLane moves the functions that
// are not in names to the end of Queue.turn, and takes lanes and functions without a job to lease
// out of both queues.
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

// Ahead returns how many ready jobs come before a new one of a function and a tenant. These are
// the tenant's own, and at most as many of each other tenant, since tenants take turns.
// For example, with 5 jobs of its own, and 2 and 100 of two others, Ahead returns 5 + 2 + 5.
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

// Most returns how many jobs that are not settled the queue may hold.
func (q *Queue[B]) Most() int { return q.maxCount }
