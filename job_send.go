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

// SendOption is an option of one job, for Send, SendAll, Prepare and Replay. Nil options are
// ignored. The method that gets an option checks its value.
type SendOption interface{ applySend(s *sendSettings) }

type sendOption func(s *sendSettings)

func (o sendOption) applySend(s *sendSettings) { o(s) }

// sendSettings are the settings of one job.
type sendSettings struct {
	rec      JobRecord     // rec.Due is zero if WithDue was not given
	delay    time.Duration // of WithDelay
	replaced bool          // WithInput was given
	input    []byte        // of WithInput
	fault    error         // the first value out of range
}

// WithDelay makes a job due d after it is accepted, d ≥ 0. If both WithDelay and WithDue are
// given, the last one counts.
func WithDelay(d time.Duration) SendOption {
	return sendOption(func(s *sendSettings) {
		s.delay, s.rec.Due = d, time.Time{}
		if d < 0 {
			s.bad("WithDelay(%v): can't be negative", d)
		}
	})
}

// WithDue sets when a job is due. A time in the past, and the zero time, mean now.
func WithDue(t time.Time) SendOption {
	return sendOption(func(s *sendSettings) { s.delay, s.rec.Due = 0, t })
}

// WithUnique gives a job a unique key: within the window, its function and tenant have only one
// job with that key. The window begins when that job is accepted, and must be positive. Another
// Send with the key returns the first job, with Duplicate true, even if that job has ended, was
// canceled or purged.
func WithUnique(key string, window time.Duration) SendOption {
	return sendOption(func(s *sendSettings) {
		s.rec.UniqueKey, s.rec.UniqueFor = key, window
		if s.badKey("WithUnique", key); window <= 0 {
			s.bad("WithUnique(%.40q, %v): the window must be positive", key, window)
		}
	})
}

// WithOrderKey gives a job an order key. Jobs of the same function, tenant and order key run
// one at a time, in the order in which they are due. Each begins when the job before it is
// settled, after all its retries. It does not wait for a handler that still runs although its
// job is dead, for example after a timeout.
func WithOrderKey(key string) SendOption {
	return sendOption(func(s *sendSettings) {
		s.rec.OrderKey = key
		s.badKey("WithOrderKey", key)
	})
}

// WithExpiry sets how long after its due time a job may wait and be tried again, in place of
// [WithMaxAge]; d must be positive.
func WithExpiry(d time.Duration) SendOption {
	return sendOption(func(s *sendSettings) {
		if s.rec.MaxAge = d; d <= 0 {
			s.bad("WithExpiry(%v): must be positive", d)
		}
	})
}

// WithJobID sets a job's ID. If a Send fails and it is not known whether the job was accepted,
// the same Send can be repeated with the same ID: if the job was accepted, the second Send
// returns it, with Duplicate true. The ID must not be zero. Without this option a job gets a
// new UUIDv7.
func WithJobID(id uuid.UUID) SendOption {
	return sendOption(func(s *sendSettings) {
		if s.rec.ID = id; id == uuid.Nil {
			s.bad("WithJobID: the ID is zero")
		}
	})
}

// WithJobLabels adds labels to a job. [Router.Jobs] finds jobs by their labels. The map is
// copied.
func WithJobLabels(labels map[string]string) SendOption {
	labels = maps.Clone(labels)
	return sendOption(func(s *sendSettings) {
		if s.rec.Labels == nil {
			s.rec.Labels = map[string]string{}
		}
		maps.Copy(s.rec.Labels, labels)
	})
}

// WithItems declares that a job's input is a batch of n items, n ≥ 1. Invocation and
// [Execution] show n, so that the cost of one record can be divided by it. See [WithBatches].
func WithItems(n int) SendOption {
	return sendOption(func(s *sendSettings) {
		if s.rec.Items = n; n < 1 {
			s.bad("WithItems(%d): a batch has one item at least", n)
		}
	})
}

// WithInput sets the encoded input of a Replay's new job, in place of the first job's input.
// Only Replay takes this option. The payload is copied.
func WithInput(payload []byte) SendOption {
	payload = bytes.Clone(payload)
	return sendOption(func(s *sendSettings) { s.input, s.replaced = payload, true })
}

// bad sets s.fault, unless an earlier option has.
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

// Send sends a job: a call of the function that is made later. It returns when the queue has
// accepted the job, and does not wait for the call. A nil error means that the job will end in
// exactly one of the states succeeded, dead and canceled. [WithJobs] sets the queue; without
// that option the router makes a queue in memory for its first job.
//
// Send encodes the input with the function's codec ([WithCodec]), and each attempt decodes it
// anew: a job shares no memory with its sender. [WithLimits] bounds the payload.
//
// The job inherits tenant, priority and origin from ctx, as a call of Invoke does. If ctx is a
// handler's, the job's calls are one level deeper than the handler's call. The end of ctx does
// not end the job.
//
// Send refuses a job for the same reasons as [Router.DryRun] would refuse a call, with the same
// *[Error]; each delivery is checked again. A full queue refuses it with [ReasonOverloaded];
// RetryAfter is then estimated from the time that jobs have taken to run. A queue in memory
// also refuses with ReasonOverloaded a job that would be too old ([WithMaxAge], [WithExpiry])
// before its turn comes: it counts the jobs of its tenant that are ahead, and as many of each
// other tenant, and assumes that all of the function's slots run them. An option out of range
// is an error that Is [ErrInput]. Any other error is one of the queue: then it is not known
// whether the job was accepted, and a Send with the same [WithJobID] can be repeated.
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

// SendAll sends a job for each input, each as Send does. jobs[i] is the job of ins[i]; it is
// nil if that job was not accepted. The error joins the errors of those inputs, each with its
// index. All jobs get the same options: with [WithJobID] or [WithUnique], all inputs but the
// first return the first job, as duplicates.
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

// Job returns the handle of the job with that ID, which must be one of this function. It does
// not check that the job exists.
func (f *Function[In, Out]) Job(id uuid.UUID) *Job[Out] {
	return &Job[Out]{router: f.core.router, id: id, codec: f.core.codec, answer: untoldAnswer()}
}

// Send is [Function.Send] for a function by its name and an encoded input, which is copied. The
// name may have a version; Send looks the name up, and so does each delivery. Send does not
// decode the payload: if a delivery can't decode it, the job is dead with [ConditionInvalid].
// For a streaming function Send returns an error that Is [ErrType].
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

// encodeJob encodes the input to which in points.
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

// sendRefused turns a refusal into one of Send.
func sendRefused(e *Error) *Error {
	e.Op = "send"
	return e
}

// send puts a job into the queue. name is the name by which its function is to be called, with
// the qualifier if it has one. If the error Is ErrDuplicate, the record is that of the job that
// the queue had before.
func (to target) send(ctx context.Context, name string, payload []byte, opts []SendOption) (JobRecord, error) {
	rec, delay, err := to.draft(ctx, name, payload, opts)
	if err != nil {
		return JobRecord{}, err
	}
	err = to.fn.router.put(ctx, &rec, delay)
	return rec, err
}

// draft checks that a job may be sent. It returns the record of the job, and the delay of
// WithDelay.
func (to target) draft(ctx context.Context, name string, payload []byte, opts []SendOption) (JobRecord, time.Duration, error) {
	fn := to.fn
	var rec JobRecord
	var delay time.Duration
	var fault error
	if len(opts) > 0 { // the record is on the heap only here, where an option may keep it
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

// isPlainSend reports whether askSend can be left out: the job inherits at most tenant and
// priority from ctx, and no hook of the function would be asked. In that case it sets the two
// in rec.
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

// checkSend returns why a job can't be sent, apart from what gates say.
func (to target) checkSend(ctx context.Context, fault error, payload []byte) error {
	fn := to.fn
	refuse := func(why Reason, err error) error { return sendRefused(refusal(fn.who.name, uuid.Nil, why, err)) }
	switch {
	case ctx == nil:
		return refuse(ReasonInput, wrapCause(ErrInput, errNilContext))
	case fault != nil:
		return refuse(ReasonInput, wrapCause(ErrInput, fault))
	case fn.stream:
		return usageError("send", fn.who.name, ErrType, "a streaming function answers its caller in pieces, and a job has no caller")
	case fn.gone.Load():
		return refuse(ReasonNotFound, wrapCause(ErrNotFound, errors.New("it was removed")))
	case len(payload) > fn.limitIn:
		return refuse(ReasonTooLarge, tooLarge("payload", len(payload), fn.limitIn))
	}
	return nil
}

// askSend checks what DryRun checks, and sets in rec what the job's calls inherit from ctx.
func (to target) askSend(ctx context.Context, rec *JobRecord) *Error {
	var q caller
	c, err := to.askDry(&q, ctx)
	if err != nil {
		return err
	}
	rec.Tenant, rec.Priority = c.tenant, c.priority()
	o := JobOrigin{}
	if rec.Origin != nil { // a replay
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

// put completes a record and gives it to the queue. If it returns ErrDuplicate, *rec is the
// record that the queue had before.
func (r *Router) put(ctx context.Context, rec *JobRecord, delay time.Duration) error {
	rec.NewID = rec.ID == uuid.Nil
	rec.arrive(r.date(rec, delay))
	if late := r.tooLate(rec); late != nil {
		return sendRefused(late)
	}
	return r.handOver(ctx, rec)
}

// date sets the ID, the format and the due time of a job that is sent now, and returns that time.
func (r *Router) date(rec *JobRecord, delay time.Duration) time.Time {
	read := time.Now() // read once, for the ID too
	now := read.Round(0).UTC()
	if rec.ID == uuid.Nil {
		rec.ID = r.clock.newID(r.clock.reading(read), rand.Uint64())
	}
	if rec.Due = rec.Due.Round(0).UTC(); rec.Due.Before(now) {
		rec.Due = now
	}
	rec.Format, rec.Due = JobFormat, rec.Due.Add(delay)
	return now
}

// arrive sets the fields of a job that is accepted now.
func (rec *JobRecord) arrive(now time.Time) {
	rec.Accepted, rec.State, rec.NotBefore, rec.answer = now, JobReady, time.Time{}, &jobAnswer{}
	if rec.Due.After(now) {
		rec.State, rec.NotBefore = JobScheduled, rec.Due
	}
}

// handOver gives a complete record to the queue. If it returns ErrDuplicate, *rec is the record
// that the queue had before.
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
		if !j.hosts(r, rec.Function) { // the function was removed meanwhile
			j.sweepSoon()
		}
	}
	return err
}

// put puts a record into the queue. If a queue in memory leases a job in the same step, put
// starts its delivery.
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

// tooLate refuses a job that would be too old before its turn comes. Its estimate is the
// shortest possible wait: with all slots of the function, and only the jobs of other tenants
// that certainly come before it. So a job that might be in time is accepted.
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
	why := fmt.Errorf("the job would be too old after %v, and its turn comes after %v at the earliest", age, wait)
	e := refusal(rec.Function, uuid.Nil, ReasonOverloaded, wrapCause(ErrOverloaded, why))
	e.RetryAfter = max(wait-age, soonestRoom).Round(time.Second)
	return e
}
