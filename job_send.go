package faas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// SendOption is an option of one job: of Send, SendAll and Replay. Nil options are
// ignored. Values are checked by the method that gets the option.
type SendOption interface{ applySend(s *sendSettings) }

type sendOption func(s *sendSettings)

func (o sendOption) applySend(s *sendSettings) { o(s) }

// sendSettings are what the options of one job set.
type sendSettings struct {
	rec      JobRecord // its due time is relative to acceptance until it is accepted
	delay    time.Duration
	replaced bool   // WithInput was given
	input    []byte // of WithInput
	fault    error
}

// WithDelay makes a job due d after it was accepted, d ≥ 0. Of WithDelay and WithDue the
// last one counts.
func WithDelay(d time.Duration) SendOption {
	return sendOption(func(s *sendSettings) {
		s.delay, s.rec.Due = d, time.Time{}
		if d < 0 {
			s.bad("WithDelay(%v): can't be negative", d)
		}
	})
}

// WithDue sets when a job is due. A time that has passed, or the zero time, is now.
func WithDue(t time.Time) SendOption {
	return sendOption(func(s *sendSettings) { s.delay, s.rec.Due = 0, t })
}

// WithUnique gives a job a key of which its function and tenant have one job within the
// window, which begins when that job is accepted and is positive. A second Send gets the
// first job, with Duplicate true, also if that job has ended, was canceled or purged.
func WithUnique(key string, window time.Duration) SendOption {
	return sendOption(func(s *sendSettings) {
		s.rec.UniqueKey, s.rec.UniqueFor = key, window
		if s.badKey("WithUnique", key); window <= 0 {
			s.bad("WithUnique(%.40q, %v): the window must be positive", key, window)
		}
	})
}

// WithOrderKey gives a job a key. The jobs of a function and a tenant that have the same
// key run one at a time, in the order in which they are due: the next begins when the one
// before it is settled, its retries included. A handler that outlives a job that is dead,
// for example by a timeout, is not waited for.
func WithOrderKey(key string) SendOption {
	return sendOption(func(s *sendSettings) {
		s.rec.OrderKey = key
		s.badKey("WithOrderKey", key)
	})
}

// WithExpiry sets in place of [WithMaxAge] how long after it was due a job may wait and
// be tried again; d must be positive.
func WithExpiry(d time.Duration) SendOption {
	return sendOption(func(s *sendSettings) {
		if s.rec.MaxAge = d; d <= 0 {
			s.bad("WithExpiry(%v): must be positive", d)
		}
	})
}

// WithJobID sets a job's ID, so that what has sent it may send it again after a failure of
// which it does not know the outcome: the second Send gets the first job, with Duplicate
// true. The ID must not be zero. Without this option it is a new UUIDv7.
func WithJobID(id uuid.UUID) SendOption {
	return sendOption(func(s *sendSettings) {
		if s.rec.ID = id; id == uuid.Nil {
			s.bad("WithJobID: the ID is zero")
		}
	})
}

// WithJobLabels adds labels to a job, by which [Router.Jobs] finds it. The map is copied.
func WithJobLabels(labels map[string]string) SendOption {
	labels = maps.Clone(labels)
	return sendOption(func(s *sendSettings) {
		if s.rec.Labels == nil {
			s.rec.Labels = map[string]string{}
		}
		maps.Copy(s.rec.Labels, labels)
	})
}

// WithItems says that a job's input is a batch of n items, n ≥ 1. It shows in Invocation and
// [Execution], so that one record tells for how many items it is. See [WithBatches].
func WithItems(n int) SendOption {
	return sendOption(func(s *sendSettings) {
		if s.rec.Items = n; n < 1 {
			s.bad("WithItems(%d): a batch has one item at least", n)
		}
	})
}

// WithInput gives the new job of a Replay another encoded input than the first one had.
// It is an option of Replay only. The payload is copied.
func WithInput(payload []byte) SendOption {
	payload = bytes.Clone(payload)
	return sendOption(func(s *sendSettings) { s.input, s.replaced = payload, true })
}

// bad notes the first fault.
func (s *sendSettings) bad(format string, args ...any) {
	if s.fault == nil {
		s.fault = fmt.Errorf(format, args...)
	}
}

func (s *sendSettings) badKey(option, key string) {
	if key == "" || !isTenant(key) {
		s.bad("%s: a key of %d bytes; it has 1 to %d bytes without control characters", option, len(key), maxTenant)
	}
}

// Send has the function called later, and returns when the queue has accepted the job: a
// nil error means that it will end in exactly one of the states succeeded, dead and
// canceled. It does not wait for the call. See [WithJobs] for the queue; without that
// option the router makes a queue in memory for the first job.
//
// The input is encoded here by the function's codec ([WithCodec]), and decoded anew for
// each attempt, so that a job shares nothing with its sender. The payload is bounded by
// [WithLimits].
//
// The tenant, the priority and the origin of ctx are the job's, as they are a call's for
// Invoke. Sent by a handler, the job is one deeper than the handler's call. The
// end of ctx does not end the job. The same is asked as by [Router.DryRun], and a refusal
// is the same *[Error]; each delivery asks again. A full queue is a refusal with
// [ReasonOverloaded], and with a RetryAfter from the time that jobs have taken to run. So is,
// in a queue in memory, a job that is due and that would be too old ([WithMaxAge],
// [WithExpiry]) before those of its tenant ahead of it, and as many of each other tenant, have
// run in all of its function's slots. An option out of range is an error that Is [ErrInput]. Any other
// error is one of the queue: then it is not known whether the job was accepted, and with
// [WithJobID] it can be sent again.
func (f *Function[In, Out]) Send(ctx context.Context, in In, opts ...SendOption) (*Job[Out], error) {
	fn := f.core
	payload, err := fn.encodeJob(&in)
	if err != nil {
		return nil, err
	}
	rec, err := fn.itself().send(ctx, fn.qualified(), payload, opts)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, err
	}
	return newJob[Out](fn.router, &rec, err, fn.codec), nil
}

// SendAll sends a job for each input. Each is accepted by itself, as by Send: the jobs
// have the indexes of their inputs, and a nil one was not accepted. The error joins
// those of all that were not, each with its index. The options are those of each job: with
// [WithJobID] or [WithUnique] all are the first one.
func (f *Function[In, Out]) SendAll(ctx context.Context, ins []In, opts ...SendOption) ([]*Job[Out], error) {
	jobs := make([]*Job[Out], len(ins))
	var errs []error
	for i, in := range ins {
		job, err := f.Send(ctx, in, opts...)
		if jobs[i] = job; err != nil {
			errs = append(errs, fmt.Errorf("input %d: %w", i, err))
		}
	}
	return jobs, errors.Join(errs...)
}

// Job returns the handle of a job of this function by its ID. It does not look whether
// there is one.
func (f *Function[In, Out]) Job(id uuid.UUID) *Job[Out] {
	return &Job[Out]{router: f.core.router, id: id, codec: f.core.codec, answer: untoldAnswer()}
}

// Send is [Function.Send] by name, with an encoded input, which is copied. The name may
// have a version; it is looked up here, and again for each delivery. The payload is
// decoded by the deliveries only: if it does not decode there, the job is dead with
// [ConditionInvalid]. For a streaming function Send returns an error that Is [ErrType].
func (r *Router) Send(ctx context.Context, name string, payload []byte, opts ...SendOption) (*Job[[]byte], error) {
	to, unknown := r.peek("send", name)
	if unknown != nil {
		return nil, unknown
	}
	rec, err := to.send(ctx, name, bytes.Clone(payload), opts)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, err
	}
	return newJob[[]byte](r, &rec, err, to.fn.codec), nil
}

// encodeJob encodes an input; in is a pointer to it.
func (fn *function) encodeJob(in any) ([]byte, error) {
	payload, err := encode(fn.codec, in)
	if err != nil {
		return nil, sendRefused(refusal(fn.who.name, uuid.Nil, ReasonInput, wrapCause(ErrInput, err)))
	}
	if fn.rawIn {
		payload = bytes.Clone(payload)
	}
	return payload, nil
}

// sendRefused is a refusal as Send returns it.
func sendRefused(e *Error) *Error {
	e.Op = "send"
	return e
}

// send puts a job into the queue. name is as the job's function is to be called. The
// error Is ErrDuplicate if the record is that of a job that was there.
func (to target) send(ctx context.Context, name string, payload []byte, opts []SendOption) (JobRecord, error) {
	rec, delay, err := to.draft(ctx, name, payload, opts)
	if err != nil {
		return JobRecord{}, err
	}
	err = to.fn.router.put(ctx, &rec, delay)
	return rec, err
}

// draft returns the record of a job that may be sent, and what WithDelay says.
func (to target) draft(ctx context.Context, name string, payload []byte, opts []SendOption) (JobRecord, time.Duration, error) {
	fn := to.fn
	var rec JobRecord
	var delay time.Duration
	var fault error
	if len(opts) > 0 { // a record that an option may keep is on the heap
		s := &sendSettings{}
		s.apply(opts)
		if s.replaced {
			s.bad("WithInput is an option of Replay")
		}
		rec, delay, fault = s.rec, s.delay, s.fault
	}
	if err := to.checkSend(ctx, fault, payload); err != nil {
		return JobRecord{}, 0, err
	}
	rec.Function, rec.Payload = fn.who.name, payload
	if name != fn.who.name {
		rec.Name = name
	}
	if !to.isPlainSend(ctx, &rec) {
		if err := to.askSend(ctx, &rec); err != nil {
			return JobRecord{}, 0, sendRefused(err)
		}
	}
	return rec, delay, nil
}

func (s *sendSettings) apply(opts []SendOption) {
	for _, o := range opts {
		if o != nil {
			o.applySend(s)
		}
	}
}

// isPlainSend reports whether askSend is not needed: a job inherits nothing from ctx but
// tenant and priority, and the function has no hook that would be asked. Then isPlainSend
// has noted the two in rec.
func (to target) isPlainSend(ctx context.Context, rec *JobRecord) bool {
	tenant, priority, fn := "", 0, to.fn
	if own, ok := ctx.(*callerContext); ok && own.call == nil && own.from == nil {
		ctx, tenant, priority = own.Context, own.tenant, own.priority
	}
	if ctx != context.Background() || !fn.plain || len(fn.router.settings.carriers) > 0 || fn.router.closing.Load() || !isTenant(tenant) {
		return false
	}
	rec.Tenant, rec.Priority = tenant, priority
	return true
}

// checkSend returns why a job can't be sent whatever the gates say.
func (to target) checkSend(ctx context.Context, fault error, payload []byte) error {
	fn := to.fn
	refuse := func(why Reason, err error) error { return sendRefused(refusal(fn.who.name, uuid.Nil, why, err)) }
	switch {
	case ctx == nil:
		return refuse(ReasonInput, wrapCause(ErrInput, errNilContext))
	case fault != nil:
		return refuse(ReasonInput, wrapCause(ErrInput, fault))
	case fn.stream:
		return usageError("send", fn.who.name, ErrType, "a streaming function answers its caller piece by piece, and a job has none")
	case fn.gone.Load():
		return refuse(ReasonNotFound, wrapCause(ErrNotFound, errors.New("it was removed")))
	case len(payload) > fn.limitIn:
		return refuse(ReasonTooLarge, tooLarge("payload", len(payload), fn.limitIn))
	}
	return nil
}

// askSend asks what DryRun asks, and notes in rec what the job's calls inherit from ctx.
func (to target) askSend(ctx context.Context, rec *JobRecord) *Error {
	var q caller
	c, err := to.askDry(&q, ctx)
	if err != nil {
		return err
	}
	rec.Tenant, rec.Priority = c.tenant, c.priority()
	o := JobOrigin{}
	if rec.Origin != nil { // of a replay
		o = *rec.Origin
	}
	if p := c.parent(); p != nil {
		o.Invocation, o.Principal, o.Depth = p.id, p.who.name, c.extra.depth
	}
	if from := c.extra.from; from != nil {
		f := from.origin
		o.Trigger, o.Door, o.RequestID, o.Timeout, o.Key = f.Trigger, f.Door, f.RequestID, f.Timeout, f.Key
	}
	carried, failed := to.fn.router.save(q.view())
	if failed != nil {
		return refusal(rec.Function, uuid.Nil, ReasonDenied, wrapCause(ErrDenied, failed))
	}
	if o.Carried = carried; o.isEmpty() {
		rec.Origin = nil
		return nil
	}
	rec.Origin = &o
	return nil
}

func (o *JobOrigin) isEmpty() bool {
	return o.Invocation == uuid.Nil && o.Depth == 0 && o.Trigger == "" && o.Door == "" && o.RequestID == "" && o.Timeout == 0 &&
		o.Key == "" && len(o.Carried) == 0 && o.ReplayOf == uuid.Nil && o.Job == uuid.Nil
}

// put completes a record and gives it to the queue. With ErrDuplicate it becomes the record that
// was there.
func (r *Router) put(ctx context.Context, rec *JobRecord, delay time.Duration) error {
	now := jobTime()
	rec.NewID = rec.ID == uuid.Nil
	r.date(rec, now, delay)
	rec.arrive(now)
	if late := r.tooLate(rec); late != nil {
		return sendRefused(late)
	}
	return r.handOver(ctx, rec)
}

// date completes the record of a job that is sent now.
func (r *Router) date(rec *JobRecord, now time.Time, delay time.Duration) {
	if rec.ID == uuid.Nil {
		rec.ID = r.clock.newID(r.clock.now(), rand.Uint64())
	}
	if rec.Due = rec.Due.Round(0).UTC(); rec.Due.Before(now) {
		rec.Due = now
	}
	rec.Format, rec.Due = JobFormat, rec.Due.Add(delay)
}

// arrive notes that the job is accepted now.
func (rec *JobRecord) arrive(now time.Time) {
	rec.Accepted, rec.State, rec.NotBefore, rec.answer = now, JobReady, time.Time{}, &jobAnswer{}
	if rec.Due.After(now) {
		rec.State, rec.NotBefore = JobScheduled, rec.Due
	}
}

// handOver gives a complete record to the queue. With ErrDuplicate it becomes the record that
// was there.
func (r *Router) handOver(ctx context.Context, rec *JobRecord) error {
	j := r.jobHost()
	err := j.put(viewOf(ctx), rec)
	var full *Error
	if err != nil && errors.Is(err, ErrOverloaded) && errors.As(err, &full) {
		refused := refusal(rec.Function, uuid.Nil, ReasonOverloaded, full.Err)
		if refused.RetryAfter = full.RetryAfter; refused.RetryAfter == 0 {
			refused.RetryAfter = j.paces.room()
		}
		return sendRefused(refused)
	}
	if err == nil || errors.Is(err, ErrDuplicate) {
		if j.ready() == nil {
			j.start()
		}
		if !rec.expires.IsZero() {
			j.sweepBy(rec.expires)
		}
		if !j.hosts(r, rec.Function) { // it was removed meanwhile
			j.sweepSoon()
		}
	}
	return err
}

// put puts a record into the queue. If a job may run at once, its delivery starts.
func (j *jobHost) put(ctx context.Context, rec *JobRecord) error {
	if j.memory == nil {
		had, err := j.queue.put(ctx, *rec)
		*rec = had
		return err
	}
	if rec.OrderKey != "" {
		rec.expires = rec.expiry(j.router.jobPolicy(rec))
	}
	next, err := j.memory.putLease(ctx, rec, j.ready())
	if next.Token != 0 {
		j.deliver(j.takeUp(&next, rec.Accepted))
	}
	return err
}

// tooLate refuses a job that would be too old before its turn comes. It counts with all slots of
// the function, and with no more jobs of other tenants than come before it for sure: so a job
// that might be in time is accepted.
func (r *Router) tooLate(rec *JobRecord) *Error {
	j := r.jobHost()
	if j.memory == nil || rec.State != JobReady || rec.Priority > 0 || rec.OrderKey != "" {
		return nil
	}
	service := j.paces.usual(rec.Function)
	if service == 0 {
		return nil
	}
	f := r.functions.get(rec.Function)
	if f == nil {
		return nil
	}
	q, each := j.memory, service/time.Duration(max(1, min(f.class.Limit(), r.group.Limit())))
	if each == 0 {
		return nil
	}
	age := rec.expiry(r.jobPolicy(rec)).Sub(rec.Due)
	if age/each > time.Duration(q.queue.Most()) {
		return nil // the last job of a full queue would be in time
	}
	wait := each * time.Duration(q.queue.Ahead(rec.Function, rec.Tenant))
	if wait < age {
		return nil
	}
	e := refusal(rec.Function, uuid.Nil, ReasonOverloaded, wrapCause(ErrOverloaded, fmt.Errorf("it would be too old after %v, and its turn comes after %v at the earliest", age, wait)))
	e.RetryAfter = max(wait-age, soonestRoom).Round(time.Second)
	return e
}
