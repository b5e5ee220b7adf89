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

// record is the record of what a timer has fired last, in the queue of jobs: a settled job of a
// function that no host has, which does not expire. All processes with the timer write to it; the latest
// time holds.
type record struct{ mu sync.Mutex } // held by this process's only writer

// keptFor is how long the record is kept after it was written last: for longer than any timer waits.
const keptFor = 100 * 365 * 24 * time.Hour

// recordFunction is no valid name of a function.
const recordFunction = "$faascron"

// recordID is the ID of a timer's record.
func (e *entry) recordID() uuid.UUID {
	return uuid.NewHash(sha256.New(), uuid.Nil, []byte("github.com/inproc/faas/trigger/faascron\x00"+e.set.name), 8)
}

// newRecord is the record that says so.
func (e *entry) newRecord(fired time.Time) (faas.JobRecord, error) {
	payload, err := json.Marshal(state{Mark: fired.UTC()})
	at := now()
	return faas.JobRecord{
		Format: faas.JobFormat, ID: e.recordID(), Function: recordFunction, State: faas.JobSucceeded, Condition: faas.ConditionSuccess,
		Accepted: at, Due: at, Settled: at, KeepUntil: at.Add(keptFor), Payload: payload, Labels: map[string]string{labelTimer: e.set.name},
	}, err
}

// restore begins where the last process was.
func (e *entry) restore(ctx context.Context) error {
	if e.set.catchUp == None {
		return nil
	}
	rec, err := e.newRecord(e.state.Mark)
	if err != nil {
		return err
	}
	had, err := e.router.JobQueue().Put(ctx, rec)
	if err == nil || !errors.Is(err, faas.ErrDuplicate) {
		return err
	}
	if s, err := stateOf(&had); err == nil && s.Mark.Before(e.state.Mark) { // an error: it was purged
		e.state.Mark = s.Mark
	}
	return nil
}

// keep notes that a time was fired.
func (e *entry) keep(ctx context.Context, at time.Time) error {
	if e.set.catchUp == None {
		return nil
	}
	e.kept.mu.Lock()
	defer e.kept.mu.Unlock()
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
			return nil // it was purged, and a queue takes no ID twice
		}
		return err
	}
}

// overwrite writes the record unless one of a later time is there.
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
