package faastest

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// TestJobQueue checks, in subtests of t, that a [faas.JobQueue] keeps its contract. Call it
// from the tests of the package that implements one:
//
//	func TestEngineConforms(t *testing.T) {
//		faastest.TestJobQueue(t, func(t *testing.T) faas.JobQueue {
//			return engine.Open(t.TempDir())
//		})
//	}
//
// Each subtest calls newQueue with its own t, and closes the queue at the end. newQueue
// returns an empty queue that has room for at least 2,000 jobs and keeps settled jobs for a
// day. The subtests run in bubbles of [testing/synctest]: goroutines that newQueue starts
// must end with Close or in t.Cleanup, and share nothing with code outside the bubble. An
// event that has a time, for example that a job is due, may happen up to 5 seconds late,
// but never early.
//
// It checks that
//
//   - a record is read as it was written, also fields that this release does not know;
//   - an ID and a unique key are accepted once; a unique key is free again after its
//     window, whatever becomes of its job, and counts for one function and tenant;
//   - a job is leased when it is due, to a host of its function, and to one at a time;
//   - a function and a tenant have at most one leased job that has not begun; tenants and
//     functions take turns; the highest priority goes first, then the job that was due
//     first;
//   - jobs with the same order key run one at a time, also while they are retried or
//     parked;
//   - a lease that has ended can't settle, extend or begin its job; if leases have a term
//     and one is not extended, another Lease gives the job, with Crashes one higher;
//   - the jobs that follow from a settlement are put with it, once;
//   - Swap replaces only the revision that was read, ends leases, and removes only settled
//     jobs;
//   - List, Watch and Count show the jobs that are there, and the body of List's loop may
//     call the queue;
//   - a call that waits returns when its context ends or the queue is closed;
//   - with many senders, workers and cancelers at once every job ends once, and no job runs
//     twice at the same time.
//
// It does not check bounds, nor for how long settled jobs are kept, since these differ
// between queues.
func TestJobQueue(t *testing.T, newQueue func(t *testing.T) faas.JobQueue) {
	t.Helper()
	for _, c := range []struct {
		name  string
		check func(*queueCheck)
	}{
		{"keeps records as they are", (*queueCheck).records},
		{"accepts an ID once", (*queueCheck).ids},
		{"accepts a unique key once in its window", (*queueCheck).uniqueKeys},
		{"leases due jobs to hosts of their functions", (*queueCheck).due},
		{"leases one job that has not begun for each function and tenant", (*queueCheck).lanes},
		{"lets tenants and functions take turns", (*queueCheck).turns},
		{"gives the highest priority first", (*queueCheck).priorities},
		{"runs one job of an order key at a time", (*queueCheck).orderKeys},
		{"parks jobs", (*queueCheck).parked},
		{"fences leases", (*queueCheck).fences},
		{"prolongs leases", (*queueCheck).extends},
		{"puts what follows with the settlement", (*queueCheck).follows},
		{"swaps what was read", (*queueCheck).swaps},
		{"lists what matches", (*queueCheck).lists},
		{"wakes the calls that watch", (*queueCheck).watches},
		{"counts", (*queueCheck).counts},
		{"ends the calls that wait", (*queueCheck).ends},
		{"keeps its promises under load", (*queueCheck).load},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &queueCheck{TB: t, q: newQueue(t), rand: rand.New(rand.NewPCG(1, 2))} // the same each time
				defer func() {
					if err := q.q.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}()
				c.check(q)
			})
		})
	}
}

// lateness is how late an event that has a time may happen.
const lateness = 5 * time.Second

// leaseTerm is the term of all leases of these checks.
const leaseTerm = 30 * time.Second

// queueCheck is one subtest of TestJobQueue, as meterCheck is of TestMeter.
type queueCheck struct {
	testing.TB
	q    faas.JobQueue
	rand *rand.Rand
}

// ctx returns a context that ends long after everything that a check waits for.
func (c *queueCheck) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	c.Cleanup(cancel)
	return ctx
}

func (c *queueCheck) id() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(c.rand.Uint32())
	}
	return id
}

// job makes the record of a job that is due now.
func (c *queueCheck) job(function, tenant string) faas.JobRecord {
	now := time.Now()
	return faas.JobRecord{
		Format: faas.JobFormat, ID: c.id(), Function: function, Tenant: tenant, State: faas.JobReady,
		Accepted: now, Due: now, Payload: []byte(`{"n":1}`),
	}
}

func (c *queueCheck) put(rec faas.JobRecord) faas.JobRecord {
	c.Helper()
	got, err := c.q.Put(c.ctx(), rec)
	if err != nil {
		c.Fatalf("Put: %v", err)
	}
	if got.ID != rec.ID || got.Revision == 0 {
		c.Fatalf("Put answered the job %v with revision %d, want %v and a revision", got.ID, got.Revision, rec.ID)
	}
	return got
}

func (c *queueCheck) tryLease(wait time.Duration, functions ...string) (faas.JobLease, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return c.q.Lease(ctx, faas.LeaseRequest{Functions: functions, Term: leaseTerm})
}

// lease leases a job, and checks that there is one.
func (c *queueCheck) lease(functions ...string) faas.JobLease {
	c.Helper()
	l, err := c.tryLease(lateness, functions...)
	if err != nil {
		c.Fatalf("Lease of %v: %v; there is a job that may run", functions, err)
	}
	if l.Record.State != faas.JobRunning {
		c.Errorf("a leased job is %v", l.Record.State)
	}
	return l
}

// leaseOf leases a job, and checks that it is the job with that ID.
func (c *queueCheck) leaseOf(id uuid.UUID, functions ...string) faas.JobLease {
	c.Helper()
	l := c.lease(functions...)
	if l.Record.ID != id {
		c.Fatalf("Lease gave the job %v, want %v", l.Record.ID, id)
	}
	return l
}

// nothing checks that there is no job to lease.
func (c *queueCheck) nothing(why string, functions ...string) {
	c.Helper()
	if l, err := c.tryLease(lateness, functions...); err == nil {
		c.Fatalf("Lease gave the job %v: %s", l.Record.ID, why)
	} else if !errors.Is(err, context.DeadlineExceeded) {
		c.Fatalf("Lease: %v, want the error of its context", err)
	}
}

func (c *queueCheck) begin(l faas.JobLease) {
	c.Helper()
	if err := c.q.Begin(c.ctx(), l); err != nil {
		c.Fatalf("Begin: %v", err)
	}
}

// again returns the next record of a leased job that is to run again at a time.
func again(l faas.JobLease, at time.Time) faas.JobRecord {
	next := l.Record
	next.State, next.NotBefore = faas.JobScheduled, at
	next.Deliveries++
	return next
}

// over returns the record with which a job is settled in the given state.
func over(rec faas.JobRecord, state faas.JobState) faas.JobRecord {
	rec.State, rec.Settled, rec.NotBefore = state, time.Now(), time.Time{}
	rec.KeepUntil = time.Now().Add(24 * time.Hour)
	return rec
}

func (c *queueCheck) settle(l faas.JobLease, next faas.JobRecord, follow ...faas.JobRecord) {
	c.Helper()
	if err := c.q.Settle(c.ctx(), l, next, follow...); err != nil {
		c.Fatalf("Settle: %v", err)
	}
}

func (c *queueCheck) finish(l faas.JobLease) {
	c.Helper()
	c.settle(l, over(l.Record, faas.JobSucceeded))
}

func (c *queueCheck) get(id uuid.UUID) faas.JobRecord {
	c.Helper()
	rec, err := c.q.Get(c.ctx(), id)
	if err != nil {
		c.Fatalf("Get: %v", err)
	}
	return rec
}

// wantErr checks that an error is the one that the contract names.
func (c *queueCheck) wantErr(what string, err, want error) {
	c.Helper()
	if !errors.Is(err, want) {
		c.Errorf("%s: the error is %v, want %v", what, err, want)
	}
}

func (c *queueCheck) wantState(id uuid.UUID, want faas.JobState) {
	c.Helper()
	if got := c.get(id); got.State != want {
		c.Errorf("the job is %v, want %v", got.State, want)
	}
}
