package faas

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/memqueue"
)

// The default bounds of a queue in memory.
const (
	defaultJobs     = 100_000
	defaultJobBytes = 64 << 20
)

// NewMemoryJobs returns a queue that keeps jobs in memory: they are lost when the process ends. It
// holds at most count jobs that are not settled, and at most bytes of their data of variable
// length: payload, labels, what carriers have saved. A value ≤ 0 means the default, 100,000 jobs
// and 64 MiB. Besides that data a waiting job takes about 350 bytes. While jobs of other tenants
// are in the queue, no tenant gets more than half of either bound.
//
// Settled jobs have the same two bounds for themselves; beyond them the queue forgets the oldest.
// It also forgets a job whose KeepUntil has passed. It remembers the IDs of the last count jobs
// that it forgot. At most 2 × count unique keys can be taken at once.
//
// A lease does not run out by time, since its holder is in the same process. Two methods are for
// tests, which call them through package faastest: LoseLeases() int ends all leases as if the
// holders' processes had died and the queue's had not, and LoseJobs() int drops all jobs that are
// not settled as if the queue's process had died.
func NewMemoryJobs(count int, bytes int64) JobQueue {
	if count <= 0 {
		count = defaultJobs
	}
	if bytes <= 0 {
		bytes = defaultJobBytes
	}
	q := memqueue.New[jobBody](min(count, math.MaxInt32), bytes)
	q.SetCodec(jobCodec{})
	return memoryJobs{q, &memoryHosts{}}
}

type memoryJobs struct {
	queue *memqueue.Queue[jobBody]
	hosts *memoryHosts
}

type (
	jobView = memqueue.View[jobBody]
	jobHold = memqueue.Hold[jobBody]
	jobNext = memqueue.Leased[jobBody]
)

// answerWaiter is the [memqueue.Waiter] that gives the end of a job to the sender's [Job].
type answerWaiter struct{ *jobAnswer }

// Settled is called by the queue in the step that settles the job, and Gone if the queue loses the
// job.
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

// uniqueUntil returns until when a record's unique key is taken; 0: it has no key.
func uniqueUntil(rec *JobRecord) int64 {
	if rec.UniqueFor <= 0 {
		return 0
	}
	return nanos(rec.Accepted.Add(rec.UniqueFor))
}

// putError is jobError for Put, which refuses a job for which there is no room.
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

// extend is Extend for a lease that is given by its hold.
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
				found, seq, err = q.queue.List(seq, filter.Function, filter.matchItem)
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

// matchItem checks the filter's fields that an item has. It runs with the queue locked; List checks
// the other fields afterwards.
func (f *JobFilter) matchItem(it *jobItem) bool {
	if JobState(it.State).IsSettled() && len(f.States) > 0 && !slices.Contains(f.States, JobState(it.State)) {
		return false // only a settled item's State is the present one; List checks the other states
	}
	return (f.Tenant == nil || it.Tenant == *f.Tenant) && (f.OrderKey == "" || it.Order == f.OrderKey)
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

// LoseLeases ends all leases as if the process of their holders had died: Lease gives the jobs
// again, with Crashes one higher. It returns the number of leases.
func (q memoryJobs) LoseLeases() int { return q.queue.LoseLeases() }

// LoseJobs drops all jobs that are not settled, with their IDs and unique keys, as if the process
// had died. It returns the number of jobs.
func (q memoryJobs) LoseJobs() int { return q.queue.LoseJobs() }

// jobError translates an error of package memqueue; it returns any other error, and nil, unchanged.
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

// saidError is a sentinel with a text that fits a job.
type saidError struct {
	sentinel error
	text     string
}

func (e *saidError) Error() string { return e.text }
func (e *saidError) Unwrap() error { return e.sentinel }

// packJob makes the item of a record. If the item needs a jobMore, packJob fills more, or a new one
// if more is nil.
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

// more returns the record's fields that a jobMore has, among them those about the job's end.
func (rec *JobRecord) more() *jobMore {
	m := &jobMore{}
	rec.moreTo(m)
	return m
}

// moreTo sets the fields of m from the record. It leaves m.end alone, to which rec.Last may point.
func (rec *JobRecord) moreTo(m *jobMore) {
	if rec.State.IsSettled() {
		m.name, m.state, m.settled = rec.calledName(), rec.State, nanos(rec.Settled)
	}
	m.condition, m.output, m.used, m.last, m.origin = rec.Condition, rec.Output, rec.Used, rec.Last, rec.Origin
	if rec.hasRare() {
		m.rare = &jobRare{
			parkedFor: rec.ParkedFor, maxAge: rec.MaxAge, uniqueKey: rec.UniqueKey, uniqueFor: rec.UniqueFor,
			labels: rec.Labels, rest: rec.rest, items: rec.Items, parts: rec.Parts,
		}
	}
}

func packJobs(recs []JobRecord) (items []jobItem) {
	for i := range recs {
		items = append(items, packJob(&recs[i], nil))
	}
	return items
}

// hasMore reports whether the item of the record needs a jobMore.
func (rec *JobRecord) hasMore() bool {
	return rec.State.IsSettled() || rec.Used != 0 || rec.Last != nil || len(rec.Output) > 0 || rec.Origin != nil || rec.hasRare()
}

// hasRare reports whether the jobMore of the record needs a jobRare.
func (rec *JobRecord) hasRare() bool {
	return rec.ParkedFor != "" || rec.MaxAge != 0 || rec.UniqueKey != "" || rec.UniqueFor != 0 ||
		len(rec.Labels)+len(rec.rest)+len(rec.Parts)+rec.Items > 0
}

// unpackJob makes the record of an item.
func unpackJob(v *jobView) (rec JobRecord) {
	rec.unpack(v)
	return rec
}

// unpack is unpackJob into rec, which must be zero.
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
		rec.Condition, rec.Settled, rec.Output, rec.Used, rec.Last, rec.Origin = m.condition, wallTime(m.settled), m.output, m.used, m.last, m.origin
		rec.unpackRare(m.rare)
	}
}

// unpackRare is the part of unpack that few records need. m may be nil.
func (rec *JobRecord) unpackRare(m *jobRare) {
	if m == nil {
		return
	}
	rec.ParkedFor, rec.MaxAge, rec.UniqueKey, rec.UniqueFor = m.parkedFor, m.maxAge, m.uniqueKey, m.uniqueFor
	rec.Labels, rec.rest, rec.Items, rec.Parts = m.labels, m.rest, m.items, m.parts
}

// size returns the number of bytes of variable length in a record.
func (rec *JobRecord) size() int64 {
	n := len(rec.Name) + len(rec.Payload) + len(rec.Output) + len(rec.OrderKey) + len(rec.UniqueKey)
	if len(rec.Labels)+len(rec.rest) > 0 { // a loop over an empty map costs more than this
		for k, v := range rec.Labels {
			n += len(k) + len(v)
		}
		for k, v := range rec.rest {
			n += len(k) + len(v)
		}
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

func clampInt32(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }

// memoryHosts are the routers that lease from one queue in memory.
type memoryHosts struct {
	mu    sync.Mutex                             // guards all and looks
	all   map[*Router]func(function string) bool // reports whether the router has a function
	looks map[*Router]func()                     // makes the router look for jobs that are too old
}

// add adds a router until ctx ends. hosts reports whether the router has a function; look makes it
// look for jobs that are too old.
func (m *memoryHosts) add(ctx context.Context, r *Router, hosts func(function string) bool, look func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all, m.looks = map[*Router]func(string) bool{}, map[*Router]func(){}
	}
	m.all[r], m.looks[r] = hosts, look
	context.AfterFunc(ctx, func() { m.remove(r) })
}

// remove removes a router, and makes the others look for jobs whose functions no router has any
// more.
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

// have reports whether one of the routers has the function. It calls hosts without m.mu, since
// hosts takes a lock of the router.
func (m *memoryHosts) have(function string) bool {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.all))
	m.mu.Unlock()
	return slices.ContainsFunc(all, func(hosts func(string) bool) bool { return hosts(function) })
}
