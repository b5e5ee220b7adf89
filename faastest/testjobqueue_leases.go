package faastest

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

func (c *queueCheck) fences() {
	c.Helper()
	c.put(c.job("f", ""))
	l := c.lease("f")
	ended := func(when string) {
		c.Helper()
		c.wantErr("Settle "+when, c.q.Settle(c.ctx(), l, over(l.Record, faas.JobDead), c.job("f", "follows")), faas.ErrLease)
		c.wantErr("Begin "+when, c.q.Begin(c.ctx(), l), faas.ErrLease)
		c.wantErr("Extend "+when, c.q.Extend(c.ctx(), l, faas.JobProgress{Done: 1}), faas.ErrLease)
		c.nothing("it would follow from a settlement that was refused", "f")
	}
	c.settle(l, again(l, time.Now().Add(time.Hour)))
	ended("after Settle")
	time.Sleep(time.Hour)
	newer := c.lease("f")
	ended("while another has the lease")
	got := c.get(newer.Record.ID)
	if err := c.q.Swap(c.ctx(), got, over(got, faas.JobCanceled)); err != nil {
		c.Fatalf("Swap of a leased job: %v", err)
	}
	l = newer
	ended("after the job was canceled")
	c.wantState(l.Record.ID, faas.JobCanceled)
	forged := faas.JobLease{Record: c.job("f", ""), Token: 1}
	c.wantErr("Settle of a lease that never was", c.q.Settle(c.ctx(), forged, over(forged.Record, faas.JobDead)), faas.ErrLease)
}

// loser is a queue that can end all leases at once, as the memory queue can.
type loser interface{ LoseLeases() int }

func (c *queueCheck) extends() {
	c.Helper()
	rec := c.put(c.job("f", ""))
	l := c.lease("f")
	c.begin(l)
	want := faas.JobProgress{Done: 3, Total: 4, Note: "three"}
	for i := range 10 { // longer than a term
		p := want
		if i > 0 {
			p = faas.JobProgress{} // leaves the job's progress as it is
		}
		if err := c.q.Extend(c.ctx(), l, p); err != nil {
			c.Fatalf("Extend: %v", err)
		}
		time.Sleep(leaseTerm / 2)
	}
	got := c.get(rec.ID)
	if got.Progress != want || got.State != faas.JobRunning || got.Revision != l.Record.Revision {
		c.Errorf("a job whose lease is extended is %v at revision %d with progress %+v; want running, %d and %+v",
			got.State, got.Revision, got.Progress, l.Record.Revision, want)
	}
	c.nothing("its lease is extended", "f")
	if q, ok := c.q.(loser); ok {
		if n := q.LoseLeases(); n != 1 {
			c.Errorf("LoseLeases has ended %d leases, want 1", n)
		}
	} else {
		time.Sleep(10 * leaseTerm)
	}
	newer, err := c.tryLease(10*leaseTerm, "f")
	if err != nil { // leases of this queue have no term
		c.finish(l)
		return
	}
	if newer.Record.ID != rec.ID || newer.Record.Crashes != 1 {
		c.Errorf("after its lease was lost the job %v has %d crashes, want 1", newer.Record.ID, newer.Record.Crashes)
	}
	c.wantErr("Settle with a lease that was lost", c.q.Settle(c.ctx(), l, over(l.Record, faas.JobDead)), faas.ErrLease)
	c.finish(newer)
	c.wantState(rec.ID, faas.JobSucceeded)
}

func (c *queueCheck) follows() {
	c.Helper()
	c.put(c.job("f", ""))
	l := c.lease("f")
	taken, fresh, later := c.put(c.job("g", "")), c.job("h", "x"), c.job("h", "y")
	twin := c.job("h", "twin")
	twin.ID = taken.ID
	later.State, later.Due = faas.JobScheduled, time.Now().Add(time.Hour)
	c.settle(l, over(l.Record, faas.JobDead), twin, fresh, later)
	if got := c.get(taken.ID); got.Function != "g" {
		c.Errorf("a job that follows has replaced the one of its ID")
	}
	c.finish(c.leaseOf(fresh.ID, "h"))
	c.nothing("what follows is not due", "h")
	time.Sleep(time.Hour)
	c.finish(c.leaseOf(later.ID, "h"))
}

func (c *queueCheck) swaps() {
	c.Helper()
	rec := c.put(c.job("f", ""))
	later := rec
	later.State, later.NotBefore = faas.JobScheduled, time.Now().Add(time.Hour)
	if err := c.q.Swap(c.ctx(), rec, later); err != nil {
		c.Fatalf("Swap: %v", err)
	}
	c.nothing("it was rescheduled", "f")
	c.wantErr("Swap of what was changed", c.q.Swap(c.ctx(), rec, over(rec, faas.JobCanceled)), faas.ErrRevision)
	c.wantState(rec.ID, faas.JobScheduled)
	c.wantErr("Swap that removes what is not settled", c.q.Swap(c.ctx(), c.get(rec.ID), faas.JobRecord{}), faas.ErrInput)
	got := c.get(rec.ID)
	if err := c.q.Swap(c.ctx(), got, over(got, faas.JobCanceled)); err != nil {
		c.Fatalf("Swap to cancel: %v", err)
	}
	time.Sleep(time.Hour)
	c.nothing("it was canceled", "f")
	c.wantState(rec.ID, faas.JobCanceled)
	if err := c.q.Swap(c.ctx(), c.get(rec.ID), faas.JobRecord{}); err != nil {
		c.Fatalf("Swap to remove: %v", err)
	}
	_, err := c.q.Get(c.ctx(), rec.ID)
	c.wantErr("Get of a job that was removed", err, faas.ErrForgotten)
	c.wantErr("Swap of a job that was removed", c.q.Swap(c.ctx(), got, got), faas.ErrForgotten)
	missing := c.job("f", "")
	c.wantErr("Swap of a job that never was", c.q.Swap(c.ctx(), missing, missing), faas.ErrNotFound)
	_, err = c.q.Put(c.ctx(), rec)
	c.wantErr("Put with the ID of a job that was removed", err, faas.ErrDuplicate)
}

func (c *queueCheck) lists() {
	c.Helper()
	tenants := []string{"", "a", "b"}
	var all []faas.JobRecord
	for i := range 60 {
		rec := c.job(fmt.Sprintf("f%d", i%2), tenants[i%3])
		rec.Labels = map[string]string{"even": strconv.FormatBool(i%2 == 0)}
		if i%10 == 0 {
			rec.OrderKey = "tens"
		}
		if i%4 == 0 {
			rec.State, rec.Due = faas.JobScheduled, rec.Due.Add(time.Hour)
		}
		all = append(all, c.put(rec))
		time.Sleep(time.Second)
	}
	none := ""
	for _, f := range []faas.JobFilter{
		{},
		{Function: "f1"},
		{Function: "f1", Tenant: &tenants[1]},
		{Tenant: &none},
		{OrderKey: "tens"},
		{Labels: map[string]string{"even": "true"}},
		{States: []faas.JobState{faas.JobScheduled, faas.JobParked}},
		{States: []faas.JobState{faas.JobDead}},
		{Before: all[20].Accepted},
		{After: all[20].Accepted, Before: all[30].Accepted},
	} {
		var want, got []uuid.UUID
		for i := range all {
			if f.Match(&all[i]) {
				want = append(want, all[i].ID)
			}
		}
		for rec, err := range c.q.List(c.ctx(), f) {
			if err != nil {
				c.Fatalf("List: %v", err)
			}
			c.get(rec.ID) // the loop may call the queue
			got = append(got, rec.ID)
		}
		if !reflect.DeepEqual(got, want) {
			c.Errorf("List of %+v has %d jobs, want %d in the order of acceptance", f, len(got), len(want))
		}
	}
	for range c.q.List(c.ctx(), faas.JobFilter{}) {
		break
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range c.q.List(ctx, faas.JobFilter{}) {
		c.wantErr("List with a context that has ended", err, context.Canceled)
	}
}

func (c *queueCheck) watches() {
	c.Helper()
	rec := c.put(c.job("f", ""))
	watched := make(chan error)
	var got faas.JobRecord
	watch := func(revision uint64) {
		go func() {
			var err error
			got, err = c.q.Watch(c.ctx(), rec.ID, revision)
			watched <- err
		}()
		synctest.Wait()
	}
	watch(rec.Revision)
	l := c.lease("f")
	select {
	case err := <-watched: // a queue may count a lease as a change
		if err != nil || got.Revision == rec.Revision {
			c.Errorf("Watch returned the revision that it was given (%v)", err)
		}
		watch(got.Revision)
	default:
	}
	c.finish(l)
	if err := <-watched; err != nil || got.State != faas.JobSucceeded {
		c.Errorf("Watch returned a job that is %v (%v), want succeeded", got.State, err)
	}
	watch(rec.Revision)
	if err := <-watched; err != nil || got.State != faas.JobSucceeded {
		c.Errorf("Watch of an older revision returned a job that is %v (%v), want the present one at once", got.State, err)
	}
	watch(got.Revision)
	if err := c.q.Swap(c.ctx(), got, faas.JobRecord{}); err != nil {
		c.Fatalf("Swap to remove: %v", err)
	}
	c.wantErr("Watch of a job that is removed", <-watched, faas.ErrForgotten)
	_, err := c.q.Watch(c.ctx(), c.id(), 1)
	c.wantErr("Watch of a job that never was", err, faas.ErrNotFound)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	other := c.put(c.job("g", ""))
	_, err = c.q.Watch(ctx, other.ID, other.Revision)
	c.wantErr("Watch whose context ends", err, context.DeadlineExceeded)
}

func (c *queueCheck) counts() {
	c.Helper()
	start := time.Now()
	for range 3 {
		c.put(c.job("f", "a"))
		c.put(c.job("f", "b"))
		time.Sleep(time.Second)
	}
	later := c.job("f", "a")
	later.State, later.Due = faas.JobScheduled, start.Add(time.Hour)
	c.put(later)
	c.put(c.job("g", ""))
	dead, l := c.lease("f"), c.lease("f")
	c.settle(dead, over(dead.Record, faas.JobDead))
	parked := c.lease("g")
	next := again(parked, start.Add(time.Hour))
	next.State = faas.JobParked
	c.settle(parked, next)
	check := func(function string, want faas.JobCount) {
		c.Helper()
		all, err := c.q.Count(c.ctx())
		if err != nil {
			c.Fatalf("Count: %v", err)
		}
		got := all[function]
		if want.Bytes > 0 == (got.Bytes == 0) {
			c.Errorf("Count of %s has %d bytes", function, got.Bytes)
		}
		if d := got.Oldest.Sub(want.Oldest); !want.Oldest.IsZero() && (d < -lateness || d > lateness) {
			c.Errorf("Count of %s says the oldest is of %v, want %v", function, got.Oldest, want.Oldest)
		}
		want.Bytes, want.Oldest, got.Bytes, got.Oldest = 0, time.Time{}, 0, time.Time{}
		if got != want {
			c.Errorf("Count of %s is %+v, want %+v", function, got, want)
		}
	}
	check("f", faas.JobCount{Ready: 4, Running: 1, Scheduled: 1, Dead: 1, Bytes: 1, Oldest: start.Add(time.Second)})
	check("g", faas.JobCount{Parked: 1, Bytes: 1})
	c.begin(l)
	c.finish(l)
	time.Sleep(time.Hour + lateness)
	check("f", faas.JobCount{Ready: 5, Succeeded: 1, Dead: 1, Bytes: 1, Oldest: start.Add(time.Second)})
	check("g", faas.JobCount{Ready: 1, Bytes: 1, Oldest: start.Add(time.Hour)})
	c.finish(c.lease("g"))
	check("g", faas.JobCount{Succeeded: 1})
}

func (c *queueCheck) ends() {
	c.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.q.Put(ended, c.job("f", ""))
	c.wantErr("Put with a context that has ended", err, context.Canceled)
	c.put(c.job("f", ""))
	_, err = c.q.Lease(ended, faas.LeaseRequest{Functions: []string{"f"}, Term: leaseTerm})
	c.wantErr("Lease with a context that has ended", err, context.Canceled)
	c.nothing("its context ends", "g")
	l := c.lease("f")
	over := make(chan error, 2)
	go func() {
		_, err := c.q.Lease(c.ctx(), faas.LeaseRequest{Functions: []string{"f"}, Term: leaseTerm})
		over <- err
	}()
	go func() {
		_, err := c.q.Watch(c.ctx(), l.Record.ID, c.get(l.Record.ID).Revision)
		over <- err
	}()
	synctest.Wait()
	if err := c.q.Close(); err != nil {
		c.Errorf("Close: %v", err)
	}
	for range 2 {
		c.wantErr("what waits when the queue is closed", <-over, faas.ErrClosed)
	}
	_, put := c.q.Put(c.ctx(), c.job("f", ""))
	_, lease := c.tryLease(time.Hour, "f")
	_, get := c.q.Get(c.ctx(), l.Record.ID)
	_, count := c.q.Count(c.ctx())
	for what, err := range map[string]error{
		"Put": put, "Lease": lease, "Get": get, "Count": count, "Settle": c.q.Settle(c.ctx(), l, l.Record), "Begin": c.q.Begin(c.ctx(), l),
		"Extend": c.q.Extend(c.ctx(), l, faas.JobProgress{}), "Swap": c.q.Swap(c.ctx(), l.Record, l.Record),
	} {
		c.wantErr(what+" after Close", err, faas.ErrClosed)
	}
	for _, err := range c.q.List(c.ctx(), faas.JobFilter{}) {
		c.wantErr("List after Close", err, faas.ErrClosed)
	}
}
