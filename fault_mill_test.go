package faas_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// mill is a router that gets calls with a mixture of faults, and what it counts of them.
type mill struct {
	*faas.Router
	calls atomic.Int64

	mu      sync.Mutex        // guards the fields below
	timed   map[uuid.UUID]int // the calls of handlers that have a stopwatch, by their number
	timings map[int]timing
	ids     map[uuid.UUID]bool
	records int
	used    time.Duration             // the time used by all calls, including that after their records
	answers map[string]map[string]int // by fault

	ledger *cost.Ledger
	bills  []*bill // the bill of all records, by each price list
}

// timing is the time of one call on three clocks. Each clock runs while the one before it runs.
type timing struct{ byHand, recorded, byCaller time.Duration }

// Record is the meter.
func (m *mill) Record(ctx context.Context, e faas.Execution) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i, ok := m.timed[e.ID]; ok {
		delete(m.timed, e.ID)
		x := m.timings[i]
		x.recorded = e.Duration
		m.timings[i] = x
	}
	m.records++
	m.ids[e.ID] = true
	m.used += e.Duration
	for _, b := range m.bills {
		b.record(&e)
	}
	m.ledger.Record(ctx, e)
}

func (m *mill) RecordOverrun(ctx context.Context, o faas.Overrun) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used += o.Duration
	for _, b := range m.bills {
		b.overrun(&o)
	}
	m.ledger.RecordOverrun(ctx, o)
}

func newMill(calls int) *mill {
	m := &mill{
		timed: map[uuid.UUID]int{}, timings: make(map[int]timing, calls/round),
		ids: make(map[uuid.UUID]bool, 2*calls), answers: map[string]map[string]int{},
		ledger: cost.NewLedger(cost.Calendar{}, cost.Presets()...), bills: newBills(),
	}
	m.Router = faas.New(faas.WithMeter(m), faas.WithLogger(slog.New(slog.DiscardHandler)))
	handle := func(name string, h faas.Handler[int, int], opts ...faas.FunctionOption) {
		faas.Register(m.Router, name, h, opts...)
	}
	handle("fine", func(_ context.Context, in int) (int, error) { return in + 1, nil })
	handle("inline", func(_ context.Context, in int) (int, error) { return in + 1, nil }, faas.WithInline())
	handle("copied", func(_ context.Context, in int) (int, error) { return in + 1, nil }, faas.WithCopy())
	handle("timed", m.timedByHand)
	handle("error", func(context.Context, int) (int, error) { return 0, errOwn })
	handle("panic", func(context.Context, int) (int, error) { panic("boom") })
	handle("poison", func(context.Context, int) (int, error) { panic(&explosive{}) })
	handle("goexit", func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil })
	handle("timeout", heeds, faas.WithTimeout(time.Millisecond))
	handle("patient", heeds)
	handle("deaf", func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		burn(20 * time.Microsecond)
		return 0, nil
	}, faas.WithTimeout(time.Millisecond))
	handle("recursion", func(ctx context.Context, in int) (int, error) {
		out, err := m.Invoke(ctx, "recursion", []byte("1"))
		return len(out), err
	})
	handle("nested", func(ctx context.Context, _ int) (int, error) {
		out, err := m.Invoke(ctx, "fine", []byte("1"))
		return len(out), err
	})
	handle("denied", nothing, faas.WithGate(&lock{admit: func(context.Context) error { return errSentinel }}))
	faas.Register(m.Router, "output", func(context.Context, int) (chan int, error) { return nil, nil })
	return m
}

// timedByHand is a handler with a stopwatch. Its input is the call's number.
func (m *mill) timedByHand(ctx context.Context, number int) (int, error) {
	inv, _ := faas.FromContext(ctx)
	d := burn(3 * time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timed[inv.ID] = number
	m.timings[number] = timing{byHand: d}
	return 1, nil
}

// timedByCaller calls timedByHand, and measures the time as well.
func (m *mill) timedByCaller(number int) error {
	began := time.Now()
	_, err := m.Invoke(context.Background(), "timed", []byte(strconv.Itoa(number)))
	d := time.Since(began)
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.timings[number]
	x.byCaller = d
	m.timings[number] = x
	return err
}

// burn keeps a processor busy for d, and returns how long it did.
func burn(d time.Duration) time.Duration {
	began := time.Now()
	for time.Since(began) < d {
	}
	return time.Since(began)
}

// A round of calls begins with one call for each of these faults, with the answers that they must
// get. The other calls of the round have no fault.
const round = 200

var faults = []struct{ name, answer string }{
	{"inline", "OK"},
	{"copied", "OK"},
	{"timed", "OK"},
	{"nested", "OK"},
	{"error", "Failed"},
	{"panic", "Panicked"},
	{"poison", "Panicked"},
	{"goexit", "Exited"},
	{"timeout", "TimedOut"},
	{"deaf", "TimedOut"},
	{"leaves", "Canceled"},
	{"output", "OutputInvalid"},
	{"unknown", "not_found"},
	{"no name", "name"},
	{"input", "input"},
	{"denied", "denied"},
	{"canceled", "queue_canceled"},
	{"recursion", "depth"},
}

// grind makes one call, and counts its answer.
func (m *mill) grind(i int) {
	fault := "fine"
	if i%round < len(faults) {
		fault = faults[i%round].name
	}
	word := wordFor(m.provoke(fault, i))
	m.calls.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers[fault] == nil {
		m.answers[fault] = map[string]int{}
	}
	m.answers[fault][word]++
}

// provoke calls the function that has the fault's name, or makes the mistake of a caller.
func (m *mill) provoke(fault string, number int) error {
	name, payload, ctx := fault, "1", context.Background()
	switch fault {
	case "timed":
		return m.timedByCaller(number)
	case "no name":
		name = "../etc"
	case "input":
		name, payload = "fine", "{"
	case "canceled":
		done, cancel := context.WithCancel(ctx)
		cancel()
		name, ctx = "fine", done
	case "leaves":
		soon, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		name, ctx = "patient", soon
	}
	_, err := m.Invoke(ctx, name, []byte(payload))
	return err
}

// run makes calls on as many goroutines as there are processors, so that no call
// waits for a processor while it is being timed.
func (m *mill) run(from, to int) {
	var next atomic.Int64
	next.Store(int64(from))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(to); i = next.Add(1) - 1 {
				m.grind(int(i))
			}
		})
	}
	wg.Wait()
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

//nolint:paralleltest // it counts goroutines and the bytes of the heap
func TestH02_AHundredThousandMixedFaultsBalance(t *testing.T) {
	calls := 100_000
	switch {
	case soak():
		calls = 1_000_000
	case testing.Short():
		calls = 20_000
	}
	before, began := runtime.NumGoroutine(), time.Now()
	m := newMill(calls)
	m.run(0, calls/10)
	early := heap()

	m.run(calls/10, calls)

	took := time.Since(began)
	assert.Less(t, int64(heap())-int64(early), int64(4<<20), "the heap is flat")
	h := &host{Router: m.Router}
	spin(h.atRest)
	h.checkGauges(t)
	m.checkBooks(t)
	require.NoError(t, m.Close())
	spin(func() bool { return runtime.NumGoroutine() <= before })
	assert.LessOrEqual(t, runtime.NumGoroutine(), before, "goroutines")
	t.Logf("%d calls, %d recorded, in %v\n%s", m.calls.Load(), m.records, took.Round(time.Millisecond), m.table())
}

func (m *mill) checkBooks(t *testing.T) {
	t.Helper()
	s := m.Stats()
	m.mu.Lock()
	defer m.mu.Unlock()
	assert.EqualValues(t, s.Admitted, m.records, "admitted, recorded")
	assert.Len(t, m.ids, m.records, "ids are unique")
	nested := m.answers["recursion"]["depth"]*16 + m.answers["nested"]["OK"]
	assert.EqualValues(t, int(m.calls.Load())+nested, s.Admitted+refusals(s), "calls, admitted + refused")
	checkTimings(t, m.timings)
	for _, fault := range faults {
		if fault.name == "leaves" {
			continue // on a slow machine the handler may not have begun in time
		}
		assert.Equal(t, map[string]int{fault.answer: int(m.calls.Load()) / round}, m.answers[fault.name], fault.name)
	}
	m.checkBill(t)
}

// checkBill asserts that the records, the ledger and the statement by any price list agree, to the
// last digit of the money.
func (m *mill) checkBill(t *testing.T) {
	t.Helper()
	now := time.Now()
	usage, used, calls := m.ledger.Usage(now), new(big.Int), uint64(0)
	for _, u := range usage {
		used.Add(used, u.Duration())
		if !u.Overrun {
			calls += u.Calls
		}
	}
	assert.EqualValues(t, m.records, calls, "calls in the ledger")
	assert.Equal(t, int64(m.used), used.Int64(), "time in the ledger")
	for i, book := range cost.Presets() {
		s, err := cost.NewStatement(m.ledger.Period(now), book, usage)
		require.NoError(t, err)
		m.bills[i].check(t, s)
		assert.EqualValues(t, m.records, s.Total.Calls, book.About().Name)
		sum := cost.Money{}
		for _, row := range s.Rows {
			sum, err = sum.Add(row.List)
			require.NoError(t, err)
		}
		assert.Equal(t, s.Total.List.String(), sum.String(), book.About().Name)
	}
}

// checkTimings asserts that each recorded time lies between the times that the handler and the
// caller measured. If no other work runs beside the test, the recorded time must also equal
// the handler's to one hundredth. One call in twenty may differ by more: the system may have
// stopped the thread between two readings of the clocks. That time is billed, and is not the
// router's fault.
func checkTimings(t *testing.T, numbered map[int]timing) {
	t.Helper()
	require.NotEmpty(t, numbered)
	for i, x := range numbered {
		assert.LessOrEqual(t, x.byHand, x.recorded, "call %d: nobody is billed for less than he has used", i)
		assert.LessOrEqual(t, x.recorded, x.byCaller, "call %d: nor for more than he has waited", i)
	}
	if !soak() {
		return
	}
	all := slices.SortedFunc(maps.Values(numbered), func(a, b timing) int { return cmp.Compare(a.recorded-a.byHand, b.recorded-b.byHand) })
	var byHand, recorded time.Duration
	for _, x := range all[:len(all)*19/20] {
		byHand, recorded = byHand+x.byHand, recorded+x.recorded
	}
	assert.InEpsilon(t, byHand, recorded, 0.01, "by the handlers' stopwatches, by the meter")
}

// table returns a text with the answers that each fault got.
func (m *mill) table() string {
	var b strings.Builder
	for _, fault := range slices.Sorted(maps.Keys(m.answers)) {
		for word, n := range m.answers[fault] {
			fmt.Fprintf(&b, "%-10s %-15s %d\n", fault, word, n)
		}
	}
	return b.String()
}
