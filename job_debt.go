package faas

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// jobDebt is the usage of deliveries that have lost their leases. The queue refused the
// settlements of these deliveries, so the usage is in no record; the host keeps the debt
// until it is in one. So a job's Used is the sum of the durations of all records with its ID,
// whichever delivery lost its lease.
//
// The next settlement of the job by this host adds the debt to the record. If there is none,
// because the job has ended, the host writes the debt into the record of the settled job.
// Only such a record may be written without a lease: a write to any other would end the lease
// of the host that runs the job.
type jobDebt struct {
	used       time.Duration
	deliveries int     // the deliveries that Job.Cancel has ended; those that a lost lease has ended count as crashes
	last       *JobEnd // the end of the latest of them
}

func (d *jobDebt) add(o jobDebt) {
	d.used += o.used
	d.deliveries += o.deliveries
	if o.last != nil {
		d.last = o.last
	}
}

// addTo adds the debt to a record.
func (d *jobDebt) addTo(rec *JobRecord) {
	rec.Used += d.used
	rec.Deliveries += d.deliveries
	if rec.Last == nil {
		rec.Last = d.last
	}
}

// jobDebts are the debts of a host's jobs.
type jobDebts struct {
	some  atomic.Int64 // the length of byJob, so that jobs without debts need no lock
	mu    sync.Mutex   // guards byJob
	byJob map[uuid.UUID]jobDebt
}

// owe adds a debt to that of the job.
func (ds *jobDebts) owe(id uuid.UUID, debt jobDebt) {
	if debt == (jobDebt{}) {
		return
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.byJob == nil {
		ds.byJob = map[uuid.UUID]jobDebt{}
	}
	was := ds.byJob[id]
	was.add(debt)
	ds.byJob[id] = was
	ds.some.Store(int64(len(ds.byJob)))
}

// of returns the debt of a job.
func (ds *jobDebts) of(id uuid.UUID) jobDebt {
	if ds.some.Load() == 0 {
		return jobDebt{}
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.byJob[id]
}

// take returns the debt of a job and removes it.
func (ds *jobDebts) take(id uuid.UUID) jobDebt {
	if ds.some.Load() == 0 {
		return jobDebt{}
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	debt := ds.byJob[id]
	delete(ds.byJob, id)
	ds.some.Store(int64(len(ds.byJob)))
	return debt
}

// pay writes a job's debt into its record, if the job has ended. It returns true if there is a
// debt and the job has not ended.
func (ds *jobDebts) pay(ctx context.Context, queue *guardedJobs, id uuid.UUID) (left bool) {
	for ds.of(id) != (jobDebt{}) {
		rec, err := queue.get(ctx, id)
		if err == nil && !rec.State.IsSettled() {
			return true // the next settlement adds the debt
		}
		debt := ds.take(id)
		if err != nil || debt == (jobDebt{}) {
			return false // the record is gone, or another goroutine has taken the debt
		}
		ds.write(ctx, queue, &rec, debt)
	}
	return false
}

// write adds a debt to the record of a job that has ended. If the record was changed meanwhile,
// or if the queue calls Goexit, the debt is put back.
func (ds *jobDebts) write(ctx context.Context, queue *guardedJobs, rec *JobRecord, debt jobDebt) {
	err := ErrRevision
	defer func() {
		if errors.Is(err, ErrRevision) {
			ds.owe(rec.ID, debt)
		}
	}()
	paid := *rec
	debt.addTo(&paid)
	err = queue.swap(ctx, *rec, paid)
}

// payLater waits until the job has ended, on this host or another one, and then calls pay.
func (ds *jobDebts) payLater(ctx context.Context, queue *guardedJobs, id uuid.UUID) {
	insist(ctx, func() {
		rec, err := queue.get(ctx, id)
		for err == nil && !rec.State.IsSettled() {
			rec, err = queue.watch(ctx, id, rec.Revision)
		}
		ds.pay(ctx, queue, id)
	})
}
