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

// WithJobs sets the queue that keeps the router's jobs. The router leases jobs from q as soon as a
// function is registered, without waiting for a Send: a queue that outlives the process may already
// have jobs to run. Several routers may share a queue, and no router closes it. Default, also for nil:
// a queue of [NewMemoryJobs] with its default bounds, made for the first Send.
func WithJobs(q JobQueue) RouterOption { return jobsOption{q} }

type jobsOption struct{ queue JobQueue }

func (jobsOption) applyRouter(*routerSettings) {}

func (o jobsOption) extend(r *Router) {
	if o.queue != nil {
		r.jobs.getOr(func() jobRunner { return newJobHost(r, o.queue, true) })
	}
}

// jobHost runs a router's jobs. Its one goroutine, leaseJobs, leases each job that can run and starts a
// delivery for it. A queue leases no second job of a function and tenant while one waits for its slot;
// this bounds how many deliveries wait.
type jobHost struct {
	router  *Router
	queue   *guardedJobs
	eager   bool            // lease from the first registration on; false: from the first Send on
	ctx     context.Context //nolint:containedctx // ends when the host stops leasing; it ends all waits for jobs
	stop    context.CancelFunc
	last    context.Context //nolint:containedctx // for settlements; ends when Close or Shutdown stops waiting for them
	giveUp  context.CancelFunc
	changed broadcast // wakes the goroutines that wait for the end of a delivery
	debts   jobDebts
	paces   jobPaces
	runners runners                  // the goroutines that run the deliveries
	memory  *memoryJobs              // the queue, if it is in memory; otherwise nil
	waits   sync.Pool                // of *jobWaiter, see awaitAnswer
	works   sync.Pool                // of *jobWork, see delivery.release
	leased  atomic.Pointer[[]string] // a copy of names; nil: none are leased for, or names is out of date; written with mu held

	mu         sync.Mutex                // guards what follows
	leasing    bool                      // leaseJobs has been started
	running    map[uuid.UUID]*delivery   // the newest delivery of each job
	active     int                       // deliveries that have begun and not ended
	ending     error                     // set: each delivery ends as it begins, for this cause
	seats      map[string]chan struct{}  // for the Go funcs of destinations, by function; see seatsOf
	behind     map[uuid.UUID]*runawayJob // the jobs whose earlier handlers still run
	names      []string                  // the functions to lease for; nil: hosted looks them up
	wait       context.Context           //nolint:containedctx // the context of the Lease that waits; nil: hosted makes one
	again      context.CancelFunc        // ends wait, so that leaseJobs calls Lease with new names
	added      []string                  // names that were registered and whose parked jobs are not unparked yet
	waitsUntil time.Time                 // the deadline of wait; zero: it has none
	sweep      time.Time                 // when to look for jobs that no router can run and that are too old; zero: never

	watch      *time.Timer // its goroutine runs extendAll; nil: never needed yet
	isWatching bool        // watch is set and has not fired
}

// newJobHost returns the host of a router's jobs. Close sets r.closed first and then looks for a host.
// So a host that is made while Close runs either sees closed here, or is found and stopped by Close.
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

// jobHost returns the host of the router's jobs. If there is none, it makes one with a queue in memory.
func (r *Router) jobHost() *jobHost {
	if j := r.hasJobs(); j != nil {
		return j
	}
	j, _ := r.jobs.getOr(func() jobRunner { return newJobHost(r, NewMemoryJobs(0, 0), false) }).(*jobHost)
	return j
}

// hasJobs returns the host, or nil if there is none.
func (r *Router) hasJobs() *jobHost {
	j, _ := r.jobs.get().(*jobHost)
	return j
}

// runawayJob counts the handlers of a job that outlive their deliveries, and its deliveries that have
// lost their leases.
type runawayJob struct {
	handlers int  // of such handlers and deliveries together
	parked   bool // the job was leased again, and is parked until handlers is 0
}

// sweepSoon makes the goroutine of leaseJobs look at once for jobs that no router can run.
func (j *jobHost) sweepSoon() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sweep = jobTime()
	j.lookAgain()
}

// lookAgain ends the Lease that waits, so that leaseJobs begins anew with the names and the time of
// j.sweep as they are then. j.mu must be held.
func (j *jobHost) lookAgain() {
	if j.again != nil {
		j.again()
		j.wait, j.again = nil, nil
	}
}

// isTimeToSweep reports whether j.sweep has come, and clears it. It returns false from then on until
// the field is set again.
func (j *jobHost) isTimeToSweep() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	due := !j.sweep.IsZero() && !jobTime().Before(j.sweep)
	if due {
		j.sweep = time.Time{}
	}
	return due
}

// sweepBy is sweepAt for other goroutines than that of leaseJobs, whose Lease it ends.
func (j *jobHost) sweepBy(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sweep.IsZero() || at.Before(j.sweep) {
		j.sweep = at
		j.lookAgain()
	}
}

// sweepAt sets j.sweep to at, unless an earlier time is set. The zero time changes nothing.
func (j *jobHost) sweepAt(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !at.IsZero() && (j.sweep.IsZero() || at.Before(j.sweep)) {
		j.sweep = at
	}
}

// unparkJob makes a parked job ready. It repeats this while the engine fails, since no other code would
// unpark the job.
func (r *Router) unparkJob(id uuid.UUID) {
	j := r.jobHost()
	insist(j.ctx, func() {
		for {
			rec, err := j.queue.get(j.ctx, id)
			if err == nil && rec.State == JobParked {
				err = j.queue.swap(j.ctx, rec, rec.unparked(jobTime()))
			}
			if err == nil || isGoneJob(err) || errors.Is(err, ErrClosed) || j.ctx.Err() != nil {
				return // isGoneJob: the record was changed, so the job is no longer parked
			}
			pause(j.ctx)
		}
	})
}

// jobPolicy returns the policy of a job's function, or the router's if the function is not registered.
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

// jobOf returns the delivery to which the call, or a call above it, belongs; nil: none.
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
	_ = rec.answer.isKnown() // only for its atomic load: it orders this delivery after a Wait, see jobAnswer.wait
	w.policy = j.router.jobPolicy(rec)
	d := &delivery{host: j, work: w, function: rec.Function, origin: rec.Origin}
	d.from = provenance{job: rec.ID, delivery: rec.Deliveries + rec.Crashes + 1, attempt: rec.Attempts + 1, items: rec.Items, slip: d}
	if o := rec.Origin; o != nil {
		d.from.add(o.origin())
	}
	return d
}

// takeUp returns the delivery of a job that a queue in memory has leased.
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

// jobWork is the large part of a delivery, which is needed only until the delivery is over.
type jobWork struct {
	lease  JobLease
	at     time.Time // when it was leased
	policy *jobPolicy
	pace   *jobPace // the function's pace; nil until the delivery has its slot
	end    jobEnd   // how it ended

	// Copied from the record of the call by recorded.
	invocation uuid.UUID // zero: no call was admitted
	version    string
	took       time.Duration
}

// release returns the delivery's work to a pool, if no other goroutine can use it. A handler may keep its
// context, and with it the delivery; the work, which is much larger, then serves another delivery.
func (d *delivery) release() {
	if d.isCalled {
		w := d.work
		d.work = nil
		*w = jobWork{}
		d.host.works.Put(w)
	}
}

// deliver starts a delivery on a runner.
func (j *jobHost) deliver(d *delivery) {
	j.mu.Lock()
	before, ending := j.begun(d), j.ending
	j.mu.Unlock()
	d.unsettle(before, ending)
	j.runners.run(d)
}

// deliveryOf returns the delivery of a job that is under way in this process, or nil. awaitOver can wait
// for its end.
func (j *jobHost) deliveryOf(id uuid.UUID) *delivery {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.running[id]
	if d != nil && d.over == nil {
		d.over = make(chan struct{})
	}
	return d
}

// begun counts a delivery as under way, until ended. If the job has a delivery here already, that one has
// lost its lease: begun returns it as before, and the caller of begun must end its call. The job's next
// attempt then waits until the handler of that earlier delivery has returned, as it does for a runaway.
// j.mu must be held.
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

// unsettle ends the context of the earlier delivery that begun has returned, and that of d if deliveries
// end as they begin.
func (d *delivery) unsettle(before *delivery, ending error) {
	if before != nil {
		before.ctx.end(ErrLease)
	}
	if ending != nil {
		d.ctx.end(ending)
	}
}

// watchLeases sets the timer that prolongs the leases of the deliveries under way, if it is not set. j.mu
// must be held.
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

// watchNoMore stops the timer, since a timer that is set keeps the router in memory.
func (j *jobHost) watchNoMore() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.watch != nil {
		j.watch.Stop()
	}
}

// extendAll prolongs the leases. It runs on the timer's goroutine, and each extend on a goroutine of its
// own, since the queue may be slow.
func (j *jobHost) extendAll() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.isWatching = false
	for _, d := range j.running {
		j.watchLeases()
		go d.extend()
	}
}

// endAll ends the contexts of all deliveries but own, and of those that begin later.
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

// ended counts a delivery as over. In the same critical section it counts d.following as begun, so that the
// number of deliveries under way does not drop to zero in between.
func (j *jobHost) ended(d *delivery) {
	id, before := d.id(), (*delivery)(nil)
	if d.work.pace != nil {
		d.work.pace.hasEnded(d.work.took, d.work.invocation != uuid.Nil)
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

// isBehind reports whether earlier handlers of a job still run. If so and park is true, the caller parks
// the job, and handlerEnded unparks it.
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

// ranAway notes that a handler runs although its delivery is over.
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

// handlerEnded notes that a handler of ranAway or addBehind has returned. The last one unparks the job.
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

// others returns how many deliveries are under way, without own. If here is true, it leaves out those in
// which foreign code runs without a time limit: see delivery.abroad.
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

// await returns when no delivery but own is under way, or when ctx ends. For here see others.
func (j *jobHost) await(ctx context.Context, own *delivery, here bool) {
	for changed := j.changed.wait(); j.others(own, here) > 0; changed = j.changed.wait() {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// seatsOf returns a function's seats: a channel with room for one value for each Go func of a destination
// that may run at once.
func (j *jobHost) seatsOf(name string) chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.seats[name] == nil {
		j.seats[name] = make(chan struct{}, mostTold)
	}
	return j.seats[name]
}

// ready returns the names of the functions for which jobs may be leased at this moment. It returns nil when
// the host leases no more, or while the names are not looked up.
func (j *jobHost) ready() []string {
	names := j.leased.Load()
	if names == nil || j.ctx.Err() != nil {
		return nil
	}
	return *names
}

// hosts reports whether this host leases jobs of the named function.
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

// timeout returns how long the handler may run.
func (d *delivery) timeout() time.Duration {
	fn, err := d.host.router.find("job", d.work.lease.Record.calledName())
	if err != nil { // the version that the job names is not registered here
		return d.from.shorten(d.host.router.common.timeout)
	}
	return d.from.shorten(fn.timeout)
}
