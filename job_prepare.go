package faas

import (
	"bytes"
	"context"
	"errors"

	"github.com/google/uuid"
)

// Prepare is Send without its last step: it encodes the input, checks the options and asks
// the gates as Send does, and returns the job's record in place of giving it to the queue.
// It is for code that keeps jobs until it is certain that they are to be sent, as package
// trigger/faaspg does in a table of the sender's own database. [Router.Accept] then gives
// the record to the queue, in this process or in another one that has decoded it from JSON.
//
// The record has its ID: so it can be accepted again after a failure of which the outcome is
// not known. Its age, and a delay, count from Prepare; the window of a unique key counts from
// Accept. Prepare does not check whether the queue has room. It returns the errors of Send,
// but for those of the queue, which Accept returns. The record is the caller's, Payload included.
func (f *Function[In, Out]) Prepare(ctx context.Context, in In, opts ...SendOption) (JobRecord, error) {
	payload, err := f.core.encodeJob(&in)
	if err != nil {
		return JobRecord{}, err
	}
	return f.core.itself().prepare(ctx, f.core.qualified(), payload, opts)
}

// Prepare is [Function.Prepare] by name, with an encoded input, which is copied; see [Router.Send].
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
	to.fn.router.date(&rec, jobTime(), delay)
	return rec, nil
}

// Accept gives the queue a job of Prepare; a nil error means what it means for Send. If the
// queue has had a job of that ID or unique key before, the answer is that one, with Duplicate
// true. The function need not be registered here: its deliveries look it up. No gate is asked;
// they do that too. A job that is too old by now is accepted, and is dead with
// [ConditionEventAgeExceeded].
//
// It is the queue's part of Send's errors that Accept returns: ErrOverloaded with a RetryAfter
// if there is no room, [ErrClosed] if the router is shut down. A record that Prepare can't have
// returned, for example one without an ID, or with a name that no function can have, is an error
// that Is [ErrInput]. The record is the queue's from then on.
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

// checkPrepared returns why a record can't be one that Prepare has returned.
func (rec *JobRecord) checkPrepared() error {
	name := checkReference("send", rec.calledName())
	switch {
	case rec.ID == uuid.Nil:
		return errors.New("the record has no ID")
	case name != nil:
		return name
	case rec.Function != baseName(rec.calledName()):
		return errors.New("the record is of one function, and its name of another")
	case rec.Due.IsZero():
		return errors.New("the record does not say when the job is due")
	case !isTenant(rec.Tenant), !isTenant(rec.OrderKey), !isTenant(rec.UniqueKey):
		return errors.New("a tenant or a key of the record is too long, or has control characters")
	case rec.MaxAge < 0, rec.UniqueFor < 0, (rec.UniqueKey == "") != (rec.UniqueFor == 0):
		return errors.New("the record's age or window is no positive time")
	case rec.State.IsSettled():
		return errors.New("the job has ended")
	}
	return nil
}
