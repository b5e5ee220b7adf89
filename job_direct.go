package faas

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/memqueue"
)

// Methods of the memory queue beyond [JobQueue]. They put or settle a job and lease the next one in
// the same step: the goroutine that calls them is awake, so no other has to be woken for that job.
// A jobNext whose Token is 0 means that no job was leased.

// putLease is Put followed by a Lease of the named functions that does not wait. rec.Accepted must
// be the present time.
func (q memoryJobs) putLease(ctx context.Context, rec *JobRecord, names []string) (jobNext, error) {
	if err := ctx.Err(); err != nil {
		return jobNext{}, err
	}
	it := packJob(rec, nil)
	var had jobView
	next, err := q.queue.PutLease(&it, rec.UniqueKey, uniqueUntil(rec), names, nanos(rec.Accepted), &had)
	if errors.Is(err, memqueue.ErrTaken) {
		*rec = unpackJob(&had)
	}
	return next, putError(err, rec.Function)
}

// settleLease is Settle followed by a Lease of the named functions that does not wait. now is
// the present time; packJob describes the argument more.
func (q memoryJobs) settleLease(h *jobHold, next *JobRecord, more *jobMore, names []string, now time.Time, follow []JobRecord) (jobNext, error) {
	it := packJob(next, more)
	following, err := q.queue.SettleLease(h, &it, names, nanos(now), packJobs(follow)...)
	return following, jobError(err, next.Function)
}

// begin is Begin for a lease that is given by its hold.
func (q memoryJobs) begin(h *jobHold) error { return q.queue.BeginHold(h) }

// await waits until the job is settled, or until stop is closed, and returns the record as it is
// then.
func (q memoryJobs) await(ctx context.Context, stop <-chan struct{}, id uuid.UUID) (JobRecord, error) {
	v, err := q.queue.Await(ctx, stop, memqueue.ID(id))
	return unpackJob(&v), jobError(err, "")
}
