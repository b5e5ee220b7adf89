package faas_test

import (
	"context"
	"iter"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// hookedJobs is a queue in memory whose methods begin with a call of before, which gets the
// method's name.
type hookedJobs struct {
	queue  faas.JobQueue
	before func(ctx context.Context, method string)
}

// jobMethods returns the names with which before is called.
func jobMethods() []string {
	return []string{"Put", "Lease", "Begin", "Extend", "Settle", "Get", "Swap", "List", "Watch", "Count"}
}

// hookJobs returns a queue that calls do at the beginning of one method.
func hookJobs(method string, do func()) *hookedJobs {
	return &hookedJobs{faas.NewMemoryJobs(0, 0), func(_ context.Context, m string) {
		if m == method {
			do()
		}
	}}
}

func (q *hookedJobs) Put(ctx context.Context, rec faas.JobRecord) (faas.JobRecord, error) {
	q.before(ctx, "Put")
	return q.queue.Put(ctx, rec)
}

func (q *hookedJobs) Lease(ctx context.Context, req faas.LeaseRequest) (faas.JobLease, error) {
	q.before(ctx, "Lease")
	return q.queue.Lease(ctx, req)
}

func (q *hookedJobs) Begin(ctx context.Context, lease faas.JobLease) error {
	q.before(ctx, "Begin")
	return q.queue.Begin(ctx, lease)
}

func (q *hookedJobs) Extend(ctx context.Context, lease faas.JobLease, p faas.JobProgress) error {
	q.before(ctx, "Extend")
	return q.queue.Extend(ctx, lease, p)
}

func (q *hookedJobs) Settle(ctx context.Context, lease faas.JobLease, next faas.JobRecord, follow ...faas.JobRecord) error {
	q.before(ctx, "Settle")
	return q.queue.Settle(ctx, lease, next, follow...)
}

func (q *hookedJobs) Get(ctx context.Context, id uuid.UUID) (faas.JobRecord, error) {
	q.before(ctx, "Get")
	return q.queue.Get(ctx, id)
}

func (q *hookedJobs) Swap(ctx context.Context, old, next faas.JobRecord) error {
	q.before(ctx, "Swap")
	return q.queue.Swap(ctx, old, next)
}

func (q *hookedJobs) List(ctx context.Context, filter faas.JobFilter) iter.Seq2[faas.JobRecord, error] {
	return func(yield func(faas.JobRecord, error) bool) {
		q.before(ctx, "List")
		q.queue.List(ctx, filter)(yield)
	}
}

func (q *hookedJobs) Watch(ctx context.Context, id uuid.UUID, revision uint64) (faas.JobRecord, error) {
	q.before(ctx, "Watch")
	return q.queue.Watch(ctx, id, revision)
}

func (q *hookedJobs) Count(ctx context.Context) (map[string]faas.JobCount, error) {
	q.before(ctx, "Count")
	return q.queue.Count(ctx)
}

func (q *hookedJobs) Close() error { return q.queue.Close() }

func (q *hookedJobs) LoseLeases() int { return q.queue.(interface{ LoseLeases() int }).LoseLeases() }
