package embed_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
)

func TestAServerThatGoesAndComesAgainLosesNoJobAndNeedsNoRestart(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	up := func() *server.Server {
		return serve(t, func(o *server.Options) {
			n, err := strconv.Atoi(port)
			require.NoError(t, err)
			o.Port, o.StoreDir = n, dir
		})
	}
	s := up()
	r := faas.New(faas.WithJobs(connect(t, s)), faas.WithTimeout(time.Hour))
	defer r.Close()
	var runs atomic.Int64
	begun, release := make(chan struct{}, 3), make(chan struct{})
	fn := faas.Register(r, "f", func(_ context.Context, n int) (int, error) {
		runs.Add(1)
		begun <- struct{}{}
		<-release
		return n, nil
	}, faas.WithConcurrency(1))
	live := faas.Register(r, "live", func(_ context.Context, n int) (int, error) { return n, nil })
	running, err := fn.Send(t.Context(), 1)
	require.NoError(t, err)
	waiting, err := fn.Send(t.Context(), 2)
	require.NoError(t, err)
	<-begun

	s.Shutdown()
	s.WaitForShutdown()

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = fn.Send(ctx, 3)
	require.True(t, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, faasnats.ErrServer), "%v", err)
	out, err := live.Invoke(t.Context(), 7)
	require.NoError(t, err, "calls that are no jobs go on")
	require.Equal(t, 7, out)
	close(release) // what runs ends while there is no server

	up()

	for want, job := range []*faas.Job[int]{running, waiting} {
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, want+1, out)
	}
	require.Equal(t, int64(2), runs.Load(), "what had run was settled, and not run again")
	require.Eventually(t, func() bool { _, err := fn.Send(t.Context(), 4); return err == nil }, time.Minute, 50*time.Millisecond)
}

func TestAServerThatIsSlowAnswersSendWithinItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		l := &line{}
		p := peer(t, q, l)
		r := faas.New(faas.WithJobs(p))
		defer r.Close()
		fn := faas.Register(r, "f", func(_ context.Context, n int) (int, error) { return n, nil })
		warm, err := fn.Send(t.Context(), 0)
		require.NoError(t, err)
		_, err = warm.Wait(t.Context())
		require.NoError(t, err)

		l.delay.Store(int64(3 * time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start, id := time.Now(), uuid.New()
		_, err = fn.Send(ctx, 1, faas.WithJobID(id))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		out, err := fn.Invoke(t.Context(), 7)
		require.NoError(t, err)
		require.Equal(t, 7, out)

		ctx, cancel = context.WithTimeout(t.Context(), time.Minute) // what it needs
		defer cancel()
		again, err := fn.Send(ctx, 1, faas.WithJobID(id))
		require.NoError(t, err)
		out, err = again.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, out)
	})
}

func TestAServerThatRefusesNothingYetIsNotFilledToItsBrim(t *testing.T) {
	const most = 4 << 20
	s := serve(t, func(o *server.Options) { o.JetStreamMaxStore = most })
	q := connect(t, s, faasnats.WithMaxStore(most))
	held := fill(t, q)
	require.Greater(t, held, 20)
	for range held { // each settlement is larger than its job was
		lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
		require.NoError(t, err)
		next := lease.Record
		next.State, next.KeepUntil, next.Output = faas.JobSucceeded, time.Now().Add(time.Second), make([]byte, 1<<10)
		require.NoError(t, q.Settle(t.Context(), lease, next))
	}
	require.Eventually(t, func() bool { return putFilling(t, q) == nil }, 30*time.Second, 50*time.Millisecond)
}

func putFilling(t *testing.T, q faas.JobQueue) error {
	t.Helper()
	now := time.Now()
	_, err := q.Put(t.Context(), faas.JobRecord{
		Format: faas.JobFormat, ID: uuid.New(), Function: "f", State: faas.JobReady, Accepted: now, Due: now, Payload: make([]byte, 100<<10),
	})
	return err
}

// fill puts jobs until they are refused, and returns how many there are.
func fill(t *testing.T, q faas.JobQueue) (n int) {
	t.Helper()
	for {
		err := putFilling(t, q)
		if err != nil {
			require.ErrorIs(t, err, faas.ErrOverloaded)
			return n
		}
		n++
	}
}
