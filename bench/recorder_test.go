package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/inproc/faas"
	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasotel"
)

// BenchmarkRecorder/<meter>/<callers> is the processor time of a call with a recorder, or
// with a logger of calls, as a ratio to that of a call with a meter that does nothing. Both
// are measured in turns in one run, and the result is the median of the ratios. The recorder
// counts by one price list. Run it with -benchtime 1x.
func BenchmarkRecorder(b *testing.B) {
	for _, callers := range []int{1, 128} {
		b.Run(fmt.Sprintf("recorder/%d", callers), func(b *testing.B) {
			rec := observe.NewRecorder(observe.WithBooks(cost.Presets()[0]))
			compare(b, callers, faas.WithMeter(rec))
		})
	}
}

// BenchmarkTracing/<sampled>/<callers> is the same ratio for calls with the tracing of package
// faasotel, of which none or one in a hundred is sampled. Spans are made and thrown away. In
// the batched case the SDK's batch processor is measured too, which wakes a goroutine.
func BenchmarkTracing(b *testing.B) {
	for _, c := range []struct {
		name  string
		part  float64
		spans sdktrace.TracerProviderOption
	}{
		{"none", 0, sdktrace.WithSyncer(nowhere{})},
		{"1%", 0.01, sdktrace.WithSyncer(nowhere{})},
		{"1% batched", 0.01, sdktrace.WithBatcher(nowhere{})},
	} {
		for _, callers := range []int{1, 128} {
			b.Run(fmt.Sprintf("%s/%d", c.name, callers), func(b *testing.B) {
				tp := sdktrace.NewTracerProvider(c.spans, sdktrace.WithIDGenerator(faasotel.IDGenerator()))
				b.Cleanup(func() { check(b, tp.Shutdown(context.Background())) })
				compare(b, callers, faasotel.Tracing(tp, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.part))), faas.WithMeter(empty))
			})
		}
	}
}

// nowhere is an exporter that drops all spans.
type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                             { return nil }

var empty = faas.MeterFunc(func(context.Context, faas.Execution) {})

// turns is how many times a benchmark measures each side. It is odd, so that the median is
// one of the measured ratios.
const turns = 15

// compare reports the ratio of a call with the options to a call with an empty meter.
func compare(b *testing.B, callers int, opts ...faas.RouterOption) {
	b.Helper()
	bare, own := callWith(b, faas.WithMeter(empty)), callWith(b, opts...)
	for b.Loop() {
		var ratios, allocs []float64
		for range turns {
			base, with := rateOf(b, bare, callers), rateOf(b, own, callers)
			ratios = append(ratios, with.CPU/base.CPU)
			allocs = append(allocs, with.Allocs-base.Allocs)
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

// callWith hosts an addition with options, as the peer faas does.
func callWith(b *testing.B, opts ...faas.RouterOption) peers.Call {
	b.Helper()
	r := faas.New(append(opts, faas.WithCapacity(1000))...)
	b.Cleanup(func() { check(b, r.Close()) })
	add := faas.Register(r, "add", func(_ context.Context, n int) (int, error) { return n + 1, nil },
		faas.WithTimeout(peers.Default.Timeout), faas.WithConcurrency(peers.Default.Limit))
	return func(ctx context.Context, i int) error {
		_, err := add.Invoke(ctx, i)
		return err
	}
}
