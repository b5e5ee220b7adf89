package cost_test

import (
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/internal/benchrun"
)

// BenchmarkRecord/<what>/<keys>/<callers> is the cost of a record, for the ledger and for
// maps under a mutex that keep the same sums by the same keys. mutex+map takes any labels, as
// the ledger does. mutex+map-known is built for fixed names of labels, which is the fastest
// that a map can be. Each caller goes through all keys. They are of 4 functions and 16
// tenants, which fit into the ledger's cache, or of 16 functions and 256 tenants, most of
// which the ledger must look up.
func BenchmarkRecord(b *testing.B) {
	books := cost.Presets()
	meters := map[string]func() faas.Meter{
		"ledger":          func() faas.Meter { return cost.NewLedger(cost.Calendar{}, books...) },
		"mutex+map":       func() faas.Meter { return newMapLedger(books, anyLabels) },
		"mutex+map-known": func() faas.Meter { return newMapLedger(books, knownLabels) },
	}
	for _, records := range [][]faas.Execution{sampleRecords(), recordsOf(16, 256)} {
		for _, callers := range []int{1, 64} {
			for _, name := range []string{"ledger", "mutex+map", "mutex+map-known"} {
				b.Run(fmt.Sprintf("%s/%d/%d", name, len(records), callers), func(b *testing.B) {
					benchmarkRecord(b, meters[name](), records, callers)
				})
			}
		}
	}
}

func benchmarkRecord(b *testing.B, m faas.Meter, records []faas.Execution, callers int) {
	b.Helper()
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

// sampleRecords returns records of 4 functions, for 16 tenants each.
func sampleRecords() []faas.Execution { return recordsOf(4, 16) }

// recordsOf returns records as a router makes them: all records of a function share one
// map of labels.
func recordsOf(functions, tenants int) []faas.Execution {
	var all []faas.Execution
	for f := range functions {
		labels := map[string]string{"team": fmt.Sprintf("team-%d", f), "env": "prod"}
		for tenant := range tenants {
			all = append(all, faas.Execution{
				Function: fmt.Sprintf("function-%d", f), Version: "v1.4.2", Tenant: fmt.Sprintf("tenant-%04d", tenant),
				Labels: labels, Outcome: faas.OK, Start: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC),
				Duration: time.Duration(1+f*tenant) * 1234567, Memory: 512 << 20,
			})
		}
	}
	return all
}

// mapLedger is the simplest ledger: a map under a mutex.
type mapLedger struct {
	mu    sync.Mutex
	key   func(labels map[string]string) [2]string
	rules []cost.Rounding
	sums  map[mapKey]*mapSums
}

type mapKey struct {
	function, version, tenant string
	labels                    [2]string
	outcome                   faas.Outcome
	memory                    int64
	month                     time.Month
	year                      int
}

type mapSums struct {
	calls          uint64
	duration, init [2]uint64
	quanta         [][2]uint64
}

func knownLabels(labels map[string]string) [2]string {
	return [2]string{labels["team"], labels["env"]}
}

func anyLabels(labels map[string]string) [2]string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(name)
		b.WriteByte(0)
		b.WriteString(labels[name])
		b.WriteByte(0)
	}
	return [2]string{b.String()}
}

func newMapLedger(books []*cost.Book, key func(map[string]string) [2]string) *mapLedger {
	m := &mapLedger{key: key, sums: map[mapKey]*mapSums{}}
	seen := map[cost.Rounding]bool{}
	for _, b := range books {
		if !seen[b.Rounding()] {
			seen[b.Rounding()] = true
			m.rules = append(m.rules, b.Rounding())
		}
	}
	return m
}

func (m *mapLedger) Record(_ context.Context, e faas.Execution) {
	year, month, _ := e.Start.Add(e.Duration).UTC().Date()
	k := mapKey{
		e.Function, e.Version, e.Tenant, m.key(e.Labels), e.Outcome, e.Memory, month, year,
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sums[k]
	if s == nil {
		s = &mapSums{quanta: make([][2]uint64, len(m.rules))}
		m.sums[k] = s
	}
	s.calls++
	sumUp(&s.duration, uint64(e.Duration))
	sumUp(&s.init, uint64(e.Init))
	for i, r := range m.rules {
		sumUp(&s.quanta[i], r.Quanta(e.Duration, e.Init))
	}
}

func sumUp(to *[2]uint64, n uint64) {
	var carry uint64
	to[1], carry = bits.Add64(to[1], n, 0)
	to[0] += carry
}
