package admission

import "time"

// lanes is a class's queue: a lane for each tenant that has a call waiting.
// Within a lane calls go by their priority, and those of one priority in the
// order of arrival. Between lanes two rules hold, each every other turn:
//
//   - A lane that is new, and has but one call, is served before the old ones:
//     so a tenant that seldom waits, beside one that floods, waits for one call
//     at most. (FQ-CoDel treats new flows so, RFC 8290, section 4.2, but for the
//     every other turn, which is there that nobody waits for ever.)
//   - Of the old lanes the one goes first whose tenant has used the least slot
//     time. How long a call takes is known at its end, so it is charged then.
//     That is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) paid
//     afterwards, with a quantum as small as can be: a lane in debt passes its
//     turns until the others have used as much. Rounds in which all are in debt
//     need not be gone through, since what counts is who owes least.
//
// What a tenant uses while it does not wait, or before, is its own affair: a
// lane begins on the level of the one that was served last. Once served, a lane
// is old until its debt is paid and a turn of its own finds it empty. All is
// gone when nobody waits.
//
// With a limit, a lane whose tenant has as many calls running is parked: it has
// no turn, and is in nobody's way, until one of them ends.
type lanes struct {
	limit    int // of calls that a tenant runs at once; 0: none
	fresh    list[*lane]
	old      order[*lane]  // some may be empty, until their turn comes
	newcomer bool          // the last turn was a fresh one's
	crowds   order[*crowd] // see victim.go
	byTenant map[string]*lane
	len      int           // calls that wait
	open     int           // lanes that have a turn and a call
	level    time.Duration // what the lane had used that was served last
	numbers  uint64        // of turns and arrivals
}

type lane struct {
	tenant  string
	waiters order[*waiter]
	victims order[*victim] // the same calls, see victim.go
	crowd   int            // in crowds
	turn    node[*lane]    // in fresh
	at      int            // in old
	open    bool           // it is among lanes.open
	used    time.Duration  // slot time, on the scale of lanes.level
	number  uint64         // of its turn: those that have used the same go round

	// Of a class that limits its tenants:
	busy    int // calls that run
	blocked int // of these, how many have a nested call waiting
	begging int // nested calls that wait here, see cycle.go
	pinned  int // see cycle.go
}

func (l *lane) place() *int { return &l.at }

// before compares differences: in a class that is never without a waiter the
// sum of what is used has no bound.
func (l *lane) before(m *lane) bool {
	if l.used != m.used {
		return l.used-m.used < 0
	}
	return l.number < m.number
}

// of returns a tenant's lane, and makes it if there is none.
func (q *lanes) of(tenant string) *lane {
	l := q.byTenant[tenant]
	if l == nil {
		l = &lane{tenant: tenant, used: q.level}
		l.turn.value = l
		if q.byTenant == nil {
			q.byTenant = map[string]*lane{}
		}
		q.byTenant[tenant] = l
	}
	return l
}

func (q *lanes) next() uint64 {
	q.numbers++
	return q.numbers
}

// permits tells whether the limit of l's tenant lets another call run.
func (q *lanes) permits(l *lane) bool { return q.limit == 0 || l.busy < q.limit }

func (q *lanes) push(w *waiter, tenant string) {
	l := q.of(tenant)
	w.lane, w.number = l, q.next()
	l.waiters.put(w)
	q.expose(w)
	q.len++
	switch {
	case !q.permits(l):
		q.park(l)
	case l.at > 0: // has a turn, and may have been empty
	case l.waiters.len() == 1 && l.busy == 0:
		q.fresh.push(&l.turn)
	default:
		q.age(l)
	}
	q.count(l)
}

// head is whose turn it is; open is not 0.
func (q *lanes) head() *waiter {
	for q.old.len() > 0 && q.old.first().waiters.len() == 0 {
		q.raise(q.old.first())
		q.drop(q.old.first())
	}
	if q.fresh.len > 0 && (q.old.len() == 0 || !q.newcomer) {
		return q.fresh.head.value.waiters.first()
	}
	return q.old.first().waiters.first()
}

// remove takes w out. One that was served has used up its tenant's turn.
func (q *lanes) remove(w *waiter, served bool) {
	l := w.lane
	l.waiters.remove(w)
	q.conceal(w)
	q.len--
	switch {
	case served:
		q.serve(l)
	case l.waiters.len() == 0 && l.at == 0: // old ones wait for their turn
		q.drop(l)
	}
	q.count(l)
	if q.len == 0 {
		q.clear()
	}
}

func (q *lanes) serve(l *lane) {
	q.newcomer = l.turn.in != nil
	q.raise(l)
	q.age(l)
	q.parkFull(l)
}

func (q *lanes) raise(l *lane) {
	if l.at > 0 && l.used-q.level > 0 {
		q.level = l.used
	}
}

// age puts a lane behind the old ones that have used as much.
func (q *lanes) age(l *lane) {
	l.turn.leave()
	q.lift(l)
	l.number = q.next()
	q.old.put(l)
}

// park takes a lane's turn away.
func (q *lanes) park(l *lane) {
	l.turn.leave()
	q.old.remove(l)
	q.count(l)
}

// drop takes an empty lane's turn away, and so forgets it.
func (q *lanes) drop(l *lane) {
	q.park(l)
	q.tidy(l)
}

// tidy forgets a lane that has neither a turn nor a call, and what it owes at
// least, if one that runs has to be counted.
func (q *lanes) tidy(l *lane) {
	switch {
	case l.waiters.len() > 0 || l.at > 0:
	case l.busy > 0:
		l.used = q.level
	default:
		delete(q.byTenant, l.tenant)
	}
}

// count keeps account of the lanes that have a turn and a call.
func (q *lanes) count(l *lane) {
	open := l.waiters.len() > 0 && (l.turn.in != nil || l.at > 0)
	switch {
	case open && !l.open:
		q.open++
	case l.open && !open:
		q.open--
	}
	l.open = open
}

// clear forgives what is owed, as nobody waits.
func (q *lanes) clear() {
	for q.old.len() > 0 {
		q.drop(q.old.first())
	}
	q.newcomer = false
	if len(q.byTenant) == 0 {
		*q = lanes{limit: q.limit}
	}
}

// charge has a tenant pay for what one of its calls has used, if it waits for
// another, or owes.
func (q *lanes) charge(tenant string, d time.Duration) {
	l := q.byTenant[tenant]
	if l == nil || l.at == 0 && l.waiters.len() == 0 {
		return
	}
	q.lift(l)
	l.used += d
	switch {
	case l.at > 0:
		q.old.put(l)
	case l.turn.in != nil: // who has just had a slot is not new
		q.age(l)
	}
}

// lift sees to it that a lane that had no turn among the old ones has saved
// nothing up.
func (q *lanes) lift(l *lane) {
	if l.at == 0 && l.used-q.level < 0 {
		l.used = q.level
	}
}

// parkFull parks a lane if its tenant has come to its limit and has others
// waiting; without them it may have a debt to pay.
func (q *lanes) parkFull(l *lane) {
	if !q.permits(l) && l.waiters.len() > 0 {
		q.park(l)
	}
}

// leave counts one of the tenant's calls out, and gives a parked lane its turn
// again.
func (q *lanes) leave(l *lane) {
	l.busy--
	switch {
	case l.at > 0 || l.turn.in != nil:
	case l.waiters.len() > 0:
		q.age(l)
		q.count(l)
	default:
		q.drop(l)
	}
}

// all returns the waiters, in no order.
func (q *lanes) all() []*waiter {
	all := make([]*waiter, 0, q.len)
	for _, l := range q.byTenant {
		all = append(all, l.waiters.members...)
	}
	return all
}
