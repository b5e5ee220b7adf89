package embed_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
	"github.com/inproc/faas/faastest"
)

// open opens the queue in a directory. It is closed after the routers that use it.
func open(t *testing.T, dir string) *embed.Queue {
	t.Helper()
	q, err := embed.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

func TestARetryOfHoursIsExactToTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faastest.New(t, faas.WithJobs(open(t, t.TempDir())))
		var runs []time.Time
		fn := faas.Register(r, "pay", func(context.Context, int) (string, error) {
			if runs = append(runs, time.Now()); len(runs) < 3 {
				return "", errors.New("not yet")
			}
			return "paid", nil
		}, faas.WithRetry(faas.Retry{Max: 2, First: 2 * time.Hour, Factor: 1}))
		job, err := fn.Send(t.Context(), 1)
		require.NoError(t, err)

		out, err := job.Wait(t.Context())

		require.NoError(t, err)
		require.Equal(t, "paid", out)
		require.Len(t, runs, 3)
		for i := 1; i < 3; i++ {
			require.InDelta(t, (2 * time.Hour).Seconds(), runs[i].Sub(runs[i-1]).Seconds(), 1)
		}
	})
}

func TestAScheduleOfSevenDaysOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		start := time.Now()
		var ran atomic.Int64
		serve := func(q *embed.Queue) (*faas.Router, *faas.Function[int, int]) {
			r := faas.New(faas.WithJobs(q))
			return r, faas.Register(r, "report", func(_ context.Context, in int) (int, error) {
				ran.Store(int64(time.Since(start)))
				return in, nil
			})
		}
		q, err := embed.Open(dir)
		require.NoError(t, err)
		r, fn := serve(q)
		job, err := fn.Send(t.Context(), 7, faas.WithDelay(7*24*time.Hour))
		require.NoError(t, err)
		r.Close()
		require.NoError(t, q.Close())

		time.Sleep(7*24*time.Hour - 2*time.Hour) // less than a week, since each day of a server in a bubble takes seconds
		again := open(t, dir)
		r, fn = serve(again)
		defer r.Close()
		out, err := fn.Job(job.ID()).Wait(t.Context())

		require.NoError(t, err)
		require.Equal(t, 7, out)
		require.InDelta(t, (7 * 24 * time.Hour).Seconds(), time.Duration(ran.Load()).Seconds(), 1)
	})
}

func TestAJobThatWasLeasedWhenTheDirectoryWasClosedRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q, err := embed.Open(dir)
		require.NoError(t, err)
		now := time.Now()
		rec := faas.JobRecord{Format: faas.JobFormat, ID: [16]byte{1}, Function: "f", State: faas.JobReady, Accepted: now, Due: now}
		_, err = q.Put(t.Context(), rec)
		require.NoError(t, err)
		lost, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
		require.NoError(t, err)
		require.NoError(t, q.Close()) // gives nothing back, as a process that dies

		again := open(t, dir)
		lease, err := again.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})

		require.NoError(t, err)
		require.Equal(t, rec.ID, lease.Record.ID)
		require.Equal(t, 1, lease.Record.Crashes)
		require.InDelta(t, 30, time.Since(now).Seconds(), 10, "it was noticed after AckWait")
		require.ErrorIs(t, again.Settle(t.Context(), lost, lost.Record), faas.ErrLease)
	})
}

func TestATenantInAnotherBucketWaitsForAtMostTwoJobsOfABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		now := time.Now()
		put := func(tenant string) {
			_, err := q.Put(t.Context(), faas.JobRecord{
				Format: faas.JobFormat, ID: uuid.New(), Function: "f", Tenant: tenant, State: faas.JobReady, Accepted: now, Due: now, Payload: []byte("1"),
			})
			require.NoError(t, err)
		}
		for range 500 {
			put("many") // in another bucket than the next job
		}
		r := faastest.New(t, faas.WithJobs(q))
		began := make(chan time.Time, 1)
		faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			if inv, _ := faas.FromContext(ctx); inv.Tenant == "acme" {
				began <- time.Now()
			}
			time.Sleep(time.Second) // a second of the bubble
			return 0, nil
		}, faas.WithConcurrency(1), faas.WithTimeout(time.Minute))
		time.Sleep(10 * time.Second)
		sent := time.Now()
		put("acme")
		require.LessOrEqual(t, (<-began).Sub(sent), 2*time.Second)
	})
}

func TestAJobThatKillsItsHostsIsGivenUpAndItsNeighborsAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q, err := embed.Open(dir)
		require.NoError(t, err)
		now := time.Now()
		for id := range byte(3) {
			_, err := q.Put(t.Context(), faas.JobRecord{
				Format: faas.JobFormat, ID: [16]byte{id + 1}, Function: "f", Tenant: "t", State: faas.JobReady, Accepted: now.Add(time.Duration(id)), Due: now,
			})
			require.NoError(t, err)
		}
		killer := faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute}
		for crashes := range 4 {
			lease, err := q.Lease(t.Context(), killer)
			require.NoError(t, err)
			require.Equal(t, byte(1), lease.Record.ID[0], "it was accepted first")
			require.Equal(t, crashes, lease.Record.Crashes)
			q.Crash() // two of the jobs were fetched and not leased
			time.Sleep(time.Minute)
			q, err = embed.Open(dir)
			require.NoError(t, err)
		}
		defer q.Close()
		for want := range byte(3) {
			lease, err := q.Lease(t.Context(), killer)
			require.NoError(t, err)
			require.Equal(t, want+1, lease.Record.ID[0])
			if want > 0 {
				require.LessOrEqual(t, lease.Record.Crashes, 1)
			}
			require.NoError(t, q.Begin(t.Context(), lease))
		}
	})
}

func TestAClaimEndsWithTheSettlement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q, err := embed.Open(dir)
		require.NoError(t, err)
		now := time.Now()
		_, err = q.Put(t.Context(), faas.JobRecord{Format: faas.JobFormat, ID: [16]byte{1}, Function: "f", State: faas.JobReady, Accepted: now, Due: now})
		require.NoError(t, err)
		req := faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute}
		_, err = q.Lease(t.Context(), req)
		require.NoError(t, err)
		q.Crash()
		time.Sleep(time.Minute)
		again := open(t, dir)
		for _, wait := range []time.Duration{0, time.Hour, 0} {
			lease, err := again.Lease(t.Context(), req)
			require.NoError(t, err)
			require.LessOrEqual(t, lease.Record.Crashes, 1, "no other host has died")
			next := lease.Record
			next.State, next.NotBefore = faas.JobScheduled, time.Now().Add(wait)
			require.NoError(t, again.Settle(t.Context(), lease, next))
		}
	})
}
