package memqueue

// A Lease that waits costs the waking of a goroutine for each job. A goroutine that puts or settles
// a job is awake already: PutLease and SettleLease give it the next job in the same critical section.

// Leased is a job that was leased. Its zero value means that no job was leased.
type Leased[B any] struct {
	View  View[B]
	Token uint64 // 0: no job was leased

	node *node[B]
}

// Hold names a lease: BeginHold and SettleLease take it. Its field node, unless it is nil, saves
// the look-up of the job by its ID.
type Hold[B any] struct {
	ID    ID
	Token uint64

	node *node[B]
}

// Hold returns the hold of the lease.
func (l *Leased[B]) Hold() Hold[B] { return Hold[B]{ID: l.View.ID, Token: l.Token, node: l.node} }

// BeginHold does what Begin does, for the lease that h names.
func (q *Queue[B]) BeginHold(h *Hold[B]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.begin(h.node, h.ID, h.Token)
}

// PutLease puts an item as Put does and then, in the same critical section, leases a job of the
// named functions, without waiting for one. It returns the job whose turn it is, which need not be
// the new one. The parameter now is the present time. If the new job is not accepted, PutLease
// leases none, and sets *put to the view that Put would return.
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

// SettleLease settles a job as Settle does and then, in the same critical section, leases a job of
// the named functions, without waiting for one. The parameter now is the present time.
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

// takeNext leases the job whose turn it is, if there is one. If there may be more to lease it
// wakes the Leases that wait.
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
