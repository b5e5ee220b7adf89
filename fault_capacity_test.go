package faas_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// C. Capacity.

func TestC01_OneCallTooManyIsRefusedAtOnceAndTheOthersRunInTheirOrder(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var order []int
		f := serve(h, "f", func(_ context.Context, in int) (int, error) {
			order = append(order, in)
			time.Sleep(time.Second)
			return in, nil
		}, faas.WithConcurrency(1))
		var answers []<-chan error
		for i := range 1 + queue {
			answers = append(answers, outcomeOf(t.Context(), h, f, i))
			synctest.Wait()
		}
		began := time.Now()

		_, err := call(t.Context(), h, f, 99)

		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonOverloaded)
		assert.Zero(t, time.Since(began))
		for _, a := range answers {
			assert.NoError(t, <-a)
		}
		assert.Equal(t, []int{0, 1, 2, 3, 4}, order, "first come, first served")
	})
}

func TestC01_OfSimultaneousCallsExactlyOneIsTooMany(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var inside, most atomic.Int32
		f := serve(h, "f", func(context.Context, int) (int, error) {
			most.Store(max(most.Load(), inside.Add(1)))
			time.Sleep(time.Second)
			inside.Add(-1)
			return 1, nil
		})
		var answers []<-chan error
		for range slots + queue + 1 {
			answers = append(answers, outcomeOf(t.Context(), h, f, 0))
		}

		ok, refused, others := tally(answers, faas.ErrOverloaded)

		assert.Equal(t, []int{slots + queue, 1, 0}, []int{ok, refused, others})
		assert.EqualValues(t, slots, most.Load())
	})
}

func TestC01_TheRoutersCapacityBoundsAllFunctionsTogether(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		var fs []*faas.Function[int, int]
		for i := range 3 {
			fs = append(fs, serve(h, fmt.Sprintf("f%d", i), deafFor(time.Second)))
		}
		var answers []<-chan error
		for i := range 3 * slots {
			answers = append(answers, outcomeOf(t.Context(), h, fs[i%3], 0))
		}
		synctest.Wait()

		s := h.Stats()

		assert.Equal(t, []int{3, 3 * slots, 3}, []int{s.InFlight, s.InFlight + s.Queued, s.Capacity})
		ok, _, _ := tally(answers, faas.ErrOverloaded)
		assert.Equal(t, 3*slots, ok)
	}, faas.WithCapacity(3))
}

// nester calls itself until in is zero.
func nester(h *host, opts ...faas.FunctionOption) *faas.Function[int, int] {
	var self *faas.Function[int, int]
	self = serve(h, "f", func(ctx context.Context, in int) (int, error) {
		if in == 0 {
			return 0, nil
		}
		out, err := call(ctx, h, self, in-1)
		return out + 1, err
	}, opts...)
	return self
}

func TestC02_AFunctionMayCallItselfInItsOnlySlot(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		require.NoError(t, h.SetCapacity(1))
		f := nester(h, faas.WithConcurrency(1), faas.WithQueue(0))

		out, err := call(t.Context(), h, f, 15)

		require.NoError(t, err)
		assert.Equal(t, 15, out)
		assert.Len(t, h.recordsOf("f"), 16)
		require.NoError(t, h.remove("f")) // a function without a queue can't be probed
		h.forget("f")
	})
}

func TestC02_ADeafChildKeepsWhatItsParentLent(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		deaf := serve(h, "deaf", deafFor(time.Minute), faas.WithTimeout(time.Second))
		f := serve(h, "f", func(ctx context.Context, _ int) (int, error) { return call(ctx, h, deaf, 0) })

		_, err := call(t.Context(), h, f, 0)

		require.ErrorIs(t, err, faas.ErrTimeout)
		_, err = call(t.Context(), h, h.healthy, 0)
		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonRunaways)
		time.Sleep(time.Minute)
		synctest.Wait()
		_, err = call(t.Context(), h, h.healthy, 0)
		assert.NoError(t, err)
	}, faas.WithCapacity(1))
}

func TestC04_EndlessRecursionStopsAtTheDepthLimitAndUnwinds(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var self *faas.Function[int, int]
		self = serve(h, "f", func(ctx context.Context, in int) (int, error) {
			out, err := call(ctx, h, self, in+1)
			return out, fmt.Errorf("level %d: %w", in, err)
		})

		_, err := call(t.Context(), h, self, 0)

		assertRefused(t, err, faas.ErrDepth, faas.ReasonDepth)
		assert.Equal(t, 16, strings.Count(err.Error(), "level "), "the chain shows how deep it went")
		assert.Len(t, h.recordsOf("f"), 16)
		assert.EqualValues(t, 1, h.Stats().Rejected[faas.ReasonDepth])
	})
}

func TestC05_ANestedCallToAFullFunctionFailsFast(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		inner := serve(h, "inner", deafFor(time.Minute/4))
		outer := serve(h, "outer", func(ctx context.Context, in int) (int, error) { return call(ctx, h, inner, in) })
		var full []<-chan error
		for range slots + queue {
			full = append(full, outcomeOf(t.Context(), h, inner, 0))
		}
		synctest.Wait()
		began := time.Now()

		first, second := outcomeOf(t.Context(), h, outer, 0), outcomeOf(t.Context(), h, outer, 0)

		assertRefused(t, <-first, faas.ErrOverloaded, faas.ReasonOverloaded)
		assertRefused(t, <-second, faas.ErrOverloaded, faas.ReasonOverloaded)
		assert.Zero(t, time.Since(began))
		_, _, _ = tally(full, nil)
	})
}

// Two root calls hold the slots of left and right, and each calls the other's function. The
// call that would complete the cycle is refused, and the other one continues.
func TestC05_CallsThatWouldWaitForEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		var left, right *faas.Function[int, int]
		calls := func(other **faas.Function[int, int]) faas.Handler[int, int] {
			return func(ctx context.Context, in int) (int, error) {
				time.Sleep(time.Second) // by then both have their slots
				if in == 0 {
					return 1, nil
				}
				return call(ctx, h, *other, in-1)
			}
		}
		left = serve(h, "left", calls(&right), faas.WithConcurrency(1))
		right = serve(h, "right", calls(&left), faas.WithConcurrency(1))
		began := time.Now()

		ok, cycles, others := tally([]<-chan error{
			outcomeOf(t.Context(), h, left, 1), outcomeOf(t.Context(), h, right, 1),
		}, faas.ErrCycle)

		assert.Equal(t, []int{1, 1, 0}, []int{ok, cycles, others})
		assert.Equal(t, 2*time.Second, time.Since(began))
		assert.EqualValues(t, 1, h.Stats().Rejected[faas.ReasonCycle])
	})
}

// The slot of outer is lent to a call below one of outer's two children. That call then needs the
// slot of the other child, and the other child waits for outer's slot.
func TestC05_SiblingsThatWouldWaitForEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		var outer, one, two *faas.Function[int, int]
		var cycle error
		outer = serve(h, "outer", func(ctx context.Context, in int) (int, error) {
			switch in {
			case 0:
				first, second := outcomeOf(ctx, h, one, 0), outcomeOf(ctx, h, two, 0)
				return 0, errors.Join(<-first, <-second)
			case 1:
				time.Sleep(2 * time.Second)
				_, cycle = call(ctx, h, two, 0)
			}
			return in, nil
		}, faas.WithConcurrency(1))
		one = serve(h, "one", func(ctx context.Context, _ int) (int, error) { return call(ctx, h, outer, 1) })
		two = serve(h, "two", func(ctx context.Context, _ int) (int, error) {
			time.Sleep(time.Second)
			return call(ctx, h, outer, 2)
		}, faas.WithConcurrency(1))
		began := time.Now()

		_, err := call(t.Context(), h, outer, 0)

		require.NoError(t, err)
		assertRefused(t, cycle, faas.ErrCycle, faas.ReasonCycle)
		assert.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestC08_ALoweredLimitEndsNoCallAndHoldsOnceTheExcessHasEnded(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", deafFor(time.Second), faas.WithConcurrency(8), faas.WithQueue(50))
		var answers []<-chan error
		for range 8 {
			answers = append(answers, outcomeOf(t.Context(), h, f, 0))
		}
		synctest.Wait()

		require.NoError(t, h.SetConcurrency("f", 1))

		for range 50 {
			answers = append(answers, outcomeOf(t.Context(), h, f, 0))
		}
		synctest.Wait()
		assert.Equal(t, 8, f.Info().InFlight, "those that run go on")
		assert.Equal(t, 1, f.Info().Limit)
		time.Sleep(1500 * time.Millisecond)
		assert.Equal(t, 1, f.Info().InFlight)
		assert.Equal(t, 49, f.Info().Queued)

		require.NoError(t, h.SetConcurrency("f", 8))

		synctest.Wait()
		assert.Equal(t, 8, f.Info().InFlight, "a raise lets waiters in at once")
		ok, refused, others := tally(answers, faas.ErrOverloaded)
		assert.Equal(t, []int{58, 0, 0}, []int{ok, refused, others})
	})
}

func TestC08_TheSameHoldsForTheRoutersCapacity(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", deafFor(time.Second), faas.WithConcurrency(roomy), faas.WithQueue(50))
		require.NoError(t, h.SetCapacity(8))
		var answers []<-chan error
		for range 8 {
			answers = append(answers, outcomeOf(t.Context(), h, f, 0))
		}
		synctest.Wait()
		require.NoError(t, h.SetCapacity(1))
		for range 50 {
			answers = append(answers, outcomeOf(t.Context(), h, f, 0))
		}
		time.Sleep(1500 * time.Millisecond)
		assert.Equal(t, 1, h.Stats().InFlight)
		assert.Equal(t, 1, h.Stats().Capacity)

		require.NoError(t, h.SetCapacity(8))

		synctest.Wait()
		assert.Equal(t, 8, h.Stats().InFlight)
		ok, refused, others := tally(answers, faas.ErrOverloaded)
		assert.Equal(t, []int{58, 0, 0}, []int{ok, refused, others})
	})
}

func TestC08_ALimitOfNoneIsRefusedWithTheCure(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", nothing)
		impossible := []int{0, -1, math.MinInt}
		if math.MaxInt > math.MaxInt32 { // if int has 32 bits, no int is too large
			impossible = append(impossible, math.MaxInt)
		}
		for _, n := range impossible {
			assert.ErrorIs(t, h.SetCapacity(n), faas.ErrInput)
			assert.Panics(t, func() { faas.New(faas.WithCapacity(n)) })
			if n == 0 {
				continue // for a function, 0 is possible: it switches the function off
			}
			assert.ErrorIs(t, h.SetConcurrency("f", n), faas.ErrInput)
			_, err := faas.TryRegister(h.Router, "g", nothing, faas.WithConcurrency(n))
			assert.ErrorIs(t, err, faas.ErrInput)
		}
		_, err := faas.TryRegister(h.Router, "g", nothing, faas.WithQueue(-1))
		assert.ErrorIs(t, err, faas.ErrInput)
		assert.ErrorIs(t, h.SetConcurrency("g", 1), faas.ErrNotFound)
		assert.Equal(t, slots, f.Info().Limit)
		assert.Equal(t, roomy, h.Stats().Capacity)
	})
}

func TestC10_AFunctionThatSaturatesItselfHarmsNoOther(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		slow := serve(h, "slow", deafFor(time.Hour), faas.WithTimeout(2*time.Hour), faas.WithQueueTimeout(time.Minute))
		var answers []<-chan error
		for range 20 {
			answers = append(answers, outcomeOf(t.Context(), h, slow, 0))
		}
		quick := serve(h, "quick", deafFor(time.Millisecond))
		for range 100 {
			_, err := call(t.Context(), h, quick, 0)
			require.NoError(t, err)
			e := h.last(t)
			assert.Zero(t, e.Queued)
			assert.Equal(t, time.Millisecond, e.Duration)
		}
		ok, refused, others := tally(answers, faas.ErrOverloaded)
		assert.Equal(t, []int{slots, 20 - slots, 0}, []int{ok, refused, others})
		assert.EqualValues(t, queue, h.Stats().Rejected[faas.ReasonQueueTimeout])
	})
}

// A free slot is used although another function has a long queue.
func TestC10_WaitingCallsOfOneFunctionDoNotHoldTheRoutersSlots(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		slow := serve(h, "slow", deafFor(time.Second), faas.WithConcurrency(1))
		var answers []<-chan error
		for range 1 + queue {
			answers = append(answers, outcomeOf(t.Context(), h, slow, 0))
		}
		synctest.Wait()
		began := time.Now()

		_, err := call(t.Context(), h, h.healthy, 0)

		assert.NoError(t, err)
		assert.Zero(t, time.Since(began), "of two slots one is free")
		var all error
		for _, a := range answers {
			all = errors.Join(all, <-a)
		}
		assert.NoError(t, all)
	}, faas.WithCapacity(2))
}
