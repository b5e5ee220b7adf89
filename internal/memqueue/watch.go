package memqueue

import (
	"context"
	"time"
)

// tell wakes those that watch a job.
func (q *Queue[B]) tell(id ID) {
	if ch := q.watchers[id]; ch != nil {
		delete(q.watchers, id)
		close(ch)
	}
}

// Watch waits until the job has another revision.
func (q *Queue[B]) Watch(ctx context.Context, id ID, revision uint64) (View[B], error) {
	for {
		v, ch, err := q.look(id, revision)
		if ch == nil {
			return v, err
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return View[B]{}, ctx.Err()
		}
	}
}

// look returns the job, or a channel that is closed when it changes.
func (q *Queue[B]) look(id ID, revision uint64) (View[B], <-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return View[B]{}, nil, ErrClosed
	}
	v, err := q.get(id, time.Now().UnixNano())
	if err != nil || v.Revision != revision {
		return v, nil, err
	}
	ch := q.watchers[id]
	if ch == nil {
		ch = make(chan struct{})
		q.watchers[id] = ch
	}
	return View[B]{}, ch, nil
}

// broadcast wakes all goroutines that wait for a change. The queue's lock guards it.
type broadcast struct{ ch chan struct{} } // nil while no goroutine waits

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
