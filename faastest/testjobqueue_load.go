package faastest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

const (
	loadSenders = 4
	loadJobs    = 100 // of each sender
	loadWorkers = 6
)

// queueLoad has the state of each job that the check load expects. Its lock is a channel:
// while a goroutine waits for a mutex, a bubble's clock does not go on.
type queueLoad struct {
	*queueCheck

	lock    chan struct{}
	states  map[uuid.UUID]faas.JobState // JobRunning, or the settled state; JobScheduled: the job waits
	keys    map[string]uuid.UUID        // the running job of each order key
	waiting int                         // jobs that have not ended
}

func (q *queueLoad) locked(f func()) {
	q.lock <- struct{}{}
	defer func() { <-q.lock }()
	f()
}

// load runs senders, workers and a canceler at the same time.
func (c *queueCheck) load() {
	c.Helper()
	q := &queueLoad{queueCheck: c, lock: make(chan struct{}, 1), states: map[uuid.UUID]faas.JobState{}, keys: map[string]uuid.UUID{}}
	var senders, workers sync.WaitGroup
	ctx, stop := context.WithCancel(c.ctx())
	for i := range loadSenders {
		senders.Go(func() { q.send(rand.New(rand.NewPCG(3, uint64(i)))) })
	}
	for i := range loadWorkers {
		workers.Go(func() { q.work(ctx, rand.New(rand.NewPCG(4, uint64(i)))) })
	}
	workers.Go(func() { q.cancel(ctx, rand.New(rand.NewPCG(5, 6))) })
	senders.Wait()
	left := 0
	for range 10_000 { // seconds
		if q.locked(func() { left = q.waiting }); left == 0 {
			break
		}
		time.Sleep(time.Second)
	}
	stop()
	workers.Wait()
	if left > 0 {
		c.Errorf("%d of %d jobs have not ended", left, len(q.states))
		return
	}
	for id, want := range q.states {
		c.wantState(id, want)
	}
	c.nothing("all have ended", "f", "g")
}

// newJob makes a job with random properties.
func (q *queueLoad) newJob(r *rand.Rand) faas.JobRecord {
	now := time.Now()
	rec := faas.JobRecord{
		Format: faas.JobFormat, ID: uuid.UUID{}, Function: "f", Tenant: fmt.Sprint("t", r.IntN(4)), State: faas.JobReady,
		Priority: r.IntN(3), Accepted: now, Due: now, Payload: make([]byte, r.IntN(100)),
	}
	for i := range rec.ID {
		rec.ID[i] = byte(r.Uint32())
	}
	if r.IntN(2) == 0 {
		rec.Function = "g"
	}
	if r.IntN(3) == 0 {
		rec.OrderKey = fmt.Sprint("k", r.IntN(3))
	}
	if r.IntN(3) == 0 {
		rec.UniqueKey, rec.UniqueFor = fmt.Sprint("u", r.IntN(5)), time.Duration(1+r.IntN(60))*time.Second
	}
	if r.IntN(4) == 0 {
		rec.State, rec.Due = faas.JobScheduled, now.Add(time.Duration(r.IntN(100))*time.Second)
	}
	return rec
}

func (q *queueLoad) send(r *rand.Rand) {
	for range loadJobs {
		q.locked(func() {
			rec := q.newJob(r)
			switch got, err := q.q.Put(context.Background(), rec); {
			case err == nil:
				q.states[rec.ID] = faas.JobScheduled
				q.waiting++
			case !errors.Is(err, faas.ErrDuplicate) || rec.UniqueKey == "":
				q.Errorf("Put: %v", err)
			case got.ID == rec.ID:
				q.Errorf("Put refused a job for its own unique key")
			}
		})
		time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
	}
}

func (q *queueLoad) work(ctx context.Context, r *rand.Rand) {
	for {
		l, err := q.q.Lease(ctx, faas.LeaseRequest{Functions: []string{"f", "g"}, Term: leaseTerm})
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				q.Errorf("Lease: %v", err)
			}
			return
		}
		q.locked(func() { q.start(l.Record) })
		if r.IntN(2) == 0 {
			_ = q.q.Begin(ctx, l) // ErrLease: the job was canceled
		}
		time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
		q.locked(func() { q.settleAny(l, r) })
	}
}

// keyOf returns the order key of a job together with its function and tenant; "": it has
// none.
func keyOf(rec faas.JobRecord) string {
	if rec.OrderKey == "" {
		return ""
	}
	return rec.Function + "/" + rec.Tenant + "/" + rec.OrderKey
}

// start notes that a job runs. The job may have been canceled since it was leased.
func (q *queueLoad) start(rec faas.JobRecord) {
	state, known := q.states[rec.ID]
	switch {
	case !known:
		q.Errorf("Lease gave a job that was not accepted")
	case state == faas.JobRunning:
		q.Errorf("Lease gave a job that is leased")
	case state == faas.JobCanceled:
		return
	case state.IsSettled():
		q.Errorf("Lease gave a job that is %v", state)
	}
	q.states[rec.ID] = faas.JobRunning
	if key := keyOf(rec); key != "" {
		if other, held := q.keys[key]; held {
			q.Errorf("two jobs of the order key %s run at the same time, %v and %v", key, other, rec.ID)
		}
		q.keys[key] = rec.ID
	}
}

// stopped notes that a job does not run any more.
func (q *queueLoad) stopped(rec faas.JobRecord, state faas.JobState) {
	if q.states[rec.ID] == faas.JobRunning && keyOf(rec) != "" {
		delete(q.keys, keyOf(rec))
	}
	q.states[rec.ID] = state
	if state.IsSettled() {
		q.waiting--
	}
}

func (q *queueLoad) settleAny(l faas.JobLease, r *rand.Rand) {
	next := over(l.Record, faas.JobSucceeded)
	var follow []faas.JobRecord
	switch n := r.IntN(20); {
	case n < 5:
		next = again(l, time.Now().Add(time.Duration(r.IntN(30))*time.Second))
	case n < 7:
		next = again(l, time.Now().Add(time.Duration(r.IntN(30))*time.Second))
		next.State = faas.JobParked
	case n < 8:
		next.State = faas.JobDead
		tell := q.newJob(r)
		tell.UniqueKey = ""
		follow = append(follow, tell)
	}
	err := q.q.Settle(context.Background(), l, next, follow...)
	if q.states[l.Record.ID] == faas.JobCanceled {
		q.wantErr("Settle of a job that was canceled", err, faas.ErrLease)
		return
	}
	if err != nil {
		q.Errorf("Settle: %v", err)
		return
	}
	state := faas.JobScheduled
	if next.State.IsSettled() {
		state = next.State
	}
	q.stopped(l.Record, state)
	for _, rec := range follow {
		q.states[rec.ID] = faas.JobScheduled
		q.waiting++
	}
}

// cancel cancels a random job from time to time.
func (q *queueLoad) cancel(ctx context.Context, r *rand.Rand) {
	open := faas.JobFilter{States: []faas.JobState{faas.JobScheduled, faas.JobReady, faas.JobRunning, faas.JobParked}}
	for ctx.Err() == nil {
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		q.locked(func() {
			for rec, err := range q.q.List(context.Background(), open) {
				if err != nil {
					q.Errorf("List: %v", err)
					return
				}
				if r.IntN(10) > 0 {
					continue
				}
				if err := q.q.Swap(context.Background(), rec, over(rec, faas.JobCanceled)); err == nil {
					q.stopped(rec, faas.JobCanceled)
				} else if !errors.Is(err, faas.ErrRevision) {
					q.Errorf("Swap: %v", err)
				}
				return
			}
		})
	}
}
