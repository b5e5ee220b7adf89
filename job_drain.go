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
	for j.isMemory() && j.isLeasing() && r.awaitDue(ctx, limit, own) {
	}
	j.stop()
}

// isLeasing reports whether due jobs are still leased.
func (j *jobHost) isLeasing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.leasing && j.ctx.Err() == nil
}

// isMemory reports whether the queue's jobs are lost with the process.
func (j *jobHost) isMemory() bool {
	_, ok := j.queue.queue.(memoryJobs)
	return ok
}

// awaitDue waits until a delivery has ended or a job is due, and is false if there is no
// more to wait for.
func (r *Router) awaitDue(ctx context.Context, limit time.Time, own *delivery) bool {
	if ctx.Err() != nil {
		return false
	}
	changed := r.jobHost().changed.wait() // before the look, so that nothing is missed
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

// isOf reports whether the delivery is one of that job.
func (d *delivery) isOf(rec *JobRecord) bool { return d != nil && d.id() == rec.ID }

// awaitDeliveries waits until all deliveries but self's are over, or until ctx ends: those to Go
// funcs are no calls, for which Shutdown waits by itself.
func (r *Router) awaitDeliveries(ctx context.Context, self *callContext) {
	if j := r.hasJobs(); j != nil {
		j.await(ctx, self.jobOf(), false)
	}
}

// settleGrace is for how long Close waits until the queue has the ends of the deliveries that
// it has ended, and Shutdown until a queue in memory has, which takes no time worth the name.
const settleGrace = 5 * time.Second

// endJobs stops leasing, and ends all deliveries but own.
func (j *jobHost) endJobs(own *delivery) {
	j.stop()
	j.endAll(own)
}

// awaitSettled returns once the queue has the ends of all deliveries but own, or when it is no
// longer waited for: a queue, or a carrier, may block.
func (j *jobHost) awaitSettled(ctx context.Context, own *delivery) {
	ctx, cancel := context.WithTimeout(ctx, settleGrace)
	defer cancel()
	j.await(ctx, own, true)
	j.giveUp()
}

// jobsLeft waits until the deliveries have settled their jobs, at most until ctx ends, and
// returns a *JobsLeft if jobs of a queue in memory are left. The calls of the deliveries are
// over. Own, the delivery that self is a call of, is left out.
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
			return fmt.Errorf("%w; the queue does not have the end of %d jobs yet", contextEnd(ctx), late)
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
	if own != nil { // it ends with the handler that called Shutdown
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
