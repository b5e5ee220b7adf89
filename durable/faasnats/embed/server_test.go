package embed_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// serve runs a server that listens on a port.
func serve(t *testing.T, change func(o *server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
	}
	change(o)
	s, err := server.NewServer(o)
	require.NoError(t, err)
	go s.Start()
	require.True(t, s.ReadyForConnections(time.Minute))
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

func connect(t *testing.T, s *server.Server, opts ...faasnats.Option) *faasnats.Queue {
	t.Helper()
	q, err := faasnats.Open(t.Context(), s.ClientURL(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

func TestOpenSaysWhatIsWrongWithAServer(t *testing.T) {
	stream := jetstream.StreamConfig{
		Name: "FAAS", Subjects: []string{"j.>", "u.>"}, MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true, AllowMsgSchedules: true,
		Metadata: map[string]string{"faas-format": "1"},
	}
	for _, c := range []struct {
		what, want string
		server     func(o *server.Options)
		stream     func(c *jetstream.StreamConfig)
	}{
		{what: "no JetStream", want: "JetStream", server: func(o *server.Options) { o.JetStream = false }},
		{what: "small messages", want: "max_payload", server: func(o *server.Options) { o.MaxPayload = 1 << 16 }},
		{what: "a stream with limits", want: "limits", stream: func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }},
		{what: "too few replicas", want: "replicas"},
		{what: "another format", want: `"99"`, stream: func(c *jetstream.StreamConfig) { c.Metadata["faas-format"] = "99" }},
		{what: "a stream of another kind", want: "not made by this package", stream: func(c *jetstream.StreamConfig) { c.AllowMsgTTL = false }},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := serve(t, func(o *server.Options) {
				if c.server != nil {
					c.server(o)
				}
			})
			var opts []faasnats.Option
			if c.server == nil {
				config := stream
				config.Metadata = map[string]string{"faas-format": "1"}
				if c.stream != nil {
					c.stream(&config)
				} else {
					opts = append(opts, faasnats.WithReplicas(3))
				}
				conn, err := nats.Connect(s.ClientURL())
				require.NoError(t, err)
				defer conn.Close()
				js, err := jetstream.New(conn)
				require.NoError(t, err)
				_, err = js.CreateStream(t.Context(), config)
				require.NoError(t, err)
			}
			_, err := faasnats.Open(t.Context(), s.ClientURL(), opts...)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := faasnats.Open(t.Context(), "nats://127.0.0.1:1")
	require.ErrorIs(t, err, nats.ErrNoServers)
	_, err = faasnats.Open(t.Context(), "nats://127.0.0.1:1", faasnats.WithAckWait(0))
	require.Error(t, err)
}

// TestACancelReachesAnotherProcessAtOnce, in a bubble, says how soon.
func TestACancelReachesAHandlerInAnotherProcess(t *testing.T) {
	s := serve(t, func(*server.Options) {})
	slow := faasnats.WithAckWait(time.Hour)                 // so that the host finds nothing when it prolongs its lease, every 20 minutes
	here, there := connect(t, s, slow), connect(t, s, slow) // the connections of two processes
	host := faas.New(faas.WithJobs(there), faas.WithTimeout(time.Hour))
	defer host.Close()
	begun, ended := make(chan struct{}), make(chan error, 1)
	faas.Register(host, "long", func(ctx context.Context, _ int) (int, error) {
		close(begun)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return 0, ctx.Err()
	})
	sender := faas.New(faas.WithJobs(here))
	defer sender.Close()
	now := time.Now()
	rec, err := here.Put(t.Context(), faas.JobRecord{
		Format: faas.JobFormat, ID: [16]byte{7}, Function: "long", State: faas.JobReady, Accepted: now, Due: now, Payload: []byte("1"),
	})
	require.NoError(t, err)
	<-begun

	require.NoError(t, sender.Job(rec.ID).Cancel(t.Context()))

	require.ErrorIs(t, <-ended, faas.ErrLease)
	_, err = sender.Job(rec.ID).Wait(t.Context())
	require.ErrorIs(t, err, faas.ErrJobCanceled)
}

func TestAWaitEndsWhenAnotherProcessSettlesTheJob(t *testing.T) {
	s := serve(t, func(*server.Options) {})
	here, there := connect(t, s), connect(t, s)
	now := time.Now()
	rec, err := here.Put(t.Context(), faas.JobRecord{Format: faas.JobFormat, ID: [16]byte{8}, Function: "f", State: faas.JobReady, Accepted: now, Due: now})
	require.NoError(t, err)
	done := make(chan faas.JobRecord, 1)
	go func() {
		rec, err := here.Watch(t.Context(), rec.ID, rec.Revision)
		if err != nil {
			t.Error(err)
		}
		done <- rec
	}()
	lease, err := there.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
	require.NoError(t, err)
	next := lease.Record
	next.State, next.KeepUntil, next.Output = faas.JobSucceeded, now.Add(time.Hour), []byte("out")
	require.NoError(t, there.Settle(t.Context(), lease, next))
	require.Equal(t, "out", string((<-done).Output))
}

func TestAFullQueueRefusesJobsAndSettlesThoseThatRun(t *testing.T) {
	q, err := embed.Open(t.TempDir(), faasnats.WithMaxStore(1<<20))
	require.NoError(t, err)
	defer q.Close()
	put := func(id byte) error {
		now := time.Now()
		_, err := q.Put(t.Context(), faas.JobRecord{
			Format: faas.JobFormat, ID: [16]byte{id}, Function: "f", State: faas.JobReady, Accepted: now, Due: now, Payload: make([]byte, 100<<10),
		})
		return err
	}
	n := byte(0)
	for ; err == nil; n++ {
		err = put(n + 1)
	}
	require.ErrorIs(t, err, faas.ErrOverloaded)
	require.Equal(t, 9, int(n-1), "nine tenths are taken")

	for range n - 1 {
		lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
		require.NoError(t, err)
		next := lease.Record
		next.State, next.KeepUntil, next.Payload = faas.JobSucceeded, time.Now().Add(time.Hour), nil
		require.NoError(t, q.Settle(t.Context(), lease, next))
	}
	require.Eventually(t, func() bool { return put(200) == nil }, 5*time.Minute, 50*time.Millisecond, "there is room again")
}

func TestAClusterOfThreeLosesNoJobWithItsLeader(t *testing.T) {
	if os.Getenv("FAAS_SOAK") == "" {
		t.Skip("on a loaded machine a cluster takes minutes to find a leader; make nightly runs it")
	}
	var routes []*url.URL
	ports := []string{freePort(t), freePort(t), freePort(t)}
	for _, port := range ports {
		u, err := url.Parse("nats://127.0.0.1:" + port)
		require.NoError(t, err)
		routes = append(routes, u)
	}
	var all []*server.Server
	var urls []string
	for i := range 3 {
		var port int
		_, err := fmt.Sscan(ports[i], &port)
		require.NoError(t, err)
		o := &server.Options{
			ServerName: fmt.Sprint("s", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
			SyncAlways: true, Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}, Routes: slices.Clone(routes),
		}
		s, err := server.NewServer(o)
		require.NoError(t, err)
		go s.Start()
		all = append(all, s)
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	}
	for _, s := range all {
		require.True(t, s.ReadyForConnections(time.Minute))
		urls = append(urls, s.ClientURL())
	}
	var q *faasnats.Queue
	require.Eventually(t, func() (ok bool) {
		var err error
		q, err = faasnats.Open(t.Context(), urls[0]+","+urls[1]+","+urls[2], faasnats.WithReplicas(3), faasnats.WithAckWait(2*time.Second))
		return err == nil
	}, time.Minute, 200*time.Millisecond)
	defer q.Close()
	r := faas.New(faas.WithJobs(q))
	defer r.Close()
	var mu sync.Mutex
	ran := map[int]int{}
	fn := faas.Register(r, "work", func(_ context.Context, n int) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		ran[n]++
		return n, nil
	}, faas.WithConcurrency(8))
	var jobs []*faas.Job[int]
	for n := range 200 {
		if n == 100 {
			for _, s := range all {
				if s.JetStreamIsStreamLeader("$G", "FAAS") {
					s.Shutdown()
				}
			}
		}
		require.Eventually(t, func() bool {
			job, err := fn.Send(t.Context(), n, faas.WithJobID([16]byte{9, byte(n)}))
			if err == nil {
				jobs = append(jobs, job)
			}
			return err == nil
		}, time.Minute, 100*time.Millisecond)
	}
	for n, job := range jobs {
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, n, out)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}
