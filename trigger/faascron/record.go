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

// record is the record of up to which time all has been fired, in the queue of jobs: a settled job of a
// function that no host has, which does not expire. All processes with the timer write to it; the latest
// time holds.
//
// Firings are accepted in any order: one whose Put has failed is put again while a later one is accepted.
// A time is written when all before it are dealt with, or a process that dies then would leave out
// the earlier ones for ever.
type record struct {
	mu      sync.Mutex // guards what follows
	open    []dealt    // from the first that is not dealt with on, in order
	reached time.Time  // all up to it is dealt with
	writing bool       // a goroutine is at it, and looks at reached again before it ends
}

// dealt is a firing, and whether it is dealt with.
type dealt struct {
	at   time.Time
	over bool
}

// clear forgets all firings: those that were not dealt with are fired again.
func (r *record) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open, r.reached = nil, time.Time{}
}

// begin notes a firing. They come in order.
func (r *record) begin(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, dealt{at: at})
}

// end notes that a firing is dealt with. It reports whether the caller is to write how far that reaches.
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

// next returns what is to be written after a time was, or after that has failed. If there is nothing,
// the goroutine that writes is done.
func (r *record) next(written time.Time) (at time.Time, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writing = r.reached.After(written)
	return r.reached, r.writing
}

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
	e.kept.clear()
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

// keep notes that a firing is dealt with.
func (e *entry) keep(ctx context.Context, at time.Time) error {
	if e.set.catchUp == None || !e.kept.end(at) {
		return nil
	}
	var err error
	for at, more := e.kept.next(time.Time{}); more; at, more = e.kept.next(at) {
		err = e.write(ctx, at) // of the last, which holds
	}
	return err
}

// write writes how far the timer is.
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
