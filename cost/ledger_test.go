package cost_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
)

func TestRecordDoesNotAllocate(t *testing.T) {
	l := cost.NewLedger(cost.Calendar{}, cost.Presets()...)
	records := sampleRecords()
	ctx := context.Background()
	i := 0
	for range 10 { // so that each stripe of the ledger gets each key
		for _, e := range records {
			l.Record(ctx, e)
		}
	}
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	assert.Zero(t, testing.AllocsPerRun(10_000, func() {
		l.Record(ctx, records[i%len(records)])
		i++
	}))
}

func TestUsageIsCountedByAllThatTellsCallsApart(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	base := call(time.Millisecond, 128*mib)
	base.Version, base.Tenant, base.Labels = "v1", "acme", map[string]string{"team": "a"}
	l := cost.NewLedger(cost.Calendar{}, x86)
	variants := []func(*faas.Execution){
		func(*faas.Execution) {},
		func(e *faas.Execution) { e.Function = "g" },
		func(e *faas.Execution) { e.Version = "v2" },
		func(e *faas.Execution) { e.Tenant = "" },
		func(e *faas.Execution) { e.Labels = map[string]string{"team": "b"} },
		func(e *faas.Execution) { e.Labels = nil },
		func(e *faas.Execution) { e.Labels = map[string]string{"team": "a", "env": ""} },
		func(e *faas.Execution) { e.Outcome = faas.Panicked },
		func(e *faas.Execution) { e.Memory = 256 * mib },
	}
	for n, change := range variants {
		for range n + 1 {
			e := base
			change(&e)
			l.Record(t.Context(), e)
		}
	}
	l.AddOverrun(noon, faas.Overrun{Function: "f", Version: "v1", Tenant: "acme", Labels: base.Labels, Duration: 1, Memory: 128 * mib})

	usage := l.Usage(noon)
	require.Len(t, usage, len(variants)+1)
	seen := map[uint64]int{}
	for _, u := range usage {
		seen[u.Calls]++
		assert.Equal(t, int64(u.Calls)*int64(time.Millisecond), max(u.Duration().Int64(), int64(time.Millisecond)))
	}
	assert.Equal(t, 2, seen[1], "the base, and the overrun")
	for n := 2; n <= len(variants); n++ {
		assert.Equal(t, 1, seen[uint64(n)], "variant %d", n)
	}
	assert.Len(t, statement(t, aDay(), x86, usage).Rows, len(variants), "rows that differ in memory alone are one")
}

func TestKeysThatTakeEachOthersPlaceAreCountedApart(t *testing.T) {
	t.Parallel()
	l := cost.NewLedger(cost.Calendar{}, preset(t, "aws-lambda-x86"))
	want := map[string]uint64{}
	for round := range 3 {
		for i := range 5000 { // more keys than the cache has, and names that differ only in the middle
			e := call(time.Millisecond, 128*mib)
			e.Tenant = fmt.Sprintf("tenant--%04d-of-all", i)
			e.Outcome = faas.Outcome(i % 8)
			for range 1 + (i+round)%3 {
				l.Record(t.Context(), e)
				want[e.Tenant]++
			}
		}
	}
	got := map[string]uint64{}
	for _, u := range l.Usage(noon) {
		got[u.Tenant] += u.Calls
	}
	assert.Equal(t, want, got)
}

func TestEqualLabelsInOtherMapsAreTheSame(t *testing.T) {
	t.Parallel()
	l := cost.NewLedger(cost.Calendar{})
	for i := range 100 {
		e := call(1, 1)
		e.Labels = maps.Clone(map[string]string{"team": "a", "env": "prod"})
		if i%3 == 0 {
			e.Function, e.Labels = "none", map[string]string{}
		}
		if i%6 == 0 {
			e.Labels = nil
		}
		l.Record(t.Context(), e)
	}
	usage := l.Usage(noon)
	require.Len(t, usage, 2)
	assert.Equal(t, uint64(66), usage[0].Calls)
	assert.Equal(t, uint64(34), usage[1].Calls)
}

func TestCallsBelongToThePeriodInWhichTheyEnd(t *testing.T) {
	t.Parallel()
	l := cost.NewLedger(cost.Calendar{Every: cost.Hour}, preset(t, "aws-lambda-x86"))
	e := call(2*time.Minute, mib)
	e.Start = noon.Add(-time.Minute)
	l.Record(t.Context(), e)
	e.Start = noon.Add(-2*time.Minute - 1)
	l.Record(t.Context(), e)
	l.AddOverrun(noon.Add(-time.Second), faas.Overrun{Function: "f", Duration: time.Hour})
	assert.Len(t, l.Usage(noon), 1)
	assert.Len(t, l.Usage(noon.Add(59*time.Minute)), 1)
	assert.Len(t, l.Usage(noon.Add(-time.Hour)), 2, "the call, and the overrun")
	assert.Empty(t, l.Usage(noon.Add(time.Hour)))
	assert.Equal(t, noon, l.Period(noon).Start)

	l.Forget(noon)
	assert.Empty(t, l.Usage(noon.Add(-time.Hour)))
	assert.Len(t, l.Usage(noon), 1)
	l.Record(t.Context(), e)
	assert.Len(t, l.Usage(noon.Add(-time.Hour)), 1)
}

func TestLedgerCountsEveryRecordOfManyGoroutines(t *testing.T) {
	t.Parallel()
	books := cost.Presets()
	l := cost.NewLedger(cost.Calendar{}, books...)
	records := sampleRecords()
	const goroutines, each = 32, 500
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		last := uint64(0)
		for {
			total := uint64(0)
			for _, u := range l.Usage(noon) {
				total += u.Calls
			}
			if total < last {
				t.Errorf("%d calls after %d", total, last)
			}
			last = total
			select {
			case <-stop:
				return
			default:
				runtime.GC() // empties the pool from which stripes are taken
			}
		}
	})
	for g := range goroutines {
		writers.Go(func() {
			for i := range each {
				e := records[(g+i)%len(records)]
				e.Duration = time.Duration(i) * time.Millisecond
				l.Record(context.Background(), e)
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()

	calls, duration, quanta := uint64(0), new(big.Int), new(big.Int)
	for _, u := range l.Usage(noon) {
		calls += u.Calls
		duration.Add(duration, u.Duration())
		n, err := u.Quanta(cost.Rounding{Granularity: time.Millisecond, Init: true})
		require.NoError(t, err)
		quanta.Add(quanta, n)
	}
	assert.Equal(t, uint64(goroutines*each), calls)
	assert.Equal(t, int64(goroutines*each*(each-1)/2), quanta.Int64())
	assert.Equal(t, goroutines*each*(each-1)/2*int64(time.Millisecond), duration.Int64())
}

// Records, ledger and statement have the same sums, over calls with every outcome.
func TestRecordsLedgerAndStatementAgreeOverFaults(t *testing.T) {
	t.Parallel()
	books := cost.Presets()
	tape, ledger := new(faastest.Recorder), cost.NewLedger(cost.Calendar{}, books...)
	r := faas.New(faas.WithMeter(faas.Meters(tape, ledger)), faas.WithLabels(map[string]string{"env": "test"}),
		faas.WithLogger(slog.New(slog.DiscardHandler)))
	handler := func(ctx context.Context, i int) (int, error) {
		switch i % 6 {
		case 0:
			return 0, errors.New("failed")
		case 1:
			panic("on purpose")
		case 2:
			runtime.Goexit()
		case 3:
			<-ctx.Done()
			return 0, ctx.Err()
		case 4:
			time.Sleep(3 * time.Millisecond) // ignores its context, and becomes a runaway
		}
		return i, nil
	}
	deaf := faas.Register(r, "deaf", handler, faas.WithTimeout(time.Millisecond), faas.WithMemory(256*mib))
	quick := faas.Register(r, "quick", handler, faas.WithTimeout(time.Second), faas.WithLabels(map[string]string{"team": "a"}))
	calls := 6000
	if testing.Short() || raceEnabled {
		calls = 1500
	}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			ctx := faas.WithTenant(context.Background(), string(rune('a'+g%5)))
			for i := range calls / 16 {
				if g%2 == 0 {
					_, _ = deaf.Invoke(ctx, i)
					continue
				}
				if i%6 == 3 {
					short, cancel := context.WithTimeout(ctx, time.Millisecond)
					_, _ = quick.Invoke(short, i)
					cancel()
					continue
				}
				_, _ = quick.Invoke(ctx, i)
			}
		})
	}
	wg.Wait()
	require.NoError(t, r.Shutdown(context.Background()))
	records, overran := tape.Executions(), tape.Overruns()
	require.NotEmpty(t, overran)
	outcomes := map[faas.Outcome]bool{}
	for _, e := range records {
		outcomes[e.Outcome] = true
	}
	require.GreaterOrEqual(t, len(outcomes), 6, "%v", outcomes)
	require.Equal(t, r.Stats().Admitted, uint64(len(records)))

	at := time.Now()
	if ledger.Period(at) != ledger.Period(records[0].Start) {
		t.Skip("the month has changed meanwhile")
	}
	recorded := new(big.Int)
	for _, e := range records {
		recorded.Add(recorded, big.NewInt(int64(e.Duration)))
	}
	for _, o := range overran {
		recorded.Add(recorded, big.NewInt(int64(o.Duration)))
	}
	counted := new(big.Int)
	for _, u := range ledger.Usage(at) {
		counted.Add(counted, u.Duration())
	}
	assert.Equal(t, recorded, counted)

	for _, b := range books {
		rater, want, overruns := cost.NewRater(b), cost.Money{}, cost.Money{}
		for _, e := range records {
			c, err := rater.Call(e)
			require.NoError(t, err)
			want, err = want.Add(c)
			require.NoError(t, err)
		}
		for _, o := range overran {
			c, err := rater.Overrun(o)
			require.NoError(t, err)
			overruns, err = overruns.Add(c)
			require.NoError(t, err)
		}
		total, err := want.Add(overruns)
		require.NoError(t, err)
		s := statement(t, aDay(), b, ledger.Usage(at))
		assert.Equal(t, uint64(len(records)), s.Total.Calls)
		assert.Equal(t, total.String(), s.Total.Billed.String(), b.About().Name)
		assert.Equal(t, overruns.String(), s.Overruns.String(), b.About().Name)
		rows := cost.Money{}
		for _, row := range s.By(cost.Tenant, cost.Label("team")).Rows {
			rows, err = rows.Add(row.Billed)
			require.NoError(t, err)
		}
		assert.Equal(t, total.String(), rows.String(), b.About().Name)
	}
}
