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

// Put implements [faas.JobQueue]. The write of the record (newJobMessage) accepts the job. Before
// it, in this order, Put writes the unique key, if the job has one; makes the consumer of the job's
// place, if there is none; refuses the job if there is no room; and writes a payload that is too
// large for the record as an object. A key for which there is no room is refused like a job.
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
			rec.Revision, err = q.create(ctx, &rec)
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

// create writes the record of a new job. The error Is errFence if its ID is taken, and errFull if
// there is no room.
func (q *Queue) create(ctx context.Context, rec *faas.JobRecord) (uint64, error) {
	p := placeOf(rec)
	if err := q.openConsumer(ctx, p); err != nil {
		return 0, err
	}
	if len(rec.Payload) > q.objects.inline {
		return q.createLarge(ctx, p, rec)
	}
	msg, err := newJobMessage(p, rec, large{})
	if err != nil {
		return 0, err
	}
	n := storedSize(msg)
	if err := q.makeRoom(ctx, rec.Tenant, int64(sizeOf(rec)), n); err != nil {
		return 0, err
	}
	seq, err := publish(ctx, q.js, msg)
	how := outcomeOf(err)
	if q.room.end(n, how); how == isRefused {
		q.room.settle(rec.Tenant, int64(sizeOf(rec)))
	}
	return seq, err
}

// newJobMessage makes the message that accepts a new job once the server has acknowledged it. In
// the same write the server checks that the ID is not taken. The parameter at lists the parts of
// the record that are objects.
func newJobMessage(p place, rec *faas.JobRecord, at large) (*msgOut, error) {
	msg, err := message(p, rec, stateOf(rec, time.Now()), nil, at)
	if err == nil {
		fence(msg, 0, whereTaken(p, rec))
	}
	return msg, err
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
	at := large{Payload: q.objects.newObject(rec.Payload, p.owner(rec.ID))}
	msg, err := newJobMessage(p, rec, at)
	if err != nil {
		return 0, err
	}
	n := storedSize(msg) + q.objects.storedSize(at.Payload)
	if err := q.makeRoom(ctx, rec.Tenant, int64(sizeOf(rec)), n); err != nil {
		return 0, err
	}
	seq, err := q.storeLarge(ctx, msg, at.Payload, rec.Payload)
	if err == nil {
		q.room.end(n, isStored)
		return seq, nil
	}
	q.room.end(n, isUnsure) // the object may be stored even if the record is not
	if errors.Is(err, errFence) {
		q.room.settle(rec.Tenant, int64(sizeOf(rec)))
		q.objects.forget(ctx, &at) // after any other error the record may have been written, and would need the object
	}
	return 0, err
}

// storeLarge writes the payload of a new job as the object o, and then the job's message.
func (q *Queue) storeLarge(ctx context.Context, msg *msgOut, o object, payload []byte) (uint64, error) {
	objects, cancel := context.WithTimeout(ctx, objectGrace/2)
	defer cancel()
	if err := q.objects.putObject(objects, o, payload); err != nil {
		return 0, err
	}
	answer, cancel := untilAnswered(objects, ctx)
	defer cancel()
	return publish(answer, q.js, msg)
}

// createFollowing writes the record of a new job that follows from another. There need not be room
// for it. The parameter at lists the parts of the record that were written as objects before.
func (q *Queue) createFollowing(ctx context.Context, rec *faas.JobRecord, at large) error {
	p := placeOf(rec)
	if err := q.openConsumer(ctx, p); err != nil {
		return err
	}
	msg, err := newJobMessage(p, rec, at)
	if err != nil {
		return err
	}
	_, err = q.store(ctx, msg)
	return err
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
		n := storedSize(msg)
		if err := q.makeRoom(ctx, rec.Tenant, 0, n); err != nil {
			return id, 0, err
		}
		key, err = publish(ctx, q.js, msg)
		q.room.end(n, outcomeOf(err))
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
