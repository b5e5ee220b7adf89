package memqueue

import "time"

// Lease wakes a goroutine for each job. Where one is awake anyhow, because it has put a job
// or is done with one, it asks for the next job in the same step.

// Leased is a job that was leased in the same step with something else. Its zero value is
// none.
type Leased[B any] struct {
	View  View[B]
	Token uint64 // 0: none
}

// PutLease is Put and then, in the same step, a Lease of the named functions that does not
// wait. The job that it leases may be another one, whose turn it is.
func (q *Queue[B]) PutLease(it Item[B], key string, until int64, names []string) (put View[B], next Leased[B], err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now().UnixNano()
	q.isTaking = true
	if put, err = q.put(it, key, until, now); err == nil {
		next = q.takeNext(names, now)
	}
	q.isTaking = false
	return put, next, err
}

// SettleLease is Settle and then, in the same step, a Lease of the named functions that does
// not wait.
func (q *Queue[B]) SettleLease(token uint64, it Item[B], names []string, follow ...Item[B]) (next Leased[B], err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now().UnixNano()
	q.isTaking = true
	if err = q.settleLease(token, it, now, follow); err == nil {
		next = q.takeNext(names, now)
	}
	q.isTaking = false
	return next, err
}

// takeNext leases the job whose turn it is, if there is one, and wakes those that wait for
// others.
func (q *Queue[B]) takeNext(names []string, now int64) (next Leased[B]) {
	all := q.promote(now)
	if l := q.nextLane(names); l != nil {
		n, token := q.lease(l)
		next = Leased[B]{View: q.view(n, now), Token: token}
	}
	if !all || q.turn.len() > 0 {
		q.changed.tell()
	}
	return next
}
