package faas_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// F. The end of a router.

const (
	manyRunning = 100
	manyQueued  = 50
)

// crowd makes many calls of a function, of which some run and the others wait.
func crowd(t *testing.T, h *host, handler faas.Handler[int, int]) (f *faas.Function[int, int], entered *atomic.Int32, answers []<-chan error) {
	t.Helper()
	entered = &atomic.Int32{}
	f = serve(h, "f", func(ctx context.Context, in int) (int, error) {
		entered.Add(1)
		return handler(ctx, in)
	}, faas.WithConcurrency(manyRunning), faas.WithQueue(manyQueued))
	for range manyRunning + manyQueued {
		answers = append(answers, outcomeOf(t.Context(), h, f, 0))
	}
	synctest.Wait()
	require.Equal(t, manyRunning, h.Stats().InFlight)
	require.Equal(t, manyQueued, h.Stats().Queued)
	return f, entered, answers
}

// tally counts the answers: successes, answers that are the sentinel, and others.
func tally(answers []<-chan error, sentinel error) (ok, are, others int) {
	for _, a := range answers {
		switch err := <-a; {
		case err == nil:
			ok++
		case errors.Is(err, sentinel):
			are++
		default:
			others++
		}
	}
	return ok, are, others
}

func TestF01_ShutdownDrainsWhatRunsAndWhatWaits(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f, entered, answers := crowd(t, h, deafFor(time.Second))
		began := time.Now()
		var drained error
		done := make(chan struct{})
		go func() { drained = h.Shutdown(t.Context()); close(done) }()
		synctest.Wait()

		_, err := call(t.Context(), h, f, 0)

		assertRefused(t, err, faas.ErrClosed, faas.ReasonClosed)
		_, err = faas.TryRegister(h.Router, "g", nothing)
		assert.ErrorIs(t, err, faas.ErrClosed)
		<-done
		assert.NoError(t, drained)
		assert.Equal(t, 2*time.Second, time.Since(began), "no longer than it takes")
		ok, refused, others := tally(answers, faas.ErrClosed)
		assert.Equal(t, []int{manyRunning + manyQueued, 0, 0}, []int{ok, refused, others})
		assert.EqualValues(t, manyRunning+manyQueued, entered.Load())
	})
}

func TestF01_CloseCancelsWhatRunsAndRefusesWhatWaits(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f, entered, answers := crowd(t, h, heeds)
		began := time.Now()

		require.NoError(t, h.Close())

		assert.Zero(t, time.Since(began))
		assert.Len(t, h.recordsOf("f"), manyRunning, "all is recorded when Close returns")
		_, err := call(t.Context(), h, f, 0)
		assertRefused(t, err, faas.ErrClosed, faas.ReasonClosed)
		ok, closed, others := tally(answers, faas.ErrClosed)
		assert.Equal(t, []int{0, manyRunning + manyQueued, 0}, []int{ok, closed, others})
		assert.EqualValues(t, manyRunning, entered.Load(), "nothing runs that was not running")
		assert.EqualValues(t, manyQueued+1, h.Stats().Rejected[faas.ReasonClosed])
		assert.Equal(t, faas.Canceled, h.last(t).Outcome)
	})
}

func TestF01_CloseDoesNotWaitForAHandlerThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", deafFor(time.Hour), faas.WithTimeout(2*time.Hour))
		answer := outcomeOf(t.Context(), h, f, 0)
		time.Sleep(time.Minute)
		began := time.Now()

		require.NoError(t, h.Close())

		assert.Zero(t, time.Since(began))
		assert.ErrorIs(t, <-answer, faas.ErrClosed)
		assert.Equal(t, time.Minute, h.last(t).Duration)
		assert.Equal(t, 1, h.Stats().Runaways)
		require.NoError(t, h.Close(), "again")
		time.Sleep(2 * time.Hour)
		assert.Equal(t, 59*time.Minute, h.overran()[0].Duration)
	})
}

// A call that is in a gate, or waits for a slot, while the router closes must not run.
func TestF01_ACallInAGateWhileTheRouterClosesIsRefused(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var g lock
		g.setAdmit(func(context.Context) error { time.Sleep(time.Minute); return nil })
		entered := false
		f := serve(h, "f", func(context.Context, int) (int, error) { entered = true; return 1, nil }, faas.WithGate(&g))
		answer := outcomeOf(t.Context(), h, f, 0)
		synctest.Wait()

		require.NoError(t, h.Close())

		assert.ErrorIs(t, <-answer, faas.ErrClosed)
		assert.False(t, entered)
		assert.Equal(t, []*faas.Execution{nil}, g.doneWith())
	})
}

func TestF01_NestedCallsAreAPartOfWhatIsDrained(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		inner := serve(h, "inner", func(_ context.Context, in int) (int, error) { return in + 1, nil })
		outer := serve(h, "outer", func(ctx context.Context, in int) (int, error) {
			time.Sleep(time.Second)
			return call(ctx, h, inner, in)
		})
		answer := outcomeOf(t.Context(), h, outer, 0)
		synctest.Wait()

		require.NoError(t, h.Shutdown(t.Context()))

		assert.NoError(t, <-answer)
		assert.Len(t, h.recordsOf("inner"), 1)
	})
}

func TestF02_ShutdownGivesUpInTimeAndNamesWhatIsLeft(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		var seen context.Context
		deaf := serve(h, "deaf", func(ctx context.Context, _ int) (int, error) {
			seen = ctx
			time.Sleep(time.Hour)
			return 1, nil
		}, faas.WithTimeout(2*time.Hour))
		quick := serve(h, "quick", deafFor(time.Second/2))
		answer, other := outcomeOf(t.Context(), h, deaf, 0), outcomeOf(t.Context(), h, quick, 0)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()

		err := h.Shutdown(ctx)

		assert.Equal(t, time.Second, time.Since(began))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, strconv.Quote(h.version("deaf"))+" (1)")
		assert.NotContains(t, err.Error(), "quick")
		assert.NoError(t, <-other)
		assert.ErrorIs(t, <-answer, faas.ErrClosed)
		assert.ErrorIs(t, seen.Err(), context.Canceled)
		assert.Equal(t, faas.Canceled, h.last(t).Outcome)
		assert.Equal(t, time.Second, h.last(t).Duration, "its bill is closed")
		time.Sleep(2 * time.Hour)
	})
}

func TestF02_ShutdownWaitsForRunaways(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", deafFor(time.Minute), faas.WithTimeout(time.Second))
		_, err := call(t.Context(), h, f, 0)
		require.ErrorIs(t, err, faas.ErrTimeout)
		began := time.Now()

		require.NoError(t, h.Shutdown(t.Context()))

		assert.Equal(t, 59*time.Second, time.Since(began))
		assert.Len(t, h.overran(), 1)
	})
}

func TestF02_ShutdownFlushesWhatMetersHoldBack(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		var sink slowSink
		sink.slow.Store(true)
		f := serve(h, "f", nothing, faas.WithMeter(faas.Buffered(&sink, 10)))
		for range 3 {
			_, err := call(t.Context(), h, f, 0)
			require.NoError(t, err)
		}
		began := time.Now()

		require.NoError(t, h.Shutdown(t.Context()))

		assert.Equal(t, 3*time.Hour, time.Since(began))
		assert.Len(t, sink.all(), 3)
	})
}

func TestF02_AFlushThatTakesTooLongIsToldOf(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		var sink slowSink
		sink.slow.Store(true)
		buffer := faas.Buffered(&sink, 10)
		f := serve(h, "f", nothing, faas.WithMeter(buffer))
		_, err := call(t.Context(), h, f, 0)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()

		err = h.Shutdown(ctx)

		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(began))
		require.NoError(t, buffer.Close())
		assert.Len(t, sink.all(), 1, "late is not lost")
	})
}

func TestF02_AHandlerMayShutItsRouterDown(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(ctx context.Context, in int) (int, error) { return in, h.Shutdown(ctx) })
		other := serve(h, "other", func(context.Context, int) (int, error) { time.Sleep(time.Second); return 1, nil })
		drained := outcomeOf(t.Context(), h, other, 0)
		synctest.Wait()
		began := time.Now()

		out, err := call(t.Context(), h, f, 7)

		assert.NoError(t, err)
		assert.Equal(t, 7, out)
		assert.Equal(t, time.Second, time.Since(began))
		assert.NoError(t, <-drained)
	})
}

func TestF02_AHandlerThatClosesItsRouterIsCanceledLikeTheOthers(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(ctx context.Context, in int) (int, error) {
			_ = h.Close()
			return in, ctx.Err()
		})

		_, err := call(t.Context(), h, f, 7)

		assert.ErrorIs(t, err, faas.ErrClosed)
		assert.Equal(t, faas.Canceled, h.last(t).Outcome)
	})
}

func TestF02_CloseCutsAShutdownShort(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", heeds, faas.WithTimeout(time.Hour))
		answer := outcomeOf(t.Context(), h, f, 0)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { assert.NoError(t, h.Shutdown(t.Context())) })
		}
		time.Sleep(time.Minute)
		began := time.Now()

		for range 3 {
			wg.Go(func() { assert.NoError(t, h.Close()) })
		}
		wg.Wait()

		assert.Zero(t, time.Since(began))
		assert.ErrorIs(t, <-answer, faas.ErrClosed)
	})
}

// A hammer: many callers, a router that closes meanwhile, and exact books afterwards.
func TestF02_NoCallSlipsThroughWhileTheRouterCloses(t *testing.T) {
	t.Parallel()
	for range 20 {
		realFault(t, func(t *testing.T, h *host) {
			f := serve(h, "f", func(ctx context.Context, in int) (int, error) { return in, ctx.Err() })
			var wg sync.WaitGroup
			for range 2 * slots {
				wg.Go(func() {
					for err := error(nil); !errors.Is(err, faas.ErrClosed); {
						_, err = call(context.Background(), h, f, 0)
					}
				})
			}
			for range 50 {
				_, _ = call(context.Background(), h, f, 0)
			}
			require.NoError(t, h.Close())
			recorded := len(h.all())
			wg.Wait()
			assert.Len(t, h.all(), recorded, "records after Close")
		})
	}
}
