package memqueue

import "time"

// looks is the largest number of jobs that one call of List looks at, or of Overdue returns.
const looks = 1000

// List returns jobs that were accepted after the job with number seq, in that order, and the
// number to go on with; 0: there are no more. It looks at a bounded number of jobs, so it may
// return none although there are more. match is called with the lock held.
func (q *Queue[B]) List(seq uint64, match func(*Item[B]) bool) ([]View[B], uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, 0, ErrClosed
	}
	now := time.Now().UnixNano()
	var found []View[B]
	nodes := q.accepted.after(seq)
	for _, n := range nodes[:min(looks, len(nodes))] {
		seq = n.seq
		if n.place != gone && (!n.State.settled() || n.At > now) && match(&n.Item) {
			found = append(found, q.view(n, now))
		}
	}
	if len(nodes) <= looks {
		seq = 0
	}
	return found, seq, nil
}

// Overdue returns jobs that wait for their order keys although their Expires has passed, at most
// 1,000. again is the first Expires of the other jobs that wait for their keys; 0: there are
// none.
func (q *Queue[B]) Overdue() (all []View[B], again int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.overdue(0, time.Now().UnixNano(), &all, &again)
	return all, again
}

// overdue visits the node at index at of the heap aging, and the nodes below it.
func (q *Queue[B]) overdue(at int, now int64, all *[]View[B], again *int64) {
	if at >= q.aging.len() {
		return
	}
	n := q.aging.nodes[at]
	if n.Expires > now || len(*all) == looks {
		if *again == 0 || n.Expires < *again {
			*again = n.Expires
		}
		return
	}
	*all = append(*all, q.view(n, now))
	q.overdue(2*at+1, now, all, again)
	q.overdue(2*at+2, now, all, again)
}

// Count counts the jobs of one function.
type Count struct {
	States [7]int // by State
	Bytes  int64  // of the jobs that are not settled
	Oldest int64  // when the first of the jobs that could be leased was due, in Unix nanoseconds; 0: there is none
}

// Count counts the jobs by function. Its cost grows with the number of lanes, and with the number
// of jobs that have become due since the last Lease.
func (q *Queue[B]) Count() (map[string]Count, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	all := make(map[string]Count, len(q.functions))
	for name, f := range q.functions {
		c := Count{States: f.counts, Bytes: f.bytes}
		for _, l := range f.lanes {
			if n := l.oldest(); n != nil && (c.Oldest == 0 || n.At < c.Oldest) {
				c.Oldest = n.At
			}
		}
		all[name] = c
	}
	q.countDue(0, time.Now().UnixNano(), all)
	return all, nil
}

// countDue counts the jobs in q.later that are due as ready: they are not promoted yet. It visits
// the job at index at of the heap, and the jobs below it.
func (q *Queue[B]) countDue(at int, now int64, all map[string]Count) {
	if at >= q.later.len() || q.later.nodes[at].At > now {
		return
	}
	n := q.later.nodes[at]
	c := all[n.Function]
	c.States[n.waits()]--
	c.States[Ready]++
	if c.Oldest == 0 || n.At < c.Oldest {
		c.Oldest = n.At
	}
	all[n.Function] = c
	q.countDue(2*at+1, now, all)
	q.countDue(2*at+2, now, all)
}
