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

// msgOut is a message to be published.
type msgOut = nats.Msg

// puller fetches the jobs of one place, on a goroutine of its own.
type puller struct {
	place    place
	consumer jetstream.Consumer
	ctx      context.Context //nolint:containedctx // ends when the place is no longer hosted
	stop     context.CancelFunc
	room     chan struct{} // a held job is gone
	again    func()        // ends the fetch that waits; guarded by Queue.mu
	caughtUp bool          // the first fetch is over: guarded by Queue.mu
	window   int           // how many jobs are held that are not leased; the goroutine's own
}

// The least and the most that is held and not leased, for each place. A process that is
// busy keeps no more than the least from others.
const (
	leastWindow = 8
	mostWindow  = 64
)

// pull starts the puller of a place. q.mu is held.
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

// host notes that jobs of a function are leased here. q.mu is held.
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

// poke tells the puller that there may be room.
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

// fetchSome fetches up to n jobs, and waits for them.
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

// relink is the goroutine that has all jobs asked for anew when the connection was made again: a server that
// was restarted has forgotten what was asked, and a fetch would learn of that by the heartbeats that
// are missing, up to 40 seconds later. What the server may have sent to the old one is given again
// after AckWait.
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

// isOver reports whether a fetch has just come to its end.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// pause waits before the server is asked again.
func (p *puller) pause() {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}

// adapt sets the window by how long there was no room: a process that starts jobs at once
// holds more of them.
func (p *puller) adapt(waited time.Duration) {
	switch {
	case p.place.isOrdered():
	case waited < time.Second:
		p.window = min(2*p.window, mostWindow)
	default:
		p.window = max(p.window/2, leastWindow)
	}
}

// catchUp notes that the first fetch is over.
func (q *Queue) catchUp(p *puller) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !p.caughtUp {
		p.caughtUp = true
		q.tell()
	}
}

// awaitRoom returns how many jobs may be fetched, or 0 when the puller is to end.
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

// idle counts the jobs of a place that are held and not leased. In a partition those that
// are leased count too.
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

// receiveAll takes what a fetch brings. After the puller was stopped it goes on, so that
// nothing that was delivered lies here: release gives it back.
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
	case err != nil: // it stays in the stream, and is not given again
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
			q.log.Warn("faasnats: a job can't be looked up; it is given again", "job", msg.Subject(), "error", err)
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

// mayHaveRun reports whether the server may have forgotten that it has given a job before
// it was restarted.
func (q *Queue) mayHaveRun(h *held) bool {
	if h.token > q.mark.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.old[h.place]++
	return q.old[h.place] <= mostForgotten
}

// mostForgotten is for how many deliveries of a place, after a restart of the server, mayHaveRun
// assumes that the server has forgotten an earlier delivery: as many as a server may make in the
// tenth of a second that it can forget, see countCrash.
const mostForgotten = 1000

// marked is the stream's last sequence at the last connect. A server that was restarted
// may have forgotten acknowledgments of what is older.
func (q *Queue) marked() uint64 {
	links := q.conn.Stats().Reconnects
	if links == q.links.Load() {
		return q.mark.Load()
	}
	ctx, cancel := background()
	defer cancel()
	info, err := q.stream.Info(ctx)
	if err != nil {
		return math.MaxUint64 // all is looked up
	}
	q.mark.Store(info.State.LastSeq)
	q.links.Store(links)
	return info.State.LastSeq
}

// current returns the record that counts for a delivery that may be out of date: the one
// delivered, or the one beside it. It is nil if the job is settled, or waits elsewhere.
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
	case last.seq <= s.seq: // a replica that is behind does not know better
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

// countCrash counts a host that has died with the job. Every delivery but this one is
// explained by what its holder has written beside it, or its holder has died. One that
// has claimed the job ran it. Of another that is not known: the first counts, since it
// may have been this job that killed it, and from then on the job is claimed before it
// runs. So jobs that only lie beside one that kills hosts are not given up.
//
// A server that dies with the host, as an embedded one, forgets the deliveries of its last
// tenth of a second. So the first jobs after a restart are claimed too: a job that kills
// its host at once does so four times, and not three, before it is given up.
func (h *held) countCrash(s *stored) {
	lost := s.claimed || h.delivered > s.delivered+1
	if lost && (s.claimed || h.rec.Crashes == 0) {
		h.rec.Crashes++
	}
	h.claim = lost || h.rec.Crashes > 0
}

// explain writes what countCrash reads.
func (h *held) explain(msg *nats.Msg, claimed bool) {
	msg.Header.Set(headerDelivered, strconv.FormatUint(h.delivered, 10))
	if claimed {
		msg.Header.Set(headerClaimed, "1")
	}
}

// hold takes a job that may run.
func (q *Queue) hold(h *held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if had := q.held[h.rec.ID]; had != nil {
		switch {
		case had.token == h.token: // the server has lost patience, or was restarted; its holder is well
			had.msg, had.delivered, had.from = h.msg, h.delivered, h.from
			return
		case had.token > h.token:
			return
		}
		q.drop(had) // it was changed elsewhere
	}
	q.held[h.rec.ID] = h
	q.line(h) // not hosted: the puller ends, and gives it back
}

// settledCame takes the delivery of a settled job: it is there so that what follows from
// the job is put, if its holder has died before it had done that.
func (q *Queue) settledCame(msg jetstream.Msg, s *stored) {
	put, wait := q.duty(msg, s)
	if wait {
		return
	}
	ctx, cancel := background()
	defer cancel()
	if put {
		if err := q.putFollow(ctx, s.follow, s.large.Follow); err != nil {
			q.log.Warn("faasnats: what follows from a job is put later", "job", s.rec.ID, "error", err)
			return
		}
	}
	if s.claimed { // there were records beside it
		q.sweep(ctx, s.place, s)
	}
	q.ack(msg, s.place)
}

// duty says whether what follows from a settled job is to be put here, or is being put by
// the goroutine that has settled it, which then acknowledges the delivery.
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

// putFollow puts the jobs that follow from a settled one, whose payloads may be objects. One
// whose ID is taken was put before.
func (q *Queue) putFollow(ctx context.Context, data []byte, objects []object) error {
	var follow []faas.JobRecord
	if err := json.Unmarshal(data, &follow); err != nil {
		q.log.Error("faasnats: what follows from a job does not decode", "error", err)
		return nil // it never will
	}
	for i := range follow {
		if follow[i].ID == uuid.Nil {
			continue
		}
		var at large
		if i < len(objects) {
			at.Payload = objects[i]
		}
		if _, err := q.create(ctx, &follow[i], false, at); err != nil && !errors.Is(err, errFence) {
			return err
		}
	}
	return nil
}
