package embed_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
	"github.com/inproc/faas/faastest"
)

// largeSize is too large for a record, and not a multiple of the chunk size.
const largeSize = 1<<20 + 1

func largeJob(id byte) faas.JobRecord {
	now := time.Now()
	return faas.JobRecord{
		Format: faas.JobFormat, ID: [16]byte{id}, Function: "f", State: faas.JobReady, Accepted: now, Due: now,
		Payload: bytes.Repeat([]byte{id}, largeSize),
	}
}

func TestAProcessThatDiesBetweenPayloadAndRecordLeavesWhatIsSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		watch := dial(t, q, &line{})
		kept := largeJob(1)
		_, err := q.Put(t.Context(), kept)
		require.NoError(t, err)
		whole := objectsOf(t, watch)
		dying := peer(t, q, &line{pass: func(sent []byte) bool { return !writesRecord(sent) }})

		_, err = dying.Put(t.Context(), largeJob(2))

		require.Error(t, err)
		_, err = q.Get(t.Context(), uuid.UUID{2})
		require.ErrorIs(t, err, faas.ErrNotFound, "there is no record")
		require.Equal(t, 2*whole, objectsOf(t, watch), "the payload is there")
		time.Sleep(45 * time.Minute)
		require.Equal(t, 2*whole, objectsOf(t, watch), "its process may still write the record")
		time.Sleep(time.Hour)
		require.Equal(t, whole, objectsOf(t, watch))
		got, err := q.Get(t.Context(), kept.ID)
		require.NoError(t, err)
		require.Equal(t, kept.Payload, got.Payload, "what a record names stays")
	})
}

func TestAProcessThatDiesAtAnyWriteLeavesNoRecordWithoutItsPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		watch := dial(t, q, &line{})
		accepted := 0
		for n := range 12 {
			left := -1 // how many writes the client may still make, once the Put begins; -1: any number
			l := &line{pass: func(sent []byte) bool {
				if left > 0 && bytes.Contains(sent, []byte("PUB ")) {
					left--
				}
				return left != 0
			}}
			p := peer(t, q, l)
			synctest.Wait()
			left = n + 1
			rec := largeJob(byte(n + 1))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, _ = p.Put(ctx, rec) // the Put may succeed or fail
			cancel()
			l.cut()
			got, err := q.Get(t.Context(), rec.ID)
			if errors.Is(err, faas.ErrNotFound) {
				continue
			}
			require.NoError(t, err)
			require.Equal(t, rec.Payload, got.Payload, n)
			accepted++
		}
		require.Positive(t, accepted)
		require.Less(t, accepted, 12)
		time.Sleep(2 * time.Hour)
		perJob := (largeSize+512<<10-1)/(512<<10) + 1
		require.Equal(t, accepted*perJob, objectsOf(t, watch), "all others are swept")
	})
}

func TestAPurgeTakesWhatIsLargeAndSoDoesRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		watch := dial(t, q, &line{})
		settle := func(id byte, keep time.Duration) {
			_, err := q.Put(t.Context(), largeJob(id))
			require.NoError(t, err)
			lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
			require.NoError(t, err)
			require.Equal(t, largeJob(id).Payload, lease.Record.Payload)
			next := lease.Record
			next.State, next.KeepUntil, next.Output = faas.JobSucceeded, time.Now().Add(keep), bytes.Repeat([]byte{'o', id}, largeSize)
			require.NoError(t, q.Settle(t.Context(), lease, next))
		}
		settle(1, time.Hour)
		settle(2, time.Hour)
		got, err := q.Get(t.Context(), uuid.UUID{1})
		require.NoError(t, err)
		require.Equal(t, bytes.Repeat([]byte{'o', 1}, largeSize), got.Output)
		both := objectsOf(t, watch)

		require.NoError(t, q.Swap(t.Context(), got, faas.JobRecord{}))
		require.Equal(t, both/2, objectsOf(t, watch), "at once")
		time.Sleep(90 * time.Minute)
		require.Zero(t, objectsOf(t, watch), "the record of the other has expired, and a sweep has been here")
	})
}

func TestDeadLettersTheirDestinationsAndReplaysKeepLargePayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		r := faastest.New(t, faas.WithJobs(q), faas.WithLimits(2*largeSize, 2*largeSize))
		broken, told := true, make(chan int, 2)
		faas.Register(r, "failed", func(_ context.Context, envelope []byte) (int, error) {
			told <- len(envelope)
			return 0, nil
		}, faas.WithLimits(16*largeSize, 1024))
		fn := faas.Register(r, "f", func(_ context.Context, in string) (string, error) {
			if broken {
				return "", faas.Permanent(errors.New("broken"))
			}
			return in + in[:1], nil
		}, faas.WithOnFailure(faas.ToFunction("failed")))
		in := strings.Repeat("x", largeSize)
		job, err := fn.Send(t.Context(), in)
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.ErrorContains(t, err, "broken")
		require.Greater(t, <-told, largeSize, "the envelope has the payload")

		time.Sleep(3 * time.Hour) // time for sweeps
		broken = false
		again, err := job.Replay(t.Context())
		require.NoError(t, err)
		out, err := again.Wait(t.Context())

		require.NoError(t, err)
		require.Equal(t, in+"x", out)
	})
}

func TestAPayloadBeyondTheLimitOfItsFunctionIsRefusedBeforeAnythingIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		watch := dial(t, q, &line{})
		r := faastest.New(t, faas.WithJobs(q))
		fn := faas.Register(r, "f", func(_ context.Context, in string) (int, error) { return len(in), nil }, faas.WithLimits(largeSize, 1024))

		_, err := fn.Send(t.Context(), strings.Repeat("x", largeSize))

		require.ErrorIs(t, err, faas.ErrTooLarge)
		require.Zero(t, objectsOf(t, watch))
		job, err := fn.Send(t.Context(), strings.Repeat("x", largeSize-2))
		require.NoError(t, err)
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, largeSize-2, out)
	})
}

// The object is checked as NATS's own tools show it.
func TestALargePayloadIsAnObjectForNATS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		rec := largeJob(1)
		_, err := q.Put(t.Context(), rec)
		require.NoError(t, err)
		js, err := jetstream.New(dial(t, q, &line{}))
		require.NoError(t, err)
		store, err := js.ObjectStore(t.Context(), "FAAS_objects")
		require.NoError(t, err)
		all, err := store.List(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		data, err := store.GetBytes(t.Context(), all[0].Name)
		require.NoError(t, err)
		require.Equal(t, rec.Payload, data)
	})
}

func TestAJobWhosePayloadIsDamagedIsNotRunAndCanBeCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		put, err := q.Put(t.Context(), largeJob(1))
		require.NoError(t, err)
		_, err = q.Put(t.Context(), largeJob(2))
		require.NoError(t, err)
		js, err := jetstream.New(dial(t, q, &line{}))
		require.NoError(t, err)
		stream, err := js.Stream(t.Context(), "OBJ_FAAS_objects")
		require.NoError(t, err)
		require.NoError(t, stream.DeleteMsg(t.Context(), 2), "a chunk of the first")

		lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})

		require.NoError(t, err)
		require.Equal(t, uuid.UUID{2}, lease.Record.ID)
		rec, err := q.Get(t.Context(), put.ID)
		require.NoError(t, err)
		require.Empty(t, rec.Payload)
		next := rec
		next.State, next.KeepUntil = faas.JobCanceled, time.Now().Add(time.Hour)
		require.NoError(t, q.Swap(t.Context(), rec, next))
	})
}

func TestWithInlineHasBounds(t *testing.T) {
	for _, n := range []int{-1, 256<<10 + 1} {
		_, err := embed.Open(t.TempDir(), faasnats.WithInline(n))
		require.ErrorIs(t, err, faas.ErrInput)
		require.ErrorContains(t, err, "WithInline")
	}
}
