package embed_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
	"github.com/inproc/faas/faastest"
)

// settledBefore returns how many settled jobs a measured queue has: FAAS_SETTLED, or few.
func settledBefore(few int) int {
	if n, err := strconv.Atoi(os.Getenv("FAAS_SETTLED")); err == nil {
		return n
	}
	return few
}

func soak() bool { return os.Getenv("FAAS_SOAK") != "" }

// preload gives a queue settled and waiting jobs. It waits until the settled ones have been
// delivered.
func preload(tb testing.TB, q faas.JobQueue, settled, waiting int) {
	tb.Helper()
	ctx, stop := context.WithCancel(tb.Context())
	defer stop()
	go func() { // a host that only gets settled records
		_, _ = q.Lease(ctx, faas.LeaseRequest{Functions: []string{"filled"}, Term: time.Minute})
	}()
	put := func(n int, change func(rec *faas.JobRecord)) {
		par(n, func(i int) {
			rec := benchJob("filled")
			rec.Tenant = fmt.Sprint("tenant", i%100)
			change(&rec)
			_, err := q.Put(ctx, rec)
			for errors.Is(err, faasnats.ErrServer) { // the server was busy with its files, or has answered too late
				_, err = q.Put(ctx, rec)
			}
			if err != nil && !errors.Is(err, faas.ErrDuplicate) {
				tb.Error(err)
			}
		})
	}
	put(settled, func(rec *faas.JobRecord) {
		rec.State, rec.Settled, rec.KeepUntil = faas.JobSucceeded, rec.Accepted, rec.Accepted.Add(24*time.Hour)
	})
	for settled > 0 {
		counts, err := q.Count(ctx)
		for errors.Is(err, faasnats.ErrServer) {
			counts, err = q.Count(ctx)
		}
		if err != nil {
			tb.Fatal(err)
		}
		if counts["filled"].Succeeded >= settled {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	put(waiting, func(rec *faas.JobRecord) { rec.Function = "waits" })
}

// openUnsynced opens a queue on a directory as Open does, but without syncs, so that a large
// backlog is written fast. The returned function closes it.
func openUnsynced(tb testing.TB, dir string) (*faasnats.Queue, func()) {
	tb.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "faas", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(dir, "store"),
	})
	require.NoError(tb, err)
	go s.Start()
	require.True(tb, s.ReadyForConnections(time.Minute))
	conn, err := nats.Connect("", nats.InProcessServer(s))
	require.NoError(tb, err)
	q, err := faasnats.OpenConn(tb.Context(), conn)
	require.NoError(tb, err)
	return q, func() {
		_ = q.Close() // an error, since the server stops too
		conn.Close()
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// BenchmarkReopen opens a directory that has settled jobs, FAAS_SETTLED or a few thousand, and
// a tenth as many waiting ones. It reports the time and the memory that this takes. The
// directory is a copy that is made while the server runs, so it has what kill -9 leaves.
func BenchmarkReopen(b *testing.B) {
	closed, killed, settled := b.TempDir(), b.TempDir(), settledBefore(5000)
	q, stop := openUnsynced(b, closed)
	preload(b, q, settled, settled/10)
	require.NoError(b, os.CopyFS(filepath.Join(killed, "store"), os.DirFS(filepath.Join(closed, "store"))))
	stop()
	for _, after := range []struct{ name, dir string }{{"closed", closed}, {"killed", killed}} {
		b.Run(after.name, func(b *testing.B) {
			before := heap()
			for b.Loop() {
				again, err := embed.Open(after.dir)
				require.NoError(b, err)
				b.StopTimer()
				b.ReportMetric(float64(heap()-before)/1e6, "MB")
				counts, err := again.Count(b.Context())
				require.NoError(b, err)
				require.Equal(b, settled, counts["filled"].Succeeded)
				require.NoError(b, again.Close())
				b.StartTimer()
			}
			b.ReportMetric(float64(sizeOf(b, after.dir))/float64(settled+settled/10), "B/job")
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // a second collection also frees what was in a pool
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// sizeOf returns the size of all files in a directory.
func sizeOf(tb testing.TB, dir string) (size int64) {
	tb.Helper()
	require.NoError(tb, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return nil // the file was removed meanwhile
	}))
	return size
}

// Jobs succeed all the time, and each is kept for an hour. There are no syncs, since they don't
// change what the files contain.
//
// The jobs are larger than those of the benchmarks, so that fewer of them fill as many files:
// the server looks for expired messages only in files of some megabytes.
func TestADirectoryHoldsTheJobsThatAreKeptAndDoesNotGrowWithTheOthers(t *testing.T) {
	generations, jobs, size := 18, 150, 3<<10
	if soak() {
		generations, jobs, size = 200, benchJobs, benchSize
	}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q, stop := openUnsynced(t, dir)
		defer stop()
		var sizes []int64
		for range generations {
			complete(t, q, load{"work", jobs, size, false})
			time.Sleep(20 * time.Minute) // so that three generations of jobs are kept
			sizes = append(sizes, sizeOf(t, dir))
		}
		early, late := slices.Max(sizes[3:generations/2+1]), slices.Max(sizes[generations/2+1:])
		t.Logf("bytes after each %d jobs of %d: %v; of the larger ones the second half has %d more: %.1f for each of its jobs",
			jobs, size, sizes, late-early, float64(late-early)/float64((generations-generations/2)*jobs))
		require.Less(t, late, early+early/2)
	})
}

// The backlog is in a bucket of its own on the server. The two tenants take turns in this
// process.
func TestATenantWaitsAtMostTwoServiceTimesBehindABacklogInAnotherBucket(t *testing.T) {
	backlog := 1000
	switch {
	case soak():
		backlog = 100_000
	case testing.Short():
		backlog = 200
	}
	const service = time.Second
	synctest.Test(t, func(t *testing.T) {
		q, stop := openUnsynced(t, t.TempDir())
		t.Cleanup(stop)
		r := faastest.New(t, faas.WithJobs(q))
		began := make(chan time.Time, 1)
		fn := faas.Register(r, "work", func(ctx context.Context, _ struct{}) (struct{}, error) {
			if inv, _ := faas.FromContext(ctx); inv.Tenant == "globex" {
				began <- time.Now()
			}
			time.Sleep(service)
			return struct{}{}, nil
		}, faas.WithConcurrency(1))
		send := func(tenant string) {
			_, err := fn.Send(faas.WithTenant(t.Context(), tenant), struct{}{})
			require.NoError(t, err)
		}
		par(backlog, func(int) { send("acme") }) // in bucket 3

		var waits []time.Duration
		for n := range 10 {
			time.Sleep(10*time.Second + time.Duration(n)*service/10) // each time at another moment of the running job
			sent := time.Now()
			send("globex") // in bucket 1
			waits = append(waits, (<-began).Sub(sent))
		}

		t.Logf("behind %d jobs of another tenant, in service times: %v", backlog, waits)
		require.LessOrEqual(t, slices.Max(waits), 2*service)
	})
}
