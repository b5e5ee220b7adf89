package faas

import (
	"bytes"
	"context"
	"errors"

	"github.com/google/uuid"
)

// Prepare is the first part of Send: it encodes the input, checks the options and asks the gates,
// and then returns the job's record instead of giving it to the queue. [Router.Accept] is the
// second part: it gives the record to the queue, in this process, or in another one that has
// decoded the record from JSON. The two are for code that keeps jobs until it is certain that
// they are to be sent. For example, package trigger/faaspg keeps them in a table of the sender's
// own database.
//
// The record has its ID, so it can be accepted again after a failure that leaves the outcome
// unknown. Its age, and a delay, count from Prepare; the window of a unique key counts from
// Accept. Prepare does not check whether the queue has room. It returns the errors of Send,
// except those of the queue, which Accept returns. The record belongs to the caller, its Payload
// included.
func (f *Function[In, Out]) Prepare(ctx context.Context, in In, opts ...SendOption) (JobRecord, error) {
	payload, err := f.core.encodeJob(&in)
	if err != nil {
		return JobRecord{}, err
	}
	return f.core.itself().prepare(ctx, f.core.qualified(), payload, opts)
}

// Prepare is [Function.Prepare] for a function by its name and an encoded input, which is copied;
// see [Router.Send].
func (r *Router) Prepare(ctx context.Context, name string, payload []byte, opts ...SendOption) (JobRecord, error) {
	to, unknown := r.peek("send", name)
	if unknown != nil {
		return JobRecord{}, unknown
	}
	return to.prepare(ctx, name, bytes.Clone(payload), opts)
}

func (to target) prepare(ctx context.Context, name string, payload []byte, opts []SendOption) (JobRecord, error) {
	rec, delay, err := to.draft(ctx, name, payload, opts)
	if err != nil {
		return JobRecord{}, err
	}
	_ = to.fn.router.date(&rec, delay)
	return rec, nil
}

// Accept gives the queue a job of Prepare. A nil error means the same as for Send. If the queue
// has had a job with that ID or unique key before, Accept returns that job, with Duplicate true.
// The function need not be registered here: the deliveries look it up. Accept asks no gate: the
// deliveries do. A job that is too old by now is accepted, and becomes dead with
// [ConditionEventAgeExceeded].
//
// The errors are those of Send that come from the queue: one that Is [ErrOverloaded], with a
// RetryAfter, if there is no room, and [ErrClosed] if the router is shut down. A record that
// Prepare can't have returned, for example one without an ID or with an invalid name, is an error
// that Is [ErrInput]. The record belongs to the queue from then on.
func (r *Router) Accept(ctx context.Context, rec JobRecord) (*Job[[]byte], error) {
	refuse := func(why Reason, err error) error { return sendRefused(refusal(rec.Function, uuid.Nil, why, err)) }
	if ctx == nil {
		return nil, refuse(ReasonInput, wrapCause(ErrInput, errNilContext))
	}
	if err := rec.checkPrepared(); err != nil {
		return nil, refuse(ReasonInput, wrapCause(ErrInput, err))
	}
	if r.closing.Load() && callOf(viewOf(ctx)) == nil {
		return nil, refuse(ReasonClosed, ErrClosed)
	}
	rec.arrive(jobTime())
	err := r.handOver(ctx, &rec)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, err
	}
	return newJob[[]byte](r, &rec, err, r.common.codec), nil
}

// checkPrepared returns an error if Prepare can't have returned the record.
func (rec *JobRecord) checkPrepared() error {
	name := checkReference("send", rec.calledName())
	switch {
	case rec.ID == uuid.Nil:
		return errors.New("the record has no ID")
	case name != nil:
		return name
	case rec.Function != baseName(rec.calledName()):
		return errors.New("Function and Name of the record are different functions")
	case rec.Due.IsZero():
		return errors.New("the record does not say when the job is due")
	case !isTenant(rec.Tenant), !isTenant(rec.OrderKey), !isTenant(rec.UniqueKey):
		return errors.New("a tenant or a key of the record is too long, or has control characters")
	case rec.MaxAge < 0, rec.UniqueFor < 0, (rec.UniqueKey == "") != (rec.UniqueFor == 0):
		return errors.New("the record's age or window is negative, or only one of its unique key and window is set")
	case rec.State.IsSettled():
		return errors.New("the job has ended")
	}
	return nil
}
