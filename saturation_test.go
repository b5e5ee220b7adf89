package faas_test

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// The process is made to be as the figures should say. How long that takes is the
// machine's affair; the test waits for the figures.
func TestTheProcessKnowsThatItIsBusy(t *testing.T) {
	t.Parallel()
	var v faas.Vitals
	cpu, latency := v.Read()
	require.Zero(t, cpu, "there is no while before the first reading")
	require.Zero(t, latency)

	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for range 4 * runtime.GOMAXPROCS(0) { // more than can run at once
		wg.Go(func() {
			for !stop.Load() { // and nothing else
			}
		})
	}
	var busy, waited bool
	require.Eventually(t, func() bool {
		cpu, latency := v.Read()
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
		{[]uint64{0, 100, 0, 9, 0}, []uint64{0, 0, 0, 9, 0}, time.Second}, // the nine are old
		{[]uint64{0, 99, 1, 0, 0}, []uint64{0, 0, 0, 0, 0}, time.Second},
		{[]uint64{0, 98, 2, 0, 0}, []uint64{0, 0, 0, 0, 0}, 2 * time.Second},
		{[]uint64{0, 0, 0, 0, 5}, []uint64{0, 0, 0, 0, 0}, 3 * time.Second}, // at least
		{[]uint64{5, 0, 0, 0, 0}, []uint64{0, 0, 0, 0, 0}, 0},
	} {
		assert.Equal(t, c.want, faas.Percentile(bounds, c.counts, c.before, 0.99), "%v", c.counts)
	}
}

func BenchmarkVitals(b *testing.B) {
	var v faas.Vitals
	b.ReportAllocs()
	for b.Loop() {
		_, _ = v.Read()
	}
}
