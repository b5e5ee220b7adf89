package memqueue

// Lease wakes a goroutine for each job. Where one is awake anyhow, because it has put a job
// or is done with one, it asks for the next job in the same step.

// Leased is a job that was leased. Its zero value is none.
type Leased[B any] struct {
	View  View[B]
	Token uint64 // 0: none

	node *node[B]
}

// Hold is what the holder of a lease has of it: with the job's place in the queue, if that
// is known, so that the job is not looked up by its ID.
type Hold[B any] struct {
	ID    ID
	Token uint64

	node *node[B]
}

// Hold returns the hold of a lease.
func (l *Leased[B]) Hold() Hold[B] { return Hold[B]{ID: l.View.ID, Token: l.Token, node: l.node} }

// BeginHold is Begin.
func (q *Queue[B]) BeginHold(h *Hold[B]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.begin(h.node, h.ID, h.Token)
}

// PutLease is Put and then, in the same step, a Lease of the named functions that does not
// wait. The job that it leases may be another one, whose turn it is. now is the present time.
// put is written if the job is not accepted, as Put returns it.
func (q *Queue[B]) PutLease(it *Item[B], key string, until int64, names []string, now int64, put *View[B]) (next Leased[B], err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.isTaking = true
	n, err := q.put(it, key, until, now, put)
	if n != nil {
		next = q.takeNext(names, now)
	}
	q.isTaking = false
	return next, err
}

// SettleLease is Settle and then, in the same step, a Lease of the named functions that does
// not wait.
func (q *Queue[B]) SettleLease(h *Hold[B], it *Item[B], names []string, now int64, follow ...Item[B]) (next Leased[B], err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.isTaking = true
	if err = q.settleLease(h.node, h.Token, it, now, follow); err == nil {
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
		next = q.lease(l, now)
	}
	if !all || q.turn.len() > 0 {
		q.changed.tell()
	}
	return next
}
