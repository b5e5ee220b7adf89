package admission

import "time"

// tenantQueues is a class's queue, guarded by g.mu. It has a queue for each tenant with a
// call waiting, which is ordered by priority, then by arrival. The next call to serve comes
// from two sets of tenants' queues in turn:
//
//   - New queues, which hold a single call, in the order of arrival. So a tenant that
//     seldom waits, next to one that floods the class, waits for one call at most. This
//     is how FQ-CoDel treats new flows (RFC 8290, section 4.2), except that it always
//     serves them first. Here old queues have every other turn, so that none waits for
//     ever.
//   - Old queues, the one first whose tenant has used least slot time. How long a call
//     takes is known when it ends, and is charged then. This is deficit round robin
//     (Shreedhar and Varghese, SIGCOMM 1995) paid afterwards, with the smallest quantum
//     there can be: a queue in debt loses its turns until the others have used as much.
//     Rounds in which all are in debt can be skipped, so it is enough to compare what
//     they have used.
//
// What a tenant uses while it has no queue is not charged: a new queue starts at
// virtualTime, what the queue served last had used. After it was served, a queue is old
// until its debt is paid and its turn finds it empty. When no call waits, all debts are
// forgotten.
//
// If the class has a limit for tenants, the queue of a tenant that has reached it is parked:
// it has no turn, and so delays no other queue, until one of its calls ends.
//
// A tenant's queue is divided into lanes, one for each version that its calls are of, and a
// version has the lanes of all tenants in order. A version without a free slot is left out
// when the next call is chosen: its calls wait on, and delay none of another version, also
// of their own tenant. When it has one again its tenants are served in the same order. A
// tenant saves nothing up meanwhile. The versions with waiting calls are searched one by
// one, since a class has few.
type tenantQueues struct {
	limit        int                       // of calls that a tenant runs at once; 0: none
	versions     list[*Version]            // that have a call waiting
	empty        indexedHeap[*tenantQueue] // the old queues without a call, until their turn comes
	lastWasNew   bool                      // the last turn was a new one's
	longest      indexedHeap[*byWaiting]   // chooses whose call is displaced
	byTenant     map[string]*tenantQueue
	len          int           // calls that wait
	bounded      int32         // of these, the live ones, which have a place in the bounded queue
	ofHandlers   int32         // of these, the background calls that came with a parent
	eligible     int           // versions that have room, and a call whose tenant has a turn
	virtualTime  time.Duration // what the queue that was served last had used
	lastSequence uint64        // of turns and arrivals
}

// turn says how a tenant's queue takes part.
type turn uint8

const (
	noTurn  turn = iota // it is empty, or parked
	newTurn             // it is new: its lane is in the newLanes of a version
	oldTurn             // it is old: its lanes are in oldLanes or, if it has none, it is in empty
)

// tenantQueue holds one tenant's waiting calls, and counts its running ones if the class has
// a limit for tenants.
type tenantQueue struct {
	tenant       string
	lanes        *lane                // by version; linked by lane.next
	spare        lane                 // the first of them, so that it need not be allocated
	waiting      int                  // calls in lanes
	victims      indexedHeap[*victim] // the live ones of these, the next to be displaced first
	longestIndex int                  // in tenantQueues.longest
	emptyIndex   int                  // in tenantQueues.empty
	turn         turn
	used         time.Duration // slot time, on the scale of virtualTime
	sequence     uint64        // of its turn: those that have used the same go round

	// Of a class that limits its tenants:
	running      int // calls that run
	background   int // of these, background calls
	blocked      int // of these, how many have a nested call waiting
	limitWaiters int // nested calls that wait here, and that no call above can lend a place
	heldBack     int // places that do not come free while deadlock candidates wait
}

func (t *tenantQueue) index() *int { return &t.emptyIndex }

// before compares differences, since in a class that always has a waiter the sum of used
// time has no bound and may overflow.
func (t *tenantQueue) before(u *tenantQueue) bool {
	if t.used != u.used {
		return t.used-u.used < 0
	}
	return t.sequence < u.sequence
}

// queueOf returns a tenant's queue, and makes it if there is none.
func (q *tenantQueues) queueOf(tenant string) *tenantQueue {
	t := q.byTenant[tenant]
	if t == nil {
		t = &tenantQueue{tenant: tenant, used: q.virtualTime}
		if q.byTenant == nil {
			q.byTenant = map[string]*tenantQueue{}
		}
		q.byTenant[tenant] = t
	}
	return t
}

func (q *tenantQueues) nextSequence() uint64 {
	q.lastSequence++
	return q.lastSequence
}

// belowLimit reports whether the limit for t's tenant lets another call run.
func (q *tenantQueues) belowLimit(t *tenantQueue) bool { return q.limit == 0 || t.running < q.limit }

func (q *tenantQueues) push(w *waiter, tenant string) {
	v, t := w.hold.version, q.queueOf(tenant)
	in := v.lineUp()
	if in.waiting++; in.waiting == 1 {
		q.versions.push(&in.inVersions)
	}
	w.queue, w.lane, w.sequence = t, t.laneOf(v), q.nextSequence()
	w.lane.waiters.put(w)
	t.waiting++
	q.trackVictim(w)
	q.len++
	q.countWaiter(w, 1)
	switch {
	case !q.belowLimit(t):
		q.park(t)
	case t.turn == oldTurn: // and may have been empty
		q.schedule(t)
	case t.waiting == 1 && t.running == 0:
		t.turn = newTurn
		q.schedule(t)
	default:
		q.moveToOld(t)
	}
}

// countWaiter adds n, which is 1 or -1, to the counts of waiters of w's kind.
func (q *tenantQueues) countWaiter(w *waiter, n int32) {
	if !w.hold.background {
		q.bounded += n
		return
	}
	w.hold.version.line.background += n
	if w.ofHandler {
		q.ofHandlers += n
	}
}

// schedule puts t where a queue with its turn belongs.
func (q *tenantQueues) schedule(t *tenantQueue) {
	for l := t.lanes; l != nil; l = l.next {
		l.schedule(t.turn)
	}
	if t.turn == oldTurn && t.waiting == 0 {
		q.empty.put(t)
	} else {
		q.empty.remove(t)
	}
}

// nextWaiter returns the waiter to serve next. There must be an eligible version.
func (q *tenantQueues) nextWaiter() *waiter {
	newest, oldest := q.nextLanes()
	for q.empty.len() > 0 && (oldest == nil || q.empty.first().before(oldest.tenant)) {
		q.advance(q.empty.first())
		q.unscheduleEmpty(q.empty.first())
	}
	if newest != nil && (oldest == nil || !q.lastWasNew) {
		return newest.waiters.first()
	}
	return oldest.waiters.first()
}

// nextLanes returns the first lane of a new queue and the first of an old one, of the
// versions that have room; nil where there is none.
func (q *tenantQueues) nextLanes() (fresh, old *lane) {
	for v := range q.versions.all() {
		in := v.line
		if !in.eligible {
			continue
		}
		if in.newLanes.len > 0 {
			if l := in.newLanes.head.value; fresh == nil || l.waiters.first().sequence < fresh.waiters.first().sequence {
				fresh = l
			}
		}
		if in.oldLanes.len() > 0 && (old == nil || in.oldLanes.first().before(old)) {
			old = in.oldLanes.first()
		}
	}
	return fresh, old
}

// remove takes w out of its queue. If it was served, that was its tenant's turn.
func (q *tenantQueues) remove(w *waiter, served bool) {
	t, in := w.queue, w.hold.version.line
	w.lane.waiters.remove(w)
	if w.lane.waiters.len() == 0 {
		w.lane.drop()
	}
	if in.waiting--; in.waiting == 0 {
		in.inVersions.remove()
	}
	t.waiting--
	q.untrackVictim(w)
	q.len--
	q.countWaiter(w, -1)
	switch {
	case served:
		q.serve(w)
	case t.waiting > 0:
	case t.turn == oldTurn: // waits for its turn
		q.schedule(t)
	default:
		q.unscheduleEmpty(t)
	}
	if q.len == 0 {
		q.clear()
	}
}

func (q *tenantQueues) serve(w *waiter) {
	t := w.queue
	q.lastWasNew = t.turn == newTurn
	q.advance(t)
	if w.hold.version.isLimited() && t.used-q.virtualTime < 0 {
		t.used = q.virtualTime // it has waited for its version, and saves nothing up
	}
	q.moveToOld(t)
	q.parkAtLimit(t)
}

func (q *tenantQueues) advance(t *tenantQueue) {
	if t.turn == oldTurn && t.used-q.virtualTime > 0 {
		q.virtualTime = t.used
	}
}

// moveToOld puts a queue behind the old ones that have used as much.
func (q *tenantQueues) moveToOld(t *tenantQueue) {
	q.catchUp(t)
	t.sequence, t.turn = q.nextSequence(), oldTurn
	q.schedule(t)
}

// park takes a queue's turn away.
func (q *tenantQueues) park(t *tenantQueue) {
	t.turn = noTurn
	q.schedule(t)
}

// unscheduleEmpty takes an empty queue's turn away, and so forgets its debt.
func (q *tenantQueues) unscheduleEmpty(t *tenantQueue) {
	q.park(t)
	q.forgetIfIdle(t)
}

// forgetIfIdle deletes a queue that has neither a turn nor a call. If it has to be kept
// because calls of its tenant run, only its debt is forgotten.
func (q *tenantQueues) forgetIfIdle(t *tenantQueue) {
	switch {
	case t.waiting > 0 || t.turn == oldTurn:
	case t.running > 0:
		t.used = q.virtualTime
	default:
		delete(q.byTenant, t.tenant)
	}
}

// clear forgets all debts, since no call waits.
func (q *tenantQueues) clear() {
	for q.empty.len() > 0 {
		q.unscheduleEmpty(q.empty.first())
	}
	q.lastWasNew = false
	if len(q.byTenant) == 0 {
		*q = tenantQueues{limit: q.limit}
	}
}

// charge adds d, which one of its calls has used, to a tenant's time, if the tenant waits
// for another slot or still has a debt.
func (q *tenantQueues) charge(tenant string, d time.Duration) {
	t := q.byTenant[tenant]
	if t == nil || t.turn != oldTurn && t.waiting == 0 {
		return
	}
	q.catchUp(t)
	t.used += d
	switch t.turn {
	case oldTurn:
		q.schedule(t)
	case newTurn: // a tenant that has just had a slot is not new
		q.moveToOld(t)
	case noTurn: // it is parked
	}
}

// catchUp makes a queue that was not among the old ones start at the virtual time, so that a
// tenant saves nothing up while it does not wait.
func (q *tenantQueues) catchUp(t *tenantQueue) {
	if t.turn != oldTurn && t.used-q.virtualTime < 0 {
		t.used = q.virtualTime
	}
}

// parkAtLimit parks a queue if its tenant has reached its limit and has calls waiting. An
// empty queue is not parked: it stays among the scheduled ones, because its tenant may have
// used more than its share, and is to pay for that when its next call comes.
func (q *tenantQueues) parkAtLimit(t *tenantQueue) {
	if !q.belowLimit(t) && t.waiting > 0 {
		q.park(t)
	}
}

// callEnded uncounts one of the tenant's running calls, and gives a parked queue its turn
// back.
func (q *tenantQueues) callEnded(t *tenantQueue) {
	t.running--
	switch {
	case t.turn != noTurn:
	case t.waiting > 0:
		q.moveToOld(t)
	default:
		q.unscheduleEmpty(t)
	}
}

// all returns the waiters, in no order.
func (q *tenantQueues) all() []*waiter {
	all := make([]*waiter, 0, q.len)
	for _, t := range q.byTenant {
		for l := t.lanes; l != nil; l = l.next {
			all = append(all, l.waiters.members...)
		}
	}
	return all
}

// The places of a full queue are shared as the class's slots are. A call that arrives
// displaces a call of the tenant that has most waiting, if its own tenant has at least two
// fewer. So each displacement brings the two closer together, and two tenants cannot displace
// each other's calls in turn. Otherwise it displaces a call of its own tenant that has a
// lower priority. Priorities are compared within a tenant only: no tenant gains a place from
// another by a high priority.
//
// Two more heaps choose the call to displace, and are kept whether the queue is full or not:
// victims in each tenant's queue, and longest over these queues. So a displacement costs the
// logarithm of the number of calls and tenants that wait.

// victim is a waiter as an element of its tenant queue's victims, in the order in which they
// are displaced: lowest priority first, then roots before nested calls, then the newest. A
// nested call comes after roots because a call that runs, and has used a slot so far, would
// fail with it.
type victim waiter

func (v *victim) index() *int { return &v.victimIndex }

func (v *victim) before(u *victim) bool {
	if v.priority != u.priority {
		return v.priority < u.priority
	}
	if root, other := (*waiter)(v).isRoot(), (*waiter)(u).isRoot(); root != other {
		return root
	}
	return v.sequence > u.sequence
}

// byWaiting is a tenant's queue as an element of tenantQueues.longest: the one with most
// calls first and, of those with equally many, the one whose victim is newest.
type byWaiting tenantQueue

func (c *byWaiting) index() *int { return &c.longestIndex }

func (c *byWaiting) before(d *byWaiting) bool {
	if n, m := c.victims.len(), d.victims.len(); n != m {
		return n > m
	}
	return c.victims.first().sequence > d.victims.first().sequence
}

// trackVictim adds w to the two heaps that choose victims, or moves it to its new place when
// a nested call has become a root.
func (q *tenantQueues) trackVictim(w *waiter) {
	if w.hold.background {
		return
	}
	w.queue.victims.put((*victim)(w))
	q.longest.put((*byWaiting)(w.queue))
}

// untrackVictim removes w from these heaps, after it has left its queue.
func (q *tenantQueues) untrackVictim(w *waiter) {
	if w.hold.background {
		return
	}
	t := w.queue
	t.victims.remove((*victim)(w))
	if t.victims.len() > 0 {
		q.longest.put((*byWaiting)(t))
	} else {
		q.longest.remove((*byWaiting)(t))
	}
}

// victim returns the call that is displaced from a full queue by a new call of that tenant
// and priority, or nil.
func (q *tenantQueues) victim(tenant string, priority int) *waiter {
	if q.bounded == 0 {
		return nil
	}
	mine, own := 0, q.byTenant[tenant]
	if own != nil {
		mine = own.victims.len()
	}
	switch most := q.longest.first(); {
	case mine+1 < most.victims.len():
		return (*waiter)(most.victims.first())
	case mine > 0 && own.victims.first().priority < priority:
		return (*waiter)(own.victims.first())
	}
	return nil
}
