package faas_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// H. The system as a whole.

// soak asks for the long runs.
func soak() bool { return os.Getenv("FAAS_SOAK") != "" }

// machine applies the same steps to a router and to its model, the twin, and compares them.
type machine struct {
	twin
	router   *faas.Router
	recorder recorder
	began    time.Time
	ctx      context.Context
	handles  map[*twinFunction]*faas.Function[*actor, int]
	actors   map[*twinCall]*actor
	stopped  chan error // what Shutdown answered; nil: not called
	giveUp   context.CancelFunc

	impatient bool // Shutdown's context has ended
}

// actor is one call of the router's: its caller, and its handler, which ends
// when it is told to.
type actor struct {
	heeds  bool
	told   chan func() (int, error)
	cancel context.CancelFunc

	mu sync.Mutex // guards trace
	trace
}

// trace is what is known of a call.
type trace struct {
	ctx      context.Context // the handler's
	id       uuid.UUID
	entered  bool
	left     bool
	answered bool
	err      error
}

func (a *actor) seen() trace {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.trace
}

func act(ctx context.Context, a *actor) (int, error) {
	inv, _ := faas.FromContext(ctx)
	a.note(func() { a.ctx, a.id, a.entered = ctx, inv.ID, true })
	defer a.note(func() { a.left = true })
	var done <-chan struct{}
	if a.heeds {
		done = ctx.Done()
	}
	select {
	case end := <-a.told:
		return end()
	case <-done:
		return 0, ctx.Err()
	}
}

func (a *actor) note(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

const (
	maxRank  = 3
	leafRank = 2 // functions from this rank on make no calls, and have deadlines
	aging    = time.Minute
)

func newMachine(t *rapid.T) *machine {
	m := &machine{
		began: time.Now(), ctx: t.Context(),
		handles: map[*twinFunction]*faas.Function[*actor, int]{}, actors: map[*twinCall]*actor{},
	}
	m.unknown = map[faas.Reason]uint64{}
	m.capacity = rapid.IntRange(1, 5).Draw(t, "capacity")
	m.maxDepth = 5
	m.router = faas.New(faas.WithCapacity(m.capacity), faas.WithMaxDepth(m.maxDepth), faas.WithMeter(&m.recorder),
		faas.WithLogger(slog.New(slog.DiscardHandler)))
	t.Cleanup(m.letGo)
	for rank := range maxRank + 1 {
		m.register(t, rank)
	}
	return m
}

// letGo ends what a failure has left, so that the bubble can end.
func (m *machine) letGo() {
	for _, a := range m.actors {
		a.cancel()
		select {
		case a.told <- func() (int, error) { return 1, nil }:
		default: // has been told
		}
	}
	if m.giveUp != nil {
		m.giveUp()
	}
	_ = m.router.Close()
	synctest.Wait()
}

func (m *machine) register(t *rapid.T, rank int) {
	fn := &twinFunction{
		rank: rank, timeout: 1e6 * time.Hour, queueTimeout: aging,
		limit:    rapid.IntRange(1, 3).Draw(t, "limit"),
		queue:    rapid.SampledFrom([]int{0, 1, 3, 10}).Draw(t, "queue"),
		budget:   rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "runaways"),
		rejected: map[faas.Reason]uint64{},
	}
	if rank >= leafRank {
		fn.timeout = 3 * aging
	}
	f, err := faas.TryRegister(m.router, nameOf(rank), act,
		faas.WithConcurrency(fn.limit), faas.WithQueue(fn.queue), faas.WithRunaways(fn.budget),
		faas.WithTimeout(fn.timeout), faas.WithQueueTimeout(fn.queueTimeout))
	if m.draining {
		require.ErrorIs(t, err, faas.ErrClosed)
		return
	}
	require.NoError(t, err)
	m.turns++
	fn.turn = m.turns
	m.functions = append(m.functions, fn)
	m.handles[fn] = f
}

func nameOf(rank int) string { return fmt.Sprintf("f%d", rank) }

// registered is the function of that rank, or nil.
func (m *machine) registered(rank int) *twinFunction {
	for _, fn := range m.functions {
		if fn.rank == rank && !fn.removed {
			return fn
		}
	}
	return nil
}

// draw picks a call of which ok holds.
func (m *machine) draw(t *rapid.T, ok func(*twinCall) bool) *twinCall {
	var ks []*twinCall
	for _, k := range m.calls {
		if ok(k) {
			ks = append(ks, k)
		}
	}
	if len(ks) == 0 {
		t.Skip("no such call")
	}
	return ks[rapid.IntRange(0, len(ks)-1).Draw(t, "call")]
}

// begin makes a call of a function that maker may call (nil: a root call). That may be a
// removed function: handles outlive it.
func (m *machine) begin(t *rapid.T, maker *twinCall) {
	var fns []*twinFunction
	for _, fn := range m.functions {
		if maker == nil || fn == maker.fn || fn.rank > maker.fn.rank || fn.rank == maker.fn.rank && !fn.removed {
			fns = append(fns, fn)
		}
	}
	fn := fns[len(fns)-1-min(len(fns)-1, rapid.IntRange(0, 5).Draw(t, "function"))]
	patience := never
	if fn.rank >= leafRank && rapid.IntRange(0, 3).Draw(t, "impatient") == 0 {
		patience = aging + aging/2
	}
	m.tick()
	a := &actor{heeds: rapid.Bool().Draw(t, "heeds"), told: make(chan func() (int, error), 1)}
	k := m.invoke(fn, maker, a.heeds, patience)
	m.actors[k] = a
	ctx := m.ctx
	if maker != nil {
		ctx = m.actors[maker].seen().ctx
	}
	a.call(ctx, m.handles[fn], patience)
}

func (a *actor) call(ctx context.Context, f *faas.Function[*actor, int], patience time.Duration) {
	ctx, a.cancel = context.WithCancel(ctx)
	stop := context.CancelFunc(func() {})
	if patience != never {
		ctx, stop = context.WithTimeout(ctx, patience)
	}
	go func() {
		defer stop()
		_, err := f.Invoke(ctx, a)
		a.note(func() { a.err, a.answered = err, true })
	}()
}

// tick sets the actions apart in time, so that deadlines are.
func (m *machine) tick() {
	m.elapse(time.Millisecond)
}

// elapse lets time pass, but never to where the order of two events is open.
func (m *machine) elapse(d time.Duration) {
	if open := m.undecided(); open <= d {
		d = open - 1
	}
	if d > 0 {
		m.pass(d)
		time.Sleep(d)
		synctest.Wait()
	}
}

// The actions. Each is as likely as its methods are many.

func (m *machine) Root(t *rapid.T)      { m.begin(t, nil) }
func (m *machine) RootAgain(t *rapid.T) { m.begin(t, nil) }
func (m *machine) RootOnce(t *rapid.T)  { m.begin(t, nil) }

func (m *machine) Nest(t *rapid.T) {
	m.begin(t, m.draw(t, func(k *twinCall) bool { return k.phase == runs && k.fn.rank < leafRank }))
}
func (m *machine) NestAgain(t *rapid.T) { m.Nest(t) }

// NestLate makes a call from a handler after its own call is over.
func (m *machine) NestLate(t *rapid.T) {
	m.begin(t, m.draw(t, func(k *twinCall) bool { return k.phase == runsOn }))
}

var errOwn = errors.New("the handler's own")

// Finish tells a handler to end, in one of the ways that there are.
func (m *machine) Finish(t *rapid.T) {
	k := m.draw(t, func(k *twinCall) bool { return (k.phase == runs || k.phase == runsOn) && !m.busy(k) })
	m.tick()
	if k.phase == isOver || m.busy(k) {
		t.Skip("time was faster")
	}
	m.end(k, rapid.IntRange(0, 3).Draw(t, "how"))
}
func (m *machine) FinishAgain(t *rapid.T) { m.Finish(t) }

func (m *machine) end(k *twinCall, how int) {
	ends := []func() (int, error){
		func() (int, error) { return 1, nil },
		func() (int, error) { return 1, errOwn },
		func() (int, error) { panic("boom") },
		func() (int, error) { runtime.Goexit(); return 1, nil },
	}
	m.finish(k, []faas.Outcome{faas.OK, faas.Failed, faas.Panicked, faas.Exited}[how])
	m.actors[k].told <- ends[how]
}

func (m *machine) Cancel(t *rapid.T) {
	k := m.draw(t, func(k *twinCall) bool { return (k.phase == waits || k.phase == runs) && !m.busy(k) })
	m.leave(k)
	m.actors[k].cancel()
}

func (m *machine) Pass(t *rapid.T) {
	m.elapse(time.Duration(rapid.IntRange(1, 50).Draw(t, "seconds")) * time.Second)
}
func (m *machine) PassAgain(t *rapid.T) { m.Pass(t) }

func (m *machine) Resize(t *rapid.T) {
	fn := m.registered(rapid.IntRange(0, maxRank).Draw(t, "rank"))
	if fn == nil {
		t.Skip("not registered")
	}
	fn.limit = rapid.IntRange(1, 4).Draw(t, "limit")
	m.serve(nil, nil)
	m.refuseStuck()
	require.NoError(t, m.router.SetConcurrency(nameOf(fn.rank), fn.limit))
}

func (m *machine) ResizeRouter(t *rapid.T) {
	m.capacity = rapid.IntRange(1, 6).Draw(t, "capacity")
	m.serve(nil, nil)
	m.refuseStuck()
	require.NoError(t, m.router.SetCapacity(m.capacity))
}

func (m *machine) Replace(t *rapid.T) {
	rank := rapid.IntRange(0, maxRank).Draw(t, "rank")
	if fn := m.registered(rank); fn != nil {
		fn.removed = true
		require.NoError(t, m.router.Remove(nameOf(rank)))
		return
	}
	require.ErrorIs(t, m.router.Remove(nameOf(rank)), faas.ErrNotFound)
	m.register(t, rank)
}

// Stop is rare, for little happens afterwards.
func (m *machine) Stop(t *rapid.T) {
	switch rapid.IntRange(0, 30).Draw(t, "how") {
	case 0:
		m.close()
		require.NoError(t, m.router.Close())
	case 1, 2, 3:
		m.shutdown()
	case 4, 5, 6:
		if m.stopped == nil {
			t.Skip("not asked to")
		}
		m.giveUp()
		m.impatient = true
		m.close()
	default:
		t.Skip("not now")
	}
}

func (m *machine) shutdown() {
	if m.stopped != nil {
		return
	}
	m.draining, m.stopped = true, make(chan error, 1)
	var ctx context.Context
	ctx, m.giveUp = context.WithCancel(m.ctx)
	go func() { m.stopped <- m.router.Shutdown(ctx) }()
}

// Check compares, once nothing moves any more.
func (m *machine) Check(t *rapid.T) {
	synctest.Wait()
	if m.draining && m.quiet() {
		m.closed = true
	}
	for i, k := range m.calls {
		require.Equal(t, k.describe(), m.actors[k].seen().describe(), "call %d, of %s", i, nameOf(k.fn.rank))
	}
	for _, fn := range m.functions {
		m.compareInfo(t, fn)
	}
	m.compareStats(t)
	if m.stopped != nil {
		require.Equal(t, m.quiet() || m.impatient, len(m.stopped) == 1, "Shutdown returns when all is over, or at its context's end")
	}
}

func (k *twinCall) describe() string {
	return map[phase]string{waits: "waits", runs: "runs", runsOn: k.answer + ", and runs", isOver: k.answer}[k.phase]
}

func (a trace) describe() string {
	switch {
	case !a.answered && !a.entered:
		return "waits"
	case !a.answered:
		return "runs"
	case a.entered && !a.left:
		return wordFor(a.err) + ", and runs"
	}
	return wordFor(a.err)
}

// wordFor is what a caller can tell from an answer: the reason of a refusal, or
// the outcome.
func wordFor(err error) string {
	var e *faas.Error
	var p *faas.PanicError
	switch {
	case err == nil:
		return faas.OK.String()
	case !errors.As(err, &e):
		return faas.Failed.String()
	case e.Reason != "":
		return string(e.Reason)
	case errors.As(err, &p):
		return faas.Panicked.String()
	case errors.Is(err, faas.ErrExited):
		return faas.Exited.String()
	case errors.Is(err, faas.ErrTimeout):
		return faas.TimedOut.String()
	case errors.Is(err, faas.ErrOutput):
		return faas.OutputInvalid.String()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, faas.ErrClosed):
		return faas.Canceled.String()
	}
	return err.Error()
}

// admitted is how many calls of fn (nil: of all) were let in.
func (m *machine) admitted(fn *twinFunction) (n uint64) {
	for k, a := range m.actors {
		if a.seen().entered && (fn == nil || k.fn == fn) {
			n++
		}
	}
	return n
}

func (m *machine) compareInfo(t *rapid.T, fn *twinFunction) {
	i := m.handles[fn].Info()
	require.Equal(t,
		fmt.Sprint(m.count(fn, runs), m.count(fn, waits), m.count(fn, runsOn), fn.limit, m.admitted(fn)),
		fmt.Sprint(i.InFlight, i.Queued, i.Runaways, i.Limit, i.Admitted),
		"%s: in flight, queued, runaways, limit, admitted", i.Name)
	if len(fn.rejected)+len(i.Rejected) > 0 && !fn.removed { // then only the router's sum counts
		require.Equal(t, fn.rejected, i.Rejected)
	}
}

func (m *machine) compareStats(t *rapid.T) {
	s := m.router.Stats()
	require.Equal(t,
		fmt.Sprint(m.count(nil, runs), m.count(nil, waits), m.count(nil, runsOn), m.capacity, m.admitted(nil)),
		fmt.Sprint(s.InFlight, s.Queued, s.Runaways, s.Capacity, s.Admitted),
		"router: in flight, queued, runaways, capacity, admitted")
	rejected := maps.Clone(m.unknown)
	for _, fn := range m.functions {
		for why, n := range fn.rejected {
			rejected[why] += n
		}
	}
	require.Equal(t, rejected, s.Rejected)
}

// windUp ends all calls, those that others were made by last, and asserts that
// each that was admitted has its one record.
func (m *machine) windUp(t *rapid.T) {
	for !m.quiet() {
		for _, k := range slices.Backward(m.calls) {
			if (k.phase == runs || k.phase == runsOn) && !m.busy(k) {
				m.end(k, 0)
				m.Check(t)
			}
		}
		for _, k := range m.calls {
			if k.phase == waits && m.count(nil, runs)+m.count(nil, runsOn) == 0 {
				require.Fail(t, "waits for nobody")
			}
		}
	}
	m.close()
	require.NoError(t, m.router.Close())
	m.Check(t)
	m.compareRecords(t)
}

func (m *machine) compareRecords(t *rapid.T) {
	should, are := map[uuid.UUID]string{}, map[uuid.UUID]string{}
	for k, a := range m.actors {
		if a := a.seen(); a.entered {
			should[a.id] = k.answer
		}
	}
	for _, e := range m.recorder.all() {
		require.NotContains(t, are, e.ID, "a second record")
		are[e.ID] = e.Outcome.String()
	}
	require.Equal(t, should, are, "records")
}

func TestH01_ARouterBehavesLikeItsModel(t *testing.T) {
	t.Parallel()
	rounds := 10
	if soak() {
		rounds = 100
	}
	for i := range rounds { // of 100 checks each, unless a flag says otherwise
		t.Run(fmt.Sprintf("round %d", i), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, behave) })
		})
	}
}

// behave is one sequence, of some 60 steps.
func behave(t *rapid.T) {
	m := newMachine(t)
	for range 2 {
		t.Repeat(rapid.StateMachineActions(m))
	}
	m.windUp(t)
}

// mill is a router under a mixture of faults, and what it counts of them.
type mill struct {
	*faas.Router
	calls atomic.Int64

	mu      sync.Mutex        // guards what follows
	timed   map[uuid.UUID]int // the calls of handlers that have a stopwatch, by their number
	timings map[int]timing
	ids     map[uuid.UUID]bool
	records int
	used    time.Duration             // by all calls, and after their records
	answers map[string]map[string]int // by fault

	ledger *cost.Ledger
	bills  []*bill // of all records, by each of its price lists
}

// timing is one call by three clocks, each of which runs while the one before does.
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

// timedByCaller calls it, with a stopwatch too.
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

// burn keeps a processor busy, and returns for how long it did.
func burn(d time.Duration) time.Duration {
	began := time.Now()
	for time.Since(began) < d {
	}
	return time.Since(began)
}

// A round of calls begins with each of these faults, and what they are
// answered; the rest of it is fine.
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

// grind makes one call, and counts what it was answered.
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

// provoke calls the function of a fault's name, or does what callers do wrong.
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

// run makes calls on as many goroutines as there are processors, so that none
// waits for one while it is being timed.
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
			continue // too early even for its handler, on a slow machine
		}
		assert.Equal(t, map[string]int{fault.answer: int(m.calls.Load()) / round}, m.answers[fault.name], fault.name)
	}
	m.checkBill(t)
}

// checkBill asserts that what was recorded, what the ledger has and what is on
// a statement by any price list are the same, to the last digit of the money.
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

// checkTimings asserts that what is recorded lies between what the handler and
// what the caller measured; and, where nothing else is at work beside the test, that
// it is what handlers measure, to a hundredth. One call in twenty may be further off:
// between the two clocks the system may have put the thread to sleep, which is
// billed, and is no fault of the router's.
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

// table tells what each fault was answered.
func (m *mill) table() string {
	var b strings.Builder
	for _, fault := range slices.Sorted(maps.Keys(m.answers)) {
		for word, n := range m.answers[fault] {
			fmt.Fprintf(&b, "%-10s %-15s %d\n", fault, word, n)
		}
	}
	return b.String()
}
