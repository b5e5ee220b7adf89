package memqueue

import (
	"errors"
	"sync"
	"time"
)

// The errors of a [Queue].
var (
	ErrFull      = errors.New("memqueue: full")            // there is no room in the queue, or none for this tenant
	ErrTaken     = errors.New("memqueue: taken")           // another job has the ID or the unique key
	ErrUnknown   = errors.New("memqueue: no such job")     // the queue has neither the job nor its ID
	ErrForgotten = errors.New("memqueue: forgotten")       // the queue had the job, and has only its ID
	ErrLease     = errors.New("memqueue: lease has ended") // the job has no lease with this token
	ErrChanged   = errors.New("memqueue: changed")         // the item has another revision
	ErrUnsettled = errors.New("memqueue: not settled")     // only a settled job can be removed
	ErrClosed    = errors.New("memqueue: closed")          // Close was called
)

// Queue keeps jobs. Any number of goroutines may call its methods at once.
type Queue[B any] struct {
	maxCount int
	maxBytes int64

	mu        sync.Mutex // guards the fields below
	closed    bool
	nodes     index[B]
	later     nodeHeap[B] // the jobs that are not due yet
	aging     nodeHeap[B] // the jobs that wait for their order keys and have an Expires
	functions map[string]*function[B]
	turn      fifo[*function[B]] // the functions that may have a job to lease; see function.queued
	progress  map[ID]any         // what Extend has set, by the leased job
	changed   broadcast          // wakes the Leases that wait, so that they look for a job again
	isTaking  bool               // set by PutLease and SettleLease, so that queueUp wakes no Lease: takeNext does it after it has leased a job
	tenants   map[string]*tenant // the tenants that have lanes, by name
	recent    *lane[B]           // the lane that was looked up last; nil: none, or it was dropped
	live      usage              // of all jobs that are not settled
	turned    turnedAway         // the tenant for which hasRoom keeps a place
	unique    uniqueKeys
	settled   settled[B]
	shelf     shelf          // settled jobs as bytes
	codec     Codec[B]       // nil: none
	scratch   []byte         // of shelve
	numbered  []*function[B] // the functions by their numbers; nil: a number that is free
	spares    []*node[B]     // of jobs that have no node any more, see spare

	seq, revision, token uint64 // the last numbers that were given
}

// tenant is one tenant in all functions. It is dropped with its last lane.
type tenant struct {
	usage // of its jobs that are not settled
	lanes int
}

// usage is the part of the queue's bounds that some jobs take.
type usage struct {
	count int
	bytes int64
}

func (u *usage) add(size int64) { u.count++; u.bytes += size }
func (u *usage) sub(size int64) { u.count--; u.bytes -= size }

// turnedAway is the last tenant whose job was refused although the tenant would have had no more
// than half of the queue with it. Until a job of this tenant is accepted, but at most for
// patience, no other tenant gets more than half.
type turnedAway struct {
	tenant string
	until  int64 // its last refusal + patience, in Unix nanoseconds
}

// patience is how long after its last refusal a tenant has a place kept for it.
const patience = 10 * time.Second

// New returns a queue for at most maxCount jobs that are not settled, of at most maxBytes
// together, and for as many settled ones.
func New[B any](maxCount int, maxBytes int64) *Queue[B] {
	return &Queue[B]{
		maxCount: maxCount, maxBytes: maxBytes,
		functions: map[string]*function[B]{}, progress: map[ID]any{},
		tenants: map[string]*tenant{}, aging: nodeHeap[B]{byAge: true},
	}
}

// Put accepts an item and returns its view. A key that is not empty is a unique key of the item's
// function and tenant; it is taken until the parameter until, a time in Unix nanoseconds. With
// ErrTaken the view is that of the job that has the ID or the key; if that job is gone, only the
// view's ID is set.
func (q *Queue[B]) Put(it Item[B], key string, until int64) (View[B], error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var had View[B]
	now := time.Now().UnixNano()
	n, err := q.put(&it, key, until, now, &had)
	if n != nil {
		had = q.view(n, now)
	}
	return had, err
}

// put does what Put does, with q.mu held, but returns the node of the accepted item. With ErrTaken
// it sets *had to the view that Put returns.
func (q *Queue[B]) put(it *Item[B], key string, until, now int64, had *View[B]) (*node[B], error) {
	if q.closed {
		return nil, ErrClosed
	}
	q.settled.expire(q, now)
	q.unique.expire(now)
	if n, known := q.lookup(&it.ID); known {
		q.viewTaken(it.ID, n, now, had)
		return nil, ErrTaken
	}
	if key != "" && until > now {
		k := uniqueKey{it.Function, it.Tenant, key}
		if id, held := q.unique.holder(k); held {
			n, _ := q.lookup(&id)
			q.viewTaken(id, n, now, had)
			return nil, ErrTaken
		}
		if q.unique.len() >= 2*q.maxCount || !q.hasRoom(it, now) {
			return nil, ErrFull
		}
		q.unique.take(k, it.ID, until)
	} else if !q.hasRoom(it, now) {
		return nil, ErrFull
	}
	return q.accept(it, now), nil
}

// viewTaken sets *v to the view of the job with the ID. n is its node, or nil if the job is gone.
func (q *Queue[B]) viewTaken(id ID, n *node[B], now int64, v *View[B]) {
	if n != nil {
		*v = q.view(n, now)
	}
	v.ID = id
}

// hasRoom reports whether there is room for an item within the bounds of the queue and of its
// tenant.
func (q *Queue[B]) hasRoom(it *Item[B], now int64) bool {
	own := q.usageOf(it.Tenant)
	own.add(it.Size)
	overHalf := own.count > max(1, q.maxCount/2) || own.bytes > q.maxBytes/2
	if q.live.count >= q.maxCount || q.live.bytes+it.Size > q.maxBytes {
		if !overHalf {
			q.turned = turnedAway{tenant: it.Tenant, until: now + int64(patience)}
		}
		return false
	}
	if overHalf {
		othersWait := q.live.count >= own.count // own counts this item and live does not: so at least one job is of another tenant
		othersTry := q.turned.until > now && q.turned.tenant != it.Tenant
		return !othersWait && !othersTry
	}
	if q.turned.tenant == it.Tenant {
		q.turned = turnedAway{}
	}
	return true
}

// usageOf returns the usage of a tenant's jobs that are not settled.
func (q *Queue[B]) usageOf(name string) usage {
	if l := q.recent; l != nil && l.tenant == name {
		return l.owner.usage
	}
	if t := q.tenants[name]; t != nil {
		return t.usage
	}
	return usage{}
}

// accept adds an item to the queue, without a look at the bounds.
func (q *Queue[B]) accept(it *Item[B], now int64) *node[B] {
	q.seq++
	n := q.newNode()
	n.Item, n.seq = *it, q.seq
	n.Revision = q.nextRevision()
	q.nodes.set(&it.ID, n)
	if it.State.settled() {
		f := q.function(it.Function)
		f.accepted.add(n.seq, &n.ID)
		n.settledNow()
		f.counts[it.State]++
		q.settled.add(n)
		q.settled.trim(q)
		return n
	}
	n.lane = q.lane(it.Function, it.Tenant)
	n.lane.function.accepted.add(n.seq, &n.ID)
	n.lane.jobs++
	q.charge(n)
	q.place(n, now)
	return n
}

// spareNodes is how many nodes wait to be used again, at most.
const spareNodes = 256

// spare keeps the node of a job that was shelved or forgotten for another job, so that few nodes
// are allocated. No field of the queue may have the node. The holder of an old lease may: its
// token is no other lease's, so held refuses it.
func (q *Queue[B]) spare(n *node[B]) {
	if len(q.spares) < spareNodes {
		*n = node[B]{} // else it would keep the job's payload
		q.spares = append(q.spares, n)
	}
}

// newNode returns a node that is zero.
func (q *Queue[B]) newNode() *node[B] {
	last := len(q.spares) - 1
	if last < 0 {
		return &node[B]{}
	}
	n := q.spares[last]
	q.spares[last] = nil
	q.spares = q.spares[:last]
	return n
}

func (q *Queue[B]) nextRevision() uint64 {
	q.revision++
	return q.revision
}

// charge adds a job that is not settled to the usage of its tenant, of the queue and of its
// function; discharge subtracts it.
func (q *Queue[B]) charge(n *node[B]) {
	n.lane.owner.add(n.Size)
	q.live.add(n.Size)
	n.lane.function.bytes += n.Size
}

func (q *Queue[B]) discharge(n *node[B]) {
	n.lane.owner.sub(n.Size)
	q.live.sub(n.Size)
	n.lane.function.bytes -= n.Size
}

// place puts a job that is neither leased nor settled into the heap where it waits, and counts
// it.
func (q *Queue[B]) place(n *node[B], now int64) {
	l := n.lane
	if n.At > now {
		q.later.push(n)
		n.place = inLater
		l.function.counts[n.waits()]++
		if q.later.first() == n {
			q.changed.tell() // each Lease that waits has its timer set for a job that is due after n
		}
		return
	}
	l.function.counts[Ready]++
	l.addDue(n)
	q.queueUp(l)
}

// displace undoes place.
func (q *Queue[B]) displace(n *node[B]) {
	l := n.lane
	if n.place == inLater {
		q.later.remove(n)
		n.place = nowhere
		l.function.counts[n.waits()]--
		return
	}
	l.function.counts[Ready]--
	l.removeDue(n)
	q.queueUp(l)
}

// waits returns the state of a job that is not due.
func (n *node[B]) waits() State {
	if n.State == Parked {
		return Parked
	}
	return Scheduled
}

// promotions is the largest number of jobs that one critical section moves from q.later, the heap
// of jobs that are not due yet, to their lanes.
const promotions = 1000

// promote moves jobs that are due from q.later to their lanes. It returns false if it has moved
// as many as promotions allows: then more may be due.
func (q *Queue[B]) promote(now int64) bool {
	for range promotions {
		if q.later.len() == 0 || q.later.first().At > now {
			return true
		}
		n := q.later.first()
		q.later.remove(n)
		n.lane.function.counts[n.waits()]--
		q.place(n, now)
	}
	return false
}

// view returns a node's item as it is at the time now: a leased job is Running. Of the others
// that are not settled, a job that is due is Ready, and one that is not is Parked or Scheduled.
func (q *Queue[B]) view(n *node[B], now int64) View[B] {
	v := View[B]{Item: n.Item, Seq: n.seq}
	if n.State.settled() {
		return v
	}
	if n.lease != 0 {
		v.State, v.Progress = Running, q.progress[n.ID]
		return v
	}
	if v.State = Ready; n.At > now {
		v.State = n.waits()
	}
	if holder := n.lane.keyHolder(n); holder != nil {
		v.KeyHolder = holder.ID
	}
	return v
}

// Get returns a job, or ErrForgotten or ErrUnknown.
func (q *Queue[B]) Get(id ID) (View[B], error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return View[B]{}, ErrClosed
	}
	return q.get(id, time.Now().UnixNano())
}

func (q *Queue[B]) get(id ID, now int64) (View[B], error) {
	n, err := q.find(id, now)
	if err != nil {
		return View[B]{}, err
	}
	return q.view(n, now), nil
}

func (q *Queue[B]) find(id ID, now int64) (*node[B], error) {
	n, known := q.lookup(&id)
	switch {
	case !known:
		return nil, ErrUnknown
	case n == nil:
		return nil, ErrForgotten
	case n.State.settled() && n.At <= now: // its time to be kept is over
		q.settled.forget(q, n)
		return nil, ErrForgotten
	}
	return n, nil
}

// Swap replaces the item that has it.ID, if the revision is still that of the item.
func (q *Queue[B]) Swap(revision uint64, it Item[B]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now().UnixNano()
	n, err := q.fenced(it.ID, revision, now)
	if err != nil {
		return err
	}
	q.write(n, it, now)
	return nil
}

// Remove removes a settled item, if the revision is still that of the item. The job counts as
// forgotten.
func (q *Queue[B]) Remove(id ID, revision uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, err := q.fenced(id, revision, time.Now().UnixNano())
	if err != nil {
		return err
	}
	if !n.State.settled() {
		return ErrUnsettled
	}
	q.settled.forget(q, n)
	return nil
}

func (q *Queue[B]) fenced(id ID, revision uint64, now int64) (*node[B], error) {
	if q.closed {
		return nil, ErrClosed
	}
	n, err := q.find(id, now)
	if err == nil && n.Revision != revision {
		return nil, ErrChanged
	}
	return n, err
}

// write replaces a node's item. If the node is leased, the lease ends.
func (q *Queue[B]) write(n *node[B], it Item[B], now int64) {
	it.Function, it.Tenant, it.Order, it.Waiter = n.Function, n.Tenant, n.Order, n.Waiter
	it.Revision = q.nextRevision()
	if n.place == shelved {
		q.thaw(n)
	}
	if n.State.settled() {
		q.settled.rewrite(n, it)
	} else {
		q.takeOut(n)
		q.discharge(n)
		n.Item = it
		if it.State.settled() {
			q.settle(n)
		} else {
			q.charge(n)
			q.place(n, now)
		}
	}
	n.tell()
	if n.place == shelved {
		q.spare(n)
	}
}

// takeOut takes a job that is not settled out of its heap, or ends its lease.
func (q *Queue[B]) takeOut(n *node[B]) {
	if n.lease == 0 {
		q.displace(n)
		return
	}
	n.lease = 0
	if len(q.progress) > 0 {
		delete(q.progress, n.ID)
	}
	n.lane.function.counts[Running]--
	if !n.begun {
		q.unblock(n.lane)
	}
}

// settle moves a job whose new item is settled from its lane to q.settled or q.shelf.
func (q *Queue[B]) settle(n *node[B]) {
	n.settledNow()
	n.lane.function.counts[n.State]++
	q.leave(n)
	q.settled.charge(n)
	if !q.shelve(n) {
		q.settled.journal(n).add(n)
	}
	q.settled.trim(q)
}

// leave removes a job from its lane, and the lane if it is empty. Call takeOut before.
func (q *Queue[B]) leave(n *node[B]) {
	l := n.lane
	l.freeKey(n)
	q.queueUp(l)
	if l.jobs--; l.jobs == 0 && len(l.function.lanes) > spareLanes {
		delete(l.function.lanes, l.tenant)
		q.dropLane(l)
	}
	n.lane = nil
}

// Close ends all calls that wait, and drops all jobs.
func (q *Queue[B]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	q.nodes.all((*node[B]).lost)
	q.changed.tell()
	q.nodes, q.functions, q.progress, q.tenants, q.recent = index[B]{}, nil, nil, nil, nil
	q.later, q.aging, q.turn = nodeHeap[B]{}, nodeHeap[B]{}, fifo[*function[B]]{}
	q.settled, q.shelf, q.unique, q.spares, q.numbered = settled[B]{}, shelf{}, uniqueKeys{}, nil, nil
}
