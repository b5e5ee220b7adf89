package faas_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// A soak mixes everything that a host does: functions with and without instances, inline,
// streaming and nested calls, recursion through several functions, tenants, weights, reservations and
// priorities, full queues, callers with contexts that break the rules, resizes, removals, new
// registrations, and the end of routers, early and late, from outside and from hooks. All of
// this is chosen at random. At the end the counts of the router, the meters and the callers must agree.

// soakCalls returns how many calls are made in total.
func soakCalls() int64 {
	if soak() {
		return 1_000_000
	}
	return 8_000
}

// soakHost is one running router, and what its callers have counted.
type soakHost struct {
	*faas.Router

	estate   estate
	buffer   *faas.BufferedMeter
	records  atomic.Uint64 // records that the meters got
	late     atomic.Uint64 // records that came through the buffer
	overruns atomic.Uint64
	refused  sync.Map // faas.Reason → *atomic.Uint64, from the callers' answers
	made     atomic.Uint64
	lost     atomic.Uint64 // callers whose goroutine was ended
	strays   sync.WaitGroup

	recursed  atomic.Uint64 // calls of a function below a call of another function, below a call of the first
	displaced atomic.Uint64 // callers that were displaced from a full queue

	peer       *soakHost    // a router beside this one
	closer     atomic.Int32 // the soakHook that has to close a router
	hookClosed [soakHooks]atomic.Uint64
	closed     chan struct{} // closed when a hook has closed the router
}

// soakHook is a hook that may call Close.
type soakHook int32

const (
	noHook soakHook = iota
	meterHook
	gateHook
	refusalHook
	soakHooks
)

// reached closes this router or its peer, if that is the task of hook h. The hook itself calls
// it; only the first call closes.
func (s *soakHost) reached(h soakHook) {
	if !s.closer.CompareAndSwap(int32(h), int32(noHook)) {
		return
	}
	r := s.Router
	if rand.IntN(2) == 0 {
		r = s.peer.Router
	}
	_ = r.Close()
	s.hookClosed[h].Add(1)
	close(s.closed)
}

func (s *soakHost) Record(context.Context, faas.Execution) {
	s.records.Add(1)
	s.reached(meterHook)
}

func (s *soakHost) RecordOverrun(context.Context, faas.Overrun) { s.overruns.Add(1) }

func (s *soakHost) Admit(context.Context, faas.Invocation) error { s.reached(gateHook); return nil }
func (s *soakHost) Done(faas.Invocation, *faas.Execution)        {}
func (s *soakHost) refuse(context.Context, faas.Refusal)         { s.reached(refusalHook) }

func newSoakHost() *soakHost {
	s := &soakHost{closed: make(chan struct{})}
	s.estate.init = func(_ context.Context, nth int) error {
		switch nth % 13 {
		case 5:
			return io.ErrUnexpectedEOF
		case 7:
			panic("init")
		case 11:
			runtime.Goexit()
		}
		return nil
	}
	s.buffer = faas.Buffered(faas.MeterFunc(func(context.Context, faas.Execution) { s.late.Add(1) }), 256)
	s.Router = faas.New(faas.WithLogger(slog.New(slog.DiscardHandler)), faas.WithMeter(s), faas.WithMeter(s.buffer),
		faas.WithCapacity(24), faas.WithQueue(16), faas.WithQueueTimeout(20*time.Millisecond), faas.WithTimeout(50*time.Millisecond),
		faas.WithMaxDepth(4), faas.WithRefusals(s.refuse))
	for name := range s.kinds() {
		s.register(name)
	}
	return s
}

// kinds returns the functions by their names. Each may be removed and registered again.
func (s *soakHost) kinds() map[string]func(name string) error {
	plain := func(opts ...faas.FunctionOption) func(string) error {
		return func(name string) error { _, err := faas.TryRegister(s.Router, name, s.serve, opts...); return err }
	}
	pooled := func(opts ...faas.FunctionOption) func(string) error {
		return func(name string) error {
			_, err := faas.TryRegisterInit(s.Router, name, s.estate.build, opts...)
			return err
		}
	}
	return map[string]func(string) error{
		"plain":   plain(),
		"heavy":   plain(faas.WithWeight(5), faas.WithConcurrency(6)),
		"floor":   plain(faas.WithReserved(2), faas.WithConcurrency(4)),
		"fair":    plain(faas.WithTenantConcurrency(2)),
		"inline":  plain(faas.WithInline()),
		"copied":  plain(faas.WithCopy()),
		"replace": plain(faas.WithRunaways(2), faas.WithConcurrency(3)),
		"scaled":  plain(faas.WithScaler(faas.ConcurrencyScaler{}), faas.WithMaxInstances(4)),
		"one":     pooled(faas.WithMinInstances(1)),
		"many":    pooled(faas.WithMinInstances(3), faas.WithInstanceConcurrency(2), faas.WithMaxInstances(5)),
		"lazy":    pooled(faas.WithKeepAlive(time.Millisecond)),
		"gated":   plain(faas.WithGate(s)),
		"ping":    s.ring("pong"),
		"pong":    s.ring("ping"),
		"full": func(name string) error {
			_, err := faas.TryRegister(s.Router, name, s.crawl, faas.WithConcurrency(1), faas.WithQueue(2))
			return err
		},
		"stream": func(name string) error {
			_, err := faas.TryRegisterStream(s.Router, name, s.stream)
			return err
		},
	}
}

// ring registers a function that calls next, which calls it again. Both have limits of 1, for the function
// and for each tenant.
func (s *soakHost) ring(next string) func(string) error {
	return func(name string) error {
		_, err := faas.TryRegister(s.Router, name, func(ctx context.Context, n int) (int, error) {
			inv, _ := faas.FromContext(ctx)
			if n == 3 || inv.Depth == 3 {
				return n, nil
			}
			ctx, done := s.dress(ctx)
			defer done()
			if s.invoke(ctx, next, n+1) == nil && n == 1 {
				s.recursed.Add(1) // name → next → name has returned
			}
			return n, nil
		}, faas.WithConcurrency(1), faas.WithTenantConcurrency(1))
		return err
	}
}

// crawl takes long enough for a queue to fill up.
func (s *soakHost) crawl(_ context.Context, n int) (int, error) {
	time.Sleep(500 * time.Microsecond)
	return n, nil
}

func (s *soakHost) register(name string) {
	err := s.kinds()[name](name)
	if !errors.Is(err, faas.ErrDuplicate) && !errors.Is(err, faas.ErrClosed) && !errors.Is(err, faas.ErrInit) && !errors.Is(err, faas.ErrNotFound) && err != nil {
		panic(err)
	}
}

// serve does one of the things that handlers do in practice.
func (s *soakHost) serve(ctx context.Context, in int) (int, error) {
	switch rand.IntN(60) {
	case 0:
		panic("handler")
	case 1:
		return 0, io.ErrUnexpectedEOF
	case 2:
		<-ctx.Done()
		return 0, ctx.Err()
	case 3:
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // ignores its context
	case 4, 5, 6, 7, 8, 9:
		_ = s.call(ctx)
	case 10, 11:
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _ = s.call(ctx) })
		}
		wg.Wait()
	case 12:
		s.strays.Go(func() { _ = s.call(ctx) }) // a call that its parent does not wait for
	}
	return in, nil
}

func (s *soakHost) stream(ctx context.Context, in int, w io.Writer) error {
	for range rand.IntN(4) {
		if _, err := fmt.Fprint(w, in); err != nil {
			return err
		}
	}
	_, err := s.serve(ctx, in)
	return err
}

// call calls a random function in a random way, and counts the answer.
func (s *soakHost) call(ctx context.Context) error {
	ctx, done := s.dress(ctx)
	defer done()
	return s.invoke(ctx, s.any(), 1)
}

func (s *soakHost) invoke(ctx context.Context, name string, n int) error {
	s.made.Add(1)
	answered := false
	defer func() { // an inline handler may end the goroutine
		if !answered {
			s.lost.Add(1)
		}
	}()
	var err error
	switch body := []byte(strconv.Itoa(n)); rand.IntN(4) {
	case 0:
		err = s.InvokeStream(ctx, name, body, io.Discard)
	default:
		_, err = s.Invoke(ctx, name, body)
	}
	answered = true
	s.answered(err)
	return err
}

func (s *soakHost) any() string {
	names := [...]string{
		"plain", "heavy", "floor", "fair", "inline", "copied", "replace", "scaled", "one", "many", "lazy", "stream",
		"gated", "ping", "pong", "full", "full", "full",
	}
	return names[rand.IntN(len(names))]
}

// answered counts a refusal by the reason in the caller's answer. A refusal of a nested call that a
// handler passes on is not a refusal of the call itself; here no handler does that.
func (s *soakHost) answered(err error) {
	var refusal *faas.Error
	if errors.As(err, &refusal) && refusal.Reason != "" {
		n, _ := s.refused.LoadOrStore(refusal.Reason, new(atomic.Uint64))
		n.(*atomic.Uint64).Add(1)
		if strings.Contains(refusal.Error(), "displaced from the full queue") {
			s.displaced.Add(1)
		}
	}
}

// dress gives a call a tenant, a priority and one of several kinds of contexts.
func (s *soakHost) dress(ctx context.Context) (context.Context, func()) {
	done := func() {}
	switch rand.IntN(16) {
	case 0:
		ctx, done = context.WithTimeout(ctx, time.Duration(rand.IntN(3000))*time.Microsecond)
	case 1:
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		timer := time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { cancel(io.ErrClosedPipe) })
		done = func() { timer.Stop(); cancel(nil) }
	case 2:
		ctx = soakDeadline{ctx, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	case 3:
		ctx, done = context.WithDeadline(ctx, time.Now().Add(-time.Hour))
	case 4:
		ctx = soakDeadline{ctx, time.Time{}}
	case 5:
		m := soakMute{ctx, make(chan struct{})}
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { close(m.done) })
		ctx = m
	}
	switch rand.IntN(3) {
	case 0:
		ctx = faas.WithTenant(ctx, fmt.Sprint("tenant", rand.IntN(5)))
	case 1:
		ctx = faas.WithPriority(faas.WithTenant(ctx, "acme"), rand.IntN(3))
	}
	return ctx, done
}

// soakDeadline is a context with a deadline that no clock can represent.
type soakDeadline struct {
	context.Context

	at time.Time
}

func (d soakDeadline) Deadline() (time.Time, bool) { return d.at, true }

// soakMute is a context whose Done closes while its Err stays nil.
type soakMute struct {
	context.Context

	done chan struct{}
}

func (m soakMute) Done() <-chan struct{} { return m.done }
func (soakMute) Err() error              { return nil }

// shake changes the router while calls run.
func (s *soakHost) shake() {
	name := s.any()
	switch rand.IntN(6) {
	case 0:
		_ = s.Remove(name)
		runtime.Gosched()
		s.register(name)
	case 1:
		_ = s.SetConcurrency(name, rand.IntN(6))
	case 2:
		_ = s.SetCapacity(8 + rand.IntN(24))
	case 3:
		_ = s.SetConcurrency(name, 20)
	case 4:
		_ = s.buffer.Flush(context.Background())
	case 5:
		_, _ = s.Info(name)
		_ = s.Stats()
	}
}

// run makes n calls, which make nested calls, and ends the router before the last call. There are
// six ways: a hook closes the router or its peer, Close, or Shutdown.
func (s *soakHost) run(t *testing.T, n int64, way int) {
	t.Helper()
	var left atomic.Int64
	left.Store(n)
	nearly, called, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var callers, wg sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				if i == n/10 {
					close(nearly)
				}
				_ = s.call(context.Background())
			}
		})
	}
	wg.Go(func() { callers.Wait(); close(called) })
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					s.shake()
				}
			}
		})
	}
	<-nearly // so that some calls find the router closing
	switch way %= 6; way {
	case 0, 1, 2:
		s.closer.Store(int32(meterHook) + int32(way))
		select {
		case <-s.closed:
		case <-called: // the peer has closed this router before the hook was reached
		}
	case 3:
		require.NoError(t, s.Close())
	case 4:
		short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		_ = s.Shutdown(short)
		cancel()
	}
	s.closer.Store(int32(noHook))
	require.NoError(t, s.Shutdown(context.Background())) // in way 5, only this ends the router
	s.estate.settled(t)
	close(ended)
	wg.Wait()
	s.strays.Wait()
	s.balance(t)
}

// balance compares the counts of the router, its meters and its callers.
func (s *soakHost) balance(t *testing.T) {
	t.Helper()
	stats := s.Stats()
	assert.Equal(t, s.made.Load(), stats.Admitted+refusals(stats), "calls made, admitted + refused")
	assert.Equal(t, stats.Admitted, s.records.Load(), "admitted, recorded")
	assert.Equal(t, stats.Admitted, s.late.Load(), "admitted, delivered by the buffer")
	assert.Zero(t, s.buffer.Len())
	assert.Zero(t, [3]int{stats.InFlight, stats.Queued, stats.Runaways}, "in flight, queued, runaways")
	assert.Zero(t, s.lost.Load(), "callers without an answer")
	told := map[faas.Reason]uint64{}
	s.refused.Range(func(why, n any) bool {
		told[why.(faas.Reason)] = n.(*atomic.Uint64).Load()
		return true
	})
	assert.Equal(t, stats.Rejected, told, "refusals counted, and told")
	s.estate.settled(t)
}

func TestTheBooksBalanceAfterASoak(t *testing.T) {
	t.Parallel()
	total, each := soakCalls(), int64(1_000)
	if total > 100_000 {
		each = 25_000
	}
	var made int64
	var recursed, displaced uint64
	var byHook [soakHooks]uint64
	for way := 0; (made < total || way < 6) && !t.Failed(); way += 2 {
		pair := [2]*soakHost{newSoakHost(), newSoakHost()}
		pair[0].peer, pair[1].peer = pair[1], pair[0]
		t.Run("", func(t *testing.T) {
			for i, s := range pair {
				t.Run("", func(t *testing.T) { t.Parallel(); s.run(t, each, way+i) })
			}
		})
		for _, s := range pair {
			made += int64(s.made.Load())
			recursed += s.recursed.Load()
			displaced += s.displaced.Load()
			for h := range byHook {
				byHook[h] += s.hookClosed[h].Load()
			}
		}
	}
	t.Logf("%d calls, %d returned from recursion, %d displaced, %d closes by meters, %d by gates, %d by refusals",
		made, recursed, displaced, byHook[meterHook], byHook[gateHook], byHook[refusalHook])
	assert.NotZero(t, recursed)
	assert.NotZero(t, displaced)
	assert.NotZero(t, byHook[meterHook]+byHook[gateHook]+byHook[refusalHook])
}
