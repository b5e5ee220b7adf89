package faas_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
)

// H. The system as a whole.

// soak reports whether the long runs are wanted.
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
	stopped  chan error // gets the result of Shutdown; nil: Shutdown was not called
	giveUp   context.CancelFunc

	impatient bool // Shutdown's context has ended
}

// actor is one call of the router: its caller, and its handler, which ends
// when the machine decides.
type actor struct {
	heeds  bool
	told   chan func() (int, error)
	cancel context.CancelFunc

	mu sync.Mutex // guards trace
	trace
}

// trace is what the caller and the handler of a call have recorded.
type trace struct {
	ctx      context.Context // the handler's context
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

// letGo ends the goroutines that are left after a failure, so that the bubble can end.
func (m *machine) letGo() {
	for _, a := range m.actors {
		a.cancel()
		select {
		case a.told <- func() (int, error) { return 1, nil }:
		default: // the handler has been ended before
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

// registered returns the function of that rank, or nil.
func (m *machine) registered(rank int) *twinFunction {
	for _, fn := range m.functions {
		if fn.rank == rank && !fn.removed {
			return fn
		}
	}
	return nil
}

// draw picks a call for which ok returns true.
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

// begin makes a call of a function. The call maker makes it; if maker is nil, it is a root call. The
// function may have been removed, since handles can still be used after a removal.
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

// tick lets a little time pass, so that no two actions, and no two deadlines, are at the same time.
func (m *machine) tick() {
	m.elapse(time.Millisecond)
}

// elapse lets time pass, but never to a moment at which the order of two events is undefined.
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

// The actions. rapid picks a method at random, so that an action with more methods is more likely.

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

// Finish makes a handler end, in one of the possible ways.
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

// Stop is rare, because little happens after it.
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

// Check compares the router with the twin, once all goroutines are blocked.
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

// wordFor returns what a caller learns from an answer: the reason of a refusal, or
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

// admitted returns how many calls of fn were admitted; if fn is nil, of all functions.
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
	if len(fn.rejected)+len(i.Rejected) > 0 && !fn.removed { // after a removal only the router's sum has the counts
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

// windUp ends all calls, nested calls first, and asserts that
// each call that was admitted has exactly one record.
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

// behave runs one sequence, of some 60 steps.
func behave(t *rapid.T) {
	m := newMachine(t)
	for range 2 {
		t.Repeat(rapid.StateMachineActions(m))
	}
	m.windUp(t)
}
