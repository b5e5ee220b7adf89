package observe_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/internal/benchrun"
	"github.com/inproc/faas/observe"
)

// BenchmarkRecord/<callers> measures the time to record a call. The calls are of 4 functions
// and 16 tenants, and usage is counted by one price list.
func BenchmarkRecord(b *testing.B) {
	for _, callers := range []int{1, 128} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			rec := observe.NewRecorder(observe.WithBooks(cost.Presets()[0]))
			records := executions()
			for _, e := range records {
				rec.Record(context.Background(), e)
			}
			benchrun.Split(b, callers, func(caller, n int) {
				for i := range n {
					rec.Record(context.Background(), records[(caller*7+i)%len(records)])
				}
			})
		})
	}
}

// BenchmarkLog/<sampling> measures the time that logging takes for a call. Lines are written as
// JSON and discarded. One of so many calls has a line.
func BenchmarkLog(b *testing.B) {
	for _, sampling := range []int{1, 100} {
		b.Run(fmt.Sprint(sampling), func(b *testing.B) {
			l := observe.Log(slog.New(slog.NewJSONHandler(io.Discard, nil)), observe.WithSampling(sampling)) //nolint:sloglint // the encoding is part of what is measured
			records := executions()
			benchrun.Split(b, 1, func(_, n int) {
				for i := range n {
					l.Record(context.Background(), records[i%len(records)])
				}
			})
		})
	}
}

// executions returns records of 4 functions, for 16 tenants each.
func executions() []faas.Execution {
	var all []faas.Execution
	for f := range 4 {
		for tenant := range 16 {
			all = append(all, faas.Execution{
				Function: fmt.Sprintf("function-%d", f), Version: "$LATEST", Tenant: fmt.Sprintf("tenant-%04d", tenant),
				Start: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), Duration: time.Duration(1+f*tenant) * 123456, Memory: 512 << 20,
			})
		}
	}
	return all
}
