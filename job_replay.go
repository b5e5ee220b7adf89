package faas

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// Replay is [Router.Replay] for this job.
func (j *Job[Out]) Replay(ctx context.Context, opts ...SendOption) (*Job[Out], error) {
	rec, err := j.router.replay(ctx, j.id, opts)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, err
	}
	return newJob[Out](j.router, &rec, err, j.codec), nil
}

// Replay sends a new job with the function, tenant, priority, order key, labels, expiry and input
// of a settled job, which stays unchanged. The new job has no unique key, and is the last in line
// for its order key. [WithInput] replaces the input, and other options replace the first job's
// values. The gates check ctx's caller, who sends the new job. If the first job is not settled,
// the error Is [ErrInput]; if it has no record, the error is that of [JobQueue].Get.
func (r *Router) Replay(ctx context.Context, id uuid.UUID, opts ...SendOption) (*Job[[]byte], error) {
	rec, err := r.replay(ctx, id, opts)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, err
	}
	return newJob[[]byte](r, &rec, err, r.common.codec), nil
}

func (r *Router) replay(ctx context.Context, id uuid.UUID, opts []SendOption) (JobRecord, error) {
	if ctx == nil {
		return JobRecord{}, usageError("replay", "", ErrInput, "%v", errNilContext)
	}
	old, err := r.jobHost().queue.get(viewOf(ctx), id)
	if err != nil {
		return JobRecord{}, err
	}
	if !old.State.IsSettled() {
		return JobRecord{}, usageError("replay", old.calledName(), ErrInput, "the job has not ended; it is %v", old.State)
	}
	if old.Condition == ConditionSplit {
		return JobRecord{}, usageError("replay", old.calledName(), ErrInput, "the batch was split; replay its parts")
	}
	to, unknown := r.peek("replay", old.calledName())
	if unknown != nil {
		return JobRecord{}, unknown
	}
	s := sendSettings{rec: JobRecord{MaxAge: old.MaxAge, OrderKey: old.OrderKey, Items: old.Items}, input: old.Payload}
	WithJobLabels(old.Labels).applySend(&s)
	s.apply(opts)
	if err := to.checkSend(ctx, s.fault, s.input); err != nil {
		return JobRecord{}, err
	}
	rec := s.rec
	rec.Function, rec.Name, rec.Payload, rec.Origin = old.Function, old.Name, s.input, &JobOrigin{ReplayOf: id}
	ctx = WithPriority(WithTenant(ctx, old.Tenant), old.Priority)
	if err := to.askSend(ctx, &rec); err != nil {
		return JobRecord{}, sendRefused(err)
	}
	err = r.put(ctx, &rec, s.delay)
	return rec, err
}
