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

// JobsLeft is in the error of [Router.Shutdown] if jobs of a queue in memory have not
// ended: they are lost with the process, unless the program keeps it and has another
// router lease from the queue.
type JobsLeft struct { //nolint:errname // it says what is left
	ByFunction map[string]int // how many, by the function's name; never empty
}

// Error names the functions, and how many jobs of each are left.
func (e *JobsLeft) Error() string {
	names := slices.Sorted(maps.Keys(e.ByFunction))
	for i, name := range names {
		names[i] = fmt.Sprintf("%q (%d)", name, e.ByFunction[name])
	}
	return "jobs left: " + strings.Join(names, ", ")
}

// drainJobs runs what jobs of a queue in memory are due before ctx's deadline, or without
// one what is due by now, and then stops leasing. With a queue that outlives the process
// it stops at once.
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
	for isMemory(j.queue) && j.isLeasing() && r.awaitDue(ctx, limit, own) {
	}
	j.stop()
}

// isLeasing reports whether due jobs are still leased.
func (j *jobHost) isLeasing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.leasing && j.ctx.Err() == nil
}

// isMemory reports whether the jobs of a queue are lost with the process.
func isMemory(q JobQueue) bool {
	_, ok := q.(memoryJobs)
	return ok
}

// awaitDue waits until a delivery has ended or a job is due, and is false if there is no
// more to wait for.
func (r *Router) awaitDue(ctx context.Context, limit time.Time, own *delivery) bool {
	if ctx.Err() != nil {
		return false
	}
	changed := r.jobHost().changed.wait() // before the look, so that nothing is missed
	if r.jobHost().others(own) > 0 {
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
	timer := time.NewTimer(max(time.Until(due), 0) + time.Millisecond) // it is leased meanwhile
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	case <-r.jobHost().ctx.Done():
	}
	return true
}

// nextDue returns when the first job can run here that can before limit.
func (r *Router) nextDue(ctx context.Context, limit time.Time, own *delivery) (first time.Time, found bool) {
	waiting := JobFilter{States: []JobState{JobReady, JobScheduled}}
	for rec, err := range r.jobHost().queue.List(ctx, waiting) {
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

// isOf reports whether the delivery is one of that job.
func (d *delivery) isOf(rec *JobRecord) bool { return d != nil && d.lease.Record.ID == rec.ID }

// jobsLeft waits until all deliveries but self's have settled their jobs, whose calls
// have ended, and returns a *JobsLeft if jobs of a queue in memory are left.
func (r *Router) jobsLeft(ctx context.Context, self *callContext) error {
	j := r.hasJobs()
	if j == nil {
		return nil
	}
	own := self.jobOf()
	for changed := j.changed.wait(); j.others(own) > 0; changed = j.changed.wait() {
		<-changed
	}
	if !isMemory(j.queue) {
		return nil
	}
	left := &JobsLeft{ByFunction: map[string]int{}}
	counts, err := j.queue.Count(ctx)
	if err != nil {
		return err
	}
	for name, c := range counts {
		if n := c.Waiting() + c.Running; n > 0 {
			left.ByFunction[name] = n
		}
	}
	if own != nil { // it ends with the handler that called Shutdown
		left.forget(own.lease.Record.Function)
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
