package faasnats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// Put implements [faas.JobQueue]. The write of the record (createAt) accepts the job. Before it, in
// this order, Put writes the unique key, if the job has one; makes the consumer of the job's place,
// if there is none; refuses the job if there is no room; and writes a payload that is too large for
// the record as an object.
func (q *Queue) Put(ctx context.Context, rec faas.JobRecord) (faas.JobRecord, error) {
	if err := q.usable(ctx); err != nil {
		return faas.JobRecord{}, err
	}
	mine := rec.ID
	for {
		key, err := uint64(0), error(nil)
		if rec.UniqueKey != "" {
			rec.ID, key, err = q.takeKey(ctx, &rec, mine)
		}
		if err == nil {
			rec.Revision, err = q.create(ctx, &rec, true, large{})
		}
		switch {
		case err == nil:
			rec.NewID = false
			return rec, nil
		case !errors.Is(err, errFence):
			return faas.JobRecord{}, q.refused(ctx, &rec, err)
		}
		if had, err := q.duplicate(ctx, &rec, key); !errors.Is(err, faas.ErrNotFound) {
			return had, err
		} // the job that was there has expired meanwhile
	}
}

// duplicate returns the result of a Put whose ID is taken. The Put may have taken a unique key
// before it found that out: key is the sequence of the key's message, or 0 if no key was taken.
func (q *Queue) duplicate(ctx context.Context, rec *faas.JobRecord, key uint64) (faas.JobRecord, error) {
	had, err := q.Get(ctx, rec.ID)
	if err != nil && !errors.Is(err, faas.ErrForgotten) {
		return faas.JobRecord{}, err
	}
	if key != 0 && !hasKeyOf(&had, rec) {
		_ = q.stream.DeleteMsg(ctx, key) // a key that stayed would lead to the other job until it expires
	}
	had.ID = rec.ID
	return had, jobError(rec.Function, faas.ErrDuplicate, "there is a job of this ID or unique key")
}

// hasKeyOf reports whether had, the job that has the ID, has the same unique key as rec. If it
// has, had was written by another Put with this key: that Put found the key's message, took the
// ID from it, and was the first to write a record. Then the key's message must stay, since it
// leads to had.
func hasKeyOf(had, rec *faas.JobRecord) bool {
	return had.UniqueKey == rec.UniqueKey && had.Function == rec.Function && had.Tenant == rec.Tenant
}

// refused returns the error of a Put that failed with err.
func (q *Queue) refused(ctx context.Context, rec *faas.JobRecord, err error) error {
	if errors.Is(err, errFull) {
		return &faas.Error{Op: "send", Function: rec.Function, Err: fmt.Errorf("%w: %w", faas.ErrOverloaded, err)}
	}
	return q.failed(ctx, "put a job", err)
}

// create writes the record of a new job. The error Is errFence if its ID is taken. If bounded is
// true, the error Is errFull if there is no room. The parameter at lists the parts of the record
// that have been written as objects already.
func (q *Queue) create(ctx context.Context, rec *faas.JobRecord, bounded bool, at large) (uint64, error) {
	p := placeOf(rec)
	if err := q.openConsumer(ctx, p); err != nil {
		return 0, err
	}
	if bounded {
		if err := q.makeRoom(ctx, rec); err != nil {
			return 0, err
		}
	}
	if len(rec.Payload) > q.objects.inline {
		return q.createLarge(ctx, p, rec)
	}
	return q.createAt(ctx, p, rec, at)
}

// createAt writes the record of a new job. In the same write the server checks that the ID is not
// taken. Once the server has acknowledged the write, the job is accepted.
func (q *Queue) createAt(ctx context.Context, p place, rec *faas.JobRecord, at large) (uint64, error) {
	msg, err := message(p, rec, stateOf(rec, time.Now()), nil, at)
	if err != nil {
		return 0, err
	}
	fence(msg, 0, whereTaken(p, rec))
	return q.store(ctx, msg)
}

// createLarge writes the payload as an object first, unless the ID is taken, and then the
// record.
func (q *Queue) createLarge(ctx context.Context, p place, rec *faas.JobRecord) (uint64, error) {
	switch _, err := q.last(ctx, whereTaken(p, rec)); {
	case err == nil:
		return 0, errFence
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, err
	}
	objects, cancel := context.WithTimeout(ctx, objectGrace/2)
	defer cancel()
	at, err := q.objects.enlarge(objects, rec, large{}, p.owner(rec.ID))
	if err != nil {
		return 0, err
	}
	answer, cancel := untilAnswered(objects, ctx)
	defer cancel()
	seq, err := q.createAt(answer, p, rec, at)
	if errors.Is(err, errFence) {
		q.objects.forget(ctx, &at) // after any other error the record may have been written, and would need the object
	}
	return seq, err
}

// whereTaken returns the subject under which a message means that the ID of a new job is taken.
// If a job of another function might have the ID, the subject spans the places (buckets and
// partitions) of all functions. The server walks over these inside its lock: with 45 places that
// is twice the work of a publish. An ID that was made for this job can only be in the job's own
// place, where an earlier try of this Put may have written it. With a unique key, the ID may come
// from another Put with the same unique key. That job may have another order key, and so another
// place, and all places are searched.
func whereTaken(p place, rec *faas.JobRecord) string {
	if rec.NewID && rec.UniqueKey == "" {
		return p.of(rec.ID)
	}
	return anywhere(rec.ID)
}

// takeKey takes a unique key for a job, and returns the ID of the job that has the key. The
// result key is the sequence of the key's message if this call took the key, or else 0.
func (q *Queue) takeKey(ctx context.Context, rec *faas.JobRecord, mine uuid.UUID) (id uuid.UUID, key uint64, err error) {
	window := time.Until(rec.Accepted.Add(rec.UniqueFor))
	for {
		msg := nats.NewMsg(keySubject(rec))
		msg.Data = []byte(idToken(mine))
		msg.Header.Set(jetstream.MsgTTLHeader, ttl(window))
		msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
		key, err = q.store(ctx, msg)
		if !errors.Is(err, errFence) {
			return mine, key, err
		}
		m, err := q.stream.GetLastMsgForSubject(ctx, keySubject(rec))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // the key has expired meanwhile
			continue
		case err != nil:
			return id, 0, err
		}
		id, err = uuid.ParseBytes(m.Data)
		return id, 0, err
	}
}
