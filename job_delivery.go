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

// delivery is one lease of a job: from the queue to the call, and back with what follows.
// It runs on a runner, where the call is made as by any caller: through admission and a worker
// to its record. Only its provenance tells that call from others.
type delivery struct {
	router   *Router
	host     *jobHost
	lease    *JobLease // nil once it is over, of one that came from a queue in memory: see release
	work     *jobWork  // lease is in it
	hold     jobHold   // in a queue in memory
	function string    // these two as in the lease, for handlers that outlive the delivery
	origin   *JobOrigin
	policy   *jobPolicy
	pace     *jobPace      // of its function, once it has its slot
	ctx      jobContext    // of the call
	over     chan struct{} // closed when it is over; nil: see deliveryOf; guarded by host.mu

	isCalled   bool // only the call has used the lease, and it has returned
	isCanceled atomic.Bool
	outlived   bool        // it has lost its lease to a later one of this host; guarded by host.mu, as done
	abroad     atomic.Bool // it is in foreign code that nothing bounds: a carrier, an upgrade
	done       bool        // it is over
	following  *delivery   // what was leased as it was settled, for the same runner

	from   provenance    // of the call
	caller callerContext // what the call gets as its context, see context

	// What the record of the call says, see recorded.
	invocation uuid.UUID // zero: the call was not admitted
	version    string
	took       time.Duration
}

// id is the job's.
func (d *delivery) id() uuid.UUID { return d.from.job }

// run makes the delivery. The function may be inline, and its handler may call Goexit: what
// follows is deferred.
func (d *delivery) run() {
	end, ended := &d.work.end, false
	if d.lease.Lost != nil {
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

// heed ends the call when the engine says that the lease is lost.
func (d *delivery) heed() {
	select {
	case <-d.lease.Lost:
		d.ctx.end(ErrLease)
	case <-d.ctx.Done():
	}
}

// attempt makes the call, unless the job must not run.
func (d *delivery) attempt() jobEnd {
	rec := &d.lease.Record
	if end, early := rec.premature(d.policy, d.work.at); early {
		d.noteBatch(&end)
		return end
	}
	if !d.policy.overlap && d.host.isBehind(rec.ID, true) {
		return jobEnd{what: jobBehindItself}
	}
	if o := rec.Origin; o != nil && o.Delivers != "" {
		return d.tell(o.Delivers)
	}
	output, err := d.call()
	d.isCalled = err == nil
	return d.ended(output, err)
}

// ended describes how the call ended.
func (d *delivery) ended(output []byte, err error) jobEnd {
	limit := time.Duration(0)
	if err != nil {
		limit = d.timeout()
	}
	end := d.lease.Record.endOf(err, limit, jobTime())
	end.output, end.seed = output, rand.Float64()
	d.noteBatch(&end)
	end.Invocation, end.Version, end.Duration = d.invocation, d.version, d.took
	return end
}

// call calls the function, with an upgraded payload if it does not decode and there is
// something that upgrades it.
func (d *delivery) call() ([]byte, error) {
	rec := &d.lease.Record
	ctx, err := d.context(&d.ctx, &d.from)
	if err != nil {
		return nil, sendRefused(refusal(rec.Function, uuid.Nil, ReasonDenied, wrapCause(ErrDenied, err)))
	}
	out, err := d.router.Invoke(ctx, rec.calledName(), rec.Payload)
	if d.policy.upgrade == nil || d.invocation != uuid.Nil || EndOf(err, rec.calledName()).Kind != KindInvalid {
		return out, err
	}
	payload, failed := d.upgrade()
	if failed != nil {
		return nil, sendRefused(refusal(rec.Function, uuid.Nil, ReasonInput, wrapCause(ErrInput, failed)))
	}
	return d.router.Invoke(ctx, rec.calledName(), payload)
}

// noteBatch notes in the end of a delivery what it says of a batch.
func (d *delivery) noteBatch(end *jobEnd) {
	rec := &d.lease.Record
	if rec.Items == 0 || d.policy.batches == nil {
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
	failed = []int{-1} // of a panic: all
	defer func() { failed = inRange(failed, d.lease.Record.Items) }()
	defer d.router.guardHook("WithBatches", d.lease.Record.Function)
	return d.policy.batches.Failed(d.lease.Record.Payload, output)
}

// pickItems calls Pick of the function's Batches, on another goroutine: Pick may call Goexit, and
// the delivery's own goroutine has to go on and settle the job.
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
	defer d.router.guardHook("WithBatches", d.lease.Record.Function)
	picked = d.policy.batches.Pick(payload, items)
}

// upgrade calls the func of WithUpgrade.
func (d *delivery) upgrade() (payload []byte, err error) {
	d.abroad.Store(true)
	defer d.abroad.Store(false)
	defer stopPanic(&err)
	version := versionLatest
	if _, qualifier, found := strings.Cut(d.lease.Record.calledName(), ":"); found {
		version = qualifier
	}
	return d.policy.upgrade(d.lease.Record.Payload, version)
}

// context returns ctx with what the job carries, and for whom it runs. Calls with it are roots.
func (d *delivery) context(ctx context.Context, from *provenance) (context.Context, error) {
	rec := &d.lease.Record
	if rec.Origin != nil && len(rec.Origin.Carried) > 0 {
		d.abroad.Store(true)
		defer d.abroad.Store(false)
		restored, err := d.router.restore(ctx, rec.Origin.Carried)
		if err != nil {
			return nil, err
		}
		ctx = restored
	}
	d.caller = callerContext{Context: ctx, tenant: rec.Tenant, priority: rec.Priority, from: from}
	return &d.caller, nil
}

// sender is the call that sent the job, and how deep the job's calls are.
func (d *delivery) sender() (call uuid.UUID, depth int) {
	if o := d.origin; o != nil {
		return o.Invocation, o.Depth
	}
	return uuid.Nil, 0
}

// recorded notes what the record of the call says. It is called by the goroutine that settles
// the call, before that wakes the delivery's.
func (d *delivery) recorded(id uuid.UUID, version string, took time.Duration) {
	d.invocation, d.version, d.took = id, version, took
}

func (d *delivery) ranAway()      { d.host.ranAway(d.id()) }
func (d *delivery) handlerEnded() { d.host.handlerEnded(d.id()) }

// hasSlot tells the queue that the delivery has its slot. It returns false if the job must not
// run, because it was canceled, or given to another host, after it was leased.
func (d *delivery) hasSlot() bool {
	if !d.begin() {
		return false
	}
	if d.pace == nil { // else an upgraded payload is tried
		d.pace = d.host.paces.of(d.function)
		d.pace.hasBegun()
	}
	return true
}

// begin is hasSlot for a delivery that is no call.
func (d *delivery) begin() bool {
	if d.ctx.Err() != nil {
		return false
	}
	if memory := d.host.memory; memory != nil {
		return !errors.Is(memory.begin(&d.hold), memqueue.ErrLease)
	}
	return !errors.Is(d.host.queue.begin(&d.ctx, *d.lease), ErrLease)
}

// extend prolongs the lease. A lease that is lost ends the call. The queue may call Goexit.
func (d *delivery) extend() {
	if err := d.tellQueue(&d.ctx, JobProgress{}); errors.Is(err, ErrLease) {
		d.ctx.end(ErrLease)
	}
}

// tellQueue prolongs the lease, and tells the progress. Any goroutine may call it, at any time.
func (d *delivery) tellQueue(ctx context.Context, p JobProgress) error {
	if memory := d.host.memory; memory != nil {
		return memory.extend(&d.hold, p, d.function)
	}
	return d.host.queue.extend(ctx, *d.lease, p)
}

// settlement is what follows from the end of a delivery.
type settlement struct {
	end    *jobEnd
	debt   jobDebt // that rec has
	rec    *JobRecord
	follow []JobRecord
	failed bool // a write of it has failed, and may have happened all the same
	kept   bool // the queue has it
}

// finish settles the job with what follows from the end of its delivery.
func (d *delivery) finish(end *jobEnd) {
	if d.isCanceled.Load() && (end.what != jobDelivered || end.Kind != KindNone || end.Outcome != OK) {
		end.what = jobCanceled
	}
	if d.host.memory != nil {
		d.settleHere(end)
		return
	}
	rec := d.lease.Record // a copy: the lease's own is that of the queue
	s := settlement{end: end, debt: d.host.debts.take(rec.ID), rec: &rec}
	s.debt.addTo(&rec)
	s.follow = rec.goOn(end, d.policy, jobTime())
	d.settleAbroad(&s)
}

// settleHere settles the job in a queue in memory. It changes the lease's record in place into the
// job's next one: there that record belongs to the delivery.
func (d *delivery) settleHere(end *jobEnd) {
	rec, now := &d.lease.Record, end.At
	if now.IsZero() || rec.Items > 0 { // a batch has been looked at since
		now = jobTime()
	}
	end.more = &jobMore{}
	s := settlement{end: end, debt: d.host.debts.take(rec.ID), rec: rec}
	s.debt.addTo(rec)
	s.follow = rec.goOn(end, d.policy, now)
	next, err := d.host.memory.settleLease(&d.hold, rec, end.more, d.host.ready(), now, s.follow)
	if next.Token != 0 {
		d.following = d.host.takeUp(&next, now)
	}
	s.kept = err == nil
	d.conclude(&s)
	d.release()
}

// settleAbroad settles the job in a queue that is foreign code. If that calls Goexit, this
// goroutine ends, and another one goes on: else the job would stay leased for as long as a lease
// of that queue lasts, which may be for ever.
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

// conclude does what is left once the queue has the settlement or will not have it, and ends the
// delivery.
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
	if len(s.follow) > 0 && !d.host.hosts(d.router, s.follow[0].Function) {
		d.host.sweepSoon()
	}
	if s.rec.State == JobParked && d.isFree(s.rec, s.end) {
		d.router.unparkJob(id)
	}
}

// pay pays what is owed of the job, or has another goroutine pay it: later, or because the queue
// has called Goexit.
func (d *delivery) pay(id uuid.UUID) {
	left := true
	defer func() {
		if left {
			go d.host.debts.payLater(d.host.last, d.host.queue, id)
		}
	}()
	left = d.host.debts.pay(d.host.last, d.host.queue, id)
}

// debtOf is what a delivery owes that has lost its lease.
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

// settle gives the settlement to the queue, and notes whether that has it. If the engine fails
// the write is repeated: it is fenced. A write that has happened all the same is known by the
// invocation in it.
func (d *delivery) settle(s *settlement) {
	for ; ; s.failed = true {
		err := d.host.queue.settle(d.host.last, *d.lease, *s.rec, s.follow)
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

// mostTold is how many Go funcs of a function's destinations run at once in a process.
const mostTold = 32

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
	if end.Kind == KindNone {
		end.Invocation = d.router.clock.newID(d.router.clock.now(), rand.Uint64())
	}
	return end
}

var errNoDestination = errors.New("the function has no such destination any more")

// tellTo calls the func, and leaves it when limit has passed, when the lease is lost, or when
// the router is closed.
func (d *delivery) tellTo(to Destination, e JobEnvelope, limit time.Duration) error {
	seats := d.host.seatsOf(d.lease.Record.Function)
	if refused := d.takeSeat(seats); refused != nil {
		return refused
	}
	ctx, cancel := context.WithTimeoutCause(&d.ctx, limit, ErrTimeout)
	defer cancel()
	answer, over := make(chan error, 1), &atomic.Bool{}
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
		d.ranAway() // a retry waits for it
		if over.Swap(true) {
			d.handlerEnded()
		}
	}
	if d.ctx.Err() != nil {
		return &Error{Op: "deliver", Function: d.lease.Record.Function, Outcome: Canceled, Err: context.Canceled}
	}
	return &Error{Op: "deliver", Function: d.lease.Record.Function, Outcome: TimedOut, Err: ErrTimeout}
}

// takeSeat waits for one of the places that the funcs of a function's destinations have, as
// long as a call may wait for a slot. Until it has one it has not begun: so the queue gives
// one such delivery of a function and a tenant.
func (d *delivery) takeSeat(seats chan struct{}) *Error {
	name := d.lease.Record.Function
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

var errSeats = errors.New("the funcs of the function's destinations take too long")

// runFunc is the goroutine of the func.
func (d *delivery) runFunc(ctx context.Context, to Destination, e JobEnvelope, tell func(error)) {
	name := d.lease.Record.Function
	err := error(&Error{Op: "deliver", Function: name, Outcome: Exited, Err: ErrExited})
	defer func() { // by return, panic and Goexit alike
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
