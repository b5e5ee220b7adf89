package faas

import (
	"context"
	"errors"
	"time"
)

// A job of a function that no router has is given to no Lease: its function was removed, or
// is a destination that was never registered. In a queue in memory all routers that might
// run it are of this process. So there one of them gives it up once it is too old. In a
// queue that outlives the process it waits for a host, which may come later.

// giveUpUnhosted gives up the jobs that no router has the function of and that are too old,
// and returns when the next one is; zero: there is none. policyOf returns the policy of a
// job's function.
func (q memoryJobs) giveUpUnhosted(ctx context.Context, policyOf func(*JobRecord) *jobPolicy) (again time.Time) {
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
			if at := q.giveUpTooOld(ctx, &rec, policyOf(&rec)); !at.IsZero() && (again.IsZero() || at.Before(again)) {
				again = at
			}
		}
	}
	return again
}

// giveUpBehindKeys gives up the jobs of hosted functions that wait for their order keys and are
// too old: the queue gives them to no Lease. It returns when the next one may be; zero: there is
// none.
func (q memoryJobs) giveUpBehindKeys(ctx context.Context, hosts func(function string) bool, policyOf func(*JobRecord) *jobPolicy) time.Time {
	overdue, next := q.queue.Overdue()
	again := wallTime(next)
	for i := range overdue {
		if !hosts(overdue[i].Function) {
			continue
		}
		rec := unpackJob(&overdue[i])
		if at := q.giveUpTooOld(ctx, &rec, policyOf(&rec)); !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	return again
}

// giveUpTooOld gives up a job that no host has leased if it is too old, and returns when to
// look at it again. What follows is put first: it is put once, by its ID, if the record has
// been changed meanwhile and the job is given up by another router.
func (q memoryJobs) giveUpTooOld(ctx context.Context, rec *JobRecord, policy *jobPolicy) (again time.Time) {
	now := jobTime()
	if at := rec.expiry(policy); now.Before(at) {
		return at
	}
	settled, follow := next(*rec, jobEnd{what: jobTooOld}, policy, now)
	for _, f := range follow {
		if _, err := q.Put(ctx, f); err != nil && !errors.Is(err, ErrDuplicate) {
			return now.Add(leaseTerm) // there is no room
		}
	}
	if err := q.Swap(ctx, *rec, settled); errors.Is(err, ErrRevision) {
		return now.Add(leaseTerm)
	}
	return time.Time{}
}
