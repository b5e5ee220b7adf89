package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// carry takes an item to its end, on a goroutine of its own.
func (d *Driver) carry(t *taken) {
	job, err := d.accept(t)
	if err == nil && !Durable(d.router.JobQueue()) {
		err = d.settled(t.ctx, job)
	}
	d.close(t, err)
}

// close finishes an item with what has become of it.
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

// accept gives an item's job to the queue, after those before it that have its order key.
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

// send gives a job to the queue by once, again and again while that has no room or fails. The job
// has its ID before, so that to repeat it is safe.
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

// after returns how long to wait until a job that was not accepted may be, or why it never will be.
func (d *Driver) after(err error, function string, failures int) (time.Duration, error) {
	wait := d.set.restart.wait(failures)
	var e *faas.Error
	if !errors.As(err, &e) {
		return wait, nil // the queue has failed
	}
	switch {
	case errors.Is(err, faas.ErrClosed): // by Close, which tells nothing to the driver
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

// isRejected reports whether a job that was refused so will be refused each time.
func (d *Driver) isRejected(why faas.Kind, function string) bool {
	switch why {
	case faas.KindNotFound:
		if function != d.set.function { // the driver's own was there: it will come again
			return true
		}
	case faas.KindDenied, faas.KindInvalid, faas.KindTooLarge, faas.KindNesting:
		return true
	case faas.KindNone, faas.KindBusy, faas.KindUnavailable, faas.KindClosed, faas.KindCanceled:
	}
	return false
}

func rejected(err error) error { return fmt.Errorf("%w: %w", ErrRejected, err) }

// settled waits until a job is settled. Once the driver is told to stop, it gives up a job that is
// to be tried again later: that may take hours, and the router's Shutdown does not wait for it.
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

// settledSoon waits as long as the job runs, or may run at once.
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

// waits reports whether a job that does not run waits for a time, or for another job of its order
// key, which may wait for one. The router's Shutdown waits for neither.
func waits(rec *faas.JobRecord) bool {
	now := time.Now()
	return rec.NotBefore.After(now) || rec.Due.After(now) || rec.KeyHolder != uuid.Nil
}
