package faas_test

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/logtest"
)

// Every case of the fault suite runs on a host of its own. The host is small, so that a
// lost slot has an effect. It keeps the calls, the answers and the records, so that they can be
// compared afterwards.
const (
	slots = 2
	queue = 4
	roomy = 1000
)

// host is a router with the meters and logs that are used to check a case.
type host struct {
	*faas.Router
	recorder
	seen    *observer
	alias   string // the functions of the case are called by this alias; empty: by their names alone
	log     logtest.Text
	began   time.Time
	healthy *faas.Function[int, int]
	probes  []probe
	probing atomic.Pointer[barrier]
	wait    func(cond func() bool) // waits until cond is true, or can't become true any more

	mu      sync.Mutex // guards answers
	answers []answer
}

// answer is the result that one caller got.
type answer struct {
	err  error
	lost bool // the caller's goroutine was ended, so it got no answer
	zero bool // the output was the zero value
}

// probe calls a function of the case when the case is over.
type probe struct {
	name string
	call func(ctx context.Context) error
}

// eachName runs a case twice: its functions are called once by their names, and once by an alias of
// a published version. The case must hold for both.
func eachName(t *testing.T, run func(t *testing.T, alias string)) {
	t.Helper()
	t.Run("by name", func(t *testing.T) { run(t, "") })
	t.Run("by alias", func(t *testing.T) { run(t, "live") })
}

// fault runs a case in bubbles. After it, fault checks what must hold after every case.
func fault(t *testing.T, run func(t *testing.T, h *host), opts ...faas.RouterOption) {
	t.Helper()
	eachName(t, func(t *testing.T, alias string) { faultBy(t, alias, run, opts...) })
}

// faultBy is fault for one kind of name.
func faultBy(t *testing.T, alias string, run func(t *testing.T, h *host), opts ...faas.RouterOption) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(opts...)
		h.alias = alias
		h.wait = func(func() bool) { synctest.Wait() }
		defer h.giveUp(t)
		run(t, h)
		h.check(t)
	})
}

// giveUp waits after a failure until all sleeping goroutines have ended. A bubble that ends
// before them panics, and the panic would hide the failure.
func (h *host) giveUp(t *testing.T) {
	t.Helper()
	if t.Failed() {
		_ = h.Close()
		time.Sleep(24 * time.Hour)
	}
}

// eachWay runs a case twice: with handlers on workers, and with inline handlers. The case must hold for both.
func eachWay(t *testing.T, run func(t *testing.T, h *host)) {
	t.Helper()
	t.Run("on a worker", func(t *testing.T) { t.Parallel(); fault(t, run) })
	t.Run("inline", func(t *testing.T) { t.Parallel(); fault(t, run, faas.WithInline()) })
}

// realFault runs a case in real time. It is for what a bubble can't run: endless loops, blocked threads.
func realFault(t *testing.T, run func(t *testing.T, h *host), opts ...faas.RouterOption) {
	t.Helper()
	eachName(t, func(t *testing.T, alias string) {
		h := newHost(opts...)
		h.alias = alias
		h.wait = spin
		run(t, h)
		h.check(t)
	})
}

// spin waits for an event that has no channel, in real time.
func spin(cond func() bool) {
	for began := time.Now(); !cond() && time.Since(began) < 20*time.Second; {
		runtime.Gosched()
	}
}

func newHost(opts ...faas.RouterOption) *host {
	h := &host{began: time.Now(), seen: newObserver()}
	logger := slog.New(slog.NewTextHandler(&h.log, nil))
	all := []faas.RouterOption{
		faas.WithConcurrency(slots), faas.WithQueue(queue), faas.WithCapacity(roomy),
		faas.WithMeter(&h.recorder), faas.WithLogger(logger), h.seen.option(),
	}
	h.Router = faas.New(append(all, opts...)...)
	h.healthy = serve(h, "healthy", func(_ context.Context, in int) (int, error) { return in + 1, nil })
	return h
}

// named returns the name by which a function of the case is called.
func (h *host) named(name string) string {
	if h.alias == "" {
		return name
	}
	return name + ":" + h.alias
}

// versioned returns the options with which a function of the case is registered.
func (h *host) versioned(opts []faas.FunctionOption) []faas.FunctionOption {
	if h.alias == "" {
		return opts
	}
	return append(opts, faas.WithVersion(1))
}

// publish sets the case's alias for a function that was registered with the options of versioned.
func (h *host) publish(name string) {
	if h.alias == "" {
		return
	}
	if err := h.SetAlias(name, h.alias, faas.Weights{1: 1}); err != nil {
		panic(err)
	}
}

// remove removes a function of the case, and its alias.
func (h *host) remove(name string) error {
	if h.alias == "" {
		return h.Remove(name)
	}
	if err := h.RemoveAlias(name, h.alias); err != nil {
		return err
	}
	return h.Remove(h.version(name))
}

// version returns how messages name the version of a function of the case.
func (h *host) version(name string) string {
	if h.alias == "" {
		return name
	}
	return name + ":1"
}

// published registers a function, and returns the handle that the case calls it by.
func published[In, Out any](h *host, name string, handler faas.Handler[In, Out], opts ...faas.FunctionOption) *faas.Function[In, Out] {
	f := faas.Register(h.Router, name, handler, h.versioned(opts)...)
	if h.alias == "" {
		return f
	}
	h.publish(name)
	f, err := faas.Lookup[In, Out](h.Router, h.named(name))
	if err != nil {
		panic(err)
	}
	return f
}

// serve registers a function of the case. While the host is probed, another handler takes the
// place of this one, because then only the platform is tested.
func serve[In, Out any](h *host, name string, handler faas.Handler[In, Out], opts ...faas.FunctionOption) *faas.Function[In, Out] {
	f := published(h, name, func(ctx context.Context, in In) (out Out, err error) {
		if b := h.probing.Load(); b != nil {
			return out, b.meet(ctx)
		}
		return handler(ctx, in)
	}, opts...)
	h.probes = append(h.probes, probe{name, func(ctx context.Context) error {
		var in In
		_, err := call(ctx, h, f, in)
		return err
	}})
	return f
}

// call invokes f, and keeps the answer.
func call[In, Out any](ctx context.Context, h *host, f *faas.Function[In, Out], in In) (out Out, err error) {
	a := answer{lost: true}
	defer func() { h.answered(a) }()
	out, err = f.Invoke(ctx, in)
	a = answer{err: err, zero: reflect.ValueOf(&out).Elem().IsZero()}
	return out, err
}

// ask does what call does, by name and with a payload.
func ask(ctx context.Context, h *host, name, payload string) (string, error) {
	out, err := h.Invoke(ctx, h.named(name), []byte(payload))
	h.answered(answer{err: err, zero: out == nil})
	return string(out), err
}

// outcomeOf runs call on another goroutine, and returns a channel that gets its error.
func outcomeOf[In, Out any](ctx context.Context, h *host, f *faas.Function[In, Out], in In) <-chan error {
	c := make(chan error, 1)
	go func() {
		_, err := call(ctx, h, f, in)
		c <- err
	}()
	return c
}

func (h *host) answered(a answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers = append(h.answers, a)
}

// forget removes a function of the case from the probes, because it is no longer registered.
func (h *host) forget(name string) {
	for i, p := range h.probes {
		if p.name == name {
			h.probes = append(h.probes[:i:i], h.probes[i+1:]...)
			return
		}
	}
}

// check asserts what must hold after every case: the host still works, it has as many slots as
// before, its counts agree, and its gauges are zero. A bubble does not end while one of its
// goroutines is left, so no goroutine is left either.
func (h *host) check(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	h.wait(h.atRest)
	h.checkGauges(t)
	if !h.isClosed() {
		h.checkAlive(t)
		for _, p := range h.probes {
			h.checkSlots(t, p, slots, roomy)
			h.checkSlots(t, p, roomy, slots)
		}
		h.checkGauges(t)
	}
	assert.NoError(t, h.Close())
	assert.True(t, h.isClosed())
	h.wait(h.atRest)
	h.checkLedger(t)
	h.checkOverruns(t)
}

// isClosed reports whether a call is refused because the router is closed.
func (h *host) isClosed() bool {
	_, err := call(context.Background(), h, h.healthy, 0)
	return errors.Is(err, faas.ErrClosed)
}

func (h *host) atRest() bool {
	s := h.Stats()
	return s.InFlight == 0 && s.Queued == 0 && s.Runaways == 0
}

func (h *host) checkGauges(t *testing.T) {
	t.Helper()
	s := h.Stats()
	assert.Zero(t, s.InFlight, "calls in flight")
	assert.Zero(t, s.Queued, "calls queued")
	assert.Zero(t, s.Runaways, "runaways")
	for i := range h.Functions() {
		assert.Zero(t, [3]int{i.InFlight, i.Queued, i.Runaways}, "%s: in flight, queued, runaways", i.Name)
	}
}

func (h *host) checkAlive(t *testing.T) {
	t.Helper()
	began := time.Now()
	out, err := call(t.Context(), h, h.healthy, 41)
	assert.NoError(t, err)
	assert.Equal(t, 42, out)
	assert.Less(t, time.Since(began), 10*time.Second)
}

// checkSlots fills a function with calls that wait for each other. The number of slots is the limit
// of the function or of its router: exactly that many calls must run at once, and one more must wait.
func (h *host) checkSlots(t *testing.T, p probe, limit, capacity int) {
	t.Helper()
	assert.NoError(t, h.SetConcurrency(p.name, limit))
	assert.NoError(t, h.SetCapacity(capacity))
	b := &barrier{open: make(chan struct{})}
	h.probing.Store(b)
	defer h.probing.Store(nil)
	h.wait(h.atRest) // until a buffered meter of the case has delivered the records of earlier calls: a full one would refuse these
	done := make(chan error, slots+1)
	for range slots + 1 {
		go func() { done <- p.call(context.Background()) }()
	}
	h.wait(func() bool { return b.inside.Load() >= slots && h.Stats().Queued == 1 })
	assert.EqualValues(t, slots, b.inside.Load(), "%s runs so many at once, limit %d, capacity %d", p.name, limit, capacity)
	close(b.open)
	for range slots + 1 {
		assert.NoError(t, <-done, p.name)
	}
}

// barrier makes the probing calls wait for each other.
type barrier struct {
	inside atomic.Int32
	open   chan struct{}
}

func (b *barrier) meet(ctx context.Context) error {
	b.inside.Add(1)
	select {
	case <-b.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkLedger compares the callers' answers with the records.
func (h *host) checkLedger(t *testing.T) {
	t.Helper()
	records, s := h.all(), h.Stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	assert.Equal(t, s.Admitted, uint64(len(records)), "admitted, recorded")
	assert.Equal(t, s.Admitted+refusals(s), uint64(len(h.answers)), "admitted + refused, calls")
	ids := map[uuid.UUID]bool{}
	for _, e := range records {
		ids[e.ID] = true
		h.checkRecord(t, e)
	}
	assert.Len(t, ids, len(records), "ids are unique")
	h.seen.check(t, records, s)
	h.checkAnswers(t, records, s)
}

func refusals(s faas.Stats) (n uint64) {
	for _, k := range s.Rejected {
		n += k
	}
	return n
}

func (h *host) checkRecord(t *testing.T, e faas.Execution) {
	t.Helper()
	assert.EqualValues(t, 7, e.ID.Version())
	assert.GreaterOrEqual(t, e.Duration, time.Duration(0))
	assert.GreaterOrEqual(t, e.Queued, time.Duration(0))
	assert.False(t, e.Start.Before(h.began), "starts after the case: %v, %v", e.Start, h.began)
	assert.False(t, e.Start.Add(e.Duration).After(time.Now()), "ends before now")
	assert.LessOrEqual(t, e.Outcome, faas.InitFailed)
	assert.Equal(t, e.Outcome == faas.OK, e.Err == nil, "%v with error %T", e.Outcome, e.Err)
}

// checkAnswers removes each record's error from the answers, one for one. The answers that are
// left are refusals, and there must be as many as were counted. An error that a handler passes
// on from a nested call is in the answers twice. checkAnswers calls Error of none of them, because
// some of these errors panic or block.
func (h *host) checkAnswers(t *testing.T, records []faas.Execution, s faas.Stats) {
	t.Helper()
	left, oks, lost := map[any]int{}, 0, 0
	for _, a := range h.answers {
		switch {
		case a.lost:
			lost++
		case a.err == nil:
			oks++
		default:
			left[a.err]++
			assert.True(t, a.zero, "an output beside an error of type %T", a.err)
		}
	}
	for _, e := range records {
		switch {
		case e.Outcome == faas.OK:
			oks--
		case left[e.Err] > 0:
			left[e.Err]--
		case e.Outcome == faas.Exited:
			lost--
		default:
			assert.Fail(t, "no caller was answered what was recorded", "%s: %v, %T", e.Function, e.Outcome, e.Err)
		}
	}
	assert.Zero(t, oks, "answers without an error, less records that are OK")
	assert.Zero(t, lost, "callers without an answer, less records that are Exited")
	checkRefusals(t, left, s)
}

func checkRefusals(t *testing.T, left map[any]int, s faas.Stats) {
	t.Helper()
	counted := map[faas.Reason]uint64{}
	for err, n := range left {
		if n == 0 {
			continue
		}
		refusal, _ := err.(*faas.Error)
		if assert.NotNil(t, refusal, "an answer that was not recorded, %T", err) {
			assert.NotEmpty(t, refusal.Reason, "a refusal without a reason: %v", refusal)
			counted[refusal.Reason] += uint64(n)
		}
	}
	assert.Equal(t, s.Rejected, counted, "refusals by reason")
}

// checkOverruns asserts that each handler that continued after its call was recorded once as an
// overrun, and only such handlers.
func (h *host) checkOverruns(t *testing.T) {
	t.Helper()
	outcomes, seen := map[uuid.UUID]faas.Outcome{}, map[uuid.UUID]bool{}
	for _, e := range h.all() {
		outcomes[e.ID] = e.Outcome
	}
	for _, o := range h.overran() {
		assert.False(t, seen[o.ID], "a second overrun of one call")
		seen[o.ID] = true
		assert.Contains(t, []faas.Outcome{faas.TimedOut, faas.Canceled}, outcomes[o.ID])
		assert.Positive(t, o.Duration)
	}
}
