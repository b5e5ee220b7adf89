package embed_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
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
	var runs [5]atomic.Int64 // by input
	begun, release := make(chan struct{}, 5), make(chan struct{})
	fn := faas.Register(r, "f", func(_ context.Context, n int) (int, error) {
		runs[n].Add(1)
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
	close(release) // the running jobs end while there is no server

	up()

	for want, job := range []*faas.Job[int]{running, waiting} {
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, want+1, out)
	}
	require.Equal(t, int64(1), runs[1].Load(), "what had run was settled, and not run again")
	require.Equal(t, int64(1), runs[2].Load()) // of the third job it is not known whether it was accepted
	require.Eventually(t, func() bool { _, err := fn.Send(t.Context(), 4); return err == nil }, 5*time.Minute, 50*time.Millisecond)
}

// restarted connects a client to a server that is stopped and started again.
type restarted struct {
	server atomic.Pointer[server.Server]
	conn   atomic.Pointer[net.Conn] // to the server of the moment
}

// InProcessConn implements [nats.InProcessConnProvider].
func (r *restarted) InProcessConn() (net.Conn, error) {
	conn, err := r.server.Load().InProcessConn()
	r.conn.Store(&conn)
	return conn, err
}

// start starts the server on a directory.
func (r *restarted) start(t *testing.T, dir string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir, SyncAlways: true})
	require.NoError(t, err)
	go s.Start()
	require.True(t, s.ReadyForConnections(time.Minute))
	r.server.Store(s)
}

// stop stops the server. It cuts the connection first, since a server that is shut down would
// tell its client.
func (r *restarted) stop() {
	_ = (*r.conn.Load()).Close() // the client may have closed it
	s := r.server.Load()
	s.Shutdown()
	s.WaitForShutdown()
}

// A server that was killed has lost the requests for jobs that clients had made.
func TestAServerThatComesAgainGivesJobsAtOnceToHostsThatHaveWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, way := t.TempDir(), &restarted{}
		way.start(t, dir)
		defer func() { way.stop() }()
		conn, err := nats.Connect("", nats.InProcessServer(way), nats.MaxReconnects(-1))
		require.NoError(t, err)
		defer conn.Close()
		q, err := faasnats.OpenConn(t.Context(), conn)
		require.NoError(t, err)
		defer q.Close()
		_, err = q.Put(t.Context(), smallJob(1, "f"))
		require.NoError(t, err)
		req := faas.LeaseRequest{Functions: []string{"f"}, Term: time.Hour}
		lease, err := q.Lease(t.Context(), req)
		require.NoError(t, err)
		require.NoError(t, q.Begin(t.Context(), lease)) // otherwise its tenant gets no other job
		leased := make(chan time.Time)
		go func() {
			_, err := q.Lease(t.Context(), req)
			assert.NoError(t, err)
			leased <- time.Now()
		}()
		time.Sleep(5 * time.Second)
		way.stop()
		way.start(t, dir)
		time.Sleep(5 * time.Second) // the client connects again after two or three seconds

		start := time.Now()
		_, err = q.Put(t.Context(), smallJob(2, "f"))
		require.NoError(t, err)

		require.Less(t, (<-leased).Sub(start), time.Second)
	})
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

		ctx, cancel = context.WithTimeout(t.Context(), time.Minute) // the time that the test needs
		defer cancel()
		again, err := fn.Send(ctx, 1, faas.WithJobID(id))
		require.NoError(t, err)
		out, err = again.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, out)
	})
}

// A settlement with a destination may need the object store, and has minutes for that. The wait
// for the server's answer must not take as long.
func TestASettlementWithADestinationWhoseAnswerIsLostFailsWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{}
		q := peer(t, open(t, t.TempDir()), l)
		for i, name := range []string{"f", "g"} {
			_, err := q.Put(t.Context(), smallJob(byte(i), name))
			require.NoError(t, err)
		}
		lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Hour})
		require.NoError(t, err)
		next := lease.Record
		next.State, next.Settled, next.KeepUntil = faas.JobSucceeded, time.Now(), time.Now().Add(time.Hour)
		follow := smallJob(2, "g")

		l.delay.Store(int64(20 * time.Second))
		start := time.Now()
		err = q.Settle(context.Background(), lease, next, follow)
		require.Error(t, err)
		require.Less(t, time.Since(start), 10*time.Second)
	})
}

func TestAServerThatRefusesNothingYetIsNotFilledToItsBrim(t *testing.T) {
	const most = 4 << 20
	s := serve(t, func(o *server.Options) { o.JetStreamMaxStore = most })
	q := connect(t, s, faasnats.WithMaxStore(most))
	held := fill(t, q)
	require.Greater(t, held, 20)
	for range held { // each settlement is larger than the job was
		lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
		require.NoError(t, err)
		next := lease.Record
		next.State, next.KeepUntil, next.Output = faas.JobSucceeded, time.Now().Add(time.Second), make([]byte, 1<<10)
		require.NoError(t, q.Settle(t.Context(), lease, next))
	}
	require.Eventually(t, func() bool { return putFilling(t, q) == nil }, 5*time.Minute, 50*time.Millisecond)
}

func putFilling(t *testing.T, q faas.JobQueue) error {
	t.Helper()
	now := time.Now()
	_, err := q.Put(t.Context(), faas.JobRecord{
		Format: faas.JobFormat, ID: uuid.New(), Function: "f", State: faas.JobReady, Accepted: now, Due: now, Payload: make([]byte, 100<<10),
	})
	return err
}

// fill puts jobs until one is refused, and returns how many were accepted.
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
