package faas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// NewJobIdempotency returns a store that keeps its entries as records in a queue of jobs. q
// may be the queue of [WithJobs]: then answers are as durable as jobs, and if several
// processes share the queue, they share the answers. It panics with an *[Error] that Is
// [ErrInput] if q is nil.
//
// An entry is a settled record of the function "$idempotency", which no host has, with a
// unique key. [Router.Jobs] yields it, and it takes room as other settled records do. If the
// queue forgets an entry before its time, or it is purged, its unique key stays taken: until
// the window ends, calls with the key fail with an error that Is [ErrForgotten], and the
// handler does not run a second time.
func NewJobIdempotency(q JobQueue) IdempotencyStore {
	if q == nil {
		panic(usageError("idempotent", "", ErrInput, "NewJobIdempotency needs a queue"))
	}
	return jobIdempotency{q}
}

type jobIdempotency struct{ queue JobQueue }

// idempotencyFunction is the Function of an entry's record. It is not a valid name, so no
// function can have it.
const idempotencyFunction = "$idempotency"

// record encodes an entry as a record.
func (jobIdempotency) record(e *IdempotencyEntry) (JobRecord, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		return JobRecord{}, err
	}
	key := sha256.Sum256([]byte(e.Function + "/" + e.Key)) // a function's name has no slash, so no two entries have the same text
	return JobRecord{
		Format: JobFormat, ID: e.ID, Revision: e.Revision, Function: idempotencyFunction, Tenant: e.Tenant, State: JobSucceeded,
		Accepted: e.Created, Due: e.Created, Settled: e.Created, KeepUntil: e.Until,
		UniqueKey: hex.EncodeToString(key[:]), UniqueFor: e.Until.Sub(e.Created), Payload: payload,
	}, nil
}

// entry decodes a record of the func record.
func (jobIdempotency) entry(rec *JobRecord) (e IdempotencyEntry, err error) {
	if len(rec.Payload) == 0 { // the record is forgotten: only its ID is known
		return e, usageError("idempotent", "", ErrForgotten, "the queue no longer has the answer of the earlier call")
	}
	if err := json.Unmarshal(rec.Payload, &e); err != nil {
		return e, err
	}
	e.ID, e.Revision = rec.ID, rec.Revision // a queue may have put it under the ID of a call that took the unique key and died
	return e, nil
}

func (s jobIdempotency) Create(ctx context.Context, e IdempotencyEntry) (IdempotencyEntry, bool, error) {
	rec, err := s.record(&e)
	if err != nil {
		return e, false, err
	}
	had, err := s.queue.Put(ctx, rec)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return e, false, err
	}
	got, failed := s.entry(&had)
	return got, err == nil, failed
}

// Swap writes next, and reads the record again for its new revision. If another call has
// written in between, this call has lost the entry.
func (s jobIdempotency) Swap(ctx context.Context, old, next IdempotencyEntry) (IdempotencyEntry, error) {
	was, err := s.record(&old)
	if err != nil {
		return next, err
	}
	rec, err := s.record(&next)
	if err != nil {
		return next, err
	}
	if err := s.queue.Swap(ctx, was, rec); err != nil {
		return next, lostEntry(&old, err)
	}
	now, err := s.queue.Get(ctx, old.ID)
	if err != nil {
		return next, lostEntry(&old, err)
	}
	got, err := s.entry(&now)
	if err == nil && (got.Call != next.Call || got.Answered != next.Answered || !got.Lease.Equal(next.Lease)) {
		err = lostEntry(&old, ErrRevision)
	}
	return got, err
}

func lostEntry(e *IdempotencyEntry, err error) error {
	if isGoneJob(err) {
		return usageError("idempotent", e.Function, ErrRevision, "another call has taken the key")
	}
	return err
}

func (s jobIdempotency) Watch(ctx context.Context, e IdempotencyEntry) error {
	_, err := s.queue.Watch(ctx, e.ID, e.Revision)
	if err != nil && isGoneJob(err) {
		return nil
	}
	return err
}
