package faasnats

import (
	"context"
	"errors"
	"time"

	"github.com/inproc/faas"
)

// Lease implements [faas.JobQueue]. Among the jobs that this process holds, it respects turns,
// priorities and order as the interface says. The process holds 8 to 64 jobs for each function
// and bucket of tenants, in the order of the stream.
func (q *Queue) Lease(ctx context.Context, req faas.LeaseRequest) (faas.JobLease, error) {
	if err := q.usable(ctx); err != nil {
		return faas.JobLease{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asks(req.Functions, 1)
	defer q.asks(req.Functions, -1)
	for {
		if err := q.usable(ctx); err != nil {
			return faas.JobLease{}, err
		}
		if h := q.next(req.Functions); h == nil {
			q.awaitChange(ctx)
		} else if q.lease(h, req.Term); q.confirm(ctx, h) {
			return faas.JobLease{Record: q.running(h), Token: h.lease, Lost: h.lost}, nil
		}
	}
}

// awaitChange waits until a job may be leased. q.mu is held, and released meanwhile.
func (q *Queue) awaitChange(ctx context.Context) {
	changed := q.changed
	q.mu.Unlock()
	defer q.mu.Lock()
	select {
	case <-changed:
	case <-ctx.Done():
	case <-q.ctx.Done():
	}
}

// asks notes that a Lease waits for functions, or that it does no more. q.mu is held.
func (q *Queue) asks(functions []string, n int) {
	for _, name := range functions {
		q.host(name).waiting += n
	}
}

// next takes the job whose turn it is out of its lane, or returns nil. q.mu is held.
func (q *Queue) next(functions []string) *held {
	var function *hosted
	var from *lane
	for _, name := range functions {
		f := q.hosted[name]
		if f == nil || function != nil && f.served > function.served || !f.caughtUp() {
			continue
		}
		l := f.turn()
		if l != nil && (function == nil || f.served < function.served || later(l.first(), from.first()) > 0) {
			function, from = f, l
		}
	}
	if from == nil {
		return nil
	}
	h := from.first()
	from.ready = from.ready[:len(from.ready)-1]
	q.ready[h.place]--
	q.turn++
	function.served, from.served, from.blocked = q.turn, q.turn, h
	if p := function.pullers[h.place]; p != nil {
		p.poke()
	}
	return h
}

// first is the job that a lane gives next. There must be one.
func (l *lane) first() *held { return l.ready[len(l.ready)-1] }

// caughtUp reports whether the first fetches are over: before that the job to give first
// may not be here yet.
func (f *hosted) caughtUp() bool {
	for _, p := range f.pullers {
		if !p.caughtUp {
			return false
		}
	}
	return true
}

// turn returns the lane that was served longest ago of those that can give a job, or nil.
// Among equals, which were not served yet, it is the one whose job goes before the others'.
func (f *hosted) turn() (next *lane) {
	for _, l := range f.lanes {
		switch {
		case l.blocked != nil || len(l.ready) == 0:
		case next == nil || l.served < next.served || l.served == next.served && later(l.first(), next.first()) > 0:
			next = l
		}
	}
	return next
}

// lease starts a lease. q.mu is held.
func (q *Queue) lease(h *held, term time.Duration) {
	h.lease, h.begun, h.term, h.progress, h.unsure = q.turn, false, term, faas.JobProgress{}, ""
	h.until, h.lost = time.Now().Add(term), make(chan struct{})
}

// confirm loads the payload of a job, claims one with which a host may have died, and looks
// one up that may have been given to another process meanwhile. It is false if the job is
// not to be leased.
// q.mu is held, and released while the server is asked.
func (q *Queue) confirm(ctx context.Context, h *held) bool {
	if !h.claim && time.Since(h.beat) <= q.wait/2 && h.large.Payload.Name == "" {
		return true
	}
	now := *h // it may be changed, and leased anew, while the server is asked
	full, at := now.rec, now.large
	q.mu.Unlock()
	err := q.objects.load(ctx, &full, &at)
	if err != nil {
		q.log.Error("faasnats: the payload of a job can't be read", "job", full.ID, "error", err)
	} else {
		now.seq, err = q.lookUp(ctx, &now)
	}
	q.mu.Lock()
	if q.held[full.ID] != h || h.lease != now.lease {
		return false // it was changed meanwhile
	}
	if err != nil { // it is out of date, or is given again after AckWait
		if q.drop(h); errors.Is(err, errLost) {
			_ = h.msg.Term() // it stays in the stream, and is not given again
		}
		return false
	}
	h.rec.Payload, h.rec.Output = full.Payload, full.Output
	if now.claim {
		h.seq, h.rec.Revision, h.inHand = now.seq, now.seq, true
	}
	return true
}

// lookUp claims a job, or returns an error if it was changed since it was delivered. h is a copy. It
// returns the sequence of the job's last record.
func (q *Queue) lookUp(ctx context.Context, h *held) (uint64, error) {
	if h.claim {
		return q.claimed(ctx, h)
	}
	s, err := q.last(ctx, h.place.of(h.rec.ID))
	if err == nil && s.seq > h.seq {
		err = errFence
	}
	return h.seq, err
}

// running is the record of a leased job. q.mu is held.
func (q *Queue) running(h *held) faas.JobRecord {
	rec := h.rec
	rec.State, rec.Revision, rec.Progress = faas.JobRunning, h.seq, h.progress
	return rec
}

// leased returns the job of a lease. q.mu is held.
func (q *Queue) leased(lease faas.JobLease) (*held, error) {
	if q.ctx.Err() != nil {
		return nil, errClosed()
	}
	h := q.held[lease.Record.ID]
	if h == nil || h.lease == 0 || h.lease != lease.Token {
		return nil, jobError(lease.Record.Function, faas.ErrLease, faas.ErrLease.Error())
	}
	return h, nil
}

// Begin implements [faas.JobQueue].
func (q *Queue) Begin(_ context.Context, lease faas.JobLease) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	h, err := q.leased(lease)
	if err != nil || h.begun {
		return err
	}
	h.begun = true
	q.unblock(h)
	return nil
}

// unblock lets a lane give its next job. q.mu is held.
func (q *Queue) unblock(h *held) {
	f := q.hosted[h.place.function]
	if f == nil {
		return
	}
	if l := f.lanes[h.rec.Tenant]; l != nil && l.blocked == h {
		l.blocked = nil
		q.tell()
	}
}

// Extend implements [faas.JobQueue]. The server is told for all jobs together; this is a
// call in memory.
func (q *Queue) Extend(_ context.Context, lease faas.JobLease, p faas.JobProgress) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	h, err := q.leased(lease)
	if err != nil {
		return err
	}
	h.until = time.Now().Add(h.term)
	if p != (faas.JobProgress{}) {
		h.progress = p
	}
	return nil
}
