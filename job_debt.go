package faas

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// jobDebt is what deliveries of a job have used that lost their lease: their settlement was
// refused, and so it stands in no record of the queue. The host keeps it until it does. The
// time that a job tells is so the sum of the records by its ID, whatever races with whatever.
//
// The next settlement of the job by this host adds it. If there is none, since the job has
// ended, the host writes it into the record of the settled job. Only that may be written
// without a lease: a write to another record would end the lease of the host that runs the job.
type jobDebt struct {
	used       time.Duration
	deliveries int     // that a Cancel has ended; those that a lost lease has ended count as crashes
	last       *JobEnd // of the latest
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

// jobDebts are what deliveries of a host's jobs owe.
type jobDebts struct {
	some  atomic.Int64 // the length of byJob, so that a job without debts takes no lock
	mu    sync.Mutex   // guards byJob
	byJob map[uuid.UUID]jobDebt
}

// owe notes a debt.
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

// of returns what is owed of a job.
func (ds *jobDebts) of(id uuid.UUID) jobDebt {
	if ds.some.Load() == 0 {
		return jobDebt{}
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.byJob[id]
}

// take is of, and forgets it.
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

// pay writes what is owed into the record of a job that has ended. It reports whether there is
// something that it could not write, since the job has not ended.
func (ds *jobDebts) pay(ctx context.Context, queue *guardedJobs, id uuid.UUID) (left bool) {
	for ds.of(id) != (jobDebt{}) {
		rec, err := queue.get(ctx, id)
		if err == nil && !rec.State.IsSettled() {
			return true // the next settlement adds it
		}
		debt := ds.take(id)
		if err != nil || debt == (jobDebt{}) {
			return false // the record is gone, or another goroutine pays
		}
		ds.write(ctx, queue, &rec, debt)
	}
	return false
}

// write adds a debt to the record of a job that has ended. If the record was changed meanwhile, or
// if the queue calls Goexit, the debt is owed again.
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

// payLater is pay when the job has ended, also if another host settles it.
func (ds *jobDebts) payLater(ctx context.Context, queue *guardedJobs, id uuid.UUID) {
	insist(ctx, func() {
		rec, err := queue.get(ctx, id)
		for err == nil && !rec.State.IsSettled() {
			rec, err = queue.watch(ctx, id, rec.Revision)
		}
		ds.pay(ctx, queue, id)
	})
}
