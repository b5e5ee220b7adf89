package faas

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/memqueue"
)

// The bounds of a memory queue that are not given.
const (
	defaultJobs     = 100_000
	defaultJobBytes = 64 << 20
)

// NewMemoryJobs returns a queue that keeps jobs in memory: they are gone when the process
// ends. It holds at most count jobs that are not settled, and bytes of what is of
// variable length in them: payload, labels, what carriers have saved. A value ≤ 0 stands
// for the default, 100,000 and 64 MiB. A job that waits takes about 300 bytes beside
// these. While jobs of other tenants are in the queue, no tenant gets more than half of
// either.
//
// Settled jobs have the same bounds once more: beyond them the oldest is forgotten. A job
// whose KeepUntil has passed is forgotten, too. The IDs of at most count forgotten jobs are
// remembered, and twice as many unique keys can be taken.
//
// A lease has no term: its holder is in the same process. Two methods are for tests, and
// package faastest calls them: LoseLeases() int ends all leases as if their holder had died
// and the queue had not, LoseJobs() int drops the jobs that are not settled as if the
// queue's process had died.
func NewMemoryJobs(count int, bytes int64) JobQueue {
	if count <= 0 {
		count = defaultJobs
	}
	if bytes <= 0 {
		bytes = defaultJobBytes
	}
	return memoryJobs{memqueue.New[jobBody](min(count, math.MaxInt32), bytes), &memoryHosts{}}
}

type memoryJobs struct {
	queue *memqueue.Queue[jobBody]
	hosts *memoryHosts
}

type (
	jobItem = memqueue.Item[jobBody]
	jobView = memqueue.View[jobBody]
	jobHold = memqueue.Hold[jobBody]
	jobNext = memqueue.Leased[jobBody]
)

// jobBody is what a record has beside its [memqueue.Item]. It is small, because a million
// jobs may wait: what most of them don't have is behind a pointer.
type jobBody struct {
	name       string
	payload    []byte
	accepted   int64 // in Unix nanoseconds
	due        int64
	attempts   int32
	deliveries int32
	refusals   int32
	format     int32
	more       *jobMore // nil: nothing of it is set
}

// answerWaiter has the queue tell an answer.
type answerWaiter struct{ *jobAnswer }

// Settled is called by the queue as it settles the job, and Gone if the job is lost.
func (w answerWaiter) Settled(it *jobItem) { w.tell(it.Body.more) }
func (w answerWaiter) Gone()               { w.tell(nil) }

func (q memoryJobs) Put(ctx context.Context, rec JobRecord) (JobRecord, error) {
	if err := ctx.Err(); err != nil {
		return JobRecord{}, err
	}
	v, err := q.queue.Put(packJob(&rec, nil), rec.UniqueKey, uniqueUntil(&rec))
	if errors.Is(err, memqueue.ErrFull) {
		return JobRecord{}, putError(err, rec.Function)
	}
	return unpackJob(&v), putError(err, rec.Function)
}

// uniqueUntil is until when a record's unique key is taken; 0: it has none.
func uniqueUntil(rec *JobRecord) int64 {
	if rec.UniqueFor <= 0 {
		return 0
	}
	return nanos(rec.Accepted.Add(rec.UniqueFor))
}

// putError is jobError for Put.
func putError(err error, function string) error {
	if errors.Is(err, memqueue.ErrFull) {
		return usageError("send", function, ErrOverloaded, "there is no room for the job; see NewMemoryJobs")
	}
	return jobError(err, function)
}

func (q memoryJobs) Lease(ctx context.Context, req LeaseRequest) (JobLease, error) {
	v, token, err := q.queue.Lease(ctx, req.Functions)
	if err != nil {
		return JobLease{}, jobError(err, "")
	}
	return JobLease{Record: unpackJob(&v), Token: token}, nil
}

func (q memoryJobs) Begin(_ context.Context, lease JobLease) error {
	return jobError(q.queue.Begin(memqueue.ID(lease.Record.ID), lease.Token), lease.Record.Function)
}

func (q memoryJobs) Extend(_ context.Context, lease JobLease, p JobProgress) error {
	return q.extend(&jobHold{ID: memqueue.ID(lease.Record.ID), Token: lease.Token}, p, lease.Record.Function)
}

// extend is Extend.
func (q memoryJobs) extend(h *jobHold, p JobProgress, function string) error {
	var progress any
	if p != (JobProgress{}) {
		progress = p
	}
	return jobError(q.queue.Extend(h.ID, h.Token, progress), function)
}

func (q memoryJobs) Settle(_ context.Context, lease JobLease, next JobRecord, follow ...JobRecord) error {
	next.ID = lease.Record.ID
	return jobError(q.queue.Settle(lease.Token, packJob(&next, nil), packJobs(follow)...), lease.Record.Function)
}

func (q memoryJobs) Get(_ context.Context, id uuid.UUID) (JobRecord, error) {
	v, err := q.queue.Get(memqueue.ID(id))
	return unpackJob(&v), jobError(err, "")
}

func (q memoryJobs) Swap(_ context.Context, old, next JobRecord) error {
	if next.ID == uuid.Nil {
		return jobError(q.queue.Remove(memqueue.ID(old.ID), old.Revision), old.Function)
	}
	return jobError(q.queue.Swap(old.Revision, packJob(&next, nil)), old.Function)
}

func (q memoryJobs) List(ctx context.Context, filter JobFilter) iter.Seq2[JobRecord, error] {
	return func(yield func(JobRecord, error) bool) {
		for seq := uint64(0); ; {
			err := ctx.Err()
			var found []jobView
			if err == nil {
				found, seq, err = q.queue.List(seq, filter.matchItem)
			}
			if err != nil {
				yield(JobRecord{}, jobError(err, ""))
				return
			}
			for i := range found {
				if rec := unpackJob(&found[i]); filter.Match(&rec) && !yield(rec, nil) {
					return
				}
			}
			if seq == 0 {
				return
			}
		}
	}
}

// matchItem leaves out most of what does not match while the queue is locked.
func (f *JobFilter) matchItem(it *jobItem) bool {
	return (f.Function == "" || it.Function == f.Function) &&
		(f.Tenant == nil || it.Tenant == *f.Tenant) &&
		(f.OrderKey == "" || it.Order == f.OrderKey)
}

func (q memoryJobs) Watch(ctx context.Context, id uuid.UUID, revision uint64) (JobRecord, error) {
	v, err := q.queue.Watch(ctx, memqueue.ID(id), revision)
	return unpackJob(&v), jobError(err, "")
}

func (q memoryJobs) Count(context.Context) (map[string]JobCount, error) {
	counts, err := q.queue.Count()
	if err != nil {
		return nil, jobError(err, "")
	}
	all := make(map[string]JobCount, len(counts))
	for name, c := range counts {
		all[name] = JobCount{
			Scheduled: c.States[memqueue.Scheduled], Ready: c.States[memqueue.Ready],
			Running: c.States[memqueue.Running], Parked: c.States[memqueue.Parked],
			Succeeded: c.States[memqueue.Succeeded], Dead: c.States[memqueue.Dead],
			Canceled: c.States[memqueue.Canceled], Bytes: c.Bytes, Oldest: wallTime(c.Oldest),
		}
	}
	return all, nil
}

func (q memoryJobs) Close() error {
	q.queue.Close()
	return nil
}

// LoseLeases ends all leases as if the process of their holders had died: their jobs are
// given to Lease again, with Crashes one higher. It returns how many there were.
func (q memoryJobs) LoseLeases() int { return q.queue.LoseLeases() }

// LoseJobs drops the jobs that are not settled, with their IDs and unique keys, as if the
// process had died. It returns how many there were.
func (q memoryJobs) LoseJobs() int { return q.queue.LoseJobs() }

// jobError translates an error of the memory queue; others, and nil, stay what they are.
func jobError(err error, function string) error {
	if err == nil {
		return nil
	}
	said := func(sentinel error, text string) error {
		return &Error{Op: "job", Function: function, Err: &saidError{sentinel, text}}
	}
	switch {
	case errors.Is(err, memqueue.ErrTaken):
		return said(ErrDuplicate, "there is a job of this ID or unique key")
	case errors.Is(err, memqueue.ErrUnknown):
		return said(ErrNotFound, "no such job")
	case errors.Is(err, memqueue.ErrForgotten):
		return said(ErrForgotten, ErrForgotten.Error())
	case errors.Is(err, memqueue.ErrLease):
		return said(ErrLease, ErrLease.Error())
	case errors.Is(err, memqueue.ErrChanged):
		return said(ErrRevision, ErrRevision.Error())
	case errors.Is(err, memqueue.ErrUnsettled):
		return said(ErrInput, "only the record of a settled job can be removed")
	case errors.Is(err, memqueue.ErrClosed):
		return said(ErrClosed, "the queue is closed")
	}
	return err
}

// saidError is a sentinel in words that fit a job.
type saidError struct {
	sentinel error
	text     string
}

func (e *saidError) Error() string { return e.text }
func (e *saidError) Unwrap() error { return e.sentinel }

// packJob makes the item of a record. more has room for what an item needs a jobMore for; nil: it
// is to be made.
func packJob(rec *JobRecord, more *jobMore) jobItem {
	at := rec.NotBefore
	switch {
	case rec.State.IsSettled():
		at = rec.KeepUntil
	case at.IsZero():
		at = rec.Due
	}
	it := jobItem{
		ID: memqueue.ID(rec.ID), Revision: rec.Revision, Function: rec.Function, Tenant: rec.Tenant, Order: rec.OrderKey,
		At: nanos(at), Expires: nanos(rec.expires), Size: rec.size(), Priority: clampInt32(rec.Priority), Crashes: clampInt32(rec.Crashes),
		State: memqueue.State(rec.State), Body: jobBody{
			name: rec.Name, payload: rec.Payload, accepted: nanos(rec.Accepted), due: nanos(rec.Due),
			attempts: clampInt32(rec.Attempts), deliveries: clampInt32(rec.Deliveries), refusals: clampInt32(rec.Refusals),
			format: clampInt32(rec.Format),
		},
	}
	if rec.answer != nil {
		it.Waiter = answerWaiter{rec.answer}
	}
	if rec.hasMore() {
		if more == nil {
			more = &jobMore{}
		}
		rec.moreTo(more)
		it.Body.more = more
	}
	return it
}

// more returns what is known of the end of a job.
func (rec *JobRecord) more() *jobMore {
	m := &jobMore{}
	rec.moreTo(m)
	return m
}

// moreTo sets the fields of m but the last one.
func (rec *JobRecord) moreTo(m *jobMore) {
	if rec.State.IsSettled() {
		m.name, m.state, m.settled = rec.calledName(), rec.State, nanos(rec.Settled)
	}
	m.condition, m.parkedFor, m.maxAge, m.uniqueKey, m.uniqueFor = rec.Condition, rec.ParkedFor, rec.MaxAge, rec.UniqueKey, rec.UniqueFor
	m.output, m.used, m.last, m.labels, m.origin, m.rest = rec.Output, rec.Used, rec.Last, rec.Labels, rec.Origin, rec.rest
	m.items, m.parts = rec.Items, rec.Parts
}

func packJobs(recs []JobRecord) (items []jobItem) {
	for i := range recs {
		items = append(items, packJob(&recs[i], nil))
	}
	return items
}

// hasMore reports whether the record needs a jobMore.
func (rec *JobRecord) hasMore() bool {
	return rec.State.IsSettled() || rec.ParkedFor != "" || rec.MaxAge != 0 || rec.UniqueKey != "" || rec.Used != 0 || rec.Last != nil ||
		len(rec.Output)+len(rec.Labels)+len(rec.rest)+rec.Items > 0 || rec.Origin != nil
}

// unpackJob makes the record of an item as it is read.
func unpackJob(v *jobView) (rec JobRecord) {
	rec.unpack(v)
	return rec
}

// unpack is unpackJob. rec must be zero.
func (rec *JobRecord) unpack(v *jobView) {
	b := &v.Body
	*rec = JobRecord{
		Format: int(b.format), ID: uuid.UUID(v.ID), Revision: v.Revision, Function: v.Function, Name: b.name, Tenant: v.Tenant,
		Priority: int(v.Priority), State: JobState(v.State), OrderKey: v.Order, Payload: b.payload,
		Accepted: wallTime(b.accepted), expires: wallTime(v.Expires), Due: wallTime(b.due), KeyHolder: uuid.UUID(v.KeyHolder),
		Attempts: int(b.attempts), Deliveries: int(b.deliveries), Refusals: int(b.refusals), Crashes: int(v.Crashes),
	}
	if rec.State.IsSettled() {
		rec.KeepUntil = wallTime(v.At)
	} else if v.At != b.due {
		rec.NotBefore = wallTime(v.At)
	}
	rec.Progress, _ = v.Progress.(JobProgress)
	if w, ok := v.Waiter.(answerWaiter); ok {
		rec.answer = w.jobAnswer
	}
	if m := b.more; m != nil {
		rec.Condition, rec.Settled, rec.MaxAge, rec.UniqueKey, rec.UniqueFor = m.condition, wallTime(m.settled), m.maxAge, m.uniqueKey, m.uniqueFor
		rec.ParkedFor, rec.Output, rec.Used, rec.Last = m.parkedFor, m.output, m.used, m.last
		rec.Labels, rec.Origin, rec.rest, rec.Items, rec.Parts = m.labels, m.origin, m.rest, m.items, m.parts
	}
}

// size is how many bytes of variable length a record has.
func (rec *JobRecord) size() int64 {
	n := len(rec.Name) + len(rec.Payload) + len(rec.Output) + len(rec.OrderKey) + len(rec.UniqueKey)
	for k, v := range rec.Labels {
		n += len(k) + len(v)
	}
	for k, v := range rec.rest {
		n += len(k) + len(v)
	}
	if o := rec.Origin; o != nil {
		n += len(o.Principal) + len(o.Trigger) + len(o.Door) + len(o.RequestID) + len(o.Key)
		for k, v := range o.Carried {
			n += len(k) + len(v)
		}
	}
	if e := rec.Last; e != nil {
		n += len(e.Error) + len(e.ErrorType) + len(e.Version)
	}
	return int64(n)
}

// nanos is a wall-clock time in Unix nanoseconds. The zero time is 0, and a time out of
// range, before 1678 or after 2262, is the nearest that is in it.
func nanos(t time.Time) int64 {
	switch s := t.Unix(); {
	case t.IsZero():
		return 0
	case s < first1678:
		return math.MinInt64
	case s >= first2262:
		return math.MaxInt64 - 1 // the largest value is for no time
	}
	return t.UnixNano()
}

// The first seconds of two years, since the epoch of Unix.
const (
	first1678 = -9_214_560_000
	first2262 = 9_214_646_400
)

// wallTime is the reverse of nanos. The largest value is how long a job is kept for which
// no time was given: the zero time.
func wallTime(ns int64) time.Time {
	if ns == 0 || ns == math.MaxInt64 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func clampInt32(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }

// memoryHosts are the routers that lease from a queue in memory.
type memoryHosts struct {
	mu    sync.Mutex // guards all and looks
	all   map[*Router]func(function string) bool
	looks map[*Router]func() // have the router look for jobs that are too old
}

// add adds a router, until ctx ends. hosts tells which functions it has, and look has it look for
// jobs that are too old.
func (m *memoryHosts) add(ctx context.Context, r *Router, hosts func(function string) bool, look func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all, m.looks = map[*Router]func(string) bool{}, map[*Router]func(){}
	}
	m.all[r], m.looks[r] = hosts, look
	context.AfterFunc(ctx, func() { m.remove(r) })
}

// remove has the other routers look after the jobs that r has sent.
func (m *memoryHosts) remove(r *Router) {
	m.mu.Lock()
	delete(m.all, r)
	delete(m.looks, r)
	others := slices.Collect(maps.Values(m.looks))
	m.mu.Unlock()
	for _, look := range others {
		look()
	}
}

// have reports whether one of the routers has the function. m.mu is not held while they are
// asked, since each may take a lock of its own.
func (m *memoryHosts) have(function string) bool {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.all))
	m.mu.Unlock()
	return slices.ContainsFunc(all, func(hosts func(string) bool) bool { return hosts(function) })
}
