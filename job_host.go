package faas

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// WithJobs sets the queue that keeps the router's jobs. The router leases jobs from it as
// soon as a function is registered, so that a queue which outlives the process has its
// jobs run without a Send. Several routers may share a queue, and none closes it.
// Default, also for nil: a queue of [NewMemoryJobs] with its default bounds, made for the
// first Send.
func WithJobs(q JobQueue) RouterOption { return jobsOption{q} }

type jobsOption struct{ queue JobQueue }

func (jobsOption) applyRouter(*routerSettings) {}

func (o jobsOption) extend(r *Router) {
	if o.queue != nil {
		r.jobs.getOr(func() jobRunner { return newJobHost(r, o.queue, true) })
	}
}

// jobHost runs a router's jobs. Its one goroutine, lease, waits for a job that is due, and
// starts a delivery for each. The queue lets it have one job of each function and tenant
// that waits for its slot, and so bounds how many deliveries wait.
type jobHost struct {
	router  *Router
	queue   *guardedJobs
	eager   bool            // it leases from the first registration on, and not only from the first Send
	ctx     context.Context //nolint:containedctx // it ends with the router, and with it all waiting
	stop    context.CancelFunc
	last    context.Context //nolint:containedctx // of settlements: it ends when Close or Shutdown waits for them no longer
	giveUp  context.CancelFunc
	changed broadcast // a delivery has ended
	debts   jobDebts
	paces   jobPaces
	runners runners                  // run the deliveries
	memory  *memoryJobs              // the queue, if it is in memory; else nil
	works   sync.Pool                // of *jobWork, see delivery.release
	leased  atomic.Pointer[[]string] // names, while the goroutine leases for all that are registered; written with mu held

	mu         sync.Mutex               // guards what follows
	leasing    bool                     // the goroutine has been started
	running    map[uuid.UUID]*delivery  // the newest of each job
	active     int                      // deliveries under way
	ending     error                    // why deliveries that begin now end at once; nil: they don't
	seats      map[string]chan struct{} // of the funcs of destinations, by function
	behind     map[uuid.UUID]*runawayJob
	names      []string           // of the functions that it leases for; nil: to be looked up
	wait       context.Context    //nolint:containedctx // of the Lease that waits; nil: a new one is to be made
	again      context.CancelFunc // ends wait, since the names have changed
	added      []string           // names that were registered since jobs were unparked
	waitsUntil time.Time          // the deadline of wait; zero: it has none
	sweep      time.Time          // when jobs that no router can run may be too old; zero: there are none

	watch      *time.Timer // prolongs leases, see watchLeases; nil: none was needed yet
	isWatching bool        // it will fire
}

// newJobHost returns the host of a router's jobs. Close stores closed before it looks for a
// host, so one that is made at that moment sees it here, or is stopped there.
func newJobHost(r *Router, q JobQueue, eager bool) *jobHost {
	j := &jobHost{
		router: r, queue: &guardedJobs{q, &r.hookGuard}, eager: eager, running: map[uuid.UUID]*delivery{}, behind: map[uuid.UUID]*runawayJob{},
		seats: map[string]chan struct{}{},
	}
	if m, ok := q.(memoryJobs); ok {
		j.memory = &m
	}
	j.ctx, j.stop = context.WithCancel(context.Background())
	context.AfterFunc(j.ctx, j.runners.dismiss)
	j.last, j.giveUp = context.WithCancel(context.Background())
	context.AfterFunc(j.last, j.watchNoMore)
	if r.closed.Load() {
		j.stop()
		j.giveUp()
	}
	return j
}

// jobHost returns the host of the router's jobs, and makes one with a queue in memory if there
// is none.
func (r *Router) jobHost() *jobHost {
	if j := r.hasJobs(); j != nil {
		return j
	}
	j, _ := r.jobs.getOr(func() jobRunner { return newJobHost(r, NewMemoryJobs(0, 0), false) }).(*jobHost)
	return j
}

// hasJobs returns the host, or nil if the router has none.
func (r *Router) hasJobs() *jobHost {
	j, _ := r.jobs.get().(*jobHost)
	return j
}

// runawayJob is a job whose handlers still run although their deliveries are over or have
// lost their leases.
type runawayJob struct {
	handlers int  // and such deliveries
	parked   bool // it was leased meanwhile, and waits for them
}

// sweepSoon has the host look for jobs that no router can run.
func (j *jobHost) sweepSoon() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sweep = jobTime()
	j.lookAgain()
}

// lookAgain has the goroutine that leases ask anew what to lease. j.mu must be held.
func (j *jobHost) lookAgain() {
	if j.again != nil {
		j.again()
		j.wait, j.again = nil, nil
	}
}

// isTimeToSweep reports whether jobs that no router can run may be too old. Until sweepAt
// it is not.
func (j *jobHost) isTimeToSweep() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	due := !j.sweep.IsZero() && !jobTime().Before(j.sweep)
	if due {
		j.sweep = time.Time{}
	}
	return due
}

// sweepBy is sweepAt, and the goroutine that leases learns of it at once.
func (j *jobHost) sweepBy(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sweep.IsZero() || at.Before(j.sweep) {
		j.sweep = at
		j.lookAgain()
	}
}

// sweepAt sets when to look again, unless that is to be sooner. The zero time is never.
func (j *jobHost) sweepAt(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !at.IsZero() && (j.sweep.IsZero() || at.Before(j.sweep)) {
		j.sweep = at
	}
}

// unparkJob lets a parked job run. If the engine fails it tries again: nothing else will.
func (r *Router) unparkJob(id uuid.UUID) {
	j := r.jobHost()
	insist(j.ctx, func() {
		for {
			rec, err := j.queue.get(j.ctx, id)
			if err == nil && rec.State == JobParked {
				err = j.queue.swap(j.ctx, rec, rec.unparked(jobTime()))
			}
			if err == nil || isGoneJob(err) || errors.Is(err, ErrClosed) || j.ctx.Err() != nil {
				return // isGoneJob: it is no longer parked
			}
			pause(j.ctx)
		}
	})
}

// jobPolicy is the policy of a job's function, or the router's if it is not registered.
func (r *Router) jobPolicy(rec *JobRecord) *jobPolicy {
	p := r.functionsJobPolicy(rec)
	if o := rec.Origin; o != nil && o.Delivers != "" {
		return p.delivering(o.Delivers)
	}
	return p
}

func (r *Router) functionsJobPolicy(rec *JobRecord) *jobPolicy {
	if fn, err := r.find("job", rec.calledName()); err == nil {
		return fn.jobs
	}
	if f := r.functions.get(rec.Function); f != nil {
		if fn := f.newest(); fn != nil {
			return fn.jobs
		}
	}
	return r.common.jobs
}

// jobOf returns the job that a call, or a call above it, is a delivery of, or nil.
func (c *callContext) jobOf() *delivery {
	for ; c != nil; c = c.parent() {
		if d, ok := c.provenance().delivers().(*delivery); ok {
			return d
		}
	}
	return nil
}

// newDelivery returns the delivery of a leased job.
func (j *jobHost) newDelivery(w *jobWork) *delivery {
	rec := &w.lease.Record
	_ = rec.answer.isKnown() // it is not: what a Wait comes after is known to the handler, see jobAnswer.wait
	d := &delivery{router: j.router, host: j, lease: &w.lease, work: w, function: rec.Function, origin: rec.Origin, policy: j.router.jobPolicy(rec)}
	d.from = provenance{job: rec.ID, delivery: rec.Deliveries + rec.Crashes + 1, attempt: rec.Attempts + 1, items: rec.Items, slip: d}
	if o := rec.Origin; o != nil {
		d.from.add(o.origin())
	}
	return d
}

// takeUp returns the delivery of a job that was leased from a queue in memory.
func (j *jobHost) takeUp(next *jobNext, at time.Time) *delivery {
	w, _ := j.works.Get().(*jobWork)
	if w == nil {
		w = &jobWork{}
	}
	w.lease.Record.unpack(&next.View)
	w.lease.Token, w.at = next.Token, at
	d := j.newDelivery(w)
	d.hold = next.Hold()
	return d
}

// jobWork is what a delivery needs until it is over.
type jobWork struct {
	lease JobLease
	at    time.Time // when it was leased
	end   jobEnd    // how it ended
}

// release lets another delivery have the work, which is much larger than what handlers keep that
// hold on to their contexts. Only a delivery whose work no other goroutine may use does it.
func (d *delivery) release() {
	if d.isCalled {
		w := d.work
		d.lease, d.work = nil, nil
		*w = jobWork{}
		d.host.works.Put(w)
	}
}

// deliver starts a delivery.
func (j *jobHost) deliver(d *delivery) {
	j.mu.Lock()
	before, ending := j.begun(d), j.ending
	j.mu.Unlock()
	d.unsettle(before, ending)
	j.runners.run(d)
}

// deliveryOf returns the delivery of a job that is under way in this process, or nil. It may be
// waited for with awaitOver.
func (j *jobHost) deliveryOf(id uuid.UUID) *delivery {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.running[id]
	if d != nil && d.over == nil {
		d.over = make(chan struct{})
	}
	return d
}

// begun notes a delivery; ended takes it back. If the job has a delivery here already, that
// one has lost its lease: begun returns it, for its call to be ended, and the job is behind
// it as behind a runaway. j.mu must be held.
func (j *jobHost) begun(d *delivery) (before *delivery) {
	id := d.id()
	before = j.running[id]
	if j.running[id] = d; before != nil {
		before.outlived = true
		j.addBehind(id)
	}
	j.active++
	j.watchLeases()
	return before
}

// unsettle ends the contexts that a delivery that has begun finds to be ended: that of the one
// before it of the same job, and its own if deliveries end at once.
func (d *delivery) unsettle(before *delivery, ending error) {
	if before != nil {
		before.ctx.end(ErrLease)
	}
	if ending != nil {
		d.ctx.end(ending)
	}
}

// watchLeases makes sure that the leases of the deliveries under way are prolonged. j.mu must be
// held.
func (j *jobHost) watchLeases() {
	if j.isWatching || j.last.Err() != nil {
		return
	}
	j.isWatching = true
	if j.watch == nil {
		j.watch = time.AfterFunc(leaseTerm/3, j.extendAll)
	} else {
		j.watch.Reset(leaseTerm / 3)
	}
}

// watchNoMore stops the timer, which would keep the router in memory.
func (j *jobHost) watchNoMore() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.watch != nil {
		j.watch.Stop()
	}
}

// extendAll prolongs the leases, each on a goroutine of its own, since the queue may be slow.
// It runs on the timer's goroutine.
func (j *jobHost) extendAll() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.isWatching = false
	for _, d := range j.running {
		j.watchLeases()
		go d.extend()
	}
}

// endAll ends the contexts of all deliveries but own, also of those that begin later.
func (j *jobHost) endAll(own *delivery) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ending = ErrClosed
	for _, d := range j.running {
		if d != own {
			d.ctx.end(ErrClosed)
		}
	}
}

// ended also notes d.following as begun, in the same step: so at no moment nothing seems to be
// under way.
func (j *jobHost) ended(d *delivery) {
	id, before := d.id(), (*delivery)(nil)
	if d.pace != nil {
		d.pace.hasEnded(d.took, d.invocation != uuid.Nil)
	}
	j.mu.Lock()
	d.done = true
	j.active--
	if j.running[id] == d {
		delete(j.running, id)
	}
	if d.following != nil {
		before = j.begun(d.following)
	}
	outlived, over, ending := d.outlived, d.over, j.ending
	j.mu.Unlock()
	if outlived {
		j.handlerEnded(id)
	}
	if d.following != nil {
		d.following.unsettle(before, ending)
	}
	if over != nil {
		close(over)
	}
	j.changed.tell()
}

// isBehind reports whether handlers of a job still run. If park is true the job waits for
// them: handlerEnded lets it run.
func (j *jobHost) isBehind(id uuid.UUID, park bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.behind[id]
	if b == nil {
		return false
	}
	b.parked = b.parked || park
	return true
}

// ranAway notes that a delivery is over while its handler runs.
func (j *jobHost) ranAway(id uuid.UUID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.addBehind(id)
}

// addBehind is ranAway with j.mu held.
func (j *jobHost) addBehind(id uuid.UUID) {
	if j.behind[id] == nil {
		j.behind[id] = &runawayJob{}
	}
	j.behind[id].handlers++
}

// handlerEnded notes that such a handler has returned.
func (j *jobHost) handlerEnded(id uuid.UUID) {
	j.mu.Lock()
	b := j.behind[id]
	b.handlers--
	if b.handlers == 0 {
		delete(j.behind, id)
	}
	parked := b.handlers == 0 && b.parked
	j.mu.Unlock()
	if parked {
		go j.router.unparkJob(id) // the queue may be slow, and this is the handler's goroutine
	}
}

// others returns how many deliveries are under way, without own; here only those that nothing
// foreign holds up.
func (j *jobHost) others(own *delivery, here bool) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.active
	if own != nil && !own.done {
		n--
	}
	for _, d := range j.running {
		if here && d != own && d.abroad.Load() {
			n--
		}
	}
	return n
}

// await returns when no delivery but own is under way, or when ctx ends. See others for here.
func (j *jobHost) await(ctx context.Context, own *delivery, here bool) {
	for changed := j.changed.wait(); j.others(own, here) > 0; changed = j.changed.wait() {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// seatsOf returns the places for funcs of a function's destinations.
func (j *jobHost) seatsOf(name string) chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.seats[name] == nil {
		j.seats[name] = make(chan struct{}, mostTold)
	}
	return j.seats[name]
}

// ready returns the names of the functions that may be leased for at this moment: nil once the
// host leases no more, or before its goroutine has looked them up.
func (j *jobHost) ready() []string {
	names := j.leased.Load()
	if names == nil || j.ctx.Err() != nil {
		return nil
	}
	return *names
}

// hosts reports whether jobs of that name are leased here.
func (j *jobHost) hosts(r *Router, name string) bool {
	names := j.ready()
	if names == nil {
		j.mu.Lock()
		names = j.names
		j.mu.Unlock()
	}
	if names != nil {
		_, found := slices.BinarySearch(names, name)
		return found
	}
	return r.functions.get(name) != nil
}

// timeout is how long the handler may run.
func (d *delivery) timeout() time.Duration {
	fn, err := d.router.find("job", d.lease.Record.calledName())
	if err != nil { // its version is not here
		return d.from.shorten(d.router.common.timeout)
	}
	return d.from.shorten(fn.timeout)
}

// patience is how long a call of the job's function may wait for a slot.
func (d *delivery) patience() time.Duration {
	if fn, err := d.router.find("job", d.lease.Record.calledName()); err == nil {
		return fn.queueTimeout
	}
	return d.router.common.timeout
}
