package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/internal/benchrun"
)

// BenchmarkRecord/<meter>/<callers> is the time to record a call by function, version,
// tenant, two labels and outcome. The ledger adds up what five price lists bill; a Prometheus
// counter vector adds 1. The records are made before the clock starts. Package cost has a
// benchmark of the same name that compares the ledger with maps under a mutex.
func BenchmarkRecord(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("ledger/%d", callers), func(b *testing.B) {
			benchmarkRecord(b, cost.NewLedger(cost.Calendar{}, cost.Presets()...), callers)
		})
		b.Run(fmt.Sprintf("prometheus/%d", callers), func(b *testing.B) {
			benchmarkRecord(b, newCounter(), callers)
		})
	}
}

func benchmarkRecord(b *testing.B, m faas.Meter, callers int) {
	b.Helper()
	records := executions()
	for _, e := range records {
		m.Record(context.Background(), e)
	}
	benchrun.Split(b, callers, func(caller, n int) {
		ctx := context.Background()
		for i := range n {
			m.Record(ctx, records[(caller*7+i)%len(records)])
		}
	})
}

// executions returns records of 4 functions, for 16 tenants each.
func executions() []faas.Execution {
	var all []faas.Execution
	for f := range 4 {
		labels := map[string]string{"team": fmt.Sprintf("team-%d", f), "env": "prod"}
		for tenant := range 16 {
			all = append(all, faas.Execution{
				Function: fmt.Sprintf("function-%d", f), Version: "v1.4.2", Tenant: fmt.Sprintf("tenant-%04d", tenant),
				Labels: labels, Start: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC),
				Duration: time.Duration(1+f*tenant) * 1234567, Memory: 512 << 20,
			})
		}
	}
	return all
}

// counter is a Prometheus counter vector as a meter.
type counter struct{ calls *prometheus.CounterVec }

func newCounter() counter {
	return counter{prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "calls_total", Help: "Calls."},
		[]string{"function", "version", "tenant", "team", "env", "outcome"},
	)}
}

func (c counter) Record(_ context.Context, e faas.Execution) {
	c.calls.WithLabelValues(e.Function, e.Version, e.Tenant, e.Labels["team"], e.Labels["env"], e.Outcome.String()).Inc()
}
