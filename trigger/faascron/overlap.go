package faascron

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// The labels of a timer's jobs. The jobs of earlier firings are found by them, also those that
// other processes have sent.
const (
	labelTimer     = "faascron.timer"
	labelScheduled = "faascron.scheduled"
)

// cancelTime is how long Replace waits for a canceled job to end.
const cancelTime = 5 * time.Second

// clear applies Overlap before the firing at a time. ok is false if the firing is to be left
// out.
func (e *entry) clear(ctx context.Context, at time.Time) (ok bool, err error) {
	if e.set.overlap == Allow {
		return true, nil
	}
	before, err := e.before(ctx, at)
	if err != nil || e.set.overlap == Forbid {
		return len(before) == 0, err
	}
	for _, id := range before {
		if err := e.cancel(ctx, id); err != nil {
			return false, err
		}
	}
	return true, nil
}

// before returns the IDs of the jobs of earlier firings that have not ended.
func (e *entry) before(ctx context.Context, at time.Time) (all []uuid.UUID, err error) {
	filter := faas.JobFilter{States: []faas.JobState{faas.JobScheduled, faas.JobReady, faas.JobRunning, faas.JobParked}}
	for job, err := range e.router.Jobs(ctx, filter) {
		switch {
		case err != nil:
			return nil, err
		case job.Labels[labelTimer] == e.set.name && job.Labels[labelScheduled] < idOf(at):
			all = append(all, job.ID)
		}
	}
	return all, nil
}

// cancel cancels a job. It returns no error if the job ends meanwhile, or if its handler
// ignores the cancellation.
func (e *entry) cancel(ctx context.Context, id uuid.UUID) error {
	ctx, stop := context.WithTimeout(ctx, cancelTime)
	defer stop()
	err := e.router.Job(id).Cancel(ctx)
	if errors.Is(err, faas.ErrSettled) || errors.Is(err, faas.ErrForgotten) || errors.Is(err, faas.ErrNotFound) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
