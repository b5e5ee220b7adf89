package faas

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// Job.Wait looks for the end of a job in three places, in this order: the Job itself, the answer that
// a queue in memory sets when it settles the job (awaitAnswer), and the record in the queue (awaitJob).

// awaitAnswer waits until the queue in memory has set the answer of a job. It returns nil if the
// answer says nothing, and Wait must call awaitJob: the queue is not in memory or does not set this
// answer, the job is gone from it, ctx or the host has ended, or Wait was called in a handler that runs.
func (r *Router) awaitAnswer(ctx context.Context, a *jobAnswer, inside *callContext) *jobMore {
	j := r.jobHost()
	if j.memory == nil || inside != nil && !inside.isOver() {
		return nil
	}
	w, _ := j.waits.Get().(*jobWaiter)
	if w == nil {
		w = &jobWaiter{wake: make(chan struct{}, 1)}
	}
	defer j.waits.Put(w)
	return a.await(ctx, j.ctx.Done(), w)
}

// awaitJob waits until a job is settled, and returns its record. Wait needs it for a Job by
// Router.Job, and for a queue that is not in memory. In a queue in memory, Queue.write of
// internal/memqueue wakes the waiting goroutine in the step that settles the job: it closes the
// channel on which Queue.Await waits.
func (r *Router) awaitJob(ctx context.Context, id uuid.UUID, inside *callContext) (JobRecord, error) {
	j := r.jobHost()
	isInside := inside != nil && !inside.isOver()
	if j.memory != nil && !isInside {
		rec, err := j.memory.await(ctx, j.ctx.Done(), id)
		return rec, awaited(ctx, &rec, err, j.ctx.Err() != nil)
	}
	rec, err := j.queue.get(ctx, id)
	switch {
	case err != nil || rec.State.IsSettled():
		return rec, err
	case isInside:
		return rec, usageError("wait", rec.calledName(), ErrCycle, "a handler must not wait for a job that has not ended: its slot would wait for the queue")
	}
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.ctx, cancel)()
	for err == nil && !rec.State.IsSettled() {
		rec, err = j.queue.watch(watch, id, rec.Revision)
	}
	return rec, awaited(ctx, &rec, err, watch.Err() != nil)
}

// awaited returns the error of awaitJob. isOver means that this process settles no more jobs.
func awaited(ctx context.Context, rec *JobRecord, err error, isOver bool) error {
	switch {
	case err == nil && rec.State.IsSettled():
		return nil
	case err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		return err
	case ctx.Err() != nil:
		return contextEnd(ctx)
	case isOver:
		return usageError("wait", rec.calledName(), ErrClosed, "the job has not ended, and this process runs no more jobs")
	}
	return err
}

// cancelJob is Job.Cancel. inside is the call of the handler that called Cancel; nil: no handler
// did.
func (r *Router) cancelJob(ctx context.Context, id uuid.UUID, inside *callContext) error {
	queue := r.jobHost().queue
	for {
		rec, err := queue.get(ctx, id)
		if err != nil {
			return err
		}
		switch rec.State {
		case JobCanceled:
			return nil
		case JobSucceeded, JobDead:
			return usageError("cancel", rec.calledName(), ErrSettled, "it is %v", rec.State)
		case JobRunning, JobScheduled, JobReady, JobParked:
		}
		if d := r.jobHost().deliveryOf(id); d != nil {
			if d.cancel(); inside.jobOf() == d {
				return nil
			}
			if err := d.awaitOver(ctx); err != nil {
				return err
			}
			continue
		}
		canceled, _ := next(rec, jobEnd{what: jobCanceled}, r.jobPolicy(&rec), jobTime())
		if err := queue.swap(ctx, rec, canceled); !errors.Is(err, ErrRevision) {
			if d := r.jobHost().deliveryOf(id); d != nil && err == nil { // the job was leased after the first look
				d.cancel()
				return d.awaitOver(ctx)
			}
			r.jobHost().debts.pay(ctx, r.jobHost().queue, id)
			return err
		}
	}
}

// cancel ends the call because Job.Cancel was called.
func (d *delivery) cancel() {
	d.isCanceled.Store(true)
	d.ctx.end(ErrJobCanceled)
}

// awaitOver waits until the delivery is over, or until ctx ends. deliveryOf must have returned d.
func (d *delivery) awaitOver(ctx context.Context) error {
	select {
	case <-d.over:
		return nil
	case <-ctx.Done():
		return contextEnd(ctx)
	}
}

// Progress reports how far a job is: done of total, in a unit of the handler's choice, and a
// note. ctx is the context of the job's handler, or of a handler that it calls. [JobInfo] shows
// the progress until the delivery ends. Each Progress costs one call of the queue. In a call that
// belongs to no job it does nothing. It returns [ErrLease] if the job was given to another host:
// then the handler should return.
func Progress(ctx context.Context, done, total int64, note string) error {
	d := callOf(ctx).jobOf()
	if d == nil {
		return nil
	}
	return d.tellQueue(viewOf(ctx), JobProgress{Done: done, Total: total, Note: note})
}
