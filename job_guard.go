package faas

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/foreign"
)

// guardedJobs calls a router's queue, which is foreign code. A panic of the queue is counted like
// that of a hook, and becomes an error of the call. Close and Shutdown find the names of these
// methods in their stack when a queue calls them, see placeOf.
type guardedJobs struct {
	queue JobQueue
	guard *hookGuard
}

// panicked turns a panic of the queue into an error. It must be deferred directly.
func (g *guardedJobs) panicked(err *error) {
	if p := recover(); p != nil {
		*err = g.told(p)
	}
}

func (g *guardedJobs) told(p any) error {
	g.guard.hookPanicked("WithJobs", "", p)
	return fmt.Errorf("the queue of jobs panicked: %s", foreign.Plain(p))
}

// queuePause is how long the router waits after an error of the queue before it calls the queue
// again.
const queuePause = time.Second

// pause waits for queuePause, or until ctx ends.
func pause(ctx context.Context) {
	t := time.NewTimer(queuePause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// insist runs f, which calls a queue. If the queue calls Goexit, f runs again after a pause, on a
// new goroutine, and so on until ctx ends. So f must be safe to run again.
func insist(ctx context.Context, f func()) {
	returned := false
	defer func() {
		if returned || ctx.Err() != nil {
			return
		}
		go func() {
			pause(ctx)
			insist(ctx, f)
		}()
	}()
	f()
	returned = true
}

func (g *guardedJobs) put(ctx context.Context, rec JobRecord) (had JobRecord, err error) {
	defer g.panicked(&err)
	return g.queue.Put(ctx, rec)
}

func (g *guardedJobs) lease(ctx context.Context, req LeaseRequest) (lease JobLease, err error) {
	defer g.panicked(&err)
	return g.queue.Lease(ctx, req)
}

func (g *guardedJobs) begin(ctx context.Context, lease JobLease) (err error) {
	defer g.panicked(&err)
	return g.queue.Begin(ctx, lease)
}

func (g *guardedJobs) extend(ctx context.Context, lease JobLease, p JobProgress) (err error) {
	defer g.panicked(&err)
	return g.queue.Extend(ctx, lease, p)
}

func (g *guardedJobs) settle(ctx context.Context, lease JobLease, next JobRecord, follow []JobRecord) (err error) {
	defer g.panicked(&err)
	return g.queue.Settle(ctx, lease, next, follow...)
}

func (g *guardedJobs) get(ctx context.Context, id uuid.UUID) (rec JobRecord, err error) {
	defer g.panicked(&err)
	return g.queue.Get(ctx, id)
}

func (g *guardedJobs) swap(ctx context.Context, old, next JobRecord) (err error) {
	defer g.panicked(&err)
	return g.queue.Swap(ctx, old, next)
}

func (g *guardedJobs) watch(ctx context.Context, id uuid.UUID, revision uint64) (rec JobRecord, err error) {
	defer g.panicked(&err)
	return g.queue.Watch(ctx, id, revision)
}

func (g *guardedJobs) count(ctx context.Context) (counts map[string]JobCount, err error) {
	defer g.panicked(&err)
	return g.queue.Count(ctx)
}

// list yields what the queue's List yields.
func (g *guardedJobs) list(ctx context.Context, filter JobFilter) iter.Seq2[JobRecord, error] {
	return func(yield func(JobRecord, error) bool) {
		l := &jobListing{yield: yield}
		if err := g.walk(ctx, filter, l); err != nil && !l.over {
			yield(JobRecord{}, err)
		}
	}
}

// walk runs the queue's List. It does not recover a panic of the loop's body, which is not the
// queue's.
func (g *guardedJobs) walk(ctx context.Context, filter JobFilter, l *jobListing) (err error) {
	defer func() {
		if l.inside {
			return
		}
		if p := recover(); p != nil {
			err = g.told(p)
		}
	}()
	g.queue.List(ctx, filter)(l.give)
	return nil
}

// jobListing is one loop over the queue's jobs.
type jobListing struct {
	yield        func(JobRecord, error) bool
	inside, over bool // the loop's body runs; the loop has ended
}

// give runs the loop's body. Calls that the body makes are not calls by the queue:
// placeOnStack finds the frame of give between the body and walk.
func (l *jobListing) give(rec JobRecord, err error) bool {
	l.inside = true
	l.over = !l.yield(rec, err) || err != nil
	l.inside = false
	return !l.over
}
