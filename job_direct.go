package faas

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/memqueue"
)

// What the memory queue has beside [JobQueue]. A goroutine that has put or settled a job is
// awake: it gets the next one in the same step, so that no other has to be woken for it. A
// lease whose Token is 0 is none.

// putLease is Put and a Lease of the named functions that does not wait. rec was accepted just
// now.
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

// settleLease is Settle at a time and a Lease of the named functions that does not wait. See
// packJob for more.
func (q memoryJobs) settleLease(h *jobHold, next *JobRecord, more *jobMore, names []string, now time.Time, follow []JobRecord) (jobNext, error) {
	it := packJob(next, more)
	following, err := q.queue.SettleLease(h, &it, names, nanos(now), packJobs(follow)...)
	return following, jobError(err, next.Function)
}

// begin is Begin.
func (q memoryJobs) begin(h *jobHold) error { return q.queue.BeginHold(h) }

// await waits until the job is settled, or until stop is closed: then it returns the record as it
// is.
func (q memoryJobs) await(ctx context.Context, stop <-chan struct{}, id uuid.UUID) (JobRecord, error) {
	v, err := q.queue.Await(ctx, stop, memqueue.ID(id))
	return unpackJob(&v), jobError(err, "")
}
