package faas

import (
	"context"
	"errors"
	"slices"
	"sync"
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

// queuePause is how long the router waits after an error of the queue.
const queuePause = time.Second

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

	mu      sync.Mutex               // guards what follows
	leasing bool                     // the goroutine has been started
	running map[uuid.UUID]*delivery  // the newest of each job
	active  int                      // deliveries under way
	ending  error                    // why deliveries that begin now end at once; nil: they don't
	seats   map[string]chan struct{} // of the funcs of destinations, by function
	behind  map[uuid.UUID]*runawayJob
	names   []string           // of the functions that it leases for; nil: to be looked up
	again   context.CancelFunc // ends the Lease that waits, since the names have changed
	added   []string           // names that were registered since jobs were unparked
	sweep   time.Time          // when jobs that no router can run may be too old; zero: there are none
}

// newJobHost returns the host of a router's jobs. Close stores closed before it looks for a
// host, so one that is made at that moment sees it here, or is stopped there.
func newJobHost(r *Router, q JobQueue, eager bool) *jobHost {
	j := &jobHost{
		router: r, queue: &guardedJobs{q, &r.hookGuard}, eager: eager, running: map[uuid.UUID]*delivery{}, behind: map[uuid.UUID]*runawayJob{},
		seats: map[string]chan struct{}{},
	}
	j.ctx, j.stop = context.WithCancel(context.Background())
	j.last, j.giveUp = context.WithCancel(context.Background())
	if r.closed.Load() {
		j.stop()
		j.giveUp()
	}
	return j
}

// jobHost returns the host of the router's jobs, and makes one with a queue in memory if there
// is none.
func (r *Router) jobHost() *jobHost {
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
	if j.again != nil {
		j.again()
		j.again = nil
	}
}

// pause waits before the queue is asked again.
func pause(ctx context.Context) {
	t := time.NewTimer(queuePause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
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

// sweepAt sets when to look again, unless that is to be sooner. The zero time is never.
func (j *jobHost) sweepAt(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !at.IsZero() && (j.sweep.IsZero() || at.Before(j.sweep)) {
		j.sweep = at
	}
}

// unparkJob lets a parked job run.
func (r *Router) unparkJob(id uuid.UUID) {
	rec, err := r.jobHost().queue.get(r.jobHost().ctx, id)
	if err == nil && rec.State == JobParked {
		_ = r.jobHost().queue.swap(r.jobHost().ctx, rec, rec.unparked(jobTime())) // refused: it is no longer parked
	}
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

// awaitJob waits until a job is settled.
func (r *Router) awaitJob(ctx context.Context, id uuid.UUID, inside *callContext) (JobRecord, error) {
	queue := r.jobHost().queue
	rec, err := queue.get(ctx, id)
	switch {
	case err != nil || rec.State.IsSettled():
		return rec, err
	case inside != nil && !inside.isOver():
		return rec, usageError("wait", rec.calledName(), ErrCycle, "a handler must not wait for a job that has not ended: its slot would wait for the queue")
	}
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.jobHost().ctx, cancel)()
	for err == nil && !rec.State.IsSettled() {
		rec, err = queue.watch(watch, id, rec.Revision)
	}
	switch {
	case err == nil:
		return rec, nil
	case ctx.Err() != nil:
		return rec, contextEnd(ctx)
	case watch.Err() != nil:
		return rec, usageError("wait", rec.calledName(), ErrClosed, "the job has not ended, and does not in this process")
	}
	return rec, err
}

// cancelJob is Job.Cancel.
func (r *Router) cancelJob(ctx context.Context, id uuid.UUID, inside *callContext) error {
	queue := r.jobHost().queue
	for {
		rec, err := queue.get(ctx, id)
		if err != nil {
			return err
		}
		switch rec.State {
		case JobCanceled:
			return nil
		case JobSucceeded, JobDead:
			return usageError("cancel", rec.calledName(), ErrSettled, "%v", rec.State)
		case JobRunning, JobScheduled, JobReady, JobParked:
		}
		if d := r.jobHost().deliveryOf(id); d != nil {
			if d.cancel(); inside.jobOf() == d {
				return nil
			}
			if err := d.awaitOver(ctx); err != nil {
				return err
			}
			continue
		}
		canceled, _ := next(rec, jobEnd{what: jobCanceled}, r.jobPolicy(&rec), jobTime())
		if err := queue.swap(ctx, rec, canceled); !errors.Is(err, ErrRevision) {
			if d := r.jobHost().deliveryOf(id); d != nil && err == nil { // it was leased in between
				d.cancel()
				return d.awaitOver(ctx)
			}
			r.jobHost().debts.pay(ctx, r.jobHost().queue, id)
			return err
		}
	}
}

// deliveryOf returns the delivery of a job that is under way in this process, or nil.
func (j *jobHost) deliveryOf(id uuid.UUID) *delivery {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.running[id]
}

// begun notes a delivery; ended takes it back. If the job has a delivery here already, that
// one has lost its lease: its call ends, and the job is behind it as behind a runaway.
func (j *jobHost) begun(d *delivery) {
	id := d.lease.Record.ID
	j.mu.Lock()
	before := j.running[id]
	if j.running[id] = d; before != nil {
		before.outlived = true
		j.addBehind(id)
	}
	j.active++
	ending := j.ending
	j.mu.Unlock()
	if before != nil {
		before.end(ErrLease)
	}
	if ending != nil {
		d.end(ending)
	}
}

// endAll ends the contexts of all deliveries but own, also of those that begin later.
func (j *jobHost) endAll(own *delivery) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ending = ErrClosed
	for _, d := range j.running {
		if d != own {
			d.end(ErrClosed)
		}
	}
}

func (j *jobHost) ended(d *delivery) {
	id := d.lease.Record.ID
	if d.hadSlot {
		j.paces.ended(d.lease.Record.Function, d.ran.Duration, d.admitted)
	}
	j.mu.Lock()
	d.done = true
	j.active--
	if j.running[id] == d {
		delete(j.running, id)
	}
	outlived := d.outlived
	j.mu.Unlock()
	if outlived {
		j.handlerEnded(id)
	}
	close(d.over)
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

// hosts reports whether jobs of that name are leased here.
func (j *jobHost) hosts(r *Router, name string) bool {
	j.mu.Lock()
	names := j.names
	j.mu.Unlock()
	if names != nil {
		_, found := slices.BinarySearch(names, name)
		return found
	}
	return r.functions.get(name) != nil
}

// counts returns how many jobs there are by function, or nil without a queue.
func (j *jobHost) counts() map[string]JobCount {
	counts, err := j.queue.count(j.ctx)
	if err != nil {
		return nil
	}
	return counts
}
