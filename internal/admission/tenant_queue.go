package admission

import "time"

// tenantQueues is a class's queue, guarded by g.mu. It holds a queue for each tenant that has
// a waiting call. In each of these queues, calls are ordered by priority, then by arrival.
// There are two sets of tenants' queues, and the next call to serve comes from each set in
// turn:
//
//   - New queues, which hold a single call, in the order of arrival. So a tenant that seldom
//     waits, next to one that floods the class, waits for one call at most. FQ-CoDel treats
//     new flows this way (RFC 8290, section 4.2), except that it always serves them first.
//     Here old queues have every other turn, so that none of them waits for ever.
//   - Old queues, in the order of the slot time that their tenants have used, the least
//     first. The time that a call takes is known when the call ends, and is charged then.
//     This is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) paid afterwards,
//     with the smallest possible quantum: a queue in debt loses its turns until the others
//     have used as much. Rounds in which all queues are in debt can be skipped, so it is
//     enough to compare the used times.
//
// Time that a tenant uses while it has no queue is not charged: a new queue starts at
// virtualTime, which is the used time of the queue that was served last. A queue that has
// been served is old. It stays old until its debt is paid: until its turn comes and finds it
// empty. When no call waits, all debts are forgotten.
//
// If the class has a limit for tenants, the queue of a tenant that has reached its limit is
// parked: it has no turn, and so delays no other queue, until one of the tenant's calls ends.
//
// A tenant's queue is divided into lanes. A lane has the tenant's waiting calls of one
// version, and each version keeps the lanes of all tenants in the order described above. A
// version without a free slot is left out when the next call is chosen: its calls go on
// waiting, and delay no call of another version, not even one of the same tenant. When the
// version has a free slot again, its tenants are served in that order. A tenant gains no
// credit while its version is full. The versions with waiting calls are searched one by one,
// since a class has few.
type tenantQueues struct {
	limit        int                       // how many calls of one tenant may run at once; 0: no limit
	versions     list[*Version]            // the versions that have a waiting call
	empty        indexedHeap[*tenantQueue] // the old queues without a call, until their turn comes
	lastWasNew   bool                      // the call served last came from a new queue
	longest      indexedHeap[*byWaiting]   // chooses the tenant whose call is displaced
	byTenant     map[string]*tenantQueue
	len          int           // waiting calls
	bounded      int32         // how many of the waiting calls are live, and so have a place in the bounded queue
	ofHandlers   int32         // how many of the waiting calls are background calls that came with a parent
	eligible     int           // versions that have room, and a waiting call whose tenant has a turn
	virtualTime  time.Duration // the used time of the queue that was served last
	lastSequence uint64        // the last number that nextSequence returned
}

// turn is the state of a tenant's queue: whether it takes its turn to be served, and whether it
// does so among the new or the old queues (see tenantQueues).
type turn uint8

const (
	noTurn  turn = iota // it is empty, or parked
	newTurn             // it is new: its lane is in the newLanes of a version
	oldTurn             // it is old: its lanes are in oldLanes; if it has no lane, it is in empty
)

// tenantQueue holds one tenant's waiting calls, and counts its running ones if the class has
// a limit for tenants.
type tenantQueue struct {
	tenant       string
	lanes        *lane                // one for each version; linked by lane.next
	spare        lane                 // the memory of the first lane, so that it need not be allocated
	waiting      int                  // waiting calls in all lanes
	victims      indexedHeap[*victim] // the live calls among the waiting ones; first is displaced next
	longestIndex int                  // in tenantQueues.longest
	emptyIndex   int                  // in tenantQueues.empty
	turn         turn
	used         time.Duration // slot time, on the scale of virtualTime
	sequence     uint64        // when it last got a turn: of queues with the same used time, the lowest goes first

	// Used only if the class has a limit for tenants:
	running      int // running calls
	background   int // how many of the running calls are background calls
	blocked      int // how many of the running calls have a nested call waiting below them
	limitWaiters int // waiting nested calls to which no call above can lend a place in the limit
	heldBack     int // places in the limit that do not come free while deadlock candidates wait
}

func (t *tenantQueue) index() *int { return &t.emptyIndex }

// before compares the difference of the used times with zero, and not the times themselves:
// in a class that always has a waiter, used times grow without bound, and may overflow.
func (t *tenantQueue) before(u *tenantQueue) bool {
	if t.used != u.used {
		return t.used-u.used < 0
	}
	return t.sequence < u.sequence
}

// queueOf returns a tenant's queue. It makes the queue if there is none.
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
	case t.turn == oldTurn: // t may have been in q.empty
		q.schedule(t)
	case t.waiting == 1 && t.running == 0:
		t.turn = newTurn
		q.schedule(t)
	default:
		q.moveToOld(t)
	}
}

// countWaiter adds n, which is 1 or -1, to the counts of waiting calls that include w.
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

// schedule moves t and its lanes to the lists that t.turn requires.
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

// nextWaiter returns the waiter to serve next. q.eligible must be above zero.
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

// nextLanes returns the lane of a new queue, and the lane of an old queue, that is to be served
// next in its set, see tenantQueues. It looks only at versions that have room. Each lane is nil
// if there is none.
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

// remove takes w out of its queue. If served is true, w has got its slots, and its tenant has
// had its turn.
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
	case t.turn == oldTurn: // t has become empty, and stays in q.empty until its turn
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
		t.used = q.virtualTime // the queue has waited for its version, and gains no credit
	}
	q.moveToOld(t)
	q.parkAtLimit(t)
}

// advance raises virtualTime to the used time of t, whose turn has come.
func (q *tenantQueues) advance(t *tenantQueue) {
	if t.turn == oldTurn && t.used-q.virtualTime > 0 {
		q.virtualTime = t.used
	}
}

// moveToOld puts a queue among the old ones, behind those that have used as much time.
func (q *tenantQueues) moveToOld(t *tenantQueue) {
	q.catchUp(t)
	t.sequence, t.turn = q.nextSequence(), oldTurn
	q.schedule(t)
}

// park takes a queue's turn away, until moveToOld gives it one again.
func (q *tenantQueues) park(t *tenantQueue) {
	t.turn = noTurn
	q.schedule(t)
}

// unscheduleEmpty takes the turn of an empty queue away, and thereby forgets its debt.
func (q *tenantQueues) unscheduleEmpty(t *tenantQueue) {
	q.park(t)
	q.forgetIfIdle(t)
}

// forgetIfIdle deletes a queue that has neither a turn nor a waiting call. If it must be kept
// because calls of its tenant run, forgetIfIdle only forgets its debt.
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

// charge adds d, the slot time of one call, to the time that the call's tenant has used. It does
// nothing if the tenant has no call waiting, and no debt (see tenantQueues).
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
	case noTurn: // it is parked, and has no turn to move
	}
}

// catchUp raises t.used to virtualTime if t is not an old queue, so that a tenant gains no credit
// while it does not wait.
func (q *tenantQueues) catchUp(t *tenantQueue) {
	if t.turn != oldTurn && t.used-q.virtualTime < 0 {
		t.used = q.virtualTime
	}
}

// parkAtLimit parks a queue if its tenant has reached its limit and has calls waiting. An
// empty queue is not parked. It stays scheduled because its tenant may have used more than
// its share, and must pay for that when its next call comes.
func (q *tenantQueues) parkAtLimit(t *tenantQueue) {
	if !q.belowLimit(t) && t.waiting > 0 {
		q.park(t)
	}
}

// callEnded takes one call off the tenant's running calls, and gives a parked queue its turn
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

// Tenants share the places of a full queue. A call that arrives displaces a call of the
// tenant with the most waiting calls, if its own tenant has at least two fewer. So each
// displacement brings the two numbers closer together, and two tenants cannot displace each
// other's calls in turn. Otherwise the new call displaces a call of its own tenant that has a
// lower priority. Priorities are compared within a tenant only: no tenant gains a place from
// another by a high priority.
//
// Two heaps choose the call to displace: victims has the calls of one tenant, and longest has
// the tenants. Both are kept up to date even while the queue is not full, so a displacement
// takes only time logarithmic in the number of waiting calls and tenants.

// victim is a waiter as an element of its tenant queue's victims, in the order in which they
// are displaced: lowest priority first, then roots before nested calls, then the newest.
// Nested calls come after roots, because displacing a nested call also fails the running call
// that made it, which has already used a slot.
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

// byWaiting is a tenant's queue as an element of tenantQueues.longest. The queue with the
// most calls comes first and, of queues with equally many, the one whose victim is newest.
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

// victim returns the waiting call that a new call of this tenant and priority displaces from
// a full queue, or nil.
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
