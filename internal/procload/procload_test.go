package procload_test

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/procload"
)

// The test makes the process busy and reads until the figures show that. It has no limit of
// time, because the machine may be busy with other work.
func TestTheProcessKnowsThatItIsBusy(t *testing.T) {
	t.Parallel()
	var r procload.Reader
	cpu, latency := r.Read()
	require.Zero(t, cpu, "the first reading has none before it")
	require.Zero(t, latency)

	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for range 4 * runtime.GOMAXPROCS(0) { // more goroutines than can run at once
		wg.Go(func() {
			for !stop.Load() { // keep a processor busy
			}
		})
	}
	var busy, waited bool
	require.Eventually(t, func() bool {
		cpu, latency := r.Read()
		assert.GreaterOrEqual(t, cpu, 0.0)
		assert.LessOrEqual(t, cpu, 1.0)
		busy, waited = busy || cpu > 0.05, waited || latency > time.Millisecond
		return busy && waited
	}, time.Minute, 20*time.Millisecond)
}

func TestThePercentileIsOfWhatWasAdded(t *testing.T) {
	t.Parallel()
	inf := math.Inf(1)
	bounds := []float64{math.Inf(-1), 0, 1, 2, 3, inf}
	for _, c := range []struct {
		counts, before []uint64
		want           time.Duration
	}{
		{[]uint64{0, 0, 0, 0, 0}, []uint64{0, 0, 0, 0, 0}, 0},
		{[]uint64{0, 100, 0, 9, 0}, []uint64{0, 0, 0, 9, 0}, time.Second}, // the nine were counted before
		{[]uint64{0, 99, 1, 0, 0}, []uint64{0, 0, 0, 0, 0}, time.Second},
		{[]uint64{0, 98, 2, 0, 0}, []uint64{0, 0, 0, 0, 0}, 2 * time.Second},
		{[]uint64{0, 0, 0, 0, 5}, []uint64{0, 0, 0, 0, 0}, 3 * time.Second}, // the last bucket has no upper bound
		{[]uint64{5, 0, 0, 0, 0}, []uint64{0, 0, 0, 0, 0}, 0},
	} {
		assert.Equal(t, c.want, procload.Percentile(bounds, c.counts, c.before, 0.99), "%v", c.counts)
	}
}

func BenchmarkRead(b *testing.B) {
	var r procload.Reader
	b.ReportAllocs()
	for b.Loop() {
		_, _ = r.Read()
	}
}
