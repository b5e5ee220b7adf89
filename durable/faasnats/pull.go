package faasnats

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// msgOut is a message that is to be published.
type msgOut = nats.Msg

// puller fetches the jobs of one place (a bucket or partition of a function, see subject.go).
// Each has a goroutine of its own.
type puller struct {
	place    place
	consumer jetstream.Consumer
	ctx      context.Context //nolint:containedctx // ends when the place is no longer hosted
	stop     context.CancelFunc
	room     chan struct{} // poke sends here: a held job was leased or dropped, so there may be room
	again    func()        // cancels the waiting fetch, so that a new one begins; guarded by Queue.mu
	caughtUp bool          // the first fetch is over; guarded by Queue.mu
	window   int           // how many jobs may be held here that are not leased; only the puller's goroutine uses it
}

// A puller's window is how many jobs of its place this process may hold without a lease. It is
// between these two constants. A process that leases its jobs slowly gets the smallest window,
// so that it keeps few jobs from other processes.
const (
	leastWindow = 8
	mostWindow  = 64
)

// pull starts the puller of a place, unless it runs. q.mu is held.
func (q *Queue) pull(f *hosted, at place, c jetstream.Consumer) {
	if f.pullers[at] != nil || q.closed {
		return
	}
	p := &puller{place: at, consumer: c, room: make(chan struct{}, 1), window: leastWindow, again: func() {}}
	if at.isOrdered() {
		p.window = 1
	}
	p.ctx, p.stop = context.WithCancel(q.ctx)
	f.pullers[at] = p
	q.work.Go(func() { q.fetch(p) })
}

// host notes that a Lease asks for jobs of a function, and starts its pullers. q.mu is held.
func (q *Queue) host(name string) *hosted {
	f := q.hosted[name]
	if f == nil {
		f = &hosted{name: name, lanes: map[string]*lane{}, pullers: map[place]*puller{}}
		q.hosted[name] = f
		for p, c := range q.consumers {
			if p.function == name {
				q.pull(f, p, c)
			}
		}
	}
	f.named = time.Now()
	return f
}

// poke wakes the puller if it waits in awaitRoom.
func (p *puller) poke() {
	select {
	case p.room <- struct{}{}:
	default:
	}
}

// fetch is the puller's goroutine.
func (q *Queue) fetch(p *puller) {
	defer q.release(p)
	defer q.catchUp(p)
	if batch, err := p.consumer.FetchNoWait(p.window); err == nil {
		q.receiveAll(p, batch)
	}
	q.catchUp(p)
	for p.ctx.Err() == nil {
		asked := time.Now()
		n := q.awaitRoom(p)
		p.adapt(time.Since(asked))
		if n > 0 {
			q.fetchSome(p, n)
		}
	}
}

// fetchSome asks the server for up to n jobs, and waits for them for a minute at most.
func (q *Queue) fetchSome(p *puller, n int) {
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	q.mu.Lock()
	p.again = cancel
	q.mu.Unlock()
	batch, err := p.consumer.Fetch(n, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(20*time.Second))
	if err == nil {
		q.receiveAll(p, batch)
		err = batch.Error()
	}
	if err != nil && !isOver(err) {
		q.log.Warn("faasnats: jobs can't be fetched", "consumer", p.place.consumer(), "error", err)
		p.pause()
	}
}

// relink is a goroutine that cancels all waiting fetches whenever the connection was made
// again; the pullers then fetch anew. A server that was restarted has lost the requests of the
// old connection, and without relink a fetch would notice that only by missing heartbeats, up
// to 40 seconds later. Jobs that the server has sent over the old connection are delivered
// again after AckWait.
func (q *Queue) relink(linked <-chan nats.Status) {
	for {
		select {
		case <-linked:
		case <-q.ctx.Done():
			return
		}
		q.mu.Lock()
		for _, f := range q.hosted {
			for _, p := range f.pullers {
				p.again()
			}
		}
		q.mu.Unlock()
	}
}

// isOver reports whether a fetch has ended by a timeout or by cancellation, and not by a
// failure.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// pause waits a second, or until the puller is stopped.
func (p *puller) pause() {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}

// adapt sets the window by how long the puller waited for room. A process that leases jobs at
// once gets a larger window.
func (p *puller) adapt(waited time.Duration) {
	switch {
	case p.place.isOrdered():
	case waited < time.Second:
		p.window = min(2*p.window, mostWindow)
	default:
		p.window = max(p.window/2, leastWindow)
	}
}

// catchUp notes that the puller's first fetch is over, and wakes the Leases that wait for that.
func (q *Queue) catchUp(p *puller) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !p.caughtUp {
		p.caughtUp = true
		q.tell()
	}
}

// awaitRoom waits until half the window is free, and returns how many jobs may be fetched. It
// returns 0 when the puller has been stopped.
func (q *Queue) awaitRoom(p *puller) int {
	for p.ctx.Err() == nil {
		if n := p.window - q.idle(p.place); n > p.window/2 || n > 0 && p.window == 1 {
			return n
		}
		select {
		case <-p.room:
		case <-p.ctx.Done():
		}
	}
	return 0
}

// idle counts the jobs of a place that are held and not leased. In a partition it counts the
// leased ones too, since the partition's next job must not run beside them.
func (q *Queue) idle(p place) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !p.isOrdered() {
		return q.ready[p]
	}
	for _, h := range q.held {
		if h.place == p {
			n++
		}
	}
	return n
}

// receiveAll takes all jobs of a fetch. It goes on after the puller was stopped: each job that
// was delivered becomes a held one, which release then gives back.
func (q *Queue) receiveAll(p *puller, batch jetstream.MessageBatch) {
	for msg := range batch.Messages() {
		q.receive(p, msg)
	}
}

// receive takes one delivery.
func (q *Queue) receive(p *puller, msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	s, err := decode(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream)
	switch {
	case err != nil: // the record stays in the stream, and is not delivered again
		q.log.Error("faasnats: a job can't be read", "subject", msg.Subject(), "error", err)
		_ = msg.Term()
	case s.settled:
		q.settledCame(msg, s)
	default:
		q.receiveJob(p, msg, s, meta.NumDelivered)
	}
}

// receiveJob takes the delivery of a job to run.
func (q *Queue) receiveJob(p *puller, msg jetstream.Msg, s *stored, delivered uint64) {
	token := s.seq
	if delivered > 1 || token <= q.marked() {
		var err error
		if s, err = q.current(msg, s); err != nil && q.ctx.Err() == nil {
			q.log.Warn("faasnats: a job can't be looked up; the server will deliver it again", "job", msg.Subject(), "error", err)
		}
		if s == nil {
			return
		}
	}
	h := &held{
		place: p.place, from: p, msg: msg, token: token, seq: s.seq, rec: s.rec, large: s.large, delivered: delivered, inHand: s.state == inHand, beat: time.Now(),
	}
	if scheduler := msg.Headers().Get(jetstream.SchedulerHeader); scheduler != "" {
		_, _, h.fired, _ = parseSubject(scheduler)
	}
	h.countCrash(s)
	h.claim = h.claim || q.mayHaveRun(h)
	q.hold(h)
}

// mayHaveRun reports whether the job may have been delivered before a restart of the server
// that has made the server forget the delivery.
func (q *Queue) mayHaveRun(h *held) bool {
	if h.token > q.mark.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.old[h.place]++
	return q.old[h.place] <= mostForgotten
}

// mostForgotten is how many deliveries of a place mayHaveRun distrusts after a restart of the
// server: as many as a server can make in the tenth of a second that it may forget, see
// countCrash.
const mostForgotten = 1000

// marked returns the stream's last sequence when the connection was last made. A server that
// was restarted may have forgotten acknowledgments of messages up to that sequence.
func (q *Queue) marked() uint64 {
	links := q.conn.Stats().Reconnects
	if links == q.links.Load() {
		return q.mark.Load()
	}
	ctx, cancel := background()
	defer cancel()
	info, err := q.stream.Info(ctx)
	if err != nil {
		return math.MaxUint64 // so that every delivery is looked up
	}
	q.mark.Store(info.State.LastSeq)
	q.links.Store(links)
	return info.State.LastSeq
}

// current returns the newest record for a delivery that may be out of date: the delivered record,
// or the inHand record beside it, which a holder of the job has written. It returns nil if there
// is nothing to run: the job is settled, or waits for its time.
func (q *Queue) current(msg jetstream.Msg, s *stored) (*stored, error) {
	ctx, cancel := background()
	defer cancel()
	last, err := q.last(ctx, s.place.of(s.rec.ID))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		q.ack(msg, s.place)
		return nil, nil
	case err != nil:
		return nil, err
	case last.seq <= s.seq: // equal: nothing newer; smaller: a replica that is behind has answered
		return s, nil
	case last.state == inHand:
		return last, nil
	case last.settled && last.follow != nil:
		if err := q.putFollow(ctx, last.follow, last.large.Follow); err != nil {
			return nil, err
		}
	}
	q.sweep(ctx, last.place, last)
	q.ack(msg, s.place)
	return nil, nil
}

// countCrash adds one to the job's Crashes if a host died with the job, and decides whether the
// job is to be claimed before it runs. The inHand record says which of the earlier deliveries
// ended with a holder that was alive. If a delivery is missing there, its holder has died.
//
// A holder that had claimed the job was about to run it, so that its death counts. Of a holder
// without a claim it is not known whether the job ran. The first such death counts, because the
// job may have been its cause, and from then on the job is claimed before it runs. So a job
// that was merely fetched by the same hosts as one that kills them is not given up.
//
// A server that dies together with the host, as an embedded one does, forgets the deliveries of
// its last tenth of a second. So the first jobs after a restart are claimed too. A job that
// kills its host at once does so four times before it is given up, and not three.
func (h *held) countCrash(s *stored) {
	lost := s.claimed || h.delivered > s.delivered+1
	if lost && (s.claimed || h.rec.Crashes == 0) {
		h.rec.Crashes++
	}
	h.claim = lost || h.rec.Crashes > 0
}

// explain writes the headers that countCrash reads at the next delivery.
func (h *held) explain(msg *nats.Msg, claimed bool) {
	msg.Header.Set(headerDelivered, strconv.FormatUint(h.delivered, 10))
	if claimed {
		msg.Header.Set(headerClaimed, "1")
	}
}

// hold adds a delivered job to the held ones, and to its lane.
func (q *Queue) hold(h *held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if had := q.held[h.rec.ID]; had != nil {
		switch {
		case had.token == h.token: // delivered again, after AckWait or a restart of the server; the lease here goes on
			had.msg, had.delivered, had.from = h.msg, h.delivered, h.from
			return
		case had.token > h.token:
			return
		}
		q.drop(had) // another process has changed the job
	}
	q.held[h.rec.ID] = h
	q.line(h) // if the function is not hosted, the puller is about to end, and gives the job back
}

// settledCame takes the delivery of a settled job. Settled jobs are delivered so that the jobs
// that follow from them are put even if the holder died before it had put them.
func (q *Queue) settledCame(msg jetstream.Msg, s *stored) {
	put, wait := q.duty(msg, s)
	if wait {
		return
	}
	ctx, cancel := background()
	defer cancel()
	if put {
		if err := q.putFollow(ctx, s.follow, s.large.Follow); err != nil {
			q.log.Warn("faasnats: the jobs that follow from a job are put later", "job", s.rec.ID, "error", err)
			return
		}
	}
	if s.claimed { // the job has had inHand records
		q.sweep(ctx, s.place, s)
	}
	q.ack(msg, s.place)
}

// duty decides about the delivery of a settled job. If put is true, the caller must put the jobs
// that follow. If wait is true, the goroutine that settled the job is putting them, and
// acknowledges the delivery afterwards.
func (q *Queue) duty(msg jetstream.Msg, s *stored) (put, wait bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.underway[s.place] = max(0, q.underway[s.place]-1)
	if had := q.held[s.rec.ID]; had != nil && had.token < s.seq {
		q.drop(had)
	}
	out := q.outbox[s.write]
	switch {
	case out != nil && out.failed:
		delete(q.outbox, s.write)
		return true, false
	case out != nil:
		out.msg = msg
		return false, true
	}
	return s.follow != nil && !strings.HasPrefix(s.write, q.author+"-"), false
}

// putFollow puts the jobs that follow from a settled one. Their payloads may be objects. A job
// whose ID is taken was put before, and is left out.
func (q *Queue) putFollow(ctx context.Context, data []byte, objects []object) error {
	var follow []faas.JobRecord
	if err := json.Unmarshal(data, &follow); err != nil {
		q.log.Error("faasnats: the jobs that follow from a job do not decode", "error", err)
		return nil // decoding it again would not help
	}
	for i := range follow {
		if follow[i].ID == uuid.Nil {
			continue
		}
		var at large
		if i < len(objects) {
			at.Payload = objects[i]
		}
		if err := q.createFollowing(ctx, &follow[i], at); err != nil && !errors.Is(err, errFence) {
			return err
		}
	}
	return nil
}
