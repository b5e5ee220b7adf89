package faasnats

import (
	"context"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// Count implements [faas.JobQueue]. It makes a few requests for each function and bucket. The
// server counts in its index, which takes some 0.1 s for a million records. Three numbers are
// estimates:
//
//   - Bytes is extrapolated from the first records of each state.
//   - Jobs that other processes run count as ready.
//   - In a bucket with a backlog of more than 64 jobs, jobs that were settled by other
//     processes, or before this queue was opened, count as ready until the consumer has passed
//     them.
func (q *Queue) Count(ctx context.Context) (map[string]faas.JobCount, error) {
	if err := q.usable(ctx); err != nil {
		return nil, err
	}
	q.mu.Lock()
	places := map[string][]place{}
	for p := range q.consumers {
		places[p.function] = append(places[p.function], p)
	}
	q.mu.Unlock()
	all := make(map[string]faas.JobCount, len(places))
	for name, at := range places {
		c, err := q.countFunction(ctx, name, at)
		if err != nil {
			return nil, q.failed(ctx, "count jobs", err)
		}
		if c != (faas.JobCount{}) {
			all[name] = c
		}
	}
	return all, nil
}

// sampled is the number of records from which an estimate is made.
const sampled = 16

func (q *Queue) countFunction(ctx context.Context, name string, at []place) (c faas.JobCount, err error) {
	for _, p := range at {
		if err := q.countPlace(ctx, p, &c); err != nil {
			return c, err
		}
	}
	unsettled := c.Running + c.Ready + c.Scheduled + c.Parked // each of these has a message in the state inLine (subject.go), and so has each succeeded job
	of := func(state string) int {
		n := 0
		if err == nil {
			_, n, err = q.sample(ctx, name, state, 1)
		}
		return n
	}
	c.Succeeded, c.Dead, c.Canceled = max(0, of(inLine)-unsettled), of(isDead), of(isDropped)
	if err == nil {
		err = q.countLater(ctx, name, inFuture, &c.Scheduled, &c)
	}
	if err == nil {
		err = q.countLater(ctx, name, inPark, &c.Parked, &c)
	}
	return c, err
}

// sample returns the first n records of a function in a state, and how many there are in all.
func (q *Queue) sample(ctx context.Context, name, state string, n int) ([]*stored, int, error) {
	found, more, err := q.batch(ctx, "j."+token(name)+".*.*."+state, 1, n)
	return found, len(found) + int(more), err
}

// countLater adds the jobs that wait for their time, or are parked.
func (q *Queue) countLater(ctx context.Context, name, state string, count *int, c *faas.JobCount) error {
	found, n, err := q.sample(ctx, name, state, sampled)
	if err != nil {
		return err
	}
	*count += n
	c.Bytes += estimate(found, n)
	now := time.Now()
	for _, s := range found {
		if at := whenOf(&s.rec); !at.After(now) { // its schedule fires within a moment
			*count--
			c.Ready++
			older(c, at)
		}
	}
	return nil
}

func older(c *faas.JobCount, at time.Time) {
	if c.Oldest.IsZero() || at.Before(c.Oldest) {
		c.Oldest = at
	}
}

// estimate returns the size of n records, from those of them that were read.
func estimate(found []*stored, n int) int64 {
	if len(found) == 0 {
		return 0
	}
	size := 0
	for _, s := range found {
		size += sizeOf(&s.rec) + s.large.apart(&s.rec)
	}
	return int64(size) * int64(n) / int64(len(found))
}

// sizeOf returns about how many bytes a record takes in the stream.
func sizeOf(rec *faas.JobRecord) int { return len(rec.Payload) + len(rec.Output) + recordOverhead }

// recordOverhead is the number of bytes that a record takes besides its payload and output. It
// was measured for a record without labels and origin.
const recordOverhead = 400

// countPlace adds the jobs of one place (a bucket or partition of a function) that are in the
// state inLine. It reads the first 64 records, so the number is exact if there are no more. If
// there are more, it uses the consumer's counts of the messages that were not delivered, or not
// acknowledged.
func (q *Queue) countPlace(ctx context.Context, p place, c *faas.JobCount) error {
	consumer, err := q.stream.Consumer(ctx, p.consumer())
	if err != nil {
		return err
	}
	info := consumer.CachedInfo()
	found, more, err := q.batch(ctx, p.filter(), info.AckFloor.Stream+1, looked)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	here := q.countHeld(p, c)
	var waiting []*stored
	for _, s := range found {
		if h := q.held[s.rec.ID]; !s.settled && (h == nil || h.token < s.seq) {
			waiting = append(waiting, s)
			older(c, whenOf(&s.rec))
		}
	}
	n := len(waiting)
	if more > 0 {
		n = max(n, int(info.NumPending)+info.NumAckPending-here-q.acked.recent(p)-q.underway[p])
	}
	c.Ready += n
	c.Bytes += estimate(waiting, n)
	return nil
}

// looked is the number of records of a place that countPlace reads.
const looked = 64

// countHeld adds the jobs of a place that this process holds, and returns their number. q.mu is
// held.
func (q *Queue) countHeld(p place, c *faas.JobCount) (n int) {
	for _, h := range q.held {
		if h.place != p {
			continue
		}
		n++
		c.Bytes += int64(sizeOf(&h.rec) + h.large.apart(&h.rec))
		switch {
		case h.lease != 0:
			c.Running++
		case h.timer == nil:
			c.Ready++
			older(c, whenOf(&h.rec))
		case h.rec.State == faas.JobParked:
			c.Parked++
		default:
			c.Scheduled++
		}
	}
	return n
}

// ackTally counts the acknowledgments that this process has sent in this second and the one
// before. When the server counts messages, it may not have received these acknowledgments.
// ackTally has a lock of its own; no other lock is taken under it.
type ackTally struct {
	mu    sync.Mutex
	since time.Time
	now   map[place]int
	prior map[place]int
}

// turn makes t.now the counts of the present second, and t.prior those of the second before. t.mu
// is held.
func (t *ackTally) turn() {
	if d := time.Since(t.since); d > time.Second || t.now == nil {
		t.prior, t.now = t.now, map[place]int{}
		if d > 2*time.Second {
			t.prior = nil
		}
		t.since = time.Now()
	}
}

// add counts one acknowledgment of a place. It returns how many places have had one in this
// second.
func (t *ackTally) add(p place) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	t.now[p]++
	return len(t.now)
}

func (t *ackTally) recent(p place) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	return t.now[p] + t.prior[p]
}
