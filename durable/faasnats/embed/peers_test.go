package embed_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
)

func smallJob(id byte, function string) faas.JobRecord {
	now := time.Now()
	return faas.JobRecord{Format: faas.JobFormat, ID: [16]byte{id}, Function: function, State: faas.JobReady, Accepted: now, Due: now, Payload: []byte("1")}
}

func TestWhatAnotherProcessRunsIsShownWithItsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		host, silent := peer(t, q, &line{}), &line{}
		peer(t, q, silent)
		synctest.Wait() // now each process knows the others
		for id := range byte(2) {
			_, err := q.Put(t.Context(), smallJob(id+1, "f"))
			require.NoError(t, err)
		}
		lease, err := host.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Hour})
		require.NoError(t, err)
		progress := faas.JobProgress{Done: 3, Total: 7, Note: "half"}
		require.NoError(t, host.Extend(t.Context(), lease, progress))

		got, err := q.Get(t.Context(), lease.Record.ID)
		require.NoError(t, err)
		require.Equal(t, faas.JobRunning, got.State)
		require.Equal(t, progress, got.Progress)
		watched, err := q.Watch(t.Context(), lease.Record.ID, 0)
		require.NoError(t, err)
		require.Equal(t, faas.JobRunning, watched.State)
		for rec, err := range q.List(t.Context(), faas.JobFilter{States: []faas.JobState{faas.JobRunning}}) {
			require.NoError(t, err)
			require.Equal(t, lease.Record.ID, rec.ID)
			require.Equal(t, progress, rec.Progress)
		}
		other, err := q.Get(t.Context(), uuid.UUID{2})
		require.NoError(t, err)
		require.Equal(t, faas.JobReady, other.State, "nothing runs it")

		silent.cut()
		start := time.Now()
		got, err = q.Get(t.Context(), lease.Record.ID)
		require.NoError(t, err)
		require.Equal(t, faas.JobRunning, got.State, "one that does not answer only delays")
		require.Equal(t, 500*time.Millisecond, time.Since(start))
		time.Sleep(time.Minute)
		start = time.Now()
		_, err = q.Get(t.Context(), lease.Record.ID)
		require.NoError(t, err)
		require.Zero(t, time.Since(start), "it is known to be gone")
	})
}

func TestTheJobOfAProcessThatDiesGoesToAnotherAfterAckWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		l := &line{}
		dying := peer(t, q, l)
		_, err := q.Put(t.Context(), smallJob(1, "f"))
		require.NoError(t, err)
		lost, err := dying.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Hour})
		require.NoError(t, err)
		time.Sleep(5 * time.Minute) // time for beats
		died := time.Now()
		l.cut()

		lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Hour})

		require.NoError(t, err)
		require.Equal(t, lost.Record.ID, lease.Record.ID)
		require.Equal(t, 1, lease.Record.Crashes)
		require.InDelta(t, 25, time.Since(died).Seconds(), 6, "30 seconds after its last word")
	})
}

func TestAJobThatKillsThreeHostsIsDeadByHostCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		sender := faas.New(faas.WithJobs(q))
		defer sender.Close()
		rec, err := q.Put(t.Context(), smallJob(1, "kill"))
		require.NoError(t, err)
		killed := 0
		for range 3 {
			l := &line{}
			host := faas.New(faas.WithJobs(peer(t, q, l)), faas.WithTimeout(time.Hour))
			begun := make(chan struct{}, 1)
			faas.Register(host, "kill", func(ctx context.Context, _ int) (int, error) {
				killed++
				begun <- struct{}{}
				<-ctx.Done() // ends with the host, which here is not a process
				return 0, ctx.Err()
			})
			<-begun
			l.cut()
			time.Sleep(time.Minute)
			host.Close()
		}
		host := faas.New(faas.WithJobs(peer(t, q, &line{})))
		defer host.Close()
		faas.Register(host, "kill", func(context.Context, int) (int, error) {
			killed++
			return 0, nil
		})

		_, err = sender.Job(rec.ID).Wait(t.Context())

		require.Error(t, err)
		info, err := sender.Job(rec.ID).Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, faas.JobDead, info.State)
		require.Equal(t, faas.ConditionHostCrashes, info.Condition)
		require.Equal(t, 3, killed)
	})
}

func TestACancelReachesAnotherProcessAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		host := faas.New(faas.WithJobs(peer(t, q, &line{})), faas.WithTimeout(time.Hour))
		defer host.Close()
		begun, ended := make(chan struct{}), make(chan time.Time, 1)
		faas.Register(host, "long", func(ctx context.Context, _ int) (int, error) {
			close(begun)
			<-ctx.Done()
			ended <- time.Now()
			return 0, ctx.Err()
		})
		sender := faas.New(faas.WithJobs(q))
		defer sender.Close()
		rec, err := q.Put(t.Context(), smallJob(1, "long"))
		require.NoError(t, err)
		<-begun
		time.Sleep(7 * time.Second) // at a time between two beats
		canceled := time.Now()

		require.NoError(t, sender.Job(rec.ID).Cancel(t.Context()))

		require.LessOrEqual(t, (<-ended).Sub(canceled), time.Second)
	})
}

func TestMoreThanAHundredBusyConsumersAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		q, err := embed.Open(t.TempDir(), faasnats.WithLogger(slog.New(slog.NewTextHandler(&said, nil))))
		require.NoError(t, err)
		var names []string
		for n := range 101 {
			names = append(names, fmt.Sprintf("f%03d", n))
		}
		runAll := func(names []string, round byte) {
			for n, name := range names {
				rec := smallJob(byte(n), name)
				rec.ID[1] = round
				_, err := q.Put(t.Context(), rec)
				require.NoError(t, err)
			}
			for range names {
				lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: names, Term: time.Minute})
				require.NoError(t, err)
				next := lease.Record
				next.State, next.KeepUntil = faas.JobSucceeded, time.Now().Add(time.Hour)
				require.NoError(t, q.Settle(t.Context(), lease, next))
			}
			time.Sleep(5 * time.Second)
		}
		runAll(names[:100], 1)
		synctest.Wait()
		require.NotContains(t, said.String(), "consumers are busy")
		runAll(names, 2)
		runAll(names, 3)
		require.NoError(t, q.Close())
		require.Equal(t, 1, strings.Count(said.String(), "consumers are busy"))
	})
}
