package bench

import (
	"context"
	"testing"

	"github.com/inproc/faas"
	"github.com/inproc/faas/bench/measure"
)

// BenchmarkAlias is the cost of a call whose handle has to find the version for each call.
// The handles are of a version, of an alias of one version, of an alias that divides calls,
// and of a sticky alias.
func BenchmarkAlias(b *testing.B) {
	r := faas.New()
	defer r.Close()
	add := func(_ context.Context, n int) (int, error) { return n + 1, nil }
	faas.Register(r, "f", add, faas.WithVersion(1))
	faas.Register(r, "f", add, faas.WithVersion(2))
	for alias, w := range map[string]faas.Weights{"one": {1: 1}, "tenth": {1: 90, 2: 10}} {
		if err := r.SetAlias("f", alias, w); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.SetAlias("f", "sticky", faas.Weights{1: 90, 2: 10}, faas.WithSticky()); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, function string
		ctx            context.Context
	}{
		{"version", "f:1", context.Background()},
		{"alias", "f:one", context.Background()},
		{"tenth", "f:tenth", context.Background()},
		{"version-tenant", "f:1", faas.WithTenant(context.Background(), "acme")},
		{"sticky-tenant", "f:sticky", faas.WithTenant(context.Background(), "acme")},
	} {
		f, err := faas.Lookup[int, int](r, c.function)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			cpu := measure.CPU()
			for b.Loop() {
				_, err := f.Invoke(c.ctx, 1)
				check(b, err)
			}
			b.ReportMetric(float64(measure.CPU()-cpu)/float64(b.N), "cpu-ns/op")
		})
	}
}
