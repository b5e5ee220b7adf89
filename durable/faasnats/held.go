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

// held is a job whose delivery this process has: it waits for a Lease, or is leased. Its
// fields are guarded by Queue.mu, but for those that never change.
type held struct {
	place place
	from  *puller       // gives it back when it ends
	msg   jetstream.Msg // the delivery; its acknowledgment is sent only after a write was accepted
	token uint64        // the sequence of the message, which changes with none of the writes to inHand
	seq   uint64        // of the job's last record: the fence
	rec   faas.JobRecord
	large large // what of rec is in objects; it is loaded for a lease

	delivered uint64 // how often msg was delivered
	inHand    bool   // there is a record beside the token
	claim     bool   // a host may have died with it: it is claimed before it runs
	fired     string // the state from which a schedule has brought it, or ""

	timer    *time.Timer   // until it may run; nil: it may
	lease    uint64        // the token of the lease; 0: none
	begun    bool          // its lease's
	term     time.Duration // its lease's
	until    time.Time     // the lease ends
	progress faas.JobProgress
	beat     time.Time     // when the server was told last that the job is held
	lost     chan struct{} // closed when the lease ends by itself
	unsure   string        // a write of the lease's settlement that may have happened
}

// hosted is a function for which jobs are leased here.
type hosted struct {
	name    string
	lanes   map[string]*lane // by tenant
	pullers map[place]*puller
	served  uint64    // the turn in which it gave a job
	named   time.Time // a Lease has asked for it
	waiting int       // Leases that do
}

// lane is one tenant of a function.
type lane struct {
	ready   []*held // the one to give first comes last
	blocked *held   // is leased and has not begun
	served  uint64
}

// spareLanes is from how many on a function's lanes without jobs are dropped. A lane that
// is dropped forgets its turn.
const spareLanes = 1024

// later orders jobs of a lane: the one to give first is the last.
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

// line puts a held job into its lane, now or when it is due. It is false if the function
// is no longer hosted. q.mu is held.
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

// due puts a held job into its lane, on its timer's goroutine.
func (q *Queue) due(h *held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[h.rec.ID] == h && h.timer != nil {
		h.timer = nil
		q.line(h)
	}
}

// longestWait is how long a timer runs without a look at the clock: it goes by the
// monotonic clock, which stands still while the machine sleeps.
const longestWait = time.Minute

// unline takes a held job out of its lane. q.mu is held.
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

// drop forgets a held job: its lease has ended, and nothing of it is to be written. q.mu
// is held.
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

// loseLease tells the holder of the lease, if there is one, that it has ended. q.mu is held.
func (h *held) loseLease() {
	if h.lease != 0 {
		h.lease = 0
		close(h.lost)
	}
}

// endLease ends the lease of a job that stays held, and gives it its turn again. q.mu is
// held.
func (q *Queue) endLease(h *held, rec *faas.JobRecord, seq uint64, at large) {
	q.unline(h)
	h.loseLease()
	h.begun, h.progress, h.unsure = false, faas.JobProgress{}, ""
	h.rec, h.seq, h.inHand, h.large = *rec, seq, true, at
	h.rec.Revision = seq
	h.rec.Payload, h.rec.Output = at.inBody(rec)
	if !q.line(h) { // its record explains the delivery already
		q.drop(h)
		_ = h.msg.Nak() // lost: it is given again after AckWait
	}
}

// ack acknowledges a delivery.
func (q *Queue) ack(msg jetstream.Msg, p place) {
	if q.acked.add(p) > busyConsumers && !q.saidBusy.Swap(true) {
		q.log.Warn("faasnats: many consumers are busy, one for each function and bucket of tenants: each costs ten synced writes a second",
			"more than", busyConsumers)
	}
	_ = msg.Ack() // lost: the next delivery is found out of date
}

// keep is the goroutine that tells the server what is held, ends leases that were not
// prolonged, stops hosting what is no longer asked for, and has the object store swept.
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
			q.work.Go(q.sweepObjects) // not here: beats must not wait for it
		}
		q.peers.tell("here")
		for _, msg := range q.beat(time.Now()) {
			_ = msg.InProgress() // the next beat is in time
		}
		if (n+1)%lookEvery == 0 {
			q.look()
		}
	}
}

// sweepObjects removes the objects that no record names, if it is this process's turn.
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

// lookEvery is in which beats the stream is looked at: for consumers of which another process
// has told in vain, and for how full it is.
const lookEvery = 6

func (q *Queue) look() {
	ctx, cancel := background()
	defer cancel()
	if err := errors.Join(q.findConsumers(ctx), q.lookAtRoom(ctx)); err != nil && q.ctx.Err() == nil {
		q.log.Warn("faasnats: the server does not answer", "error", err)
	}
}

// beat returns the deliveries to prolong.
func (q *Queue) beat(now time.Time) (alive []jetstream.Msg) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range q.held {
		if h.lease != 0 && now.After(h.until) {
			q.drop(h) // the server gives it again, with a delivery that nothing explains
			continue
		}
		h.beat = now
		alive = append(alive, h.msg)
	}
	q.unhost(now)
	return alive
}

// unhost stops the pullers of functions for which no Lease asks any more. q.mu is held.
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

// release gives back the jobs of a puller that are not leased: another process gets them
// at once, and is told that no host has died with them.
func (q *Queue) release(p *puller) {
	ctx, cancel := background()
	defer cancel()
	for _, h := range q.unleased(p) {
		msg, err := h.inHandMessage(false)
		if err == nil {
			_, err = q.store(ctx, msg)
		}
		if err == nil { // else it comes again by itself
			_ = h.msg.Nak()
		}
	}
}

// unleased drops the jobs of a puller that are not leased, and returns them.
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

// inHandMessage makes the inHand message of a job: its unchanged record, stored beside the
// inLine message, which stays as the token of the delivery. claimed says that the job runs.
func (h *held) inHandMessage(claimed bool) (*msgOut, error) {
	msg, err := message(h.place, &h.rec, inHand, nil, h.large)
	if err != nil {
		return nil, err
	}
	fence(msg, h.seq, h.place.of(h.rec.ID))
	h.explain(msg, claimed)
	return msg, nil
}

// claimed writes that a job runs, before it is leased again after a host has died. h is a copy.
func (q *Queue) claimed(ctx context.Context, h *held) (uint64, error) {
	msg, err := h.inHandMessage(true)
	if err != nil {
		return 0, err
	}
	return q.store(ctx, msg)
}

// holds returns the job that is held, or nil.
func (q *Queue) holds(id uuid.UUID) *held {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held[id]
}
