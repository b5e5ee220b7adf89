package embed_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
)

// hammer calls all methods of two queues on one server, concurrently and at random, while their
// connections break. It is for the race detector.
type hammer struct {
	t       *testing.T
	ways    []*restarted
	queues  []*faasnats.Queue
	running sync.Map     // the leases that have not ended, by job
	open    atomic.Int64 // about how many jobs were put and not settled
	done    atomic.Int64
}

// mostOpen bounds the number of jobs, so that each one is used many times however slow the
// machine is.
const mostOpen = 300

// names returns functions, some with few jobs and some with many.
func (h *hammer) names(r *rand.Rand) []string {
	all := make([]string, 1+r.IntN(8))
	for i := range all {
		all[i] = fmt.Sprint("f", r.IntN(8))
	}
	return all
}

func (h *hammer) any(r *rand.Rand) *faasnats.Queue { return h.queues[r.IntN(len(h.queues))] }

// accepts checks an error. Allowed are the errors of a job that has changed or is gone, of a
// server that does not answer, and of a context that has ended.
func (h *hammer) accepts(err error) {
	for _, known := range []error{
		faas.ErrLease, faas.ErrRevision, faas.ErrSettled, faas.ErrForgotten, faas.ErrNotFound, faas.ErrDuplicate, faas.ErrClosed, faasnats.ErrServer,
		context.DeadlineExceeded, context.Canceled,
	} {
		if err == nil || errors.Is(err, known) {
			return
		}
	}
	h.t.Errorf("%v (%T)", err, err)
}

func (h *hammer) put(ctx context.Context, r *rand.Rand) {
	if h.open.Load() > mostOpen {
		time.Sleep(time.Millisecond)
		return
	}
	rec := benchJob(h.names(r)[0])
	rec.Tenant = fmt.Sprint("t", r.IntN(5))
	if r.IntN(4) == 0 {
		rec.OrderKey = fmt.Sprint("k", r.IntN(3))
	}
	if r.IntN(8) == 0 {
		rec.Payload = make([]byte, 2<<10) // larger than WithInline, and so an object
	}
	_, err := h.any(r).Put(ctx, rec)
	if h.accepts(err); err == nil {
		h.open.Add(1)
	}
}

// lease leases a job. Then it settles it, retries it, or forgets it.
func (h *hammer) lease(ctx context.Context, r *rand.Rand) {
	q := h.any(r)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+r.IntN(300))*time.Millisecond)
	defer cancel()
	l, err := q.Lease(ctx, faas.LeaseRequest{Functions: h.names(r), Term: 500 * time.Millisecond})
	if h.accepts(err); err != nil {
		return
	}
	token := fmt.Sprint(l.Record.ID, l.Token)
	if _, twice := h.running.LoadOrStore(token, true); twice {
		h.t.Errorf("two Leases have given the same lease of %v", l.Record.ID)
	}
	defer h.running.Delete(token)
	h.accepts(q.Begin(context.Background(), l))
	h.accepts(q.Extend(context.Background(), l, faas.JobProgress{Done: r.Int64N(10)}))
	next := l.Record
	switch r.IntN(8) {
	case 0:
		return // as if its host had died
	case 1:
		next.State, next.NotBefore = faas.JobScheduled, time.Now().Add(time.Duration(r.IntN(500))*time.Millisecond)
	default:
		next.State, next.Settled, next.KeepUntil = faas.JobSucceeded, time.Now(), time.Now().Add(time.Minute)
	}
	var follow []faas.JobRecord
	if next.State == faas.JobSucceeded && r.IntN(4) == 0 {
		follow = append(follow, benchJob("f0"))
	}
	err = q.Settle(context.Background(), l, next, follow...)
	if h.accepts(err); err == nil && next.State == faas.JobSucceeded {
		h.open.Add(int64(len(follow)) - 1)
		h.done.Add(1)
	}
}

// meddle changes jobs, and reads them.
func (h *hammer) meddle(ctx context.Context, r *rand.Rand) {
	q := h.any(r)
	for rec, err := range q.List(ctx, faas.JobFilter{States: []faas.JobState{faas.JobReady, faas.JobRunning, faas.JobScheduled}}) {
		if h.accepts(err); err != nil || r.IntN(20) == 0 {
			return
		}
		next := rec
		switch r.IntN(20) {
		case 0:
			next.State, next.Settled, next.KeepUntil = faas.JobCanceled, time.Now(), time.Now().Add(time.Minute)
			err := q.Swap(ctx, rec, next)
			if h.accepts(err); err == nil {
				h.open.Add(-1)
			}
		case 1:
			next.State, next.Priority = faas.JobReady, r.IntN(3)
			h.accepts(q.Swap(ctx, rec, next))
		case 2:
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			_, err := q.Watch(short, rec.ID, rec.Revision)
			h.accepts(err)
			cancel()
		}
	}
	_, err := q.Count(ctx)
	h.accepts(err)
	_, err = q.Get(ctx, uuid.New())
	h.accepts(err)
}

// cut breaks a connection. The client connects again.
func (h *hammer) cut(_ context.Context, r *rand.Rand) {
	time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
	_ = (*h.ways[r.IntN(len(h.ways))].conn.Load()).Close() // an error means that it was closed before
}

func TestAllThatAQueueDoesAtOnceIsFreeOfRaces(t *testing.T) {
	took := 4 * time.Second
	if soak() {
		took = 10 * time.Minute
	}
	h, first := &hammer{t: t}, &restarted{}
	first.start(t, t.TempDir())
	for range 2 {
		way := &restarted{}
		way.server.Store(first.server.Load())
		conn, err := nats.Connect("", nats.InProcessServer(way), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		require.NoError(t, err)
		q, err := faasnats.OpenConn(t.Context(), conn, faasnats.WithAckWait(time.Second), faasnats.WithInline(1<<10))
		require.NoError(t, err)
		h.ways, h.queues = append(h.ways, way), append(h.queues, q)
		defer conn.Close()
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for seed, act := range []func(context.Context, *rand.Rand){
		h.lease, h.lease, h.lease, h.lease, h.lease, h.lease, h.lease, h.lease, h.put, h.put, h.put, h.meddle, h.meddle, h.cut,
	} {
		all.Go(func() {
			for r := rand.New(rand.NewPCG(uint64(seed), 11)); ctx.Err() == nil; {
				act(ctx, r)
			}
		})
	}
	time.Sleep(took)
	for h.done.Load() == 0 { // a slow machine gets the time that the first settlement needs
		time.Sleep(10 * time.Millisecond)
	}
	for _, q := range h.queues { // while all goroutines work
		assert.NoError(t, q.Close())
	}
	stop()
	all.Wait()
	first.server.Load().Shutdown()
	first.server.Load().WaitForShutdown()
	t.Logf("%d jobs settled", h.done.Load())
}
