package faasnats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// Settle implements [faas.JobQueue]. It is one fenced write, of a record that also has the jobs
// in follow. After it, Settle puts these jobs. If this process dies before that, the server
// delivers the settled record to another process, which puts them.
func (q *Queue) Settle(ctx context.Context, lease faas.JobLease, next faas.JobRecord, follow ...faas.JobRecord) error {
	q.mu.Lock()
	h, err := q.leased(lease)
	if err != nil {
		q.mu.Unlock()
		return err
	}
	now := held{
		place: h.place, msg: h.msg, token: h.token, seq: h.seq, inHand: h.inHand, fired: h.fired, delivered: h.delivered, unsure: h.unsure,
		large: h.large,
	}
	q.mu.Unlock()
	next.ID = lease.Record.ID
	if err := q.openConsumers(ctx, follow); err != nil {
		return q.failed(ctx, "settle a job", err)
	}
	objects, cancel := q.inTime(ctx, &next, follow)
	defer cancel()
	follow, at, err := q.prepare(objects, &now, &next, follow)
	if err != nil {
		return q.failed(ctx, "settle a job", err)
	}
	c, err := q.settlement(&now, &next, follow, at)
	if err != nil {
		return err
	}
	answer, cancel := untilAnswered(objects, ctx)
	defer cancel()
	seq, err := q.storeSettlement(answer, h, c, &next)
	if err != nil {
		return err
	}
	if next.State.IsSettled() {
		q.room.settle(next.Tenant, int64(sizeOf(&lease.Record)))
	}
	q.settled(h, &next, c, seq)
	return nil
}

// storeSettlement stores the write. Before it does, it notes that the record will be delivered
// to this queue, because the delivery may come before the server's answer.
func (q *Queue) storeSettlement(ctx context.Context, h *held, c *change, next *faas.JobRecord) (uint64, error) {
	q.expect(h, c, next, 1)
	seq, err := q.store(ctx, c.msg)
	if errors.Is(err, errFence) && c.repeated {
		seq, err = q.wasMine(ctx, h.place.of(next.ID), c.write, err)
	}
	if err == nil {
		return seq, nil
	}
	q.expect(h, c, next, -1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if !errors.Is(err, errFence) {
		h.unsure = c.write
		return 0, q.failed(ctx, "settle a job", err)
	}
	delete(q.outbox, c.write)
	if q.held[next.ID] == h {
		q.drop(h)
	}
	return 0, jobError(next.Function, faas.ErrLease, faas.ErrLease.Error())
}

// expect notes that a settled record will be delivered, if n is 1, or with -1 that it won't be.
func (q *Queue) expect(h *held, c *change, next *faas.JobRecord, n int) {
	if c.state != inLine || !next.State.IsSettled() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.underway[h.place] = max(0, q.underway[h.place]+n)
	if n > 0 && c.follow != nil && q.outbox[c.write] == nil {
		q.outbox[c.write] = &outgoing{}
	}
}

// outgoing is an entry of Queue.outbox. It exists from the moment at which this process writes
// the settlement of a job until the jobs that follow from that job are put. Queue.mu guards it.
type outgoing struct {
	msg    jetstream.Msg // the delivery of the settled record, to be acknowledged when the jobs are put; nil: it has not come
	failed bool          // the jobs could not be put: the next delivery of the record puts them
}

// change is a write of a job's record.
type change struct {
	msg      *msgOut
	write    string // the name of the write
	repeated bool   // an earlier try has failed, and may have been stored
	state    string
	follow   []byte
	large    large
}

// settlement makes the write of the record with which a lease ends.
func (q *Queue) settlement(h *held, next *faas.JobRecord, follow []faas.JobRecord, at large) (*change, error) {
	c := &change{write: h.unsure, repeated: h.unsure != "", state: stateOf(next, time.Now()), large: at}
	if !c.repeated {
		c.write = q.newWrite()
	}
	if h.place.isOrdered() && !next.State.IsSettled() {
		c.state = inHand // an ordered job stays at the head of its partition, and so keeps its order key
	}
	var err error
	if len(follow) > 0 {
		if c.follow, err = json.Marshal(follow); err != nil {
			return nil, fmt.Errorf("faasnats: the jobs that follow from job %v do not encode: %w", next.ID, err)
		}
	}
	if c.msg, err = message(h.place, next, c.state, c.follow, at); err != nil {
		return nil, err
	}
	c.msg.Header.Set(headerWrite, c.write)
	fence(c.msg, h.seq, h.place.of(next.ID))
	h.mark(c, next.ID, next.State.IsSettled())
	return c, nil
}

// mark sets the headers that the next delivery needs. If a schedule has brought the job, it makes
// the server remove that schedule.
func (h *held) mark(c *change, id uuid.UUID, settled bool) {
	switch {
	case c.state == inHand:
		h.explain(c.msg, false)
	case h.inHand && settled:
		c.msg.Header.Set(headerClaimed, "1")
	}
	if h.fired != "" && h.fired != c.state && c.state != inHand {
		purging(c.msg, h.place, id, h.fired)
	}
}

// prepare writes the large parts as objects. This may fail, and does so before the settlement
// is written. It returns the jobs that follow, without the payloads that are objects.
func (q *Queue) prepare(ctx context.Context, h *held, next *faas.JobRecord, follow []faas.JobRecord) ([]faas.JobRecord, large, error) {
	owner := h.place.owner(next.ID)
	at, err := q.objects.enlarge(ctx, next, h.large, owner)
	if err != nil || len(follow) == 0 {
		return follow, at, err
	}
	follow = slices.Clone(follow) // records that were given to the queue are not changed
	at.Follow, err = q.prepareFollow(ctx, owner, follow)
	return follow, at, err
}

// prepareFollow writes large payloads of the jobs that follow as objects, and removes them from
// these jobs. It returns the objects, by the index of their job, or nil if there are none.
func (q *Queue) prepareFollow(ctx context.Context, owner string, follow []faas.JobRecord) (some []object, err error) {
	objects := make([]object, len(follow))
	for i := range follow {
		both := owner + ownerSeparator + placeOf(&follow[i]).owner(follow[i].ID)
		if objects[i], err = q.objects.object(ctx, follow[i].Payload, min(mostFollow, q.objects.inline), object{}, both); err != nil {
			return nil, err
		}
		if objects[i].Name != "" {
			follow[i].Payload, some = nil, objects
		}
	}
	return some, nil
}

// openConsumers makes the consumers of jobs that are to be put, see openConsumer.
func (q *Queue) openConsumers(ctx context.Context, jobs []faas.JobRecord) error {
	for i := range jobs {
		if err := q.openConsumer(ctx, placeOf(&jobs[i])); err != nil {
			return err
		}
	}
	return nil
}

// inTime gives a write that needs an object a deadline, before which the object is not swept.
func (q *Queue) inTime(ctx context.Context, next *faas.JobRecord, follow []faas.JobRecord) (context.Context, context.CancelFunc) {
	if len(next.Payload) <= q.objects.inline && len(next.Output) <= q.objects.inline && len(follow) == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, objectGrace/2)
}

// untilAnswered bounds the wait for the server's answer to the write that names the objects.
// Writing the objects may take minutes, and a context with a deadline replaces the client's own
// timeout. So a lost answer would be waited for as long as that. If the caller's context has a
// deadline, that deadline is the bound instead.
func untilAnswered(objects, caller context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := caller.Deadline(); bounded {
		return context.WithCancel(objects)
	}
	return context.WithTimeout(objects, requestTimeout)
}

// wasMine finds out whether an earlier try of a write was stored although it failed. It is
// called when the fence has refused the repetition with the error refused. It returns the
// sequence of the write if it was stored, or else that error.
func (q *Queue) wasMine(ctx context.Context, job, write string, refused error) (uint64, error) {
	s, err := q.last(ctx, job)
	switch {
	case err != nil:
		return 0, err
	case s.write == write:
		return s.seq, nil
	}
	return 0, refused
}

// settled ends the lease after the server has stored the settlement.
func (q *Queue) settled(h *held, next *faas.JobRecord, c *change, seq uint64) {
	q.mu.Lock()
	h.lease = 0 // before drop, which closes Lost of a job that is leased; the holder knows that it has settled the job
	switch {
	case q.held[next.ID] != h:
	case c.state == inHand:
		q.endLease(h, next, seq, c.large)
	default:
		q.drop(h)
	}
	q.mu.Unlock()
	q.signalChange(next.ID, "held")
	if c.state == inHand {
		return
	}
	ctx, cancel := background()
	defer cancel()
	if !q.sendFollow(ctx, c) && c.state != inLine {
		return // the delivered message stays unacknowledged; at its next delivery the jobs that follow are put
	}
	if c.state != inLine || h.inHand {
		q.sweep(ctx, h.place, &stored{rec: *next, seq: seq})
	}
	q.ack(h.msg, h.place)
}

// sendFollow puts the jobs that follow from a settled one. It acknowledges the delivery of the
// settled record if that has come meanwhile. It returns false if the jobs could not be put.
func (q *Queue) sendFollow(ctx context.Context, c *change) bool {
	if c.follow == nil {
		return true
	}
	err := q.putFollow(ctx, c.follow, c.large.Follow)
	if err != nil {
		q.log.Warn("faasnats: the jobs that follow from a job are put later", "error", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.outbox[c.write]
	switch {
	case out == nil:
	case err != nil:
		out.failed = true
	default:
		delete(q.outbox, c.write)
		if out.msg != nil {
			_ = out.msg.Ack() // if this is lost, the next delivery is acknowledged at once
		}
	}
	return err == nil
}
