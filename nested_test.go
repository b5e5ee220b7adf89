package faas_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestANestedCallKnowsItsParent(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t)
		leaf := faas.Register(r, "leaf", func(ctx context.Context, _ int) (faas.Invocation, error) {
			inv, _ := faas.FromContext(ctx)
			return inv, nil
		}, opts...)
		root := faas.Register(r, "root", func(ctx context.Context, _ int) ([2]faas.Invocation, error) {
			own, _ := faas.FromContext(ctx)
			child, err := leaf.Invoke(context.WithoutCancel(ctx), 0)
			return [2]faas.Invocation{own, child}, err
		}, opts...)
		invs, err := root.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, invs[0].ID, invs[1].Parent)
		assert.Zero(t, invs[0].Parent)
		assert.Equal(t, []int{0, 1}, []int{invs[0].Depth, invs[1].Depth})
	})
}

func TestAChainOfCallsNeedsOneSlot(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t, faas.WithCapacity(1), faas.WithConcurrency(1), faas.WithQueue(0))
		var f *faas.Function[int, int]
		f = faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			below, err := f.Invoke(ctx, n-1)
			return below + 1, err
		}, opts...)
		for range 2 {
			out, err := f.Invoke(t.Context(), 15)
			require.NoError(t, err)
			assert.Equal(t, 15, out)
		}
	})
}

func TestADeepChainIsRefusedAndTheErrorComesUpAllTheWay(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithMaxDepth(4))
		var f *faas.Function[int, int]
		f = faas.Register(r, "f", func(ctx context.Context, n int) (int, error) { return f.Invoke(ctx, n) }, opts...)
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrDepth)
		assert.Len(t, m.all(), 4)
		assert.EqualValues(t, 1, f.Info().Rejected[faas.ReasonDepth])
	})
}

// mutual registers a and b, which call each other n deep, and return how deep they got.
func mutual(r *faas.Router, opts ...faas.FunctionOption) (a, b *faas.Function[int, int]) {
	calls := func(other **faas.Function[int, int]) faas.Handler[int, int] {
		return func(ctx context.Context, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			below, err := (*other).Invoke(ctx, n-1)
			return below + 1, err
		}
	}
	a = faas.Register(r, "a", calls(&b), opts...)
	b = faas.Register(r, "b", calls(&a), opts...)
	return a, b
}

func TestAChainAloneNeverWaitsForItself(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		for _, own := range [][]faas.FunctionOption{
			{faas.WithConcurrency(1), faas.WithQueue(0)},
			{faas.WithTenantConcurrency(1)},
			{faas.WithConcurrency(1), faas.WithTenantConcurrency(1)},
		} {
			a, b := mutual(router(t, faas.WithCapacity(1)), append(own, opts...)...)
			began := time.Now()
			for range 2 {
				out, err := a.Invoke(t.Context(), 15)
				require.NoError(t, err)
				assert.Equal(t, 15, out)
				_, err = b.Invoke(t.Context(), 15)
				require.NoError(t, err)
			}
			assert.Zero(t, time.Since(began))
		}
	})
}

// A nested call that borrows a slot uses the instance of the call that lends it. On any
// other instance it would have to wait for a seat.
func TestACallThatRecursThroughAnotherRunsInTheInstanceOfTheCallAbove(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		made := 0
		var a *faas.Function[int, []int]
		b := faas.Register(r, "b", func(ctx context.Context, n int) ([]int, error) { return a.Invoke(ctx, n) }, faas.WithConcurrency(1))
		a = faas.RegisterInit(r, "a", func(context.Context) (faas.Handler[int, []int], func(context.Context) error, error) {
			made++
			number := made
			return func(ctx context.Context, n int) ([]int, error) {
				if n == 0 {
					return []int{number}, nil
				}
				below, err := b.Invoke(ctx, n-1)
				return append(below, number), err
			}, nil, nil
		}, faas.WithMaxInstances(1))
		for range 2 {
			ran, err := a.Invoke(t.Context(), 5)
			require.NoError(t, err)
			assert.Equal(t, []int{1, 1, 1, 1, 1, 1}, ran)
		}
		assert.Equal(t, 1, a.Info().Ready)
	})
}

// Calls of another chain wait for the one slot of a, as any other call does.
func TestAnotherChainWaitsForTheSlotThatIsLentAlongTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var a, b *faas.Function[int, int]
		var most, running int // of the calls of a that do not wait for a nested call
		a = faas.Register(r, "a", func(ctx context.Context, n int) (int, error) {
			if n > 0 {
				return b.Invoke(ctx, n-1)
			}
			running++
			most = max(most, running)
			time.Sleep(time.Second)
			running--
			return 0, nil
		}, faas.WithConcurrency(1))
		b = faas.Register(r, "b", func(ctx context.Context, n int) (int, error) { return a.Invoke(ctx, n) })
		began := time.Now()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				_, err := a.Invoke(t.Context(), 3)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 3*time.Second, time.Since(began))
		assert.Equal(t, 1, most)
	})
}

func TestRootsThatHoldEachOthersSlotsDoNotWaitForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithConcurrency(1))
		var a, b *faas.Function[bool, int]
		meet := sync.WaitGroup{}
		meet.Add(2)
		cross := func(other **faas.Function[bool, int]) faas.Handler[bool, int] {
			return func(ctx context.Context, root bool) (int, error) {
				if !root {
					return 1, nil
				}
				meet.Done()
				meet.Wait()
				return (*other).Invoke(ctx, false)
			}
		}
		a = faas.Register(r, "a", cross(&b))
		b = faas.Register(r, "b", cross(&a))
		errs := make(chan error, 2)
		go func() { _, err := a.Invoke(t.Context(), true); errs <- err }()
		go func() { _, err := b.Invoke(t.Context(), true); errs <- err }()
		start := time.Now()
		first, second := <-errs, <-errs
		assert.Zero(t, time.Since(start))
		if first == nil {
			first, second = second, first
		}
		require.ErrorIs(t, first, faas.ErrCycle)
		require.NoError(t, second)
	})
}

func TestALoanGoesToOneChildAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithCapacity(1))
		var running, most int
		var mu sync.Mutex
		leaf := faas.Register(r, "leaf", func(context.Context, int) (int, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return 1, nil
		})
		root := faas.Register(r, "root", func(ctx context.Context, n int) (int, error) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					_, err := leaf.Invoke(ctx, 0)
					assert.NoError(t, err)
				})
			}
			all.Wait()
			return 0, nil
		})
		start := time.Now()
		_, err := root.Invoke(t.Context(), 5)
		require.NoError(t, err)
		assert.Equal(t, 5*time.Second, time.Since(start), "one after the other")
		assert.Equal(t, 1, most)
	})
}

func TestARunawayChildKeepsTheSlotItsParentLent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithCapacity(1), faas.WithQueue(0))
		deaf := faas.Register(r, "deaf", func(context.Context, int) (int, error) { time.Sleep(time.Minute); return 0, nil }, faas.WithTimeout(time.Second))
		root := faas.Register(r, "root", func(ctx context.Context, _ int) (int, error) { return deaf.Invoke(ctx, 0) })
		_, err := root.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrTimeout)
		_, err = deaf.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrOverloaded, "the slot is still busy")
		time.Sleep(time.Minute)
		synctest.Wait()
		_, err = deaf.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrTimeout, "and then it is not")
	})
}

func TestCallsBetweenRouters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, two := router(t, faas.WithCapacity(1)), router(t, faas.WithCapacity(1))
		leaf := faas.Register(two, "leaf", func(ctx context.Context, _ int) (int, error) {
			inv, _ := faas.FromContext(ctx)
			return inv.Depth, nil
		})
		root := faas.Register(one, "root", func(ctx context.Context, n int) (int, error) { return leaf.Invoke(ctx, n) })
		depth, err := root.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, 1, depth)
		assert.EqualValues(t, 1, two.Stats().Admitted)
	})
}
