package faasnats

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// List implements [faas.JobQueue]. The order of acceptance is not that of the stream: so
// what matches is read first, then sorted, then yielded. It is kept in memory up to
// 16 MiB; of what is beyond only ID and time are kept, and it is read again, one by one.
// A filter by states that leaves out the succeeded jobs reads only those that were
// settled since the consumers have seen them.
func (q *Queue) List(ctx context.Context, filter faas.JobFilter) iter.Seq2[faas.JobRecord, error] {
	return func(yield func(faas.JobRecord, error) bool) {
		found, err := q.matching(ctx, &filter)
		if err != nil {
			yield(faas.JobRecord{}, err)
			return
		}
		for some := range slices.Chunk(found, asked) {
			if !q.listSome(ctx, some, &filter, yield) {
				return
			}
		}
	}
}

// asked is of how many jobs the other processes are asked at once.
const asked = 256

// listSome yields the records that match. It is false if that was all.
func (q *Queue) listSome(ctx context.Context, some []*entry, filter *faas.JobFilter, yield func(faas.JobRecord, error) bool) bool {
	var known []*stored
	for _, e := range some {
		known = append(known, e.brief())
	}
	others := q.askPeers(ctx, known...)
	for _, e := range some {
		rec, err := q.listed(ctx, e, others)
		switch {
		case err != nil:
			yield(faas.JobRecord{}, err)
			return false
		case rec.ID != uuid.Nil && filter.Match(&rec) && !yield(rec, nil):
			return false
		}
	}
	return true
}

// entry is a job that matches.
type entry struct {
	id       uuid.UUID
	accepted time.Time
	seq      uint64
	subject  string
	state    string // of the subject
	settled  bool
	rec      *stored // nil: to be read again
}

// listBytes is how much List keeps in memory.
const listBytes = 16 << 20

// matching reads what may match, in the order of acceptance.
func (q *Queue) matching(ctx context.Context, filter *faas.JobFilter) ([]*entry, error) {
	if err := q.usable(ctx); err != nil {
		return nil, err
	}
	l := listing{jobs: map[uuid.UUID]*entry{}}
	for _, r := range q.ranges(ctx, filter) {
		found, more, err := q.batch(ctx, r.subject, r.from, 256)
		for _, s := range found {
			l.add(s)
			r.from = s.seq + 1
		}
		if err == nil && more > 0 {
			err = q.readOn(ctx, r, l.add)
		}
		if err != nil {
			return nil, q.failed(ctx, "list jobs", err)
		}
	}
	return l.sorted(), nil
}

// readOn reads a long range by a consumer of its own. With each batch the server counts what
// is left, so that many of them would take the square of the time.
func (q *Queue) readOn(ctx context.Context, r rangeOf, take func(*stored)) error {
	c, err := q.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: r.subject, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.from,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return err
	}
	defer func() { _ = q.stream.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name) }() // else it ends by itself
	for left := int(c.CachedInfo().NumPending); left > 0; {
		batch, err := c.Fetch(min(left, 4096), jetstream.FetchMaxWait(requestTimeout))
		if err != nil {
			return err
		}
		n := 0
		for msg := range batch.Messages() {
			n++
			q.takeListed(msg, take)
		}
		if n == 0 || batch.Error() != nil || ctx.Err() != nil {
			return cmp.Or(ctx.Err(), batch.Error(), nats.ErrTimeout)
		}
		left -= n
	}
	return nil
}

// takeListed decodes what a consumer of readOn gives.
func (q *Queue) takeListed(msg jetstream.Msg, take func(*stored)) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	s, err := decode(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream)
	if err != nil {
		q.log.Error("faasnats: a job can't be read", "error", err)
		return
	}
	take(s)
}

// listing is what a List has found, and how much of it is in memory.
type listing struct {
	jobs map[uuid.UUID]*entry
	size int
}

// add takes a record, of each job the last.
func (l *listing) add(s *stored) {
	if had := l.jobs[s.rec.ID]; had != nil && had.seq > s.seq {
		return
	}
	e := &entry{id: s.rec.ID, accepted: s.rec.Accepted, seq: s.seq, subject: s.place.of(s.rec.ID), state: s.state, settled: s.settled}
	if l.size += sizeOf(&s.rec); l.size < listBytes {
		e.rec = s
	}
	l.jobs[s.rec.ID] = e
}

func (l *listing) sorted() []*entry {
	return slices.SortedFunc(maps.Values(l.jobs), func(a, b *entry) int {
		return cmp.Or(a.accepted.Compare(b.accepted), cmp.Compare(a.seq, b.seq))
	})
}

// brief is what of an entry is known without its record.
func (e *entry) brief() *stored {
	return &stored{rec: faas.JobRecord{ID: e.id}, state: e.state, settled: e.settled}
}

// listed is the record of an entry, or a zero one if the job is gone.
func (q *Queue) listed(ctx context.Context, e *entry, others map[uuid.UUID]runningJob) (faas.JobRecord, error) {
	if err := q.usable(ctx); err != nil {
		return faas.JobRecord{}, err
	}
	s := e.rec
	if s == nil || !s.settled { // what can change is looked at again
		var err error
		if s, err = q.last(ctx, e.subject); err != nil {
			return faas.JobRecord{}, nil //nolint:nilerr // it is gone, or goes away while it is read
		}
	}
	if s.forgotten {
		return faas.JobRecord{}, nil
	}
	whole := *s // the entry stays small
	if err := q.loadAll(ctx, &whole); err != nil {
		return faas.JobRecord{}, err
	}
	return q.shown(ctx, &whole, others), nil
}

// rangeOf is a part of the stream.
type rangeOf struct {
	subject string
	from    uint64
}

// ranges returns what is to be read for a filter.
func (q *Queue) ranges(ctx context.Context, filter *faas.JobFilter) (all []rangeOf) {
	function := "*"
	if filter.Function != "" {
		function = token(filter.Function)
	}
	add := func(state string) { all = append(all, rangeOf{"j." + function + ".*.*." + state, 1}) }
	want := func(states ...faas.JobState) bool {
		return len(filter.States) == 0 || slices.ContainsFunc(filter.States, func(s faas.JobState) bool { return slices.Contains(states, s) })
	}
	if want(faas.JobSucceeded) {
		add(inLine)
	} else if want(faas.JobReady, faas.JobRunning, faas.JobScheduled, faas.JobParked) {
		all = append(all, q.unsettled(ctx, filter.Function)...)
	}
	if want(faas.JobReady, faas.JobRunning, faas.JobScheduled, faas.JobParked) {
		add(inHand)
		add(inFuture)
		add(inPark)
	}
	if want(faas.JobDead) {
		add(isDead)
	}
	if want(faas.JobCanceled) {
		add(isDropped)
	}
	return all
}

// unsettled returns where the unsettled jobs in line are. In each place they begin at the
// first message that is not acknowledged: a job before it is settled, or in line no more.
func (q *Queue) unsettled(ctx context.Context, function string) (all []rangeOf) {
	q.mu.Lock()
	consumers := make(map[place]uint64, len(q.consumers))
	for p := range q.consumers {
		if function == "" || p.function == function {
			consumers[p] = 1
		}
	}
	q.mu.Unlock()
	for p := range consumers {
		info, err := q.stream.Consumer(ctx, p.consumer())
		if err == nil {
			consumers[p] = info.CachedInfo().AckFloor.Stream + 1
		}
		all = append(all, rangeOf{p.filter(), consumers[p]})
	}
	return all
}
