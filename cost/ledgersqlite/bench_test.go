package ledgersqlite_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/cost/ledgersqlite"
)

// hammer makes b.N records, by several writers at once.
func hammer(b *testing.B, writers int, m faas.Meter) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := 0; left.Add(-1) >= 0; i++ {
				m.Record(context.Background(), call(8*i))
			}
		})
	}
	wg.Wait()
}

func report(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkRecord measures records per second. Each record is durable before Record returns
// or, in the last three cases, before Close returns.
func BenchmarkRecord(b *testing.B) {
	for _, c := range []struct {
		name    string
		writers int
		opts    []ledgersqlite.Option
	}{
		{"1-writer", 1, nil},
		{"64-writers", 64, nil},
		{"1024-writers", 1024, nil},
		{"behind-1-writer", 1, []ledgersqlite.Option{ledgersqlite.WithWriteBehind(1 << 30)}},
		{"behind-64-writers", 64, []ledgersqlite.Option{ledgersqlite.WithWriteBehind(1 << 30)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			l, _ := open(b, c.opts...)
			b.ReportAllocs()
			b.ResetTimer()
			hammer(b, c.writers, l)
			require.NoError(b, l.Flush(b.Context()))
			report(b)
		})
	}
	b.Run("faas-buffered-64-writers", func(b *testing.B) {
		l, _ := open(b)
		m := faas.Buffered(l, 1<<30)
		b.ResetTimer()
		hammer(b, 64, m)
		require.NoError(b, m.Close())
		report(b)
	})
}

// BenchmarkSynchronous shows why FULL is affordable: callers share commits.
func BenchmarkSynchronous(b *testing.B) {
	for _, mode := range []string{"FULL", "NORMAL"} {
		for name, writers := range map[string]int{"1-writer": 1, "64-writers": 64} {
			b.Run(mode+"/"+name, func(b *testing.B) {
				l, _ := open(b, ledgersqlite.WithSync(mode))
				b.ResetTimer()
				hammer(b, writers, l)
				report(b)
			})
		}
	}
}

// BenchmarkAppend writes a thousand records in one transaction.
func BenchmarkAppend(b *testing.B) {
	l, _ := open(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		es := calls(1000)
		b.StartTimer()
		require.NoError(b, l.Append(b.Context(), es))
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

const stock = 200_000

func stocked(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "calls.db")
	l := openAt(b, path)
	for range stock / 10_000 {
		require.NoError(b, l.Append(b.Context(), calls(10_000)))
	}
	require.NoError(b, l.Close())
	return path
}

// BenchmarkOpen opens a ledger of 200,000 records, with and without reading all of it.
func BenchmarkOpen(b *testing.B) {
	path := stocked(b)
	size := int64(len(read(b, path)))
	for name, opts := range map[string][]ledgersqlite.Option{"checked": nil, "lazy": {ledgersqlite.WithLazyCheck()}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				l, err := ledgersqlite.Open(path, opts...)
				require.NoError(b, err)
				require.NoError(b, l.Close())
			}
			b.ReportMetric(float64(size)/stock, "bytes/record")
		})
	}
}

// BenchmarkRead reads the records of a ledger.
func BenchmarkRead(b *testing.B) {
	r, err := ledgersqlite.OpenReader(stocked(b))
	require.NoError(b, err)
	defer r.Close()
	b.Run("records", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range r.Records(b.Context(), ledgersqlite.Filter{}) {
				require.NoError(b, err)
				n++
			}
			require.Equal(b, stock, n)
		}
		b.ReportMetric(stock*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, r.Verify(b.Context()))
		}
		b.ReportMetric(stock*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("replay", func(b *testing.B) {
		book, err := cost.Preset("aws-lambda-x86")
		require.NoError(b, err)
		for b.Loop() {
			require.NoError(b, r.Replay(b.Context(), ledgersqlite.Filter{}, cost.NewLedger(cost.Calendar{}, book)))
		}
		b.ReportMetric(stock*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("replay nothing", func(b *testing.B) { // the cost of the check that no row is missing
		for b.Loop() {
			require.NoError(b, r.Replay(b.Context(), ledgersqlite.Filter{To: epoch.Add(-time.Hour)}, cost.NewLedger(cost.Calendar{})))
		}
		b.ReportMetric(stock*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			_, err := r.Counts(b.Context(), 1)
			require.NoError(b, err)
		}
		b.ReportMetric(stock*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
}
