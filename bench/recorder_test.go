package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
)

// BenchmarkRecorder/<meter>/<callers> is what a call takes with a recorder, or with a logger
// of calls, as a ratio to a call with a meter that does nothing: processor time, in turns
// of one run, the median of them. The recorder counts by one price list. Run it with
// -benchtime 1x.
func BenchmarkRecorder(b *testing.B) {
	for _, callers := range []int{1, 128} {
		b.Run(fmt.Sprintf("recorder/%d", callers), func(b *testing.B) {
			rec := observe.NewRecorder(observe.WithBooks(cost.Presets()[0]))
			compareMeters(b, callers, rec)
		})
	}
}

// turns is how many times a benchmark measures each side. It is odd: the median is of one.
const turns = 15

// compareMeters reports what a call with the meter takes beside one with an empty meter.
func compareMeters(b *testing.B, callers int, m faas.Meter) {
	b.Helper()
	empty := callWith(b, faas.MeterFunc(func(context.Context, faas.Execution) {}))
	metered := callWith(b, m)
	for b.Loop() {
		var ratios, allocs []float64
		for range turns {
			base, own := rateOf(b, empty, callers), rateOf(b, metered, callers)
			ratios = append(ratios, own.CPU/base.CPU)
			allocs = append(allocs, own.Allocs-base.Allocs)
		}
		slices.Sort(ratios)
		slices.Sort(allocs)
		b.ReportMetric(ratios[turns/2], "ratio")
		b.ReportMetric(allocs[turns/2], "more-allocs/call")
	}
}

func rateOf(b *testing.B, call peers.Call, callers int) measure.Rate {
	b.Helper()
	r, err := measure.Throughput(call, callers, 200*time.Millisecond)
	check(b, err)
	return r
}

// callWith hosts an addition with a meter, as the peer that stands for faas does.
func callWith(b *testing.B, m faas.Meter) peers.Call {
	b.Helper()
	r := faas.New(faas.WithCapacity(1000), faas.WithMeter(m))
	b.Cleanup(func() { check(b, r.Close()) })
	add := faas.Register(r, "add", func(_ context.Context, n int) (int, error) { return n + 1, nil },
		faas.WithTimeout(peers.Default.Timeout), faas.WithConcurrency(peers.Default.Limit))
	return func(ctx context.Context, i int) error {
		_, err := add.Invoke(ctx, i)
		return err
	}
}
