package memqueue

import (
	"context"
	"time"
)

// tell wakes the goroutines that watch the job.
func (n *node[B]) tell() {
	if n.watch != nil {
		close(n.watch)
		n.watch = nil
	}
}

// Watch waits until the job's revision differs from the given one, and returns the job.
func (q *Queue[B]) Watch(ctx context.Context, id ID, revision uint64) (View[B], error) {
	return q.await(ctx, nil, id, func(n *node[B]) bool { return n.Revision != revision })
}

// Await waits until the job is settled, or until stop is closed, and returns the job as it is
// then.
func (q *Queue[B]) Await(ctx context.Context, stop <-chan struct{}, id ID) (View[B], error) {
	return q.await(ctx, stop, id, func(n *node[B]) bool { return n.State.settled() })
}

func (q *Queue[B]) await(ctx context.Context, stop <-chan struct{}, id ID, isDone func(n *node[B]) bool) (View[B], error) {
	for {
		v, changed, err := q.look(id, isDone)
		if changed == nil {
			return v, err
		}
		select {
		case <-changed:
		case <-stop: // if the job was settled before, it is returned as settled
			v, _, err = q.look(id, isDone)
			return v, err
		case <-ctx.Done():
			return View[B]{}, ctx.Err()
		}
	}
}

// look returns the job. Until isDone reports true it also returns a channel that is closed when
// the job changes.
func (q *Queue[B]) look(id ID, isDone func(n *node[B]) bool) (View[B], <-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return View[B]{}, nil, ErrClosed
	}
	now := time.Now().UnixNano()
	n, err := q.find(id, now)
	if err != nil {
		return View[B]{}, nil, err
	}
	if isDone(n) {
		return q.view(n, now), nil, nil
	}
	if n.place == shelved {
		q.thaw(n)
	}
	if n.watch == nil {
		n.watch = make(chan struct{})
	}
	return q.view(n, now), n.watch, nil
}

// broadcast wakes all goroutines that wait for a change. The queue's lock guards ch, which is nil
// while none waits.
type broadcast struct{ ch chan struct{} }

func (b *broadcast) wait() <-chan struct{} {
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) tell() {
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
