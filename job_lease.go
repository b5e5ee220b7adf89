package faas

import (
	"context"
	"errors"

	"github.com/inproc/faas/internal/memqueue"
)

// start begins to lease jobs, if the host does not yet.
func (j *jobHost) start() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.leasing && j.ctx.Err() == nil {
		j.leasing, j.sweep = true, jobTime()
		if q, ok := j.queue.queue.(memoryJobs); ok {
			q.hosts.add(j.ctx, j.router, func(function string) bool { return j.hosts(j.router, function) }, j.sweepSoon)
		}
		go j.router.leaseJobs()
	}
}

// registered notes that a name was added, or, if added is false, removed.
func (j *jobHost) registered(name string, added bool) {
	j.mu.Lock()
	j.names = nil
	j.leased.Store(nil)
	if added {
		j.added = append(j.added, name)
	} else {
		j.sweep = jobTime()
	}
	j.lookAgain()
	j.mu.Unlock()
	if j.eager {
		j.start()
	}
}

// leaseJobs is the host's goroutine. If the queue calls Goexit, another goroutine goes on after a pause.
func (r *Router) leaseJobs() {
	j, over := r.jobHost(), false
	defer func() {
		if !over {
			pause(j.ctx)
			go r.leaseJobs()
		}
	}()
	for j.ctx.Err() == nil {
		if j.isTimeToSweep() {
			if q, ok := j.queue.queue.(memoryJobs); ok {
				j.sweepAt(q.giveUpUnhosted(j.ctx, r.jobPolicy))
				j.sweepAt(q.giveUpBehindKeys(j.ctx, func(function string) bool { return j.hosts(r, function) }, r.jobPolicy))
			}
		}
		names, added, ctx := j.hosted(r)
		insist(j.ctx, func() {
			for _, name := range added {
				r.unpark(name)
			}
		})
		lease, err := j.queue.lease(ctx, LeaseRequest{Functions: names, Term: leaseTerm})
		switch {
		case err == nil:
			d := j.newDelivery(&jobWork{lease: lease, at: jobTime()})
			d.hold = jobHold{ID: memqueue.ID(lease.Record.ID), Token: lease.Token}
			j.deliver(d)
		case errors.Is(err, ErrClosed):
			over = true
			return
		case ctx.Err() == nil: // the engine has failed
			pause(j.ctx)
		}
	}
	over = true
}

// hosted returns the names to lease for, the names that were added since its last call, and the context
// for the next Lease. That context ends when the names change, or when it is time to sweep.
func (j *jobHost) hosted(r *Router) (names, added []string, ctx context.Context) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.names == nil {
		j.names = []string{}
		for _, f := range r.functions.sorted() {
			if fn := f.newest(); fn != nil && !fn.stream {
				j.names = append(j.names, f.name)
			}
		}
	}
	if j.wait == nil || j.wait.Err() != nil || !j.sweep.Equal(j.waitsUntil) {
		j.lookAgain()
		j.waitsUntil = j.sweep
		if j.wait, j.again = context.WithCancel(j.ctx); !j.sweep.IsZero() {
			j.wait, j.again = context.WithDeadline(j.ctx, j.sweep)
		}
	}
	if added, j.added = j.added, nil; j.leasing {
		names := j.names
		j.leased.Store(&names)
	}
	return j.names, added, j.wait
}

// unpark makes the jobs of a function ready that were parked because no host had the function.
func (r *Router) unpark(name string) {
	queue := r.jobHost().queue
	for rec, err := range queue.list(r.jobHost().ctx, JobFilter{Function: name, States: []JobState{JobParked}}) {
		if err != nil {
			return // the jobs stay parked: a Lease gives them when they are too old
		}
		if rec.parkedFor() == WaitFunction {
			_ = queue.swap(r.jobHost().ctx, rec, rec.unparked(jobTime())) // ErrRevision: the job is no longer parked
		}
	}
}
