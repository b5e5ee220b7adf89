package embed_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
)

// The load of a round: the number of jobs, of 256 bytes each, and how many are in work at once.
const (
	benchJobs = 1500
	benchSize = 256
	atOnce    = 32
)

// load is a round of jobs.
type load struct {
	function    string
	jobs, size  int
	destination bool
}

// BenchmarkCompletedJobs compares jobs that are accepted, run and settled with the raw client
// on the same server: a publish to a work queue, its delivery, and a double acknowledgment.
// Each iteration runs a round of each, in alternating order. It reports the median of the
// ratios. With FAAS_SETTLED=1000000 the queue first gets that many settled jobs. These are
// written without syncs, since otherwise that would take half an hour.
func BenchmarkCompletedJobs(b *testing.B) {
	dir := b.TempDir()
	if settled := settledBefore(0); settled > 0 {
		filled, stop := openUnsynced(b, dir)
		preload(b, filled, settled, 0)
		stop()
	}
	conn := benchServer(b, dir)
	q, err := faasnats.OpenConn(b.Context(), conn)
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	raw := rawClient(b, conn)
	var published, accepted waits
	ways := []struct {
		name string
		run  func(round int) time.Duration
	}{
		{"raw", raw.complete},
		{"jobs", func(round int) time.Duration {
			return complete(b, q, load{fmt.Sprint("jobs", round), benchJobs, benchSize, false})
		}},
		{"destination", func(round int) time.Duration {
			return complete(b, q, load{fmt.Sprint("dest", round), benchJobs, benchSize, true})
		}},
		{"publish", func(int) time.Duration { return published.all(func() { raw.put("plain.x") }) }},
		{"accept", func(round int) time.Duration {
			function := fmt.Sprint("accept", round)
			accept(b, q, function) // the first job of a function makes its consumer
			return accepted.all(func() { accept(b, q, function) })
		}},
	}
	took := make([][]float64, len(ways))
	round := 0
	for b.Loop() {
		for k := range ways {
			i := (k + round) % len(ways)
			took[i] = append(took[i], ways[i].run(round).Seconds())
		}
		round++
	}
	ratio := func(i, of int) float64 {
		var all []float64
		for n := range took[i] {
			all = append(all, took[of][n]/took[i][n])
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	b.ReportMetric(benchJobs/took[0][len(took[0])-1], "raw/s")
	b.ReportMetric(ratio(1, 0), "jobs/raw")
	b.ReportMetric(ratio(2, 0), "destination/raw")
	b.ReportMetric(ratio(4, 3), "accept/publish")
	b.ReportMetric(accepted.p99().Seconds()*1000, "p99-accept-ms")
	b.ReportMetric(published.p99().Seconds()*1000, "p99-publish-ms")
}

// waits has the durations of calls.
type waits []time.Duration

// all makes a round of calls, and returns how long it took.
func (w *waits) all(call func()) time.Duration {
	took := make([]time.Duration, benchJobs)
	start := time.Now()
	par(benchJobs, func(i int) {
		begun := time.Now()
		call()
		took[i-1] = time.Since(begun)
	})
	*w = append(*w, took...)
	return time.Since(start)
}

func (w *waits) p99() time.Duration {
	slices.Sort(*w)
	return (*w)[len(*w)*99/100]
}

// benchServer starts a server with synced writes on dir. dir may have jobs from openUnsynced.
func benchServer(b *testing.B, dir string) *nats.Conn {
	b.Helper()
	s, err := server.NewServer(&server.Options{
		DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(dir, "store"), SyncAlways: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(time.Minute) {
		b.Fatal("the server is not ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(); s.Shutdown(); s.WaitForShutdown() })
	return conn
}

// par calls f for each number below n, several at once, and waits for all.
func par(n int, f func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				f(i)
			}
		})
	}
	all.Wait()
}

type rawBench struct {
	b  *testing.B
	js jetstream.JetStream
}

func rawClient(b *testing.B, conn *nats.Conn) *rawBench {
	b.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []jetstream.StreamConfig{
		{Name: "RAW", Subjects: []string{"raw.>"}, Retention: jetstream.WorkQueuePolicy},
		{Name: "PLAIN", Subjects: []string{"plain.>"}},
	} {
		if _, err := js.CreateStream(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	return &rawBench{b, js}
}

func (r *rawBench) put(subject string) {
	if _, err := r.js.Publish(r.b.Context(), subject, make([]byte, benchSize)); err != nil {
		r.b.Error(err)
	}
}

func (r *rawBench) complete(round int) time.Duration {
	subject := fmt.Sprint("raw.", round)
	c, err := r.js.CreateConsumer(r.b.Context(), "RAW", jetstream.ConsumerConfig{
		Durable: fmt.Sprint("c", round), FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1024,
	})
	if err != nil {
		r.b.Fatal(err)
	}
	var done sync.WaitGroup
	done.Add(benchJobs)
	slots := make(chan struct{}, atOnce)
	start := time.Now()
	consuming, err := c.Consume(func(msg jetstream.Msg) {
		slots <- struct{}{}
		go func() {
			defer done.Done()
			defer func() { <-slots }()
			if err := msg.DoubleAck(context.Background()); err != nil {
				r.b.Error(err)
			}
		}()
	})
	if err != nil {
		r.b.Fatal(err)
	}
	par(benchJobs, func(int) { r.put(subject) })
	done.Wait()
	took := time.Since(start)
	consuming.Stop()
	return took
}

func benchJob(function string) faas.JobRecord {
	now := time.Now()
	return faas.JobRecord{
		Format: faas.JobFormat, ID: uuid.New(), NewID: true, Function: function, State: faas.JobReady, Accepted: now, Due: now, Payload: make([]byte, benchSize),
	}
}

func accept(b *testing.B, q faas.JobQueue, function string) {
	b.Helper()
	if _, err := q.Put(b.Context(), benchJob(function)); err != nil {
		b.Error(err)
	}
}

// complete runs a round of jobs as a router does: one goroutine leases, and each job has a
// goroutine of its own.
func complete(tb testing.TB, q faas.JobQueue, l load) time.Duration {
	tb.Helper()
	var done sync.WaitGroup
	done.Add(l.jobs)
	ctx, stop := context.WithCancel(tb.Context())
	start := time.Now()
	go lease(ctx, tb, q, l, &done)
	par(l.jobs, func(int) {
		rec := benchJob(l.function)
		rec.Payload = make([]byte, l.size)
		if _, err := q.Put(ctx, rec); err != nil {
			tb.Error(err)
		}
	})
	done.Wait()
	took := time.Since(start)
	stop()
	return took
}

func lease(ctx context.Context, tb testing.TB, q faas.JobQueue, round load, done *sync.WaitGroup) {
	tb.Helper()
	slots := make(chan struct{}, atOnce)
	for {
		l, err := q.Lease(ctx, faas.LeaseRequest{Functions: []string{round.function}, Term: time.Minute})
		if err != nil {
			return
		}
		slots <- struct{}{}
		if err := q.Begin(ctx, l); err != nil {
			tb.Error(err)
		}
		go func() {
			defer done.Done()
			defer func() { <-slots }()
			next := l.Record
			next.State, next.Settled, next.KeepUntil = faas.JobSucceeded, time.Now(), time.Now().Add(time.Hour)
			var follow []faas.JobRecord
			if round.destination {
				follow = append(follow, benchJob("told"))
			}
			if err := q.Settle(context.Background(), l, next, follow...); err != nil {
				tb.Error(err)
			}
		}()
	}
}
