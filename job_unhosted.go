package faas

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// A job of a function that no router has is given to no Lease: its function was removed, or
// is a destination that was never registered. In a queue in memory all routers that might
// run it are of this process. So there one of them gives it up once it is too old. In a
// queue that outlives the process it waits for a host, which may come later.

// memoryHosts are the routers that lease from a queue in memory.
type memoryHosts struct {
	mu  sync.Mutex // guards all
	all map[*Router]func(function string) bool
}

// add adds a router, until ctx ends. hosts tells which functions it has.
func (m *memoryHosts) add(ctx context.Context, r *Router, hosts func(function string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[*Router]func(string) bool{}
	}
	m.all[r] = hosts
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.all, r)
	})
}

// have reports whether one of them has the function. The routers are asked without the
// lock: they have their own.
func (m *memoryHosts) have(function string) bool {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.all))
	m.mu.Unlock()
	return slices.ContainsFunc(all, func(hosts func(string) bool) bool { return hosts(function) })
}

// giveUpUnhosted gives up the jobs of a queue in memory that no router has the function of
// and that are too old, and returns when the next one is; zero: there is none.
func (r *Router) giveUpUnhosted(ctx context.Context) (again time.Time) {
	q, ok := r.jobHost().queue.(memoryJobs)
	if !ok {
		return time.Time{}
	}
	counts, err := q.Count(ctx)
	if err != nil {
		return time.Time{} // it is closed
	}
	for name, c := range counts {
		if c.Waiting() == 0 || q.hosts.have(name) {
			continue
		}
		for rec, err := range q.List(ctx, JobFilter{Function: name, States: []JobState{JobScheduled, JobReady, JobParked}}) {
			if err != nil {
				return again
			}
			if at := r.giveUpTooOld(ctx, &rec); !at.IsZero() && (again.IsZero() || at.Before(again)) {
				again = at
			}
		}
	}
	return again
}

// giveUpTooOld gives up a job that no host has leased if it is too old, and returns when to
// look at it again. What follows is put first: it is put once, by its ID, if the record has
// been changed meanwhile and the job is given up by another router.
func (r *Router) giveUpTooOld(ctx context.Context, rec *JobRecord) (again time.Time) {
	policy, now := r.jobPolicy(rec), jobTime()
	if at := rec.expiry(policy); now.Before(at) {
		return at
	}
	queue := r.jobHost().queue
	settled, follow := next(*rec, jobEnd{what: jobTooOld}, policy, now)
	for _, f := range follow {
		if _, err := queue.Put(ctx, f); err != nil && !errors.Is(err, ErrDuplicate) {
			return now.Add(leaseTerm) // there is no room
		}
	}
	if err := queue.Swap(ctx, *rec, settled); errors.Is(err, ErrRevision) {
		return now.Add(leaseTerm)
	}
	return time.Time{}
}
