package faasprom_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasprom"
)

// BenchmarkScrape measures the time of a scrape of 10,000 time series, as the median of 9.
// There are 10 functions with three histograms each, and 230 tenants of each function, whose
// usage is priced. The scrape collects the metrics, and encodes them as for a Prometheus that
// stores native histograms. Run it with -benchtime 1x.
func BenchmarkScrape(b *testing.B) {
	book := lambda(b)
	rec := observe.NewRecorder(observe.WithBooks(book))
	for i := range 2300 {
		rec.Record(context.Background(), faas.Execution{
			Function: fmt.Sprintf("function-%02d", i%10), Version: "$LATEST", Tenant: fmt.Sprintf("tenant-%04d", i/10),
			Start: time.Now(), Duration: time.Duration(1+i) * 12345, Memory: 512 << 20,
		})
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(faasprom.NewCollector(nil, rec, faasprom.WithBook(book)))
	for b.Loop() {
		var times []time.Duration
		series := 0
		for range 9 {
			start := time.Now()
			series = scrape(b, registry)
			times = append(times, time.Since(start))
		}
		slices.Sort(times)
		b.ReportMetric(float64(times[4].Microseconds())/1000, "ms/scrape")
		b.ReportMetric(float64(series), "series")
	}
}

// written counts the bytes that are written to it.
type written struct{ n int }

func (w *written) Write(p []byte) (int, error) { w.n += len(p); return len(p), nil }

// scrape makes a scrape, and returns the number of time series.
func scrape(b *testing.B, registry *prometheus.Registry) (series int) {
	b.Helper()
	all, err := registry.Gather()
	if err != nil {
		b.Fatal(err)
	}
	encoder := expfmt.NewEncoder(&written{}, expfmt.NewFormat(expfmt.TypeProtoDelim))
	for _, family := range all {
		if err := encoder.Encode(family); err != nil {
			b.Fatal(err)
		}
		for _, m := range family.GetMetric() {
			if series++; m.Histogram != nil {
				series += len(m.GetHistogram().GetBucket()) + 2
			}
		}
	}
	return series
}
