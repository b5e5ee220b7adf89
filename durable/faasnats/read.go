package faasnats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// Get implements [faas.JobQueue]. No record says that a job runs. So if a job waits, and this
// process does not run it, Get asks the other processes that have the queue open. A process
// that does not answer delays Get by half a second, and a job that it runs shows as ready.
func (q *Queue) Get(ctx context.Context, id uuid.UUID) (faas.JobRecord, error) {
	if err := q.usable(ctx); err != nil {
		return faas.JobRecord{}, err
	}
	s, err := q.find(ctx, id)
	if err != nil {
		return faas.JobRecord{}, err
	}
	if err := q.loadAll(ctx, s); err != nil {
		return faas.JobRecord{}, err
	}
	return q.shown(ctx, s, q.askPeers(ctx, s)), nil
}

// askPeers asks the other processes which of the jobs they run.
func (q *Queue) askPeers(ctx context.Context, jobs ...*stored) map[uuid.UUID]runningJob {
	var ids []uuid.UUID
	for _, s := range jobs {
		if !s.settled && (s.state == inLine || s.state == inHand) && q.holds(s.rec.ID) == nil {
			ids = append(ids, s.rec.ID)
		}
	}
	return q.peers.running(ctx, ids)
}

// answerPeers returns those of the jobs that this process runs, for the question of another
// one.
func (q *Queue) answerPeers(jobs []uuid.UUID) map[uuid.UUID]runningJob {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := map[uuid.UUID]runningJob{}
	for _, id := range jobs {
		if h := q.held[id]; h != nil && h.lease != 0 {
			all[id] = runningJob{h.seq, h.progress.Done, h.progress.Total, h.progress.Note}
		}
	}
	return all
}

// loadAll gives a record its large parts. An object that is lost is left out, and logged.
func (q *Queue) loadAll(ctx context.Context, s *stored) error {
	err := q.objects.load(ctx, &s.rec, &s.large)
	if errors.Is(err, errLost) {
		q.log.Error("faasnats: a large part of a job is lost", "job", s.rec.ID, "error", err)
		return nil
	}
	if err != nil {
		return q.failed(ctx, "read a job", err)
	}
	return nil
}

// find returns the last record of a job, without its large parts.
func (q *Queue) find(ctx context.Context, id uuid.UUID) (*stored, error) {
	s, err := q.last(ctx, anywhere(id))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, jobError("", faas.ErrNotFound, "no such job")
	case err != nil:
		return nil, q.failed(ctx, "look a job up", err)
	case s.forgotten:
		return nil, jobError(s.rec.Function, faas.ErrForgotten, faas.ErrForgotten.Error())
	}
	return s, nil
}

// isNamed reports whether the last record of an object's owner names the object.
func (q *Queue) isNamed(ctx context.Context, owner, name string) (bool, error) {
	s, err := q.last(ctx, owner+".>")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up the owner of object %s: %w", name, err)
	}
	return s.large.names(name), nil
}

// shown returns a record as Get and List return it. It adds what only the process that runs the
// job knows, if that is this process or one of those that have answered.
func (q *Queue) shown(ctx context.Context, s *stored, others map[uuid.UUID]runningJob) faas.JobRecord {
	rec := s.show(time.Now())
	if s.settled {
		return rec
	}
	q.mu.Lock()
	h := q.held[rec.ID]
	if h != nil && h.lease != 0 && h.seq == s.seq {
		rec = q.running(h)
	}
	q.mu.Unlock()
	if other, ok := others[rec.ID]; ok && h == nil && other.Revision == s.seq {
		rec.State, rec.Progress = faas.JobRunning, other.progress()
		return rec
	}
	if h == nil && s.place.isOrdered() && s.state == inLine {
		rec.KeyHolder = q.keyHolder(ctx, s)
	}
	return rec
}

// keyHolder returns the ID of the job at the head of the partition if it has the same order
// key, or else the zero ID.
func (q *Queue) keyHolder(ctx context.Context, s *stored) uuid.UUID {
	head := q.headHere(s.place)
	if head == nil {
		head = q.headElsewhere(ctx, s.place)
	}
	if head == nil || head.OrderKey != s.rec.OrderKey || head.Tenant != s.rec.Tenant || head.ID == s.rec.ID {
		return uuid.Nil
	}
	return head.ID
}

// headHere returns the head of a partition if this process holds it, or nil.
func (q *Queue) headHere(p place) *faas.JobRecord {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range q.held {
		if h.place == p {
			rec := h.rec
			return &rec
		}
	}
	return nil
}

// headElsewhere returns the first job of a partition that is not settled, or nil.
func (q *Queue) headElsewhere(ctx context.Context, p place) *faas.JobRecord {
	c, err := q.stream.Consumer(ctx, p.consumer())
	if err != nil {
		return nil
	}
	found, _, err := q.batch(ctx, p.filter(), c.CachedInfo().AckFloor.Stream+1, sampled)
	if err != nil {
		return nil
	}
	for _, s := range found {
		if !s.settled {
			return &s.rec
		}
	}
	return nil
}
