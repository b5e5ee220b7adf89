package faasnats

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// held is a job that was delivered to this process and that the process has not given back. It
// waits for a Lease, or is leased. Queue.mu guards the fields that change.
type held struct {
	place place         // the bucket or partition of the function, see subject.go
	from  *puller       // the puller that has fetched the job
	msg   jetstream.Msg // the delivery; it is acknowledged only after the server has stored what settles the job
	token uint64        // the sequence of the delivered message, whose state is inLine; inHand records (subject.go) do not change it
	seq   uint64        // of the job's last record, for the fence of the next write
	rec   faas.JobRecord
	large large // which parts of rec are objects; a lease loads them

	delivered uint64 // how often msg was delivered
	inHand    bool   // there is an inHand record
	claim     bool   // before the job runs, claimed must write that it does, since a host may have died with it
	fired     string // inFuture or inPark, if a schedule of that state has brought the job; else ""

	timer    *time.Timer   // runs until the job's time has come; nil: it has
	lease    uint64        // the token of the lease; 0: not leased
	begun    bool          // Begin was called for the lease
	term     time.Duration // the lease's
	until    time.Time     // when the lease ends, unless it is extended
	progress faas.JobProgress
	beat     time.Time     // when the delivery came, or keep last prolonged it
	lost     chan struct{} // JobLease.Lost: closed when the lease ends otherwise than by its Settle
	unsure   string        // the name of a settlement of this lease that has failed, and that the server may have stored
}

// hosted is a function that a Lease of this process has asked for lately.
type hosted struct {
	name    string
	lanes   map[string]*lane // by tenant
	pullers map[place]*puller
	served  uint64    // the value of Queue.turn when a job of it was last leased
	named   time.Time // when a Lease last began or ended
	waiting int       // how many Leases wait for it
}

// lane has the jobs of one function and tenant that can be leased.
type lane struct {
	ready   []*held // sorted by the func later: the job that goes first is the last
	blocked *held   // a leased job that has not begun; the lane gives no other until then
	served  uint64  // as hosted.served
}

// spareLanes is the number of lanes from which on a function drops its empty ones. A dropped
// lane forgets when it was last served.
const spareLanes = 1024

// later compares two jobs of a lane. The job that goes first is the last in this order.
func later(a, b *held) int {
	return cmp.Or(cmp.Compare(a.rec.Priority, b.rec.Priority), whenOf(&b.rec).Compare(whenOf(&a.rec)), b.rec.Accepted.Compare(a.rec.Accepted))
}

func (f *hosted) lane(tenant string) *lane {
	l := f.lanes[tenant]
	if l == nil {
		if len(f.lanes) >= spareLanes {
			for name, l := range f.lanes {
				if l.blocked == nil && len(l.ready) == 0 {
					delete(f.lanes, name)
				}
			}
		}
		l = &lane{}
		f.lanes[tenant] = l
	}
	return l
}

// line puts a held job into its lane, at once or by a timer when its time comes. It returns
// false if the function is not hosted. q.mu is held.
func (q *Queue) line(h *held) bool {
	f := q.hosted[h.place.function]
	if f == nil {
		return false
	}
	if wait := time.Until(whenOf(&h.rec)); h.inHand && wait > 0 {
		h.timer = time.AfterFunc(min(wait, longestWait), func() { q.due(h) })
		return true
	}
	l := f.lane(h.rec.Tenant)
	at, _ := slices.BinarySearchFunc(l.ready, h, later)
	l.ready = slices.Insert(l.ready, at, h)
	q.ready[h.place]++
	q.tell()
	return true
}

// due puts a held job into its lane. It runs on the goroutine of the job's timer.
func (q *Queue) due(h *held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[h.rec.ID] == h && h.timer != nil {
		h.timer = nil
		q.line(h)
	}
}

// longestWait is how long a timer runs before line compares the clock again. Timers use the
// monotonic clock, which stands still while the machine sleeps.
const longestWait = time.Minute

// unline takes a held job out of its lane, and stops its timer. q.mu is held.
func (q *Queue) unline(h *held) {
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	f := q.hosted[h.place.function]
	if f == nil {
		return
	}
	l := f.lane(h.rec.Tenant)
	if at := slices.Index(l.ready, h); at >= 0 {
		l.ready = slices.Delete(l.ready, at, at+1)
		q.ready[h.place]--
	}
	if l.blocked == h {
		l.blocked = nil
		q.tell()
	}
}

// drop forgets a held job, and ends its lease if it has one. It writes nothing. q.mu is held.
func (q *Queue) drop(h *held) {
	q.unline(h)
	h.loseLease()
	if q.held[h.rec.ID] == h {
		delete(q.held, h.rec.ID)
	}
	if f := q.hosted[h.place.function]; f != nil {
		if p := f.pullers[h.place]; p != nil {
			p.poke()
		}
	}
}

// loseLease ends the lease, if there is one, and closes the channel that its holder watches.
// q.mu is held.
func (h *held) loseLease() {
	if h.lease != 0 {
		h.lease = 0
		close(h.lost)
	}
}

// endLease ends the lease of a job, gives the job its new record, and makes it wait again, still
// held by this process. q.mu is held.
func (q *Queue) endLease(h *held, rec *faas.JobRecord, seq uint64, at large) {
	q.unline(h)
	h.loseLease()
	h.begun, h.progress, h.unsure = false, faas.JobProgress{}, ""
	h.rec, h.seq, h.inHand, h.large = *rec, seq, true, at
	h.rec.Revision = seq
	h.rec.Payload, h.rec.Output = at.inBody(rec)
	if !q.line(h) { // not hosted: another process is to get it; its record explains the delivery, so no crash is counted
		q.drop(h)
		_ = h.msg.Nak() // if this is lost, the server gives the job again after AckWait
	}
}

// ack acknowledges a delivery. It warns once if many consumers get acknowledgments.
func (q *Queue) ack(msg jetstream.Msg, p place) {
	if q.acked.add(p) > busyConsumers && !q.saidBusy.Swap(true) {
		q.log.Warn("faasnats: many consumers are busy, one for each function and bucket of tenants: each costs ten synced writes a second",
			"more than", busyConsumers)
	}
	_ = msg.Ack() // if this is lost, the next delivery is found to be out of date
}

// keep is the goroutine that, at each of its ticks (a beat), prolongs the deliveries of the held
// jobs at the server, ends leases that were not extended, and stops the pullers of functions
// that no Lease asks for. It also starts the sweeps of the object store.
func (q *Queue) keep() {
	tick := time.NewTicker(q.wait / 3)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-q.ctx.Done():
			return
		}
		if n%max(1, int(sweepEvery/(q.wait/3))) == 0 {
			q.work.Go(q.sweepObjects) // on a goroutine of its own, so that no beat is late
		}
		q.peers.tell("here")
		for _, msg := range q.beat(time.Now()) {
			_ = msg.InProgress() // if this is lost, the next beat is in time
		}
		if (n+1)%lookEvery == 0 {
			q.look()
		}
	}
}

// sweepObjects removes the objects that no record names, unless a process has done so within
// the last ten minutes.
func (q *Queue) sweepObjects() {
	turn := nats.NewMsg(sweepSubject)
	turn.Header.Set(jetstream.MsgTTLHeader, ttl(sweepEvery-time.Second))
	turn.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	_, err := q.store(q.ctx, turn)
	if err == nil {
		err = q.objects.sweep(q.ctx, q.isNamed)
	}
	if err != nil && !errors.Is(err, errFence) && q.ctx.Err() == nil {
		q.log.Warn("faasnats: the object store can't be swept", "error", err)
	}
}

// lookEvery is the number of beats between two looks at the stream. A look finds consumers
// whose announcement by another process was lost, and how full the stream is.
const lookEvery = 6

func (q *Queue) look() {
	ctx, cancel := background()
	defer cancel()
	if err := errors.Join(q.findConsumers(ctx), q.lookAtRoom(ctx)); err != nil && q.ctx.Err() == nil {
		q.log.Warn("faasnats: the server does not answer", "error", err)
	}
}

// beat drops the jobs whose lease was not extended in time. It returns the deliveries of the
// others, to be prolonged.
func (q *Queue) beat(now time.Time) (alive []jetstream.Msg) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range q.held {
		if h.lease != 0 && now.After(h.until) {
			q.drop(h) // the server gives the job again; nothing explains this delivery, so it counts as a crash
			continue
		}
		h.beat = now
		alive = append(alive, h.msg)
	}
	q.unhost(now)
	return alive
}

// unhost stops the pullers of functions that no Lease has asked for within the time of
// WithAckWait. q.mu is held.
func (q *Queue) unhost(now time.Time) {
	for name, f := range q.hosted {
		if f.waiting > 0 || now.Sub(f.named) <= q.wait {
			continue
		}
		for _, l := range f.lanes {
			for _, h := range l.ready {
				q.ready[h.place]--
			}
		}
		delete(q.hosted, name)
		for _, p := range f.pullers {
			p.stop()
		}
	}
}

// release gives back the jobs of a puller that are not leased. Another process gets them at
// once, with a record from which it sees that no host has died with them.
func (q *Queue) release(p *puller) {
	ctx, cancel := background()
	defer cancel()
	for _, h := range q.unleased(p) {
		msg, err := h.inHandMessage(false)
		if err == nil {
			_, err = q.store(ctx, msg)
		}
		if err == nil { // after an error the server gives the job again after AckWait
			_ = h.msg.Nak()
		}
	}
}

// unleased drops those jobs of a puller that are not leased, and returns them.
func (q *Queue) unleased(p *puller) (all []*held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range q.held {
		if h.from == p && h.lease == 0 {
			all = append(all, h)
			q.drop(h)
		}
	}
	return all
}

// inHandMessage makes a record in the state inHand, with the content that the job's record has.
// It is stored beside the inLine message, whose delivery stays valid. The parameter claimed is
// true if the job is about to run.
func (h *held) inHandMessage(claimed bool) (*msgOut, error) {
	msg, err := message(h.place, &h.rec, inHand, nil, h.large)
	if err != nil {
		return nil, err
	}
	fence(msg, h.seq, h.place.of(h.rec.ID))
	h.explain(msg, claimed)
	return msg, nil
}

// claimed writes an inHand record which says that the job is about to run, because a host may
// have died with the job. h is a copy.
func (q *Queue) claimed(ctx context.Context, h *held) (uint64, error) {
	msg, err := h.inHandMessage(true)
	if err != nil {
		return 0, err
	}
	return q.store(ctx, msg)
}

// holds returns the held job of that ID, or nil.
func (q *Queue) holds(id uuid.UUID) *held {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held[id]
}
