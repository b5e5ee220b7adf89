package faas_test

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// heapInUse returns the bytes of the heap that are reachable.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // again, for objects that finalizers have kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// It is not parallel: it measures the heap of the process.
func TestAJobThatWaitsTakesAtMost400BytesAndItsPayload(t *testing.T) { //nolint:paralleltest // see above
	const payload = 256
	jobs := 100_000
	if os.Getenv("FAAS_SOAK") != "" {
		jobs = 1_000_000
	}
	ids := make([]uuid.UUID, jobs)
	for i := range ids {
		ids[i] = uuid.New()
	}
	for name, due := range map[string]time.Duration{"ready": 0, "scheduled": time.Hour} {
		t.Run(name, func(t *testing.T) {
			q := faas.NewMemoryJobs(jobs, math.MaxInt64)
			before := heapInUse()
			now := time.Now()
			for i, id := range ids {
				_, err := q.Put(t.Context(), faas.JobRecord{
					Format: faas.JobFormat, ID: id, Function: "resize", Name: "resize:live", Tenant: tenantNames[i%len(tenantNames)],
					State: faas.JobReady, Accepted: now, Due: now.Add(due), Payload: make([]byte, payload),
				})
				require.NoError(t, err)
			}
			each := float64(heapInUse()-before)/float64(jobs) - payload
			t.Logf("%.0f bytes for each job", each)
			assert.LessOrEqual(t, each, 400.0)
			require.NoError(t, q.Close())
			runtime.KeepAlive(q)
		})
	}
}

var tenantNames = []string{"", "acme", "globex", "initech"}

func TestAFullMemoryQueueRefusesWithErrOverloaded(t *testing.T) {
	t.Parallel()
	q := faas.NewMemoryJobs(2, 0)
	for range 2 {
		_, err := q.Put(t.Context(), newRecord("f"))
		require.NoError(t, err)
	}
	_, err := q.Put(t.Context(), newRecord("f"))
	require.ErrorIs(t, err, faas.ErrOverloaded)
	assert.Contains(t, err.Error(), "NewMemoryJobs")

	q = faas.NewMemoryJobs(0, 10)
	rec := newRecord("f")
	rec.Payload = make([]byte, 11)
	_, err = q.Put(t.Context(), rec)
	require.ErrorIs(t, err, faas.ErrOverloaded)
	rec.Payload, rec.Labels = make([]byte, 4), map[string]string{"key": "value"}
	_, err = q.Put(t.Context(), rec)
	require.ErrorIs(t, err, faas.ErrOverloaded) // labels count, too
	rec.Labels, rec.Origin = nil, &faas.JobOrigin{Carried: map[string][]byte{"trace": make([]byte, 10)}}
	_, err = q.Put(t.Context(), rec)
	require.ErrorIs(t, err, faas.ErrOverloaded)
}

func TestTheErrorsOfAQueueSpeakOfJobs(t *testing.T) {
	t.Parallel()
	q := faas.NewMemoryJobs(0, 0)
	rec := newRecord("f")
	_, err := q.Put(t.Context(), rec)
	require.NoError(t, err)
	_, err = q.Put(t.Context(), rec)
	assert.EqualError(t, err, `faas: job "f": there is a job of this ID or unique key`)
	_, err = q.Get(t.Context(), uuid.New())
	assert.EqualError(t, err, `faas: job: no such job`)
	var e *faas.Error
	assert.ErrorAs(t, err, &e)
}

func TestTimesFarAwayAreAsFarAsTheyCanBe(t *testing.T) {
	t.Parallel()
	q := faas.NewMemoryJobs(0, 0)
	rec := newRecord("f")
	rec.State, rec.Due, rec.Priority = faas.JobScheduled, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt
	got, err := q.Put(t.Context(), rec)
	require.NoError(t, err)
	assert.Equal(t, faas.JobScheduled, got.State)
	assert.Equal(t, 2262, got.Due.Year())
	assert.Equal(t, math.MaxInt32, got.Priority)
	past := newRecord("f")
	past.Due = time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC)
	got, err = q.Put(t.Context(), past)
	require.NoError(t, err)
	assert.Equal(t, faas.JobReady, got.State)
	l, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}})
	require.NoError(t, err)
	assert.Equal(t, past.ID, l.Record.ID)
}

func TestLostLeasesAreGivenAgainInTheirOrderWithACrashCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := faas.NewMemoryJobs(0, 0)
		var leases []faas.JobLease
		for range 5 {
			_, err := q.Put(t.Context(), newRecord("f"))
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		for range 3 {
			l, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}})
			require.NoError(t, err)
			require.NoError(t, q.Begin(t.Context(), l))
			leases = append(leases, l)
		}
		assert.Equal(t, 3, q.(interface{ LoseLeases() int }).LoseLeases())
		for _, lost := range leases {
			require.ErrorIs(t, q.Extend(t.Context(), lost, faas.JobProgress{}), faas.ErrLease)
			l, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}})
			require.NoError(t, err)
			assert.Equal(t, lost.Record.ID, l.Record.ID)
			assert.Equal(t, 1, l.Record.Crashes)
			require.NoError(t, q.Begin(t.Context(), l))
		}
		require.NoError(t, q.Close())
		assert.Zero(t, q.(interface{ LoseLeases() int }).LoseLeases())
	})
}

// newRecord is a job that is due.
func newRecord(function string) faas.JobRecord {
	now := time.Now()
	return faas.JobRecord{Format: faas.JobFormat, ID: uuid.New(), Function: function, State: faas.JobReady, Accepted: now, Due: now}
}

func BenchmarkJobQueue(b *testing.B) {
	ctx := context.Background()
	payload := make([]byte, 64)
	b.Run("memory", func(b *testing.B) {
		b.ReportAllocs()
		q := faas.NewMemoryJobs(0, 0)
		req := faas.LeaseRequest{Functions: []string{"f"}}
		for b.Loop() {
			rec := newRecord("f")
			rec.Payload = append([]byte(nil), payload...)
			_, err := q.Put(ctx, rec)
			l, err2 := q.Lease(ctx, req)
			err3 := q.Begin(ctx, l)
			next := l.Record
			next.State, next.Condition = faas.JobSucceeded, faas.ConditionSuccess
			if err := errors.Join(err, err2, err3, q.Settle(ctx, l, next)); err != nil {
				b.Fatal(err)
			}
		}
	})
	// For comparison: the same written by hand without any promise, as a channel and a map of the
	// jobs under way.
	b.Run("channel", func(b *testing.B) {
		b.ReportAllocs()
		type job struct {
			id      uuid.UUID
			payload []byte
			done    chan struct{}
		}
		queue, jobs := make(chan *job, 1000), map[uuid.UUID]*job{}
		for b.Loop() {
			j := &job{id: uuid.New(), payload: append([]byte(nil), payload...), done: make(chan struct{})}
			jobs[j.id] = j
			queue <- j
			j = <-queue
			close(j.done)
			delete(jobs, j.id)
		}
	})
	for _, waiting := range []int{1000, 100_000} {
		b.Run("memory behind "+strconv.Itoa(waiting), func(b *testing.B) {
			b.ReportAllocs()
			q := faas.NewMemoryJobs(2*waiting, math.MaxInt64)
			req := faas.LeaseRequest{Functions: []string{"f"}}
			for i := range waiting {
				rec := newRecord("f")
				rec.Tenant = strconv.Itoa(i % 100)
				_, _ = q.Put(ctx, rec)
			}
			for i := 0; b.Loop(); i++ {
				rec := newRecord("f")
				rec.Tenant = strconv.Itoa(i % 100)
				_, err := q.Put(ctx, rec)
				l, err2 := q.Lease(ctx, req)
				next := l.Record
				next.State = faas.JobSucceeded
				if err := errors.Join(err, err2, q.Settle(ctx, l, next)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
