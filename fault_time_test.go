package faas_test

import (
	"context"
	"errors"
	"math"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// B. Time.

// heeds is a handler that waits for the end of its context, as a handler should.
func heeds(ctx context.Context, _ int) (int, error) {
	<-ctx.Done()
	return 1, ctx.Err()
}

// deafFor returns a handler that ignores its context and returns after d.
func deafFor(d time.Duration) faas.Handler[int, int] {
	return func(context.Context, int) (int, error) {
		time.Sleep(d)
		return 1, nil
	}
}

func TestB01_AHandlerThatHeedsItsContextIsAnsweredAtTheDeadline(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", heeds, faas.WithTimeout(30*time.Second))
		began := time.Now()

		_, err := call(t.Context(), h, f, 0)

		assert.Equal(t, 30*time.Second, time.Since(began))
		assert.ErrorIs(t, err, faas.ErrTimeout)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, faas.TimedOut, h.last(t).Outcome)
		assert.Equal(t, 30*time.Second, h.last(t).Duration)
	})
}

func TestB02_ADeafHandlerKeepsItsSlotAndNotItsCaller(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", deafFor(10*time.Second), faas.WithTimeout(time.Second))
		began := time.Now()

		_, err := call(t.Context(), h, f, 0)

		assert.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, time.Second, h.last(t).Duration)
		assert.Equal(t, 1, f.Info().Runaways)
		assert.Zero(t, f.Info().InFlight, "it is settled")

		first, second := outcomeOf(t.Context(), h, f, 0), outcomeOf(t.Context(), h, f, 0)
		synctest.Wait()
		assert.Equal(t, 1, f.Info().InFlight)
		assert.Equal(t, 1, f.Info().Queued, "one of two slots is the runaway's")

		assert.Error(t, errors.Join(<-first, <-second))
		time.Sleep(time.Minute)
		assert.Zero(t, f.Info().Runaways)
		assert.Equal(t, 9*time.Second, h.overran()[0].Duration, "reported apart")
	})
}

func TestB02_AStuckCallIsReportedOnceAndNamed(t *testing.T) {
	t.Parallel()
	type report struct {
		id   uuid.UUID
		over time.Duration
		at   time.Duration
	}
	var reports []report
	var began time.Time
	stuck := func(ctx context.Context, inv faas.Invocation, over time.Duration) {
		same, _ := faas.FromContext(ctx)
		assert.Equal(t, inv.ID, same.ID)
		assert.NoError(t, ctx.Err())
		reports = append(reports, report{inv.ID, over, time.Since(began)})
		panic("a hook that fails")
	}
	fault(t, func(t *testing.T, h *host) {
		reports = nil
		f := serve(h, "f", deafFor(time.Hour), faas.WithTimeout(time.Second))
		g := serve(h, "g", deafFor(5*time.Second), faas.WithTimeout(time.Second))
		began = time.Now()
		short := outcomeOf(t.Context(), h, g, 0)
		_, err := call(t.Context(), h, f, 0)
		require.Error(t, err)
		require.Error(t, <-short)

		time.Sleep(2 * time.Hour)
		synctest.Wait()

		assert.Equal(t, []report{{h.recordsOf("f")[0].ID, 7 * time.Second, 8 * time.Second}}, reports)
		assert.EqualValues(t, 1, h.Stats().HookPanics)
		assert.Contains(t, h.log.String(), "handler still runs after its call is over")
	}, faas.WithStuck(7*time.Second, stuck))
}

// A handler returns at the same moment at which its timer fires. Either may win; caller
// and record agree, which the ledger asserts after the case.
func TestB02_AReturnAtTheVeryDeadlineIsSettledOnce(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", deafFor(time.Second), faas.WithTimeout(time.Second))
		for range 200 {
			began := time.Now()
			_, err := call(t.Context(), h, f, 0)
			assert.Equal(t, time.Second, time.Since(began))
			assert.True(t, err == nil || errors.Is(err, faas.ErrTimeout))
			synctest.Wait()
		}
	})
}

// A handler may fail at the deadline by its own timer, for example a connection on which it
// has set the deadline. That is a timeout too, as if it had waited for its context.
func TestB02_AFailureAtTheVeryDeadlineIsATimeout(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(ctx context.Context, _ int) (int, error) {
			d, _ := ctx.Deadline()
			time.Sleep(time.Until(d))
			return 0, os.ErrDeadlineExceeded
		}, faas.WithTimeout(time.Second))
		for range 200 {
			_, err := call(t.Context(), h, f, 0)
			require.ErrorIs(t, err, faas.ErrTimeout)
			require.Equal(t, faas.TimedOut, h.last(t).Outcome)
			require.Equal(t, time.Second, h.last(t).Duration)
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := call(ctx, h, f, 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, faas.ErrTimeout, "it was the caller's")
		require.Equal(t, faas.Canceled, h.last(t).Outcome)
	})
}

// asLongAs returns a handler that spins as for {} does, until the test ends it by spinning.
func asLongAs(spinning *atomic.Bool) faas.Handler[int, int] {
	return func(context.Context, int) (int, error) {
		for spinning.Load() {
		}
		return 1, nil
	}
}

// forever is a handler that ignores its context and never ends.
func forever(context.Context, int) (int, error) {
	for {
	}
}

// outlive calls f until the handler outlives the call, and returns how long that call took. It
// may need several calls: on a busy machine a call's time may be over before its handler begins.
func outlive(t *testing.T, h *host, f *faas.Function[int, int]) time.Duration {
	t.Helper()
	before := f.Info().Runaways
	for range 100 {
		began := time.Now()
		_, err := call(t.Context(), h, f, 0)
		took := time.Since(began)
		require.ErrorIs(t, err, faas.ErrTimeout)
		if f.Info().Runaways > before {
			return took
		}
	}
	t.Fatal("no handler was still running when its time was over")
	return 0
}

func TestB03_ALoopCannotHoldItsCaller(t *testing.T) {
	t.Parallel()
	if !inChild(t) {
		passInChild(t)
		return
	}
	realFault(t, func(t *testing.T, h *host) {
		const timeout = 50 * time.Millisecond
		best := time.Hour // the best of a few tries, since other processes use the processors, too
		for range 5 {
			var spinning atomic.Bool
			spinning.Store(true)
			f := serve(h, "f", asLongAs(&spinning), faas.WithTimeout(timeout))
			best = min(best, outlive(t, h, f)-timeout)
			assert.Equal(t, 1, f.Info().Runaways)
			spinning.Store(false)
			h.wait(h.atRest)
			require.NoError(t, h.remove("f"))
			h.forget("f")
		}
		assert.LessOrEqual(t, best, 100*time.Millisecond)
		assert.GreaterOrEqual(t, best, time.Duration(0))
	})
}

func TestB03_ALoopThatNeverEndsHarmsNoOtherCall(t *testing.T) {
	t.Parallel()
	if !inChild(t) {
		passInChild(t)
		return
	}
	h := newHost()
	f := serve(h, "f", forever, faas.WithTimeout(50*time.Millisecond))

	outlive(t, h, f)

	assert.Equal(t, 1, f.Info().Runaways)
	h.checkAlive(t)
	require.NoError(t, h.Close(), "it does not wait for the loop")
	assert.Equal(t, 1, f.Info().Runaways)
	h.checkLedger(t)
}

func TestB04_BeyondTheBudgetOfRunawaysCallsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	if !inChild(t) {
		passInChild(t)
		return
	}
	h := newHost(faas.WithStuck(0, nil)) // no grace: a call that finds all slots stuck is refused at once
	const budget = 1
	f := serve(h, "f", forever, faas.WithTimeout(50*time.Millisecond), faas.WithConcurrency(1), faas.WithRunaways(budget))
	for range budget + 1 {
		outlive(t, h, f)
	}

	_, err := call(t.Context(), h, f, 0)

	assertRefused(t, err, faas.ErrOverloaded, faas.ReasonRunaways)
	assert.Equal(t, budget+1, f.Info().Runaways)
	h.checkAlive(t)
	require.NoError(t, h.Close())
	h.checkLedger(t)
}

// assertRefused asserts that a call was refused with this answer, and that its handler was not called.
func assertRefused(t *testing.T, err, sentinel error, why faas.Reason) {
	t.Helper()
	assert.ErrorIs(t, err, sentinel)
	var e *faas.Error
	if assert.ErrorAs(t, err, &e) {
		assert.Equal(t, why, e.Reason)
	}
}

func TestB04_TheBudgetOfRunawaysComesBack(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", deafFor(time.Minute), faas.WithTimeout(time.Second), faas.WithRunaways(1), faas.WithQueueTimeout(time.Hour))
		for range 4 {
			for range slots + 1 {
				_, err := call(t.Context(), h, f, 0)
				require.ErrorIs(t, err, faas.ErrTimeout)
			}
			for _, grace := range []time.Duration{time.Second, 0} {
				began := time.Now()
				_, err := call(t.Context(), h, f, 0)
				assertRefused(t, err, faas.ErrOverloaded, faas.ReasonRunaways)
				assert.Equal(t, grace, time.Since(began), "once the last is stuck, and then at once")
			}
			assert.Equal(t, slots+1, f.Info().Runaways)
			h.checkAlive(t)
			time.Sleep(time.Minute)
		}
	})
}

// A handler that is blocked in a system call can't look at its context.
func TestB06_ABlockedSystemCallCannotHoldItsCaller(t *testing.T) {
	t.Parallel()
	realFault(t, func(t *testing.T, h *host) {
		from, to, err := os.Pipe()
		require.NoError(t, err)
		defer from.Close()
		from.Fd() // from now on a read blocks its thread
		f := serve(h, "f", func(context.Context, int) (int, error) {
			return from.Read(make([]byte, 1))
		}, faas.WithTimeout(100*time.Millisecond))

		assert.Less(t, outlive(t, h, f), 5*time.Second)

		assert.Equal(t, 1, f.Info().Runaways)
		require.NoError(t, to.Close())
		h.wait(h.atRest)
		assert.Len(t, h.overran(), 1)
		require.NoError(t, h.remove("f"))
		h.forget("f") // its probes would have to run within its timeout, in real time
	})
}

func TestB07_ACallWhoseContextHasEndedStartsNoHandler(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		entered := false
		f := serve(h, "f", func(context.Context, int) (int, error) { entered = true; return 1, nil })
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()

		_, err := call(canceled, h, f, 0)
		assertRefused(t, err, context.Canceled, faas.ReasonQueueCanceled)
		_, err = call(past, h, f, 0)
		assertRefused(t, err, context.DeadlineExceeded, faas.ReasonQueueCanceled)
		_, err = ask(past, h, "f", "1")
		assertRefused(t, err, context.DeadlineExceeded, faas.ReasonQueueCanceled)

		assert.NotErrorIs(t, err, faas.ErrTimeout, "the function has had no time at all")
		assert.False(t, entered)
		assert.Empty(t, h.all())
	})
}

func TestB07_ACallThatLeavesTheQueueStartsNoHandler(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		entered := 0
		f := serve(h, "f", func(context.Context, int) (int, error) {
			entered++
			time.Sleep(20 * time.Second)
			return 1, nil
		}, faas.WithConcurrency(1))
		first := outcomeOf(t.Context(), h, f, 0)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()

		_, err := call(ctx, h, f, 0)

		assertRefused(t, err, context.DeadlineExceeded, faas.ReasonQueueCanceled)
		assert.Equal(t, time.Second, time.Since(began))
		require.NoError(t, <-first)
		assert.Equal(t, 1, entered)
	})
}

func TestB07_TheWaitForASlotIsBounded(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) { time.Sleep(time.Minute); return 1, nil },
			faas.WithConcurrency(1), faas.WithTimeout(time.Hour), faas.WithQueueTimeout(time.Second))
		first := outcomeOf(t.Context(), h, f, 0)
		synctest.Wait()
		began := time.Now()

		_, err := call(t.Context(), h, f, 0)

		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonQueueTimeout)
		assert.Equal(t, time.Second, time.Since(began))
		require.NoError(t, <-first)
	})
}

func TestB08_TheCallersDeadlineIsNotTheFunctions(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", heeds, faas.WithTimeout(time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()

		_, err := call(ctx, h, f, 0)

		assert.Equal(t, time.Second, time.Since(began))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, faas.Canceled, h.last(t).Outcome)
		assert.Equal(t, time.Second, h.last(t).Duration)
	})
}

func TestB08_TheFunctionsDeadlineIsNotTheCallers(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", heeds, faas.WithTimeout(time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()

		_, err := call(ctx, h, f, 0)

		assert.Equal(t, time.Second, time.Since(began))
		assert.ErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, faas.TimedOut, h.last(t).Outcome)
	})
}

func TestB08_ACallerThatCancelsGetsItsErrorAtOnce(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", deafFor(10*time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()

		_, err := call(ctx, h, f, 0)

		assert.Equal(t, time.Second, time.Since(began))
		assert.ErrorIs(t, err, context.Canceled)
		assert.NotErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, faas.Canceled, h.last(t).Outcome)
		time.Sleep(time.Minute)
		assert.Equal(t, 9*time.Second, h.overran()[0].Duration)
	})
}

func TestB10_ATimeoutThatIsNotPositiveIsRefusedWithTheCure(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		for _, d := range []time.Duration{0, -1, math.MinInt64} {
			_, err := faas.TryRegister(h.Router, "f", heeds, faas.WithTimeout(d))
			assert.ErrorIs(t, err, faas.ErrInput)
			assert.ErrorContains(t, err, "very large one")
			assert.PanicsWithError(t, err.Error(), func() { faas.Register(h.Router, "f", heeds, faas.WithTimeout(d)) })
			assert.Panics(t, func() { faas.New(faas.WithTimeout(d)) })
		}
		_, err := h.Info("f")
		assert.ErrorIs(t, err, faas.ErrNotFound)
	})
}

func TestB10_TheLongestTimeoutIsNone(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(ctx context.Context, _ int) (int, error) {
			inv, _ := faas.FromContext(ctx)
			deadline, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.True(t, deadline.After(time.Now().AddDate(100, 0, 0)))
			assert.True(t, inv.Deadline.Equal(deadline))
			time.Sleep(time.Hour)
			return 1, ctx.Err()
		}, faas.WithTimeout(math.MaxInt64), faas.WithQueueTimeout(math.MaxInt64))
		time.Sleep(time.Hour) // now + timeout then overflows

		_, err := call(t.Context(), h, f, 0)

		assert.NoError(t, err)
	})
}
