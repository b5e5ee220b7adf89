package faascron

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// record knows up to which scheduled time a timer has handled everything, and that time is
// stored in the queue of jobs. It is stored as a settled job that does not expire, of a
// function that no host has. All processes that have the timer write the same record; the
// latest time wins.
//
// Firings may be accepted out of order: if a Put fails, it is repeated, and a later firing may
// be accepted before it succeeds. So a time is written only when all times before it are
// handled. Otherwise a process that dies then would leave out the earlier ones for ever.
type record struct {
	mu      sync.Mutex // guards what follows
	open    []dealt    // in order, from the first firing that is not handled on
	reached time.Time  // every firing up to this time is handled
	writing bool       // a goroutine writes the record, and calls next before it ends
}

// dealt is a firing, and whether it has been handled.
type dealt struct {
	at   time.Time
	over bool
}

// clear forgets all firings. Those that were not handled are fired again.
func (r *record) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open, r.reached = nil, time.Time{}
}

// begin notes a firing. The calls are in the order of the scheduled times.
func (r *record) begin(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, dealt{at: at})
}

// end notes that a firing has been handled. If write is true, the caller must write the record.
func (r *record) end(at time.Time) (write bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.open {
		if r.open[i].at.Equal(at) {
			r.open[i].over = true
		}
	}
	n := 0
	for n < len(r.open) && r.open[n].over {
		r.reached = r.open[n].at
		n++
	}
	r.open = r.open[n:]
	if n == 0 || r.writing {
		return false
	}
	r.writing = true
	return true
}

// next returns the time that is to be written, after the time written has been written or could
// not be. If more is false there is nothing to write, and the caller stops writing.
func (r *record) next(written time.Time) (at time.Time, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writing = r.reached.After(written)
	return r.reached, r.writing
}

// keptFor is how long the queue keeps the record after its last write: longer than any timer
// waits.
const keptFor = 100 * 365 * 24 * time.Hour

// recordFunction is not a valid name of a function, so no host has it.
const recordFunction = "$faascron"

// recordID returns the ID of the timer's record.
func (e *entry) recordID() uuid.UUID {
	return uuid.NewHash(sha256.New(), uuid.Nil, []byte("github.com/inproc/faas/trigger/faascron\x00"+e.set.name), 8)
}

// newRecord returns the record with that time.
func (e *entry) newRecord(fired time.Time) (faas.JobRecord, error) {
	payload, err := json.Marshal(state{Mark: fired.UTC()})
	at := now()
	return faas.JobRecord{
		Format: faas.JobFormat, ID: e.recordID(), Function: recordFunction, State: faas.JobSucceeded, Condition: faas.ConditionSuccess,
		Accepted: at, Due: at, Settled: at, KeepUntil: at.Add(keptFor), Payload: payload, Labels: map[string]string{labelTimer: e.set.name},
	}, err
}

// restore sets the timer's state to that of its record, or writes the record if there is none.
func (e *entry) restore(ctx context.Context) error {
	if e.set.catchUp == None {
		return nil
	}
	e.kept.clear()
	rec, err := e.newRecord(e.state.Mark)
	if err != nil {
		return err
	}
	had, err := e.router.JobQueue().Put(ctx, rec)
	if err == nil || !errors.Is(err, faas.ErrDuplicate) {
		return err
	}
	if s, err := stateOf(&had); err == nil && s.Mark.Before(e.state.Mark) { // an error means that the record was purged
		e.state.Mark = s.Mark
	}
	return nil
}

// keep notes that a firing has been handled, and writes the record if it is this goroutine's
// turn.
func (e *entry) keep(ctx context.Context, at time.Time) error {
	if e.set.catchUp == None || !e.kept.end(at) {
		return nil
	}
	var err error
	for at, more := e.kept.next(time.Time{}); more; at, more = e.kept.next(at) {
		err = e.write(ctx, at) // only the last error counts: the last write includes the earlier ones
	}
	return err
}

// write stores a time in the timer's record.
func (e *entry) write(ctx context.Context, at time.Time) error {
	next, err := e.newRecord(at)
	if err != nil {
		return err
	}
	queue := e.router.JobQueue()
	for {
		err := overwrite(ctx, queue, next, at)
		switch {
		case errors.Is(err, faas.ErrRevision):
			continue
		case errors.Is(err, faas.ErrForgotten), errors.Is(err, faas.ErrNotFound):
			return nil // the record was purged, and a queue does not accept the same ID again
		}
		return err
	}
}

// overwrite writes the record, unless it already has that time or a later one.
func overwrite(ctx context.Context, queue faas.JobQueue, next faas.JobRecord, at time.Time) error {
	had, err := queue.Get(ctx, next.ID)
	if err != nil {
		return err
	}
	if s, err := stateOf(&had); err == nil && !s.Mark.Before(at) {
		return nil
	}
	return queue.Swap(ctx, had, next)
}

func stateOf(rec *faas.JobRecord) (s state, err error) {
	err = json.Unmarshal(rec.Payload, &s)
	return s, err
}
