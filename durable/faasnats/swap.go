package faasnats

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// Swap implements [faas.JobQueue].
func (q *Queue) Swap(ctx context.Context, old, next faas.JobRecord) error {
	remove := next.ID == uuid.Nil
	s, err := q.swappable(ctx, &old, remove)
	if err != nil {
		return err
	}
	next.ID = old.ID
	now, err := q.overwrite(ctx, s, &next, remove)
	switch {
	case errors.Is(err, errFence):
		return jobError(s.rec.Function, faas.ErrRevision, faas.ErrRevision.Error())
	case err != nil:
		return q.failed(ctx, "change a job", err)
	}
	if now.settled && !s.settled {
		q.room.settle(s.rec.Tenant, int64(sizeOf(&s.rec)+s.large.apart(&s.rec)))
	}
	q.swapped(ctx, s, now)
	if remove {
		q.objects.forget(ctx, &s.large)
	}
	return nil
}

// swappable returns the stored record of a job if it may be replaced.
func (q *Queue) swappable(ctx context.Context, old *faas.JobRecord, remove bool) (*stored, error) {
	if err := q.usable(ctx); err != nil {
		return nil, err
	}
	s, err := q.find(ctx, old.ID)
	switch {
	case err != nil:
		return nil, err
	case s.seq != old.Revision:
		return nil, jobError(s.rec.Function, faas.ErrRevision, faas.ErrRevision.Error())
	case remove && !s.settled:
		return nil, jobError(s.rec.Function, faas.ErrInput, "only the record of a settled job can be removed")
	}
	return s, nil
}

// overwrite writes next over s, or a tombstone if remove is true. It returns what was written.
func (q *Queue) overwrite(ctx context.Context, s *stored, next *faas.JobRecord, remove bool) (*stored, error) {
	objects, cancel := q.inTime(ctx, next, nil)
	defer cancel()
	at, err := q.objects.enlarge(objects, next, s.large, s.place.owner(next.ID))
	if err != nil {
		return nil, err
	}
	at.Follow = s.large.Follow
	msg, state, err := q.swapMessage(s, next, at, remove)
	if err != nil {
		return nil, err
	}
	answer, cancel := untilAnswered(objects, ctx)
	defer cancel()
	seq, err := q.store(answer, msg)
	return &stored{rec: *next, place: s.place, state: state, seq: seq, large: at, settled: next.State.IsSettled() || remove}, err
}

// swapMessage makes the write over s, and returns the state of its subject.
func (q *Queue) swapMessage(s *stored, next *faas.JobRecord, at large, remove bool) (msg *msgOut, state string, err error) {
	if remove {
		msg, err = tombstone(s)
		state = s.state
	} else {
		state = stateOf(next, time.Now())
		if s.state == inHand && s.place.isOrdered() && !next.State.IsSettled() {
			state = inHand
		}
		msg, err = message(s.place, next, state, nil, at)
	}
	if err != nil {
		return nil, state, err
	}
	fence(msg, s.seq, s.place.of(s.rec.ID))
	if state == inHand {
		(&held{delivered: s.delivered}).explain(msg, false)
	}
	if (s.state == inFuture || s.state == inPark) && s.state != state {
		purging(msg, s.place, s.rec.ID, s.state)
	}
	return msg, state, nil
}

// tombstone makes the record of a purged job. Its ID stays taken for as long as the record
// would have been kept.
func tombstone(s *stored) (*msgOut, error) {
	bare := faas.JobRecord{
		ID: s.rec.ID, Function: s.rec.Function, Tenant: s.rec.Tenant, OrderKey: s.rec.OrderKey, Accepted: s.rec.Accepted, State: s.rec.State,
		KeepUntil: s.rec.KeepUntil, UniqueKey: s.rec.UniqueKey, UniqueFor: s.rec.UniqueFor,
	}
	msg, err := message(s.place, &bare, s.state, nil, large{})
	if err != nil {
		return nil, err
	}
	msg.Header.Set(headerState, forgotten)
	if msg.Header.Get(jetstream.MsgTTLHeader) == "" {
		msg.Header.Set(jetstream.MsgTTLHeader, ttl(tombstoneTime))
	}
	return msg, nil
}

// tombstoneTime is how long the ID of a purged job stays taken if its record was to be kept for
// ever.
const tombstoneTime = 24 * time.Hour

// swapped ends the lease of a job that Swap has changed, and removes its older records.
func (q *Queue) swapped(ctx context.Context, old, s *stored) {
	q.mu.Lock()
	h := q.held[s.rec.ID]
	if h != nil && h.seq >= s.seq { // the new record was delivered here already
		h = nil
	}
	switch {
	case h == nil:
	case s.state == inHand:
		q.endLease(h, &s.rec, s.seq, s.large)
	default:
		q.drop(h)
	}
	if s.state == inLine && s.settled {
		q.underway[s.place]++
	}
	q.mu.Unlock()
	if s.state != old.state || s.state != inLine {
		q.sweep(ctx, s.place, s)
	}
	if h != nil && s.state != inHand {
		q.ack(h.msg, h.place) // the write has replaced the message, or sweep has removed it
	}
	q.signalChange(s.rec.ID, "swap")
}

// changedElsewhere looks a held job up, because another process has announced a Swap of it, and
// ends its lease if that is so.
func (q *Queue) changedElsewhere(id uuid.UUID) {
	h := q.holds(id)
	if h == nil {
		return
	}
	ctx, cancel := background()
	defer cancel()
	s, err := q.last(ctx, h.place.of(id))
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return // the holder's Settle is refused by the fence
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.held[id] != h || err == nil && s.seq <= h.seq:
	case err == nil && s.state == inHand:
		q.endLease(h, &s.rec, s.seq, s.large)
	default:
		q.drop(h)
		q.ack(h.msg, h.place)
	}
}
