package memqueue

import (
	"context"
	"time"
)

// Lease waits for a job of the named functions that can run, and leases it. It returns the job
// and the token of the lease. names must be sorted.
func (q *Queue[B]) Lease(ctx context.Context, names []string) (View[B], uint64, error) {
	for {
		if err := ctx.Err(); err != nil {
			return View[B]{}, 0, err
		}
		t := q.tryLease(names)
		if t.err != nil || t.next.Token != 0 {
			return t.next.View, t.next.Token, t.err
		}
		if t.changed != nil {
			t.wait(ctx)
		}
	}
}

// leaseTry is the result of tryLease: a lease, an error, or a channel to wait for. If none of
// them is set, there are more jobs to promote, and tryLease is to be called again.
type leaseTry[B any] struct {
	next    Leased[B]
	err     error
	changed <-chan struct{}
	due     time.Duration // until the next job is due; 0: no job is to become due
}

func (q *Queue[B]) tryLease(names []string) leaseTry[B] {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return leaseTry[B]{err: ErrClosed}
	}
	now := time.Now().UnixNano()
	all := q.promote(now)
	if l := q.nextLane(names); l != nil {
		return leaseTry[B]{next: q.lease(l, now)}
	}
	if !all {
		return leaseTry[B]{}
	}
	t := leaseTry[B]{changed: q.changed.wait()}
	if q.later.len() > 0 {
		t.due = time.Duration(q.later.first().At - now)
	}
	return t
}

// longestWait is how long a Lease waits before it looks at the clock again. Timers run on the
// monotonic clock, which on Linux stands still while the machine sleeps; a job is due by the wall
// clock. So a job that became due while the machine slept is late by at most this.
const longestWait = time.Minute

func (t *leaseTry[B]) wait(ctx context.Context) {
	var due <-chan time.Time
	if t.due > 0 {
		timer := time.NewTimer(min(t.due, longestWait))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-t.changed:
	case <-due:
	case <-ctx.Done():
	}
}

// lease leases the first job in a lane's ready.
func (q *Queue[B]) lease(l *lane[B], now int64) Leased[B] {
	n := l.take()
	l.blocked = true
	l.function.counts[Ready]--
	l.function.counts[Running]++
	q.token++
	n.lease, n.begun = q.token, false
	return Leased[B]{View: q.view(n, now), Token: q.token, node: n}
}

// held returns the node of the job that is leased with that token, or ErrLease. The parameter n is
// that node, or nil if the caller does not know it.
func (q *Queue[B]) held(n *node[B], id ID, token uint64) (*node[B], error) {
	if q.closed {
		return nil, ErrClosed
	}
	if n == nil {
		n, _ = q.nodes.get(&id)
	}
	if n == nil || n.lease == 0 || n.lease != token {
		return nil, ErrLease
	}
	return n, nil
}

func (q *Queue[B]) unblock(l *lane[B]) {
	l.blocked = false
	q.queueUp(l)
}

// Begin notes that a leased job has its slot: its lane may give another job.
func (q *Queue[B]) Begin(id ID, token uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.begin(nil, id, token)
}

func (q *Queue[B]) begin(n *node[B], id ID, token uint64) error {
	n, err := q.held(n, id, token)
	if err != nil || n.begun {
		return err
	}
	n.begun = true
	q.unblock(n.lane)
	return nil
}

// Extend checks that a lease has not ended. Unless progress is nil, it becomes the job's
// View.Progress.
func (q *Queue[B]) Extend(id ID, token uint64, progress any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, err := q.held(nil, id, token)
	if err == nil && progress != nil {
		q.progress[id] = progress
	}
	return err
}

// Settle ends a lease and writes the job's next item. In the same step it accepts the items in
// follow, even if the queue is full. It leaves out those whose IDs are taken.
func (q *Queue[B]) Settle(token uint64, it Item[B], follow ...Item[B]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settleLease(nil, token, &it, time.Now().UnixNano(), follow)
}

// settleLease does what Settle does, with q.mu held. n is the job's node, or nil if the caller does
// not know it.
func (q *Queue[B]) settleLease(n *node[B], token uint64, it *Item[B], now int64, follow []Item[B]) error {
	n, err := q.held(n, it.ID, token)
	if err != nil {
		return err
	}
	q.settled.expire(q, now)
	q.write(n, *it, now)
	for i := range follow {
		if _, taken := q.nodes.get(&follow[i].ID); !taken {
			q.accept(&follow[i], now)
		}
	}
	return nil
}
