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

// List implements [faas.JobQueue]. The stream is not in the order of acceptance. So List first
// reads all records that match, sorts them, and then yields them. It keeps up to 16 MiB of
// records in memory. Of the others it keeps the ID and the time, and reads them again one by
// one. If the filter's states leave out the succeeded jobs, List reads the messages in line
// only from the first one that is not acknowledged, and so skips most succeeded jobs.
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

// asked is the number of jobs that one question to the other processes has.
const asked = 256

// listSome yields the records of those entries in some that match the filter. It returns false
// if the listing is to end.
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

// entry is a job that has been found.
type entry struct {
	id       uuid.UUID
	accepted time.Time
	seq      uint64
	subject  string
	state    string // of the subject
	settled  bool
	rec      *stored // nil: beyond listBytes, and to be read again
}

// listBytes is how many bytes of records List keeps in memory.
const listBytes = 16 << 20

// matching reads the records that may match, and returns them in the order of acceptance.
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

// readOn reads the rest of a long range through a consumer of its own. Reading it in batches
// would take quadratic time, since the server counts the remaining messages with each batch.
func (q *Queue) readOn(ctx context.Context, r rangeOf, take func(*stored)) error {
	c, err := q.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: r.subject, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.from,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return err
	}
	defer func() { _ = q.stream.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name) }() // if this fails, the consumer ends by itself after a minute
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

// takeListed decodes a message of readOn's consumer, and passes it on.
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

// listing collects the records that a List finds, and counts their bytes in memory.
type listing struct {
	jobs map[uuid.UUID]*entry
	size int
}

// add adds a record. Of several records of one job it keeps the last.
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

// brief returns what is known of an entry without its record.
func (e *entry) brief() *stored {
	return &stored{rec: faas.JobRecord{ID: e.id}, state: e.state, settled: e.settled}
}

// listed returns the record of an entry, or a zero one if the job is gone.
func (q *Queue) listed(ctx context.Context, e *entry, others map[uuid.UUID]runningJob) (faas.JobRecord, error) {
	if err := q.usable(ctx); err != nil {
		return faas.JobRecord{}, err
	}
	s := e.rec
	if s == nil || !s.settled { // a record that may have changed is read again
		var err error
		if s, err = q.last(ctx, e.subject); err != nil {
			return faas.JobRecord{}, nil //nolint:nilerr // the job is gone, or is removed while it is read
		}
	}
	if s.forgotten {
		return faas.JobRecord{}, nil
	}
	whole := *s // a copy, so that the entry does not keep the large parts
	if err := q.loadAll(ctx, &whole); err != nil {
		return faas.JobRecord{}, err
	}
	return q.shown(ctx, &whole, others), nil
}

// rangeOf is the messages of a subject, from a sequence on.
type rangeOf struct {
	subject string
	from    uint64
}

// ranges returns the parts of the stream that List reads for a filter.
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

// unsettled returns the ranges of the unsettled jobs whose state is inLine (subject.go), one for
// each place (a bucket or partition). A range begins at the place's first message that is not
// acknowledged: every job before that is settled, or has another state.
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
