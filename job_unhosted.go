package faas

import (
	"context"
	"errors"
	"time"
)

// No Lease gives a job whose function no router has: the function was removed, or it is a
// destination that was never registered. In a queue in memory, only routers of this process
// could run the job, so one of them makes it dead when it is too old. In a queue that outlives
// the process the job waits for a host, which may start later.

// giveUpUnhosted makes the jobs dead that are too old and whose functions no router has. It
// returns when the next such job will be too old; zero: there is none. policyOf returns the
// policy of a job's function.
func (q memoryJobs) giveUpUnhosted(ctx context.Context, policyOf func(*JobRecord) *jobPolicy) (again time.Time) {
	counts, err := q.Count(ctx)
	if err != nil {
		return time.Time{} // the queue is closed
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

// giveUpBehindKeys makes the jobs of this router's functions dead that are too old and still wait
// for their order keys: no Lease gives them. It returns when the next one may be too old; zero:
// there is none.
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

// giveUpTooOld makes a job that waits dead if it is too old, and returns when to look at the
// job again. It puts the jobs that follow before it writes the record. If two routers do this
// at the same time, those jobs are put once, because both routers compute the same IDs for
// them.
func (q memoryJobs) giveUpTooOld(ctx context.Context, rec *JobRecord, policy *jobPolicy) (again time.Time) {
	now := jobTime()
	if at := rec.expiry(policy); now.Before(at) {
		return at
	}
	settled, follow := next(*rec, jobEnd{what: jobTooOld}, policy, now)
	for _, f := range follow {
		if _, err := q.Put(ctx, f); err != nil && !errors.Is(err, ErrDuplicate) {
			return now.Add(leaseTerm) // the queue is full
		}
	}
	if err := q.Swap(ctx, *rec, settled); errors.Is(err, ErrRevision) {
		return now.Add(leaseTerm)
	}
	return time.Time{}
}
