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

	"github.com/inproc/faas/internal/memqueue"
)

// delivery is one lease of a job, from the moment the job is leased until the queue has the job's next
// record. The function is called as any caller calls it, through admission and a worker, and has a record.
// Only the call's provenance shows that it belongs to a job.
// WithOverlap says when two deliveries of a job may run at once; see attempt and jobHost.begun.
type delivery struct {
	host     *jobHost
	work     *jobWork // what only the delivery itself needs; nil after release
	hold     jobHold  // the lease as a queue in memory takes it
	function string   // function and origin are copies from the lease: a handler may outlive the delivery and need them after release
	origin   *JobOrigin
	ctx      jobContext    // the context with which the function is called
	over     chan struct{} // closed when the delivery is over; nil until deliveryOf makes it; guarded by host.mu

	isCanceled atomic.Bool // Job.Cancel was called
	abroad     atomic.Bool // foreign code without a time limit runs: a carrier, WithUpgrade's func, Batches
	isCalled   bool        // the call has returned without an error, so no other goroutine uses work any more
	outlived   bool        // a later delivery of the same job has begun in this host; guarded by host.mu
	done       bool        // the delivery is over; guarded by host.mu
	following  *delivery   // of the job that was leased in the step that settled this one; the same runner runs it next

	from   provenance    // of the call: where it comes from
	caller callerContext // what context returns
}

// id returns the job's ID.
func (d *delivery) id() uuid.UUID { return d.from.job }

// run calls the function and settles the job. It settles in a defer: the handler of an inline function may call
// Goexit.
func (d *delivery) run() {
	end, ended := &d.work.end, false
	if d.work.lease.Lost != nil {
		go d.heed()
	}
	defer func() {
		if !ended {
			*end = d.ended(nil, &Error{Op: "invoke", Function: d.function, Outcome: Exited, Err: ErrExited})
		}
		d.finish(end)
	}()
	*end = d.attempt()
	ended = true
}

// heed ends the call's context when the queue closes Lost. It returns when that context has ended.
func (d *delivery) heed() {
	select {
	case <-d.work.lease.Lost:
		d.ctx.end(ErrLease)
	case <-d.ctx.Done():
	}
}

// attempt makes the call, or returns why the job must not run.
func (d *delivery) attempt() jobEnd {
	rec := &d.work.lease.Record
	if end, early := rec.premature(d.work.policy, d.work.at); early {
		d.noteBatch(&end)
		return end
	}
	if !d.work.policy.overlap && d.host.isBehind(rec.ID, true) {
		return jobEnd{what: jobBehindItself}
	}
	if o := rec.Origin; o != nil && o.Delivers != "" {
		return d.tell(o.Delivers)
	}
	output, err := d.call()
	d.isCalled = err == nil
	return d.ended(output, err)
}

// ended describes the end of a call that has returned output and err.
func (d *delivery) ended(output []byte, err error) jobEnd {
	limit := time.Duration(0)
	if err != nil {
		limit = d.timeout()
	}
	end := d.work.lease.Record.endOf(err, limit, jobTime())
	end.output, end.seed = output, rand.Float64()
	d.noteBatch(&end)
	end.Invocation, end.Version, end.Duration = d.work.invocation, d.work.version, d.work.took
	return end
}

// call calls the function. If the payload does not decode, it calls once more, with the payload that [WithUpgrade]'s
// func returns.
func (d *delivery) call() ([]byte, error) {
	rec := &d.work.lease.Record
	ctx, err := d.context(&d.ctx, &d.from)
	if err != nil {
		return nil, sendRefused(refusal(rec.Function, uuid.Nil, ReasonDenied, wrapCause(ErrDenied, err)))
	}
	out, err := d.host.router.Invoke(ctx, rec.calledName(), rec.Payload)
	if d.work.policy.upgrade == nil || d.work.invocation != uuid.Nil || EndOf(err, rec.calledName()).Kind != KindInvalid {
		return out, err
	}
	payload, failed := d.upgrade()
	if failed != nil {
		return nil, sendRefused(refusal(rec.Function, uuid.Nil, ReasonInput, wrapCause(ErrInput, failed)))
	}
	return d.host.router.Invoke(ctx, rec.calledName(), payload)
}

// noteBatch notes in end which items of a batch have failed. It does nothing for a job that is no batch.
func (d *delivery) noteBatch(end *jobEnd) {
	rec := &d.work.lease.Record
	if rec.Items == 0 || d.work.policy.batches == nil {
		return
	}
	end.batch.pick = d.pickItems
	if end.what == jobDelivered && end.Kind == KindNone && end.Outcome == OK {
		end.batch.failed = d.failedItems(end.output)
	}
}

// failedItems calls Failed of the function's Batches.
func (d *delivery) failedItems(output []byte) (failed []int) {
	d.abroad.Store(true)
	defer d.abroad.Store(false)
	failed = []int{-1} // if Failed panics: an index out of range stands for all items
	defer func() { failed = inRange(failed, d.work.lease.Record.Items) }()
	defer d.host.router.guardHook("WithBatches", d.work.lease.Record.Function)
	return d.work.policy.batches.Failed(d.work.lease.Record.Payload, output)
}

// pickItems calls Pick of the function's Batches on another goroutine: Pick may call Goexit, and this one settles the
// job.
func (d *delivery) pickItems(payload []byte, items []int) []byte {
	d.abroad.Store(true)
	defer d.abroad.Store(false)
	picked := make(chan []byte, 1)
	go d.callPick(payload, items, picked)
	return <-picked
}

func (d *delivery) callPick(payload []byte, items []int, to chan<- []byte) {
	var picked []byte
	defer func() { to <- picked }()
	defer d.host.router.guardHook("WithBatches", d.work.lease.Record.Function)
	picked = d.work.policy.batches.Pick(payload, items)
}

// upgrade calls the func of WithUpgrade with the payload and the version that the job's sender named.
func (d *delivery) upgrade() (payload []byte, err error) {
	d.abroad.Store(true)
	defer d.abroad.Store(false)
	defer stopPanic(&err)
	version := versionLatest
	if _, qualifier, found := strings.Cut(d.work.lease.Record.calledName(), ":"); found {
		version = qualifier
	}
	return d.work.policy.upgrade(d.work.lease.Record.Payload, version)
}

// context returns ctx with what carriers restore, and the job's tenant and priority. Calls with it have no parent call.
func (d *delivery) context(ctx context.Context, from *provenance) (context.Context, error) {
	rec := &d.work.lease.Record
	if rec.Origin != nil && len(rec.Origin.Carried) > 0 {
		d.abroad.Store(true)
		defer d.abroad.Store(false)
		restored, err := d.host.router.restore(ctx, rec.Origin.Carried)
		if err != nil {
			return nil, err
		}
		ctx = restored
	}
	d.caller = callerContext{Context: ctx, heritage: heritage{tenant: rec.Tenant, priority: rec.Priority, from: from}}
	return &d.caller, nil
}

// sender returns the call that sent the job (zero: none did), and the depth of the job's calls.
func (d *delivery) sender() (call uuid.UUID, depth int) {
	if o := d.origin; o != nil {
		return o.Invocation, o.Depth
	}
	return uuid.Nil, 0
}

// recorded copies what the record of the call says. The goroutine that settles the call runs it before it
// wakes the delivery's goroutine, which therefore sees the fields.
func (d *delivery) recorded(id uuid.UUID, version string, took time.Duration) {
	d.work.invocation, d.work.version, d.work.took = id, version, took
}

func (d *delivery) ranAway()      { d.host.ranAway(d.id()) }
func (d *delivery) handlerEnded() { d.host.handlerEnded(d.id()) }

// hasSlot reports to the queue that the call has its slot. It returns false if the job must not run, because it
// was canceled or lost its lease since it was leased.
func (d *delivery) hasSlot() bool {
	if !d.begin() {
		return false
	}
	if d.work.pace == nil { // otherwise this is the second call, with an upgraded payload
		d.work.pace = d.host.paces.of(d.function)
		d.work.pace.hasBegun()
	}
	return true
}

// begin is hasSlot for a delivery to a Go func, which makes no call.
func (d *delivery) begin() bool {
	if d.ctx.Err() != nil {
		return false
	}
	if memory := d.host.memory; memory != nil {
		return !errors.Is(memory.begin(&d.hold), memqueue.ErrLease)
	}
	return !errors.Is(d.host.queue.begin(&d.ctx, d.work.lease), ErrLease)
}

// extend prolongs the lease, and ends the call if the lease is lost. The queue may call Goexit in it.
func (d *delivery) extend() {
	if err := d.tellQueue(&d.ctx, JobProgress{}); errors.Is(err, ErrLease) {
		d.ctx.end(ErrLease)
	}
}

// tellQueue prolongs the lease; a p that is not zero sets the progress. Any goroutine may call it, at any time.
func (d *delivery) tellQueue(ctx context.Context, p JobProgress) error {
	if memory := d.host.memory; memory != nil {
		return memory.extend(&d.hold, p, d.function)
	}
	return d.host.queue.extend(ctx, d.work.lease, p)
}

// settlement is what a delivery writes to the queue when it ends.
type settlement struct {
	end    *jobEnd     // how the delivery ended
	debt   jobDebt     // of earlier deliveries; rec includes it
	rec    *JobRecord  // the job's next record
	follow []JobRecord // the jobs that follow from it
	failed bool        // a write of it returned an error, but the queue may have stored it
	kept   bool        // the queue has stored it
}

// finish works out the job's next record from the end of the delivery, and gives it to the queue.
func (d *delivery) finish(end *jobEnd) {
	if d.isCanceled.Load() && (end.what != jobDelivered || end.Kind != KindNone || end.Outcome != OK) {
		end.what = jobCanceled
	}
	if d.host.memory != nil {
		d.settleHere(end)
		return
	}
	rec := d.work.lease.Record // a copy, since a record that a queue has returned is never changed
	s := settlement{end: end, debt: d.host.debts.take(rec.ID), rec: &rec}
	s.debt.addTo(&rec)
	s.follow = rec.goOn(end, d.work.policy, jobTime())
	d.settleAbroad(&s)
}

// settleHere settles the job in a queue in memory. It turns the lease's record into the job's next record in
// place, without a copy: takeUp made that record for this delivery alone.
func (d *delivery) settleHere(end *jobEnd) {
	rec, now := &d.work.lease.Record, end.At
	if now.IsZero() || rec.Items > 0 { // zero: no call was made; for a batch, Failed has run since
		now = jobTime()
	}
	end.more = &jobMore{}
	s := settlement{end: end, debt: d.host.debts.take(rec.ID), rec: rec}
	s.debt.addTo(rec)
	s.follow = rec.goOn(end, d.work.policy, now)
	next, err := d.host.memory.settleLease(&d.hold, rec, end.more, d.host.ready(), now, s.follow)
	if next.Token != 0 {
		d.following = d.host.takeUp(&next, now)
	}
	s.kept = err == nil
	d.conclude(&s)
	d.release()
}

// settleAbroad settles the job in a queue that is foreign code. If the queue calls Goexit, this goroutine
// ends, and another one tries again after a pause. Otherwise the job would stay leased as long as a lease of
// that queue lasts, perhaps for ever.
func (d *delivery) settleAbroad(s *settlement) {
	returned := false
	defer func() {
		if returned || d.host.last.Err() != nil {
			d.conclude(s)
			return
		}
		s.failed = true
		go func() {
			pause(d.host.last)
			d.settleAbroad(s)
		}()
	}()
	d.settle(s)
	returned = true
}

// conclude ends the delivery, once the queue has stored the settlement or has refused it for good.
func (d *delivery) conclude(s *settlement) {
	defer d.host.ended(d)
	defer d.ctx.end(nil)
	id, debts := s.rec.ID, &d.host.debts
	if !s.kept {
		s.debt.add(d.debtOf(s.end))
		debts.owe(id, s.debt)
	}
	defer d.pay(id)
	if !s.kept {
		return
	}
	if len(s.follow) > 0 && !d.host.hosts(d.host.router, s.follow[0].Function) {
		d.host.sweepSoon()
	}
	if s.rec.State == JobParked && d.isFree(s.rec, s.end) {
		d.host.router.unparkJob(id)
	}
}

// pay writes the job's debt into its record. A new goroutine does it later if the job has not ended yet, or
// if the queue calls Goexit.
func (d *delivery) pay(id uuid.UUID) {
	left := true
	defer func() {
		if left {
			go d.host.debts.payLater(d.host.last, d.host.queue, id)
		}
	}()
	left = d.host.debts.pay(d.host.last, d.host.queue, id)
}

// debtOf returns the debt of a delivery that has lost its lease.
func (d *delivery) debtOf(end *jobEnd) jobDebt {
	if end.Invocation == uuid.Nil {
		return jobDebt{}
	}
	debt, last := jobDebt{used: end.Duration}, end.JobEnd
	if debt.last = &last; d.isCanceled.Load() {
		debt.deliveries = 1
	}
	return debt
}

// settle writes the settlement, and notes in s.kept whether the queue has stored it. It repeats the write
// while the engine fails; the lease fences each write. ErrLease after a failure may mean that the failed
// write was stored: then the record in the queue has this delivery's invocation.
func (d *delivery) settle(s *settlement) {
	for ; ; s.failed = true {
		err := d.host.queue.settle(d.host.last, d.work.lease, *s.rec, s.follow)
		switch {
		case err == nil:
			s.kept = true
			return
		case errors.Is(err, ErrLease) && s.failed:
			had, err := d.host.queue.get(d.host.last, s.rec.ID)
			s.kept = err == nil && had.Last != nil && s.rec.Last != nil && had.Last.Invocation == s.rec.Last.Invocation
			return
		case errors.Is(err, ErrLease), errors.Is(err, ErrClosed), d.host.last.Err() != nil:
			return
		}
		pause(d.host.last)
	}
}

// isFree reports whether what a job was parked for has happened while it was being parked.
func (d *delivery) isFree(rec *JobRecord, end *jobEnd) bool {
	switch {
	case end.what == jobBehindItself:
		return !d.host.isBehind(rec.ID, true)
	case end.Kind == KindNotFound:
		_, err := d.host.router.find("job", rec.calledName())
		return err == nil
	}
	return false
}

// mostTold is how many Go funcs of one function's destinations run at once in a process.
const mostTold = 32

// tell gives the end of another job to the Go func of a destination, success or failure by which.
func (d *delivery) tell(which string) jobEnd {
	to := d.work.policy.destination(which)
	limit := cmp.Or(to.timeout, d.timeout())
	var e JobEnvelope
	err := json.Unmarshal(d.work.lease.Record.Payload, &e)
	switch {
	case err != nil:
		err = Permanent(err)
	case to.deliver == nil:
		err = errNoDestination
	default:
		err = d.tellTo(to, e, limit)
	}
	end := d.work.lease.Record.endOf(err, limit, jobTime())
	end.seed = rand.Float64()
	if end.Kind == KindNone {
		end.Invocation = d.host.router.clock.newID(d.host.router.clock.now(), rand.Uint64())
	}
	return end
}

var errNoDestination = errors.New("the function no longer has this destination")

// tellTo calls the Go func on another goroutine. When limit has passed, the lease is lost or the router is
// closed, tellTo returns and leaves the func running.
func (d *delivery) tellTo(to Destination, e JobEnvelope, limit time.Duration) error {
	seats := d.host.seatsOf(d.work.lease.Record.Function)
	if refused := d.takeSeat(seats); refused != nil {
		return refused
	}
	ctx, cancel := context.WithTimeoutCause(&d.ctx, limit, ErrTimeout)
	defer cancel()
	answer, over := make(chan error, 1), &atomic.Bool{} // over: the func has returned, or was left; the second of the two calls handlerEnded
	go d.runFunc(ctx, to, e, func(err error) {
		answer <- err
		if over.Swap(true) {
			d.handlerEnded()
		}
		<-seats
	})
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		d.ranAway() // a retry waits until the func has returned
		if over.Swap(true) {
			d.handlerEnded()
		}
	}
	if d.ctx.Err() != nil {
		return &Error{Op: "deliver", Function: d.work.lease.Record.Function, Outcome: Canceled, Err: context.Canceled}
	}
	return &Error{Op: "deliver", Function: d.work.lease.Record.Function, Outcome: TimedOut, Err: ErrTimeout}
}

// takeSeat waits for one of the mostTold seats for Go funcs of the function's destinations, at most as long
// as a call may wait for a slot. It calls begin only then, so the queue leases no second delivery of this
// function and tenant before, and at most one waits here.
func (d *delivery) takeSeat(seats chan struct{}) *Error {
	name := d.work.lease.Record.Function
	wait := time.NewTimer(d.patience())
	defer wait.Stop()
	select {
	case seats <- struct{}{}:
	case <-wait.C:
		return refusal(name, uuid.Nil, ReasonQueueTimeout, wrapCause(ErrOverloaded, errSeats))
	case <-d.ctx.Done():
		return refusal(name, uuid.Nil, ReasonQueueCanceled, context.Canceled)
	}
	begun := false
	defer func() { // the queue may call Goexit
		if !begun {
			<-seats
		}
	}()
	if begun = d.begin(); !begun {
		return refusal(name, uuid.Nil, ReasonQueueCanceled, wrapCause(context.Canceled, ErrLease))
	}
	return nil
}

// patience returns how long a call of the job's function may wait for a slot.
func (d *delivery) patience() time.Duration {
	if fn, err := d.host.router.find("job", d.work.lease.Record.calledName()); err == nil {
		return fn.queueTimeout
	}
	return d.host.router.common.timeout
}

var errSeats = errors.New("the Go funcs of the function's destinations are all busy")

// runFunc is the goroutine of the Go func.
func (d *delivery) runFunc(ctx context.Context, to Destination, e JobEnvelope, tell func(error)) {
	name := d.work.lease.Record.Function
	err := error(&Error{Op: "deliver", Function: name, Outcome: Exited, Err: ErrExited})
	defer func() { // runs after a return, a panic or a Goexit of the func
		if p := recover(); p != nil {
			err = &Error{Op: "deliver", Function: name, Outcome: Panicked, Err: &PanicError{Value: p, Stack: stack()}}
		}
		tell(err)
	}()
	own, denied := d.context(ctx, d.from.inherit())
	if denied != nil {
		err = refusal(name, uuid.Nil, ReasonDenied, wrapCause(ErrDenied, denied))
		return
	}
	err = to.deliver(own, e)
}
