package faas_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// E. Hooks and wiring.

func TestE01_AMeterThatPanicsChangesNothingButACounter(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var after recorder
		bomb := faas.MeterFunc(func(context.Context, faas.Execution) { panic(&explosive{}) })
		f := serve(h, "f", func(_ context.Context, in int) (int, error) { return in * 2, nil },
			faas.WithMeter(bomb), faas.WithMeter(&after))
		for i := range 10 {
			out, err := call(t.Context(), h, f, i)
			require.NoError(t, err)
			assert.Equal(t, i*2, out)
		}

		assert.Len(t, h.all(), 10, "the meters before it")
		assert.Len(t, after.all(), 10, "and those after it")
		assert.EqualValues(t, 10, h.Stats().HookPanics)
		assert.Equal(t, 10, strings.Count(h.log.String(), "hook panicked"))
		assert.Contains(t, h.log.String(), "explosive")
		assert.EqualValues(t, 10, f.Info().Admitted)
	})
}

func TestE01_AMeterThatPanicsOnAnOverrunChangesNothing(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		var after recorder
		f := serve(h, "f", deafFor(time.Minute), faas.WithTimeout(time.Second),
			faas.WithMeter(faas.Meters(overrunBomb{}, &after)))

		_, err := call(t.Context(), h, f, 0)

		require.ErrorIs(t, err, faas.ErrTimeout)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.EqualValues(t, 2, h.Stats().HookPanics)
		assert.Len(t, after.all(), 1, "Meters serves those after it as well")
		assert.Len(t, after.overran(), 1)
	})
}

type overrunBomb struct{}

func (overrunBomb) Record(context.Context, faas.Execution)      { panic("record") }
func (overrunBomb) RecordOverrun(context.Context, faas.Overrun) { panic("overrun") }

// A hook may call Goexit on the worker's goroutine. The caller still gets its answer, and
// the next call finds a worker.
func TestE01_AMeterThatEndsItsGoroutineLeavesTheCallerItsAnswer(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		armed := true
		f := serve(h, "f", func(_ context.Context, in int) (int, error) { return in * 2, nil },
			faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) {
				if armed {
					runtime.Goexit()
				}
			})))
		for i := range 3 * slots {
			began := time.Now()

			out, err := call(t.Context(), h, f, i)

			require.NoError(t, err)
			assert.Equal(t, i*2, out)
			assert.Zero(t, time.Since(began))
		}
		armed = false
	})
}

// slowSink takes an hour for each record as long as its field says that it is slow.
type slowSink struct {
	recorder
	slow atomic.Bool
}

func (s *slowSink) Record(ctx context.Context, e faas.Execution) {
	if s.slow.Load() {
		time.Sleep(time.Hour)
	}
	s.recorder.Record(ctx, e)
}

func TestE02_BehindABufferASinkThatBlocksHoldsNoCallerAndLosesNoRecord(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		const room = 4
		var sink slowSink
		sink.slow.Store(true)
		buffer := faas.Buffered(&sink, room)
		entered := 0
		f := serve(h, "f", func(context.Context, int) (int, error) { entered++; return 1, nil }, faas.WithMeter(buffer))
		began := time.Now()
		for range room {
			_, err := call(t.Context(), h, f, 0)
			require.NoError(t, err)
		}

		_, err := call(t.Context(), h, f, 0)

		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonMeterFull)
		assert.Equal(t, room, entered, "nothing runs unmetered")
		assert.Zero(t, time.Since(began), "nobody has waited")
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		_, err = call(t.Context(), h, f, 0)
		assert.NoError(t, err, "one is delivered, and its room is free")
		sink.slow.Store(false)
		require.NoError(t, buffer.Flush(t.Context()))
		assert.Equal(t, h.recordsOf("f"), sink.all(), "each, once, and in order")
	})
}

func TestE02_ARefusalAfterTheReservationGivesTheRoomBack(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		const room = slots + queue
		buffer := faas.Buffered(&recorder{}, room)
		f := serve(h, "f", deafFor(time.Second), faas.WithMeter(buffer))
		var answers []<-chan error
		for range slots + queue {
			answers = append(answers, outcomeOf(t.Context(), h, f, 0))
		}
		synctest.Wait()
		assert.False(t, buffer.Reserve(), "all is taken")
		for range 100 {
			_, err := call(t.Context(), h, f, 0)
			assertRefused(t, err, faas.ErrOverloaded, faas.ReasonMeterFull)
		}
		for _, a := range answers {
			require.NoError(t, <-a)
		}
		require.NoError(t, buffer.Flush(t.Context()))
		for range room {
			assert.True(t, buffer.Reserve(), "all is free")
		}
		assert.False(t, buffer.Reserve())
		for range room {
			buffer.Unreserve()
		}
	})
}

func TestE02_AReserverThatPanicsRefusesTheCall(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var m faultyReserver
		entered := false
		f := serve(h, "f", func(context.Context, int) (int, error) { entered = true; return 1, nil }, faas.WithMeter(&m))
		m.faulty = true

		_, err := call(t.Context(), h, f, 0)

		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonMeterFull)
		assert.False(t, entered)
		assert.EqualValues(t, 1, h.Stats().HookPanics)
		m.faulty = false
	})
}

type faultyReserver struct {
	recorder
	faulty bool
}

func (r *faultyReserver) Reserve() bool {
	if r.faulty {
		panic("no room to think")
	}
	return true
}

func (r *faultyReserver) Unreserve() {}

// lock is a gate that counts its calls, and does what its case needs.
type lock struct {
	mu       sync.Mutex // guards the fields below
	admit    func(ctx context.Context) error
	admitted int
	done     []*faas.Execution
}

func (g *lock) Admit(ctx context.Context, _ faas.Invocation) error {
	g.mu.Lock()
	admit := g.admit
	g.mu.Unlock()
	if admit != nil {
		if err := admit(ctx); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.admitted++
	return nil
}

func (g *lock) Done(_ faas.Invocation, e *faas.Execution) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done = append(g.done, e)
}

func (g *lock) setAdmit(f func(ctx context.Context) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.admit = f
}

func (g *lock) doneWith() []*faas.Execution {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*faas.Execution(nil), g.done...)
}

// closedGate runs a case in which the second of three gates refuses the call by the func admit.
func closedGate(t *testing.T, admit func(context.Context) error, run func(t *testing.T, h *host, f *faas.Function[int, int])) {
	t.Helper()
	eachWay(t, func(t *testing.T, h *host) {
		var first, second, third lock
		entered := false
		f := serve(h, "f", func(context.Context, int) (int, error) { entered = true; return 1, nil },
			faas.WithGate(&first, &second, &third))
		second.setAdmit(admit)

		run(t, h, f)

		assert.False(t, entered)
		assert.Equal(t, []*faas.Execution{nil}, first.doneWith(), "said yes, and is told of the refusal")
		assert.Empty(t, second.doneWith())
		assert.Zero(t, third.admitted, "is not asked")
		assert.Empty(t, h.all())
		second.setAdmit(nil)
	})
}

func TestE05_AGateThatAnswersAnErrorFailsClosed(t *testing.T) {
	t.Parallel()
	no := func(context.Context) error { return errSentinel }
	closedGate(t, no, func(t *testing.T, h *host, f *faas.Function[int, int]) {
		_, err := call(t.Context(), h, f, 0)
		assertRefused(t, err, faas.ErrDenied, faas.ReasonDenied)
		assert.ErrorIs(t, err, errSentinel)
	})
}

func TestE05_AGateThatPanicsFailsClosed(t *testing.T) {
	t.Parallel()
	no := func(context.Context) error { panic(&explosive{}) }
	closedGate(t, no, func(t *testing.T, h *host, f *faas.Function[int, int]) {
		_, err := call(t.Context(), h, f, 0)
		assertRefused(t, err, faas.ErrDenied, faas.ReasonDenied)
		assert.EqualValues(t, 1, h.Stats().HookPanics)
	})
}

func TestE05_AGateThatBlocksFailsClosedWithItsCaller(t *testing.T) {
	t.Parallel()
	no := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	closedGate(t, no, func(t *testing.T, h *host, f *faas.Function[int, int]) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := call(ctx, h, f, 0)
		assertRefused(t, err, faas.ErrDenied, faas.ReasonDenied)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestE05_AGateChoosesItsReason(t *testing.T) {
	t.Parallel()
	no := func(context.Context) error {
		return &faas.Error{Reason: "budget", RetryAfter: time.Hour, Err: faas.ErrOverloaded}
	}
	closedGate(t, no, func(t *testing.T, h *host, f *faas.Function[int, int]) {
		_, err := call(t.Context(), h, f, 0)
		assertRefused(t, err, faas.ErrOverloaded, "budget")
		var e *faas.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, time.Hour, e.RetryAfter)
		assert.Equal(t, "f", e.Function)
	})
}

func TestE05_GatesAreToldOfEveryEnd(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var g lock
		f := serve(h, "f", func(_ context.Context, in int) (int, error) {
			if in > 0 {
				panic("boom")
			}
			return 1, nil
		}, faas.WithGate(&g))

		_, err := call(t.Context(), h, f, 0)
		require.NoError(t, err)
		_, err = call(t.Context(), h, f, 1)
		require.Error(t, err)

		done := g.doneWith()
		require.Len(t, done, 2)
		assert.Equal(t, []faas.Execution{*done[0], *done[1]}, h.recordsOf("f"))
	})
}

func TestE05_AGateThatPanicsWhenItIsDoneChangesNothing(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var outer lock
		f := serve(h, "f", func(context.Context, int) (int, error) { return 1, nil }, faas.WithGate(&outer, doneBomb{}))

		out, err := call(t.Context(), h, f, 0)

		require.NoError(t, err)
		assert.Equal(t, 1, out)
		assert.Len(t, outer.doneWith(), 1)
		assert.EqualValues(t, 1, h.Stats().HookPanics)
	})
}

type doneBomb struct{}

func (doneBomb) Admit(context.Context, faas.Invocation) error { return nil }
func (doneBomb) Done(faas.Invocation, *faas.Execution)        { panic("done") }

// A gate runs on its caller's goroutine and can end that goroutine, for example if a fake in a
// test calls FailNow. The host can still be closed.
func TestE05_AGateThatEndsItsCallerIsARefusal(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var outer, g lock
		f := published(h, "f", nothing, faas.WithGate(&outer, &g))
		g.setAdmit(func(context.Context) error { runtime.Goexit(); return nil })
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = f.Invoke(t.Context(), 0)
		}()
		<-ended

		assert.Zero(t, f.Info().InFlight)
		assert.EqualValues(t, 1, f.Info().Rejected[faas.ReasonDenied])
		assert.Equal(t, []*faas.Execution{nil}, outer.doneWith())
		h.answered(answer{err: &faas.Error{Reason: faas.ReasonDenied}, zero: true}) // stands for the answer that the ended goroutine could not get
	})
}

func nothing(context.Context, int) (int, error) { return 0, nil }

func TestE05_WhatWithContextIsGivenFailsClosed(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var carry func(caller, fresh context.Context) context.Context
		entered := false
		f := serve(h, "f", func(context.Context, int) (int, error) { entered = true; return 1, nil },
			faas.WithContext(func(caller, fresh context.Context) context.Context { return carry(caller, fresh) }))
		carry = func(context.Context, context.Context) context.Context { panic("boom") }
		_, err := call(t.Context(), h, f, 0)
		assertRefused(t, err, faas.ErrDenied, faas.ReasonDenied)

		carry = func(caller, _ context.Context) context.Context { return caller }
		_, err = call(t.Context(), h, f, 0)
		assertRefused(t, err, faas.ErrDenied, faas.ReasonDenied)

		carry = func(context.Context, context.Context) context.Context { return nil }
		_, err = call(t.Context(), h, f, 0)
		assertRefused(t, err, faas.ErrDenied, faas.ReasonDenied)

		assert.False(t, entered)
		carry = func(_, fresh context.Context) context.Context { return fresh }
	})
}

func TestE06_ANilHandlerIsRefusedAtRegistration(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		_, err := faas.TryRegister[int, int](h.Router, "f", nil)
		assert.ErrorIs(t, err, faas.ErrInput)
		assert.ErrorContains(t, err, "nil")
		assert.Panics(t, func() { faas.Register[int, int](h.Router, "f", nil) })
		_, err = faas.TryRegister(nil, "f", nothing)
		assert.ErrorIs(t, err, faas.ErrInput)
	})
}

func TestE06_ANilContextIsAnError(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		entered := false
		f := serve(h, "f", func(context.Context, int) (int, error) { entered = true; return 1, nil })
		var none context.Context

		_, err := call(none, h, f, 0)
		assertRefused(t, err, faas.ErrInput, faas.ReasonInput)
		_, err = ask(none, h, "f", "1")
		assertRefused(t, err, faas.ErrInput, faas.ReasonInput)

		assert.False(t, entered)
		assert.ErrorIs(t, h.Shutdown(none), faas.ErrInput)
	})
}

// brokenContext is a context with methods that panic, as those of a nil pointer do.
type brokenContext struct{ context.Context }

func TestE06_AContextThatPanicsHarmsItsCallerAlone(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := published(h, "f", nothing)
		for range 3 * slots {
			_, err := call((*brokenContext)(nil), h, f, 0)
			assertRefused(t, err, context.Canceled, faas.ReasonQueueCanceled)
		}
		assert.Zero(t, f.Info().InFlight)
		assert.Zero(t, f.Info().Admitted)
	})
}

func TestE06_NilOptionsAndMetersAreIgnored(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", nothing, nil, faas.WithMeter(nil), faas.WithMeter(faas.Meters(nil, nil)))

		_, err := call(t.Context(), h, f, 0)

		assert.NoError(t, err)
		assert.Zero(t, h.Stats().HookPanics)
	}, nil, faas.WithMeter(nil))
}

func TestE06_OtherNilsAreRefusedByName(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		refused := func(name string, o faas.Option) {
			_, err := faas.TryRegister(h.Router, "f", nothing, o)
			assert.ErrorIs(t, err, faas.ErrInput, name)
			assert.ErrorContains(t, err, name)
			assert.Panics(t, func() { faas.New(o) }, name)
		}
		refused("WithGate", faas.WithGate(nil))
		refused("WithMiddleware", faas.WithMiddleware(nil))
		refused("WithCodec", faas.WithCodec(nil))
		refused("WithContext", faas.WithContext(nil))
		_, err := faas.TryRegister(h.Router, "f", nothing, faas.WithMiddleware(func(faas.Runner) faas.Runner { return nil }))
		assert.ErrorIs(t, err, faas.ErrInput)
		assert.Panics(t, func() { faas.New(faas.WithLogger(nil)) })
		assert.Panics(t, func() { faas.Buffered(nil, 1) })
	})
}

func TestE07_ANameIsGivenOnce(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		first := serve(h, "f", func(context.Context, int) (int, error) { return 1, nil })

		_, err := faas.TryRegister(h.Router, "f", func(context.Context, int) (int, error) { return 2, nil }, h.versioned(nil)...)

		assert.ErrorIs(t, err, faas.ErrDuplicate)
		assert.ErrorContains(t, err, "Remove")
		out, err := call(t.Context(), h, first, 0)
		require.NoError(t, err)
		assert.Equal(t, 1, out)
	})
}

// edition registers the n-th edition of a function. Its handler and its middleware both return
// the number of the edition.
func edition(t *testing.T, h *host, n int) {
	t.Helper()
	var mu sync.Mutex
	seen := map[context.Context]bool{}
	published(h, "f", func(ctx context.Context, _ int) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if !seen[ctx] {
			return "torn", nil
		}
		delete(seen, ctx)
		return fmt.Sprintf("edition %d", n), nil
	}, faas.WithMiddleware(func(next faas.Runner) faas.Runner {
		return func(ctx context.Context, inv faas.Invocation) error {
			mu.Lock()
			seen[ctx] = true
			mu.Unlock()
			return next(ctx, inv)
		}
	}))
}

func TestE07_ACallDuringAReplacementRunsWhollyOldOrWhollyNew(t *testing.T) {
	t.Parallel()
	realFault(t, func(t *testing.T, h *host) {
		const editions = 300
		edition(t, h, 0)
		var stop atomic.Bool
		var wg sync.WaitGroup
		for range slots {
			wg.Go(func() {
				for last := 0; !stop.Load(); {
					last = checkEdition(t, h, last)
				}
			})
		}
		for n := 1; n <= editions; n++ {
			for range 10 {
				checkEdition(t, h, n-1)
			}
			assert.NoError(t, h.remove("f"))
			edition(t, h, n)
		}
		stop.Store(true)
		wg.Wait()
		require.NoError(t, h.remove("f"))
	})
}

// checkEdition calls the function and returns the number of the edition that
// ran. The number must not be lower than the last one that this caller saw.
func checkEdition(t *testing.T, h *host, last int) int {
	t.Helper()
	out, err := ask(context.Background(), h, "f", "1")
	if err != nil {
		assert.ErrorIs(t, err, faas.ErrNotFound, "in between there is none")
		return last
	}
	n := -1
	_, err = fmt.Sscanf(out, `"edition %d"`, &n)
	assert.NoError(t, err, out)
	assert.GreaterOrEqual(t, n, last)
	return n
}

func TestE08_RemoveLetsThoseInFlightFinish(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(_ context.Context, in int) (int, error) {
			time.Sleep(time.Second)
			return in, nil
		}, faas.WithConcurrency(8), faas.WithQueue(4))
		var answers []<-chan error
		for i := range 12 {
			answers = append(answers, outcomeOf(t.Context(), h, f, i))
		}
		synctest.Wait()

		require.NoError(t, h.remove("f"))

		h.forget("f")
		_, err := call(t.Context(), h, f, 0)
		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
		_, err = ask(t.Context(), h, "f", "1")
		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
		assert.ErrorIs(t, h.remove("f"), faas.ErrNotFound)
		assert.Equal(t, 8, h.Stats().InFlight)
		assert.Equal(t, 4, h.Stats().Queued)
		var failed error
		for _, a := range answers {
			failed = errors.Join(failed, <-a)
		}
		assert.NoError(t, failed, "those that run and those that wait")
		serve(h, "f", nothing) // the name is free
	})
}

func TestE08_WhateverARemovedFunctionRefusesIsCounted(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", nothing, faas.WithCopy())
		require.NoError(t, h.remove("f"))
		h.forget("f")
		h.Stats() // adds the counts of removed functions that are at rest to the router's
		canceled, cancel := context.WithCancel(t.Context())
		cancel()

		_, err := call(canceled, h, f, 0)

		sentinel, why := context.Canceled, faas.ReasonQueueCanceled
		if h.alias != "" { // no function is left that could count the call
			sentinel, why = faas.ErrNotFound, faas.ReasonNotFound
		}
		assertRefused(t, err, sentinel, why)
		assert.Equal(t, map[faas.Reason]uint64{why: 1}, h.Stats().Rejected)
	})
}

// A hammer: goroutines call handles of removed functions, and are refused, while the
// counts of those functions are added to the router's.
func TestE08_ACallDuringARemovalIsCountedOnce(t *testing.T) {
	t.Parallel()
	realFault(t, func(t *testing.T, h *host) {
		var stop atomic.Bool
		var handle atomic.Pointer[faas.Function[int, int]]
		handle.Store(h.healthy)
		var wg sync.WaitGroup
		for range 2 * slots {
			wg.Go(func() {
				for !stop.Load() {
					_, err := call(context.Background(), h, handle.Load(), 1)
					assert.True(t, err == nil || errors.Is(err, faas.ErrNotFound) || errors.Is(err, faas.ErrOverloaded), err)
				}
			})
		}
		for range 2000 {
			f := published(h, "f", nothing)
			handle.Store(f)
			for range 3 {
				_, _ = call(context.Background(), h, f, 1)
			}
			assert.NoError(t, h.remove("f"))
		}
		stop.Store(true)
		wg.Wait()
	})
}
