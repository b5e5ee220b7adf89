package faas

import (
	"context"
	"sync"
	"sync/atomic"
)

// jobAnswer is the end of a job for the [Job] that its sender holds, which keeps it when the
// queue has forgotten the job. A queue in memory sets it as it settles the job, and lets go of
// it then: so it is as old as what holds the Job. It shares the end with the settled record,
// which nothing changes.
//
// It is a [memqueue.Waiter]: so a Wait for it asks the queue nothing.
type jobAnswer struct {
	end  atomic.Pointer[jobMore] // of the settled record; nil: it is not known
	mu   sync.Mutex              // guards done
	done chan struct{}           // closed when the queue will tell nothing more; nil: no goroutine waits, and it may
}

// noMore is the done of answers of which the queue tells nothing, or nothing more.
var noMore = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// untoldAnswer returns an answer that no queue has: Wait asks the queue for the record.
func untoldAnswer() *jobAnswer { return &jobAnswer{done: noMore} }

// isKnown reports whether the end is known. A delivery asks as it begins.
func (a *jobAnswer) isKnown() bool { return a != nil && a.end.Load() != nil }

// Settled is called by the queue.
func (a *jobAnswer) Settled(it *jobItem) {
	a.end.Store(it.Body.more)
	a.Gone()
}

// Gone is called by the queue if the job is lost with it.
func (a *jobAnswer) Gone() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done != nil && a.done != noMore {
		close(a.done)
	}
	a.done = noMore
}

// await returns the end once the queue tells it, and nil if the queue tells nothing more, or if
// the context or stop has ended before.
func (a *jobAnswer) await(ctx context.Context, stop <-chan struct{}) *jobMore {
	select {
	case <-a.wait():
	case <-stop:
	case <-doneOf(ctx):
	}
	return a.end.Load() // also if stop has won: perhaps it was closed after the job was settled
}

// wait returns what is closed with the end. What its caller has done before can be read by the
// deliveries of the job that begin later: the compare-and-swap is the edge, see isKnown.
func (a *jobAnswer) wait() <-chan struct{} {
	a.end.CompareAndSwap(nil, nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil {
		a.done = make(chan struct{})
	}
	return a.done
}
