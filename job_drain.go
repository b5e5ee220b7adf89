package faas

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// JobsLeft is in the error of [Router.Shutdown] if jobs of a queue in memory have not ended. They
// are lost with the process, unless the program goes on and another router leases from the queue.
type JobsLeft struct { //nolint:errname // the name says what is left
	ByFunction map[string]int // the number of jobs by the function's name; never empty
}

// Error names the functions, each with the number of its jobs that are left.
func (e *JobsLeft) Error() string {
	names := slices.Sorted(maps.Keys(e.ByFunction))
	for i, name := range names {
		names[i] = fmt.Sprintf("%q (%d)", name, e.ByFunction[name])
	}
	return "jobs left: " + strings.Join(names, ", ")
}

// drainJobs runs the jobs of a queue in memory that are due before ctx's deadline, or by now if
// ctx has none. Then it stops leasing. With a queue that outlives the process it stops leasing at
// once. self is the call of the handler that called Shutdown; nil: no handler did.
func (r *Router) drainJobs(ctx context.Context, self *callContext) {
	j := r.hasJobs()
	if j == nil {
		return
	}
	limit := jobTime()
	if t, ok := ctx.Deadline(); ok {
		limit = t
	}
	own := self.jobOf()
	for j.isMemory() && j.isLeasing() && r.awaitDue(ctx, limit, own) {
	}
	j.stop()
}

// isLeasing reports whether the host leases jobs.
func (j *jobHost) isLeasing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.leasing && j.ctx.Err() == nil
}

// isMemory reports whether the queue is in memory, so that its jobs are lost with the process.
func (j *jobHost) isMemory() bool {
	_, ok := j.queue.queue.(memoryJobs)
	return ok
}

// awaitDue waits until a delivery has ended or a job is due. It returns false if there is nothing
// to wait for.
func (r *Router) awaitDue(ctx context.Context, limit time.Time, own *delivery) bool {
	if ctx.Err() != nil {
		return false
	}
	changed := r.jobHost().changed.wait() // before others is called, so that no end of a delivery is missed
	if r.jobHost().others(own, false) > 0 {
		select {
		case <-changed:
		case <-ctx.Done():
		case <-r.jobHost().ctx.Done(): // Close
		}
		return true
	}
	due, found := r.nextDue(ctx, limit, own)
	if !found {
		return false
	}
	timer := time.NewTimer(max(time.Until(due), 0) + time.Millisecond) // the millisecond is for the Lease, whose timer fires at due
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	case <-r.jobHost().ctx.Done():
	}
	return true
}

// nextDue returns the earliest time, at most limit, at which a job can run here.
func (r *Router) nextDue(ctx context.Context, limit time.Time, own *delivery) (first time.Time, found bool) {
	waiting := JobFilter{States: []JobState{JobReady, JobScheduled}}
	for rec, err := range r.jobHost().queue.list(ctx, waiting) {
		if err != nil {
			return first, false
		}
		at := rec.NotBefore
		if at.IsZero() {
			at = rec.Due
		}
		if rec.KeyHolder != uuid.Nil || at.After(limit) || !r.jobHost().hosts(r, rec.Function) || own.isOf(&rec) {
			continue
		}
		if !found || at.Before(first) {
			first, found = at, true
		}
		if rec.State == JobReady {
			return first, true
		}
	}
	return first, found
}

// isOf reports whether d is a delivery of that job.
func (d *delivery) isOf(rec *JobRecord) bool { return d != nil && d.id() == rec.ID }

// awaitDeliveries waits until all deliveries but self's are over, or until ctx ends. Shutdown
// needs it for the deliveries to Go funcs, since it waits for calls only.
func (r *Router) awaitDeliveries(ctx context.Context, self *callContext) {
	if j := r.hasJobs(); j != nil {
		j.await(ctx, self.jobOf(), false)
	}
}

// settleGrace bounds how long Close waits until the queue has the ends of the deliveries that
// Close has ended. It also bounds how long Shutdown waits for a queue in memory, which takes next
// to no time.
const settleGrace = 5 * time.Second

// endJobs stops leasing, and ends all deliveries but own.
func (j *jobHost) endJobs(own *delivery) {
	j.stop()
	j.endAll(own)
}

// awaitSettled waits until the queue has the ends of all deliveries but own, at most until ctx
// ends or for settleGrace, since a queue or a carrier may block. Then it ends the host's context
// last.
func (j *jobHost) awaitSettled(ctx context.Context, own *delivery) {
	ctx, cancel := context.WithTimeout(ctx, settleGrace)
	defer cancel()
	j.await(ctx, own, true)
	j.giveUp()
}

// jobsLeft waits until the deliveries have settled their jobs, or until ctx ends, and returns a
// *JobsLeft if jobs of a queue in memory are left. The calls of the deliveries must be over. It
// leaves out own, the delivery whose handler has called Shutdown.
func (r *Router) jobsLeft(ctx context.Context, self *callContext) error {
	j := r.hasJobs()
	if j == nil {
		return nil
	}
	own := self.jobOf()
	j.await(ctx, own, false)
	if !j.isMemory() {
		j.giveUp()
		if late := j.others(own, false); late > 0 {
			return fmt.Errorf("%w; the queue has not stored the ends of %d jobs yet", contextEnd(ctx), late)
		}
		return nil
	}
	j.awaitSettled(context.Background(), own)
	left := &JobsLeft{ByFunction: map[string]int{}}
	counts, err := j.queue.count(context.Background())
	if err != nil {
		return err
	}
	for name, c := range counts {
		if n := c.Waiting() + c.Running; n > 0 {
			left.ByFunction[name] = n
		}
	}
	if own != nil { // its job ends only when the handler that called Shutdown returns
		left.forget(own.function)
	}
	if len(left.ByFunction) == 0 {
		return nil
	}
	return left
}

func (e *JobsLeft) forget(name string) {
	if e.ByFunction[name]--; e.ByFunction[name] == 0 {
		delete(e.ByFunction, name)
	}
}
