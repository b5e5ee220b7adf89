package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// carry gives an item's job to the queue, waits for its end if the queue is not durable, and
// finishes the item. It is the main function of the item's goroutine.
func (d *Driver) carry(t *taken) {
	job, err := d.accept(t)
	if err == nil && !Durable(d.router.JobQueue()) {
		err = d.settled(t.ctx, job)
	}
	d.close(t, err)
}

// close finishes an item, and counts it by err.
func (d *Driver) close(t *taken, err error) {
	switch {
	case err == nil:
		d.finish(t, nil, &d.counts.accepted)
	case errors.Is(err, ErrRejected):
		d.set.log.Warn("item rejected", "source", d.set.name, "item", t.ID, "function", t.Function, "error", err)
		d.finish(t, err, &d.counts.rejected)
	default:
		d.finish(t, err, &d.counts.returned)
	}
}

// accept gives an item's job to the queue, after the earlier items with the same order key.
func (d *Driver) accept(t *taken) (*faas.Job[[]byte], error) {
	defer d.order.leave(t.turn)
	if !t.turn.await(t.ctx) {
		return nil, ErrStopped
	}
	opts := append([]faas.SendOption{faas.WithJobID(t.job)}, t.Options...)
	if t.OrderKey != "" {
		opts = append(opts, faas.WithOrderKey(t.OrderKey))
	}
	job, err := d.send(t.ctx, t.Function, func() (*faas.Job[[]byte], error) {
		if t.Prepared != nil {
			return d.router.Accept(t.ctx, *t.Prepared)
		}
		return d.router.Send(t.ctx, t.Function, t.Payload, opts...)
	})
	if err == nil && job.Duplicate() {
		d.counts.duplicates.Add(1)
	}
	return job, err
}

// send calls the func once, which gives a job to the queue. While the queue has no room or fails,
// it calls the func again and again. That is safe, because the job already has its ID.
func (d *Driver) send(ctx context.Context, function string, once func() (*faas.Job[[]byte], error)) (*faas.Job[[]byte], error) {
	for failures := 1; ; failures++ {
		job, err := once()
		if err == nil {
			return job, nil
		}
		wait, why := d.after(err, function, failures)
		if why != nil {
			return nil, why
		}
		if !pause(ctx, wait) {
			return nil, ErrStopped
		}
	}
}

// after decides what to do about a job that the queue has refused with err. It returns how long
// to wait before the next try, or an error if no try can succeed.
func (d *Driver) after(err error, function string, failures int) (time.Duration, error) {
	wait := d.set.restart.wait(failures)
	var e *faas.Error
	if !errors.As(err, &e) {
		return wait, nil // the queue itself has failed
	}
	switch {
	case errors.Is(err, faas.ErrClosed): // Router.Close does not stop the driver
		d.stop()
		return 0, ErrStopped
	case errors.Is(err, faas.ErrType), errors.Is(err, faas.ErrName):
		return 0, rejected(err)
	}
	if d.isRejected(e.Kind, function) {
		return 0, rejected(err)
	}
	return max(wait, e.RetryAfter), nil
}

// isRejected reports whether a job that was refused for this reason will always be refused.
func (d *Driver) isRejected(why faas.Kind, function string) bool {
	switch why {
	case faas.KindNotFound:
		if function != d.set.function { // the function of To was there when the driver began, so it is expected back
			return true
		}
	case faas.KindDenied, faas.KindInvalid, faas.KindTooLarge, faas.KindNesting:
		return true
	case faas.KindNone, faas.KindBusy, faas.KindUnavailable, faas.KindClosed, faas.KindCanceled:
	}
	return false
}

func rejected(err error) error { return fmt.Errorf("%w: %w", ErrRejected, err) }

// settled waits until a job is settled. After Stop it does not wait for a job that is to be
// tried again later: that may take hours, and the router's Shutdown does not wait for it
// either.
func (d *Driver) settled(ctx context.Context, job *faas.Job[[]byte]) error {
	_, err := job.Wait(d.running)
	var ended *faas.JobError
	switch {
	case err == nil, errors.As(err, &ended), errors.Is(err, faas.ErrForgotten), errors.Is(err, faas.ErrNotFound):
		return nil
	case errors.Is(err, faas.ErrClosed):
		return ErrStopped
	}
	return d.settledSoon(ctx, job.ID())
}

// settledSoon waits until a job is settled, for as long as the job runs or could run at once.
func (d *Driver) settledSoon(ctx context.Context, id uuid.UUID) error {
	queue := d.router.JobQueue()
	rec, err := queue.Get(ctx, id)
	for {
		switch {
		case errors.Is(err, faas.ErrForgotten), errors.Is(err, faas.ErrNotFound):
			return nil
		case err != nil:
			return ErrStopped
		case rec.State.IsSettled():
			return nil
		case rec.State != faas.JobRunning && waits(&rec):
			return ErrStopped
		}
		rec, err = queue.Watch(ctx, id, rec.Revision)
	}
}

// waits reports whether a job that does not run waits for its time, or for another job of its
// order key, which may be waiting for its own time. The router's Shutdown does not wait in
// these cases.
func waits(rec *faas.JobRecord) bool {
	now := time.Now()
	return rec.NotBefore.After(now) || rec.Due.After(now) || rec.KeyHolder != uuid.Nil
}
