package faasnats

import (
	"context"
	"errors"
	"time"

	"github.com/inproc/faas"
)

// Lease implements [faas.JobQueue]. It follows the interface's rules about turns, priorities
// and order among the jobs that this process holds: 8 to 64 jobs for each function and bucket
// of tenants, fetched in the order of the stream.
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

// awaitChange waits until there may be a job to lease. q.mu is held, and released during the
// wait.
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

// asks adds n to the number of Leases that wait for each of the functions. q.mu is held.
func (q *Queue) asks(functions []string, n int) {
	for _, name := range functions {
		q.host(name).waiting += n
	}
}

// next takes the job whose turn it is out of its lane, and returns it, or nil if there is none.
// q.mu is held.
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

// first returns the job that the lane gives next. The lane must not be empty.
func (l *lane) first() *held { return l.ready[len(l.ready)-1] }

// caughtUp reports whether the first fetch of each of the function's places (buckets and
// partitions) is over. Before that, the job that goes first may not have been fetched.
func (f *hosted) caughtUp() bool {
	for _, p := range f.pullers {
		if !p.caughtUp {
			return false
		}
	}
	return true
}

// turn returns the lane that has waited longest, of those that can give a job, or nil. Among
// lanes that have not given a job yet, it is the one whose first job goes before those of the
// others.
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

// confirm makes a leased job fit to run, and reports whether it is. It loads the payload if that
// is an object. It claims a job with which a host may have died (see Queue.claimed). It looks up
// a job that may have been given to another process meanwhile. q.mu is held, and released while
// the server is asked.
func (q *Queue) confirm(ctx context.Context, h *held) bool {
	if !h.claim && time.Since(h.beat) <= q.wait/2 && h.large.Payload.Name == "" {
		return true
	}
	now := *h // a copy, since h may change, and be leased anew, while q.mu is released
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
		return false // the lease has ended meanwhile
	}
	if err != nil { // the record is out of date, or the server gives the job again after AckWait
		if q.drop(h); errors.Is(err, errLost) {
			_ = h.msg.Term() // the record stays in the stream, and is not delivered again
		}
		return false
	}
	h.rec.Payload, h.rec.Output = full.Payload, full.Output
	if now.claim {
		h.seq, h.rec.Revision, h.inHand = now.seq, now.seq, true
	}
	return true
}

// lookUp returns the sequence of the job's last record. If h.claim is set, it claims the job
// first. If not, it returns errFence if the job was changed since it was delivered. h is a copy,
// so no lock is needed.
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

// running returns the record of a leased job, as running. q.mu is held.
func (q *Queue) running(h *held) faas.JobRecord {
	rec := h.rec
	rec.State, rec.Revision, rec.Progress = faas.JobRunning, h.seq, h.progress
	return rec
}

// leased returns the held job of a lease, or ErrLease if the lease has ended. q.mu is held.
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

// unblock lets the lane of a job that has begun give its next job. q.mu is held.
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

// Extend implements [faas.JobQueue]. It sends nothing to the server: keep prolongs the
// deliveries of all held jobs together.
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
