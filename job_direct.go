package faas

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/memqueue"
)

// What the memory queue has beside [JobQueue]. A goroutine that has put or settled a job is
// awake: it gets the next one in the same step, so that no other has to be woken for it. A
// lease whose Token is 0 is none.

// putLease is Put and a Lease of the named functions that does not wait.
func (q memoryJobs) putLease(ctx context.Context, rec *JobRecord, names []string) (JobLease, error) {
	if err := ctx.Err(); err != nil {
		return JobLease{}, err
	}
	put, next, err := q.queue.PutLease(packJob(rec), rec.UniqueKey, uniqueUntil(rec), names)
	if errors.Is(err, memqueue.ErrTaken) {
		*rec = unpackJob(&put)
	}
	return unpackLease(&next), putError(err, rec.Function)
}

// settleLease is Settle and a Lease of the named functions that does not wait.
func (q memoryJobs) settleLease(lease *JobLease, next *JobRecord, names []string, follow []JobRecord) (JobLease, error) {
	following, err := q.queue.SettleLease(lease.Token, packJob(next), names, packJobs(follow)...)
	return unpackLease(&following), jobError(err, lease.Record.Function)
}

// await waits until the job is settled, or until stop is closed: then it returns the record as it
// is.
func (q memoryJobs) await(ctx context.Context, stop <-chan struct{}, id uuid.UUID) (JobRecord, error) {
	v, err := q.queue.Await(ctx, stop, memqueue.ID(id))
	return unpackJob(&v), jobError(err, "")
}

func unpackLease(l *memqueue.Leased[jobBody]) JobLease {
	if l.Token == 0 {
		return JobLease{}
	}
	return JobLease{Record: unpackJob(&l.View), Token: l.Token}
}
