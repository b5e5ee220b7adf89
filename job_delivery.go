package faas

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// delivery is one lease of a job: from the queue to the call, and back with what follows.
// It has a goroutine, on which the call is made as by any caller: through admission and a
// worker to its record. Only its provenance tells that call from others.
type delivery struct {
	router *Router
	host   *jobHost
	lease  JobLease
	policy *jobPolicy
	ctx    context.Context         //nolint:containedctx // of the call
	end    context.CancelCauseFunc // of ctx
	over   chan struct{}           // closed when it is over
	watch  *time.Timer             // prolongs the lease

	isCanceled atomic.Bool
	outlived   bool // it has lost its lease to a later one of this host; guarded by the host's lock

	// Of the call, if one was admitted. They are written by the goroutine that settles
	// it, before that wakes the delivery's.
	ran      Execution
	admitted bool
}

// deliver starts the delivery of a leased job.
func (r *Router) deliver(lease JobLease) {
	d := &delivery{router: r, host: r.jobHost(), lease: lease, policy: r.jobPolicy(&lease.Record), over: make(chan struct{})}
	d.ctx, d.end = context.WithCancelCause(context.Background())
	d.host.begun(d)
	go d.run()
}

// run is the delivery's goroutine. The function may be inline, and its handler may call
// Goexit: what follows is deferred.
func (d *delivery) run() {
	end, ended := jobEnd{}, false
	d.watch = time.AfterFunc(leaseTerm, d.extend)
	d.watch.Reset(leaseTerm / 3) // what extend reads of d was written before this: an edge that AfterFunc can't give for d.watch
	defer func() {
		if !ended {
			end = d.ended(nil, &Error{Op: "invoke", Function: d.lease.Record.Function, Outcome: Exited, Err: ErrExited})
		}
		d.finish(end)
	}()
	end = d.decide()
	ended = true
}

// decide makes the call, unless the job must not run.
func (d *delivery) decide() jobEnd {
	rec := &d.lease.Record
	if end, early := rec.premature(d.policy, jobTime()); early {
		return end
	}
	if !d.policy.overlap && d.host.isBehind(rec.ID, true) {
		return jobEnd{what: jobBehindItself}
	}
	if o := rec.Origin; o != nil && o.Delivers != "" {
		return d.tell(o.Delivers)
	}
	return d.ended(d.call())
}

// ended describes how the call ended.
func (d *delivery) ended(output []byte, err error) jobEnd {
	end := d.lease.Record.endOf(err, d.timeout(), jobTime())
	end.output, end.seed = output, rand.Float64()
	if d.admitted {
		end.Invocation, end.Version, end.Duration = d.ran.ID, d.ran.Version, d.ran.Duration
	}
	return end
}

// timeout is how long the handler may run.
func (d *delivery) timeout() time.Duration {
	fn, err := d.router.find("job", d.lease.Record.calledName())
	if err != nil { // its version is not here
		return d.provenance().shorten(d.router.common.timeout)
	}
	return d.provenance().shorten(fn.timeout)
}

// call calls the function, with an upgraded payload if it does not decode and there is
// something that upgrades it.
func (d *delivery) call() ([]byte, error) {
	rec := &d.lease.Record
	ctx, err := d.context()
	if err != nil {
		return nil, sendRefused(refusal(rec.Function, uuid.Nil, ReasonDenied, wrapCause(ErrDenied, err)))
	}
	out, err := d.router.Invoke(ctx, rec.calledName(), rec.Payload)
	if d.policy.upgrade == nil || d.admitted || EndOf(err, rec.calledName()).Kind != KindInvalid {
		return out, err
	}
	payload, failed := d.upgrade()
	if failed != nil {
		return nil, sendRefused(refusal(rec.Function, uuid.Nil, ReasonInput, wrapCause(ErrInput, failed)))
	}
	out, err = d.router.Invoke(ctx, rec.calledName(), payload)
	return out, err
}

// upgrade calls the func of WithUpgrade.
func (d *delivery) upgrade() (payload []byte, err error) {
	defer stopPanic(&err)
	version := versionLatest
	if _, qualifier, found := strings.Cut(d.lease.Record.calledName(), ":"); found {
		version = qualifier
	}
	return d.policy.upgrade(d.lease.Record.Payload, version)
}

// context is the context of the call, which is a root.
func (d *delivery) context() (context.Context, error) {
	rec := &d.lease.Record
	ctx := d.ctx
	if rec.Origin != nil {
		restored, err := d.router.restore(ctx, rec.Origin.Carried)
		if err != nil {
			return nil, err
		}
		ctx = restored
	}
	return &callerContext{Context: ctx, tenant: rec.Tenant, priority: rec.Priority, from: d.provenance()}, nil
}

// provenance is what the call's context says of where it comes from.
func (d *delivery) provenance() *provenance {
	rec := &d.lease.Record
	from := &provenance{job: rec.ID, delivery: rec.Deliveries + rec.Crashes + 1, attempt: rec.Attempts + 1, slip: d}
	if o := rec.Origin; o != nil {
		from.add(o.origin())
	}
	return from
}

// sender is the call that sent the job, and how deep the job's calls are.
func (d *delivery) sender() (call uuid.UUID, depth int) {
	if o := d.lease.Record.Origin; o != nil {
		return o.Invocation, o.Depth
	}
	return uuid.Nil, 0
}

// traced gives the delivery the record of its call.
func (d *delivery) traced(t Trace) Trace { return &jobTrace{Trace: t, delivery: d} }

func (d *delivery) ranAway()      { d.host.ranAway(d.lease.Record.ID) }
func (d *delivery) handlerEnded() { d.host.handlerEnded(d.lease.Record.ID) }

// jobTrace gives a delivery the record of its call, and goes on to the call's own Trace.
type jobTrace struct {
	Trace // nil: there is none

	delivery *delivery
}

func (t *jobTrace) Value(key any) any {
	if t.Trace == nil {
		return nil
	}
	return t.Trace.Value(key)
}

func (t *jobTrace) End(e *Execution) {
	if e != nil {
		t.delivery.ran, t.delivery.admitted = *e, true
	}
	if t.Trace != nil {
		t.Trace.End(e)
	}
}

// hasSlot tells the queue that the call has its slot. If the lease is lost the context
// ends, so that the handler does not begin.
func (d *delivery) hasSlot() {
	defer d.router.guardHook("WithJobs", d.lease.Record.Function)
	if err := d.host.queue.Begin(context.Background(), d.lease); errors.Is(err, ErrLease) {
		d.end(ErrLease)
	}
}

// cancel ends the call for Job.Cancel.
func (d *delivery) cancel() {
	d.isCanceled.Store(true)
	d.end(ErrJobCanceled)
}

// extend prolongs the lease, on the timer's goroutine. A lease that is lost ends the call.
func (d *delivery) extend() {
	var err error
	func() {
		defer d.router.queuePanicked(&err)
		err = d.host.queue.Extend(d.ctx, d.lease, JobProgress{})
	}()
	switch {
	case errors.Is(err, ErrLease):
		d.end(ErrLease)
	case d.ctx.Err() == nil:
		d.watch.Reset(leaseTerm / 3)
	}
}

// finish settles the job with what follows from the end of its delivery.
func (d *delivery) finish(end jobEnd) {
	defer d.host.ended(d)
	defer d.router.guardHook("WithJobs", d.lease.Record.Function)
	if d.isCanceled.Load() && (end.what != jobDelivered || end.Kind != KindNone || end.Outcome != OK) {
		end.what = jobCanceled
	}
	rec, follow := next(d.lease.Record, end, d.policy, jobTime())
	for {
		err := d.host.queue.Settle(context.Background(), d.lease, rec, follow...)
		if err == nil || errors.Is(err, ErrLease) || errors.Is(err, ErrClosed) || d.host.ctx.Err() != nil {
			break
		}
		d.host.pause() // the engine has failed; the write is fenced, and may be repeated
	}
	d.watch.Stop()
	d.end(nil)
	if len(follow) > 0 && !d.host.hosts(d.router, follow[0].Function) {
		d.host.sweepSoon()
	}
	if rec.State == JobParked && d.isFree(&rec, &end) {
		d.router.unparkJob(rec.ID)
	}
}

// isFree reports whether what a job was parked for has happened while it was parked.
func (d *delivery) isFree(rec *JobRecord, end *jobEnd) bool {
	switch {
	case end.what == jobBehindItself:
		return !d.host.isBehind(rec.ID, true)
	case end.Kind == KindNotFound:
		_, err := d.router.find("job", rec.calledName())
		return err == nil
	}
	return false
}

// tell delivers the end of another job to a Go func.
func (d *delivery) tell(which string) jobEnd {
	to := d.policy.destination(which)
	limit := cmp.Or(to.timeout, d.timeout())
	var e JobEnvelope
	err := json.Unmarshal(d.lease.Record.Payload, &e)
	switch {
	case err != nil:
		err = Permanent(err)
	case to.deliver == nil:
		err = errNoDestination
	default:
		err = d.tellTo(to, e, limit)
	}
	end := d.lease.Record.endOf(err, limit, jobTime())
	end.seed = rand.Float64()
	end.Invocation = d.router.clock.newID(d.router.clock.now(), rand.Uint64())
	return end
}

var errNoDestination = errors.New("the function has no such destination any more")

// tellTo calls the func, and leaves it when limit has passed.
func (d *delivery) tellTo(to Destination, e JobEnvelope, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(d.ctx, limit, ErrTimeout)
	defer cancel()
	name := d.lease.Record.Function
	answer := make(chan error, 1)
	go func() {
		err := error(&Error{Op: "deliver", Function: name, Outcome: Exited, Err: ErrExited})
		defer func() {
			if p := recover(); p != nil {
				err = &Error{Op: "deliver", Function: name, Outcome: Panicked, Err: &PanicError{Value: p, Stack: stack()}}
			}
			answer <- err
		}()
		err = to.deliver(ctx, e)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		if d.ctx.Err() != nil {
			return &Error{Op: "deliver", Function: name, Outcome: Canceled, Err: context.Canceled}
		}
		return &Error{Op: "deliver", Function: name, Outcome: TimedOut, Err: ErrTimeout}
	}
}

// Progress tells how far the job is that the handler with this context, or a handler above
// it, is a delivery of: done of total, in a unit of the handler's own, and a note. It is
// shown in [JobInfo] until the delivery ends, and costs one call of the queue. For a
// call that belongs to no job it does nothing. The error is [ErrLease] if the job
// was given to another host: then the handler should return.
func Progress(ctx context.Context, done, total int64, note string) error {
	d := callOf(ctx).jobOf()
	if d == nil {
		return nil
	}
	return d.host.queue.Extend(viewOf(ctx), d.lease, JobProgress{Done: done, Total: total, Note: note})
}
