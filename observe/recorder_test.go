package observe_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/observe"
)

func snapshot(rec *observe.Recorder) map[string]observe.Series {
	all := map[string]observe.Series{}
	for s := range rec.Snapshot() {
		all[s.Function+":"+s.Version] = s
	}
	return all
}

// watched makes a router with the recorder.
func watched(t *testing.T, rec *observe.Recorder, opts ...faas.RouterOption) *faas.Router {
	t.Helper()
	return faastest.New(t, append(opts, faas.WithMeter(rec), faas.WithRefusals(rec.Refused))...)
}

func TestEachCallIsCountedByItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := observe.NewRecorder()
		r := watched(t, rec, faas.WithTimeout(time.Second))
		f := faas.Register(r, "f", func(ctx context.Context, what string) (string, error) {
			switch what {
			case "fail":
				return "", errors.New("no")
			case "panic":
				panic("no")
			case "late":
				<-ctx.Done()
				time.Sleep(time.Minute)
			}
			return what, nil
		})
		for what, n := range map[string]int{"fine": 5, "fail": 4, "panic": 3, "late": 2} {
			for range n {
				_, _ = f.Invoke(t.Context(), what)
			}
		}
		_, err := r.Invoke(t.Context(), "f", []byte("no JSON"))
		require.ErrorIs(t, err, faas.ErrInput)
		_, err = r.Invoke(t.Context(), "a name of the caller's", nil)
		require.Error(t, err)
		time.Sleep(time.Hour) // until the late handlers have returned

		all := snapshot(rec)
		require.Len(t, all, 2)
		s := all["f:$LATEST"]
		assert.Equal(t, observe.Outcomes{faas.OK: 5, faas.Failed: 4, faas.Panicked: 3, faas.TimedOut: 2}, s.Outcomes)
		assert.EqualValues(t, 14, s.Outcomes.Calls())
		assert.EqualValues(t, 9, s.Outcomes.Failures())
		assert.Equal(t, s.Outcomes.Calls(), s.Run.Count())
		assert.Equal(t, s.Outcomes.Calls(), s.Wait.Count())
		assert.InDelta(t, 2, s.Run.Seconds(), 0)
		assert.EqualValues(t, 2, s.Overruns)
		assert.InDelta(t, 120, s.Overrun, 0)
		assert.Equal(t, []observe.RefusalCount{{Kind: faas.KindInvalid, Reason: faas.ReasonInput, Count: 1}}, s.Refusals)
		assert.EqualValues(t, 1, s.Refused())
		unknown := all[":"]
		assert.Equal(t, []observe.RefusalCount{{Kind: faas.KindNotFound, Reason: faas.ReasonName, Count: 1}}, unknown.Refusals)
		assert.Zero(t, unknown.Outcomes.Calls())
	})
}

func TestColdCallsHaveAHistogramOfInitializations(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	ctx := context.Background()
	rec.Record(ctx, faas.Execution{Function: "f", Version: "1", Queued: 3 * time.Second, Init: 2 * time.Second, Cold: true, BytesIn: 10, BytesOut: 1})
	rec.Record(ctx, faas.Execution{Function: "f", Version: "1", BytesIn: 5, BytesOut: 2})
	rec.Record(ctx, faas.Execution{Function: "f", Version: "2"})
	s := snapshot(rec)["f:1"]
	assert.EqualValues(t, 1, s.Cold)
	assert.EqualValues(t, 1, s.Init.Count())
	assert.InDelta(t, 2, s.Init.Seconds(), 0)
	assert.InDelta(t, 3, s.Wait.Seconds(), 0)
	assert.EqualValues(t, 15, s.BytesIn)
	assert.EqualValues(t, 3, s.BytesOut)
	assert.Len(t, snapshot(rec), 2)
}

func TestChangesOfScaleAreCountedByFunction(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	for _, d := range []faas.Decision{
		{Function: "f", Version: "1", From: 0, To: 3},
		{Function: "f", Version: "1", From: 3, To: 9},
		{Function: "f", Version: "1", From: 9, To: 1},
		{From: 4, To: 8},
		{Function: "f", Alias: "live", After: faas.Weights{1: 1}},
	} {
		rec.Decided(d)
	}
	all := snapshot(rec)
	require.Len(t, all, 2)
	assert.Equal(t, [2]uint64{2, 1}, [2]uint64{all["f:1"].Grown, all["f:1"].Shrunk})
	assert.Equal(t, [2]uint64{1, 0}, [2]uint64{all[":"].Grown, all[":"].Shrunk})
}

func TestReasonsOfGatesAreBounded(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	for i := range 1000 {
		rec.Refused(t.Context(), faas.Refusal{
			Invocation: faas.Invocation{Function: "f", Version: "1"}, Kind: faas.KindDenied, Reason: faas.Reason(fmt.Sprint("reason ", i)),
		})
	}
	s := snapshot(rec)["f:1"]
	assert.Len(t, s.Refusals, 65)
	assert.EqualValues(t, 1000, s.Refused())
	assert.Contains(t, s.Refusals, observe.RefusalCount{Kind: faas.KindDenied, Reason: observe.OtherReason, Count: 936})
}

// calls generates records of a few functions and tenants, over the days on which prices change.
func calls(t *rapid.T) []faas.Execution {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) faas.Execution {
		return faas.Execution{
			Function: rapid.SampledFrom([]string{"a", "resize-photograph"}).Draw(t, "function"),
			Version:  rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version"),
			Tenant:   rapid.SampledFrom([]string{"", "acme", "globex", "initech", "umbrella"}).Draw(t, "tenant"),
			Outcome:  faas.Outcome(rapid.IntRange(0, 7).Draw(t, "outcome")),
			Memory:   rapid.SampledFrom([]int64{128 << 20, 1 << 30}).Draw(t, "memory"),
			Start:    time.Date(2026, 3, 1, 0, 0, rapid.IntRange(-100_000, 100_000).Draw(t, "start"), 0, time.UTC),
			Duration: time.Duration(rapid.Int64Range(0, 1e11).Draw(t, "duration")),
			Init:     time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "init")),
		}
	}), 0, 60).Draw(t, "calls")
}

// series returns a book whose price and rounding change in the middle of these days.
func series(t *testing.T) *cost.Book {
	t.Helper()
	var all []*cost.Book
	for _, b := range []struct{ effective, granularity, price string }{{"2020-01-01", "1ms", "0.0000166667"}, {"2026-03-01", "100ms", "0.00002"}} {
		book, err := cost.ParseBook([]byte(fmt.Sprintf(`{"name": "x", "title": "X", "provider": "x", "service": "x", "region": "x", "currency": "EUR",
			"effective": %q, "source": "x", "duration": {"granularity": %q}, "memory": {"step": "128MiB"},
			"prices": [{"meter": "memory", "unit": "GiB-s", "price": %q}, {"meter": "requests", "unit": "request", "price": "0.001"}]}`, b.effective, b.granularity, b.price)))
		require.NoError(t, err)
		all = append(all, book)
	}
	book, err := cost.NewSeries(all...)
	require.NoError(t, err)
	return book
}

func TestMoneyIsThatOfALedgersUsageByTheSameBooks(t *testing.T) {
	t.Parallel()
	books := append(cost.Presets(), series(t))
	rapid.Check(t, func(rt *rapid.T) {
		all := calls(rt)
		rec := observe.NewRecorder(observe.WithBooks(books...), observe.WithTenants(rapid.IntRange(0, 5).Draw(rt, "tenants")),
			observe.WithFunctions(rapid.IntRange(0, 4).Draw(rt, "functions")), observe.WithUsages(rapid.IntRange(0, 20).Draw(rt, "usages")))
		ledger := cost.NewLedger(cost.Calendar{}, books...)
		for _, e := range all {
			rec.Record(context.Background(), e)
			ledger.Record(context.Background(), e)
			if e.Outcome == faas.TimedOut {
				o := faas.Overrun{Function: e.Function, Version: e.Version, Tenant: e.Tenant, Memory: e.Memory, Duration: e.Duration / 3}
				rec.RecordOverrun(context.Background(), o)
				ledger.RecordOverrun(context.Background(), o)
			}
		}
		var usage []cost.Usage
		for _, month := range []time.Time{time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), time.Now()} {
			usage = append(usage, ledger.Usage(month)...)
		}
		for _, book := range books {
			want := new(big.Rat)
			unrated := false
			for _, u := range usage {
				charges, err := cost.NewRater(book).Rate(u)
				unrated = unrated || err != nil
				for _, c := range charges {
					want.Add(want, c.List.Amount())
				}
			}
			spent, err := rec.Spend(book)
			assert.Equal(rt, unrated, errors.Is(err, cost.ErrUnrated), "%v", err)
			got := new(big.Rat)
			for _, s := range spent {
				got.Add(got, s.List.Amount())
			}
			assert.Zero(rt, want.Cmp(got), "%s: %s, want %s", book.About().Name, got.FloatString(12), want.FloatString(12))
		}
	})
}

func TestATenantBeyondTheBoundIsCountedUnderOther(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder(observe.WithTenants(2))
	record := func(tenant string) {
		rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Tenant: tenant, Duration: time.Second})
	}
	for _, tenant := range []string{"first", "second", "third", "first", "fourth", "third", "", observe.Other} {
		record(tenant)
	}
	got := map[string]uint64{}
	for _, u := range rec.Usage() {
		got[u.Tenant] = u.Calls
	}
	assert.Equal(t, map[string]uint64{"first": 2, "second": 1, observe.Other: 4, "": 1}, got)
}

func TestAFunctionBeyondTheBoundIsCountedUnderOther(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder(observe.WithFunctions(2), observe.WithExemplar(func(context.Context) string { return "trace" }))
	for i := range 1000 {
		name := fmt.Sprint("f", i)
		rec.Record(t.Context(), faas.Execution{Function: name, Version: "1", Tenant: "acme", Memory: 1 << 30})
		rec.Refused(t.Context(), faas.Refusal{Invocation: faas.Invocation{Function: name, Version: "1"}, Reason: faas.ReasonOverloaded})
		rec.Decided(faas.Decision{Function: name, Version: "1", To: 1})
		rec.RecordOverrun(t.Context(), faas.Overrun{Function: name, Version: "1", Tenant: "acme", Memory: 1 << 30})
	}
	rec.Refused(t.Context(), faas.Refusal{Reason: faas.ReasonName})
	rec.Record(t.Context(), faas.Execution{Function: "f1", Version: "1"})

	all := snapshot(rec)
	require.Len(t, all, 4)
	for key, want := range map[string]uint64{"f0:1": 1, "f1:1": 1, "other:": 998} {
		s := all[key]
		assert.Equal(t, [3]uint64{want, want, want}, [3]uint64{s.Refused(), s.Grown, s.Overruns}, key)
		assert.Len(t, s.Exemplars, 1, key)
	}
	assert.EqualValues(t, 2, new(all["f1:1"].Outcomes).Calls(), "what was there first goes on")
	assert.EqualValues(t, 998, new(all["other:"].Outcomes).Calls())
	assert.EqualValues(t, 1, new(all[":"]).Refused(), "unknown names have their own place")
	assert.Len(t, rec.Usage(), 2*3+1, "calls and overruns of three, and a call without a tenant")
}

func TestATenantOfAFunctionBeyondTheBoundIsCountedUnderOtherThere(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder(observe.WithUsages(3))
	for range 2 {
		for _, who := range [][2]string{{"f", "a"}, {"f", "b"}, {"g", "a"}, {"g", "b"}, {"h", "a"}, {"h", ""}} {
			rec.Record(t.Context(), faas.Execution{Function: who[0], Version: "1", Tenant: who[1]})
		}
	}
	got := map[[2]string]uint64{}
	for _, u := range rec.Usage() {
		got[[2]string{u.Function, u.Tenant}] = u.Calls
	}
	assert.Equal(t, map[[2]string]uint64{
		{"f", "a"}: 2, {"f", "b"}: 2, {"g", "a"}: 2, {"g", observe.Other}: 2, {"h", observe.Other}: 2, {"h", ""}: 2,
	}, got)
}

func TestCallsAreAlsoCountedByWhatStartedThem(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	for i, trigger := range []string{"http", "timer", "", "http", "carrier pigeon", "pubsub", "datasource"} {
		rec.Record(t.Context(), faas.Execution{
			Function: "f", Version: "1", Origin: faas.Origin{Trigger: trigger}, Outcome: faas.Outcome(i % 2),
			Duration: time.Duration(i) * time.Second, Cold: i == 3, Init: time.Minute,
		})
	}
	rec.Refused(t.Context(), faas.Refusal{Invocation: faas.Invocation{Function: "g", Version: "1"}, Reason: faas.ReasonOverloaded})
	s := snapshot(rec)["f:1"]
	var names []string
	for _, part := range s.Triggers {
		names = append(names, part.Trigger)
		assert.Equal(t, part.Outcomes.Calls(), part.Run.Count(), part.Trigger)
	}
	assert.Equal(t, []string{"datasource", "http", "other", "pubsub", "timer"}, names)
	http := s.Triggers[1]
	assert.Equal(t, observe.Outcomes{faas.OK: 1, faas.Failed: 1}, http.Outcomes)
	assert.EqualValues(t, 1, http.Cold)
	assert.InDelta(t, 3, http.Run.Seconds(), 0)
	assert.InDelta(t, 60, http.Init.Seconds(), 0)
	assert.EqualValues(t, 2, s.Triggers[2].Run.Count())
	assert.EqualValues(t, 7, s.Run.Count(), "the whole is the sum of its parts")
	assert.Empty(t, snapshot(rec)["g:1"].Triggers)
}

func TestUsageWithoutBooksHasCallsAndNoPrice(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Duration: time.Second, Memory: 128 << 20})
	usage := rec.Usage()
	require.Len(t, usage, 1)
	assert.Equal(t, int64(time.Second), usage[0].Duration().Int64())
	book, err := cost.Preset("aws-lambda-x86")
	require.NoError(t, err)
	spent, err := rec.Spend(book.AnyTime())
	require.ErrorIs(t, err, cost.ErrUnrated)
	assert.Empty(t, spent)
}

func TestExemplarsAreTheLastSampledCallsOfEachLength(t *testing.T) {
	t.Parallel()
	type key struct{}
	rec := observe.NewRecorder(observe.WithExemplar(func(ctx context.Context) string {
		name, _ := ctx.Value(key{}).(string)
		if name == "panic" {
			panic(name)
		}
		return name
	}))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	record := func(trace string, d time.Duration) {
		rec.Record(context.WithValue(t.Context(), key{}, trace), faas.Execution{Function: "f", Version: "1", Start: start, Duration: d})
	}
	record("short", time.Millisecond)
	record("long", time.Second)
	record("", time.Second)
	record("shorter", 900*time.Millisecond)
	assert.Panics(t, func() { record("panic", time.Hour) }, "which the router recovers")
	s := snapshot(rec)["f:1"]
	assert.EqualValues(t, 5, s.Outcomes.Calls(), "the record is counted in any case")
	assert.Equal(t, []observe.Exemplar{
		{Trace: "short", Run: time.Millisecond, Time: start.Add(time.Millisecond)},
		{Trace: "shorter", Run: 900 * time.Millisecond, Time: start.Add(900 * time.Millisecond)},
	}, s.Exemplars)
}

func TestNothingIsLostOrCountedTwiceWhileReadersRead(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 2000
	rec := observe.NewRecorder(observe.WithBooks(cost.Presets()...), observe.WithTenants(5), observe.WithWindows(32<<10))
	stop := make(chan struct{})
	var readers, all sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var last uint64
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := total(rec)
				assert.GreaterOrEqual(t, n, last, "counts only grow")
				last = n
				rec.Usage()
				for range rec.Live(observe.Second, time.Time{}) {
				}
			}
		})
	}
	start := time.Now()
	for w := range writers {
		all.Go(func() {
			for i := range each {
				e := faas.Execution{
					Function: fmt.Sprint("f", i%3), Version: "1", Tenant: fmt.Sprint("t", (i+w)%9),
					Start: start.Add(time.Duration(i) * time.Second / 10), Duration: time.Duration(i),
				}
				rec.Record(context.Background(), e)
				if i%10 == 0 {
					rec.RecordOverrun(context.Background(), faas.Overrun{Function: e.Function, Version: "1", Duration: 1})
					rec.Refused(context.Background(), faas.Refusal{Invocation: faas.Invocation{Function: e.Function, Version: "1"}, Reason: faas.ReasonOverloaded})
				}
			}
		})
	}
	all.Wait()
	close(stop)
	readers.Wait()
	assert.EqualValues(t, writers*each, total(rec))
	var calls, overruns, refused, tallied uint64
	for _, u := range rec.Usage() {
		if u.Overrun {
			overruns += u.Calls
		} else {
			calls += u.Calls
		}
	}
	for s := range rec.Snapshot() {
		refused += s.Refused()
		tallied += s.Overruns
		assert.Equal(t, s.Outcomes.Calls(), s.Run.Count())
	}
	assert.EqualValues(t, writers*each, calls)
	assert.EqualValues(t, writers*each/10, overruns)
	assert.EqualValues(t, writers*each/10, tallied)
	assert.EqualValues(t, writers*each/10, refused)
}

func total(rec *observe.Recorder) (n uint64) {
	for s := range rec.Snapshot() {
		n += s.Outcomes.Calls()
	}
	return n
}

func TestARecordOfAKnownKeyAllocatesNothing(t *testing.T) {
	rec := observe.NewRecorder(observe.WithBooks(cost.Presets()...))
	records := executions()
	i := 0
	record := func() {
		rec.Record(context.Background(), records[i%len(records)])
		i++
	}
	for range 10 * len(records) { // so that each stripe gets more than one
		record()
	}
	assert.Zero(t, testing.AllocsPerRun(1000, record))
}

func TestSeriesAreSortedAndALoopMayEnd(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	for _, name := range []string{"c", "a", "b"} {
		rec.Record(t.Context(), faas.Execution{Function: name, Version: "1"})
	}
	var names []string
	for s := range rec.Snapshot() {
		if names = append(names, s.Function); len(names) == 2 {
			break
		}
	}
	assert.Equal(t, []string{"a", "b"}, names)
	assert.True(t, slices.IsSortedFunc(rec.Usage(), func(a, b cost.Usage) int { return int(a.Function[0]) - int(b.Function[0]) }))
	assert.WithinDuration(t, time.Now(), rec.Started(), time.Hour)
}
