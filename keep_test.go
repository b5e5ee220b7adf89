package faas_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// After a few calls in a row, a worker keeps the slot and the counts of its last call for the
// next call of the same function, see internal/admission/keep.go.

func echo(_ context.Context, n int) (int, error) { return n, nil }

// callInTurn makes n calls, one after the other.
func callInTurn(t *testing.T, f *faas.Function[int, int], n int) {
	t.Helper()
	for range n {
		_, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
	}
}

// callAtOnce makes n calls at once, again and again, so that n workers know the function.
func callAtOnce(t *testing.T, f *faas.Function[int, int], n int) {
	t.Helper()
	for range 8 {
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				_, err := f.Invoke(t.Context(), 1)
				assert.NoError(t, err)
			})
		}
		all.Wait()
	}
}

func TestCountsAreExactThoughWorkersKeepThem(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]faas.FunctionOption{"typed": nil, "inline": {faas.WithInline()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := router(t)
			f, g := faas.Register(r, "f", echo, opts...), faas.Register(r, "g", echo, opts...)
			for _, n := range []int{1, 10, 100} {
				callInTurn(t, f, n)
				callInTurn(t, g, 2*n)
			}
			for name, n := range map[string]int{"f": 111, "g": 222} {
				info, err := r.Info(name)
				require.NoError(t, err)
				require.Equal(t, []int{n, 0}, []int{int(info.Admitted), info.InFlight})
			}
			require.NoError(t, r.Remove("f"))
			require.Equal(t, 333, int(r.Stats().Admitted))
			require.NoError(t, r.Close())
			require.Equal(t, 333, int(r.Stats().Admitted))
			require.Zero(t, r.Stats().InFlight)
		})
	}
}

func TestCountsOutliveTheWorkersThatKeptThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Second))
		f := faas.Register(r, "f", func(_ context.Context, n int) (int, error) {
			time.Sleep(time.Duration(n) * time.Second)
			return n, nil
		})
		for i := range 40 { // every tenth call is settled by the timer, on a worker that then ends
			n := 0
			if i%10 == 9 {
				n = 2
			}
			_, err := f.Invoke(t.Context(), n)
			require.Equal(t, n == 2, errors.Is(err, faas.ErrTimeout))
		}
		time.Sleep(time.Minute) // the other workers end, too
		info, err := r.Info("f")
		require.NoError(t, err)
		require.Equal(t, []int{40, 0, 0}, []int{int(info.Admitted), info.InFlight, info.Runaways})
	})
}

// The call's slot is given back, or kept, before its record is made.
func TestAMeterMayCallItsOwnFunctionThatHasOneSlotAndNoQueue(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			m := &selfCaller{}
			r := router(t)
			m.f = faas.Register(r, "f", echo, faas.WithMeter(m), faas.WithConcurrency(limit), faas.WithQueue(0))
			for range 20 {
				_, err := m.f.Invoke(t.Context(), 1)
				require.NoError(t, err)
			}
			require.Equal(t, 40, int(m.recorded.Load()))
		})
	}
}

// selfCaller calls its function for each record but those of its own calls.
type selfCaller struct {
	f        *faas.Function[int, int]
	recorded atomic.Int32
	calling  atomic.Bool
}

func (m *selfCaller) Record(context.Context, faas.Execution) {
	m.recorded.Add(1)
	if m.calling.CompareAndSwap(false, true) {
		_, _ = m.f.Invoke(context.Background(), 1)
		m.calling.Store(false)
	}
}

func TestANewFunctionFindsASlotThoughAnotherKeepsThem(t *testing.T) {
	t.Parallel()
	const n = 200
	r := router(t, faas.WithCapacity(n))
	var inside sync.WaitGroup
	busy := make(chan struct{})
	f := faas.Register(r, "f", echo, faas.WithQueue(0))
	callAtOnce(t, f, n/2)
	g := faas.Register(r, "g", func(context.Context, int) (int, error) {
		inside.Done()
		<-busy
		return 0, nil
	}, faas.WithQueue(0))
	inside.Add(n)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			_, err := g.Invoke(t.Context(), 1)
			assert.NoError(t, err)
		})
	}
	inside.Wait() // all slots are used by g
	_, err := f.Invoke(t.Context(), 1)
	require.ErrorIs(t, err, faas.ErrOverloaded)
	close(busy)
	all.Wait()
}

func TestNoCallRunsAfterItsLimitWasSetToZeroThoughItsWorkerKeptASlot(t *testing.T) {
	t.Parallel()
	r := router(t)
	f := faas.Register(r, "f", echo)
	callInTurn(t, f, 20)
	require.NoError(t, r.SetConcurrency("f", 0))
	_, err := f.Invoke(t.Context(), 1)
	require.Error(t, err)
	require.NoError(t, r.SetConcurrency("f", 10))
	callInTurn(t, f, 20)
}

// watcher is a capacity scaler that remembers how many calls it last saw in flight.
type watcher struct{ inFlight atomic.Int64 }

func (w *watcher) Desired(l faas.Load, m faas.State) (faas.Target, faas.State) {
	w.inFlight.Store(int64(l.InFlight))
	return faas.Target{N: 100}, m
}

func TestACapacityScalerSeesNoKeptSlotAsUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := &watcher{}
		r := router(t, faas.WithCapacity(100), faas.WithCapacityScaler(w))
		f := faas.Register(r, "f", echo)
		callAtOnce(t, f, 10)
		w.inFlight.Store(-1)
		time.Sleep(5 * time.Second) // its workers are still idle
		require.Zero(t, w.inFlight.Load())
	})
}

func TestARemovedFunctionIsLetGoThoughItsWorkersHaveKeptSlots(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]faas.FunctionOption{"typed": nil, "inline": {faas.WithInline()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := router(t)
			w := &ward{}
			func() {
				held := w.object()
				f := faas.Register(r, "f", func(context.Context, int) (int, error) { return int(held[0]), nil }, opts...)
				callInTurn(t, f, 20)
			}()
			require.NoError(t, r.Remove("f"))
			w.released(t)
		})
	}
}

func TestAClosedRouterIsLetGoThoughItsWorkersHaveKeptSlots(t *testing.T) {
	t.Parallel()
	freed := make(chan struct{})
	func() {
		r := faas.New()
		runtime.AddCleanup(r, func(c chan struct{}) { close(c) }, freed)
		f, g := faas.Register(r, "f", echo), faas.Register(r, "g", echo, faas.WithInline())
		callAtOnce(t, f, 4)
		callInTurn(t, g, 20)
		require.NoError(t, r.Close())
	}()
	for began := time.Now(); time.Since(began) < limit; runtime.Gosched() {
		runtime.GC()
		select {
		case <-freed:
			return
		default:
		}
	}
	t.Error("the router is still in memory")
}

// Each caller makes one call at a time, and there is no queue. A call would be refused if what a
// worker keeps was not given to the call that lacks it.
func TestAsManyCallersAsSlotsAreNeverRefused(t *testing.T) {
	t.Parallel()
	each := 2000
	if testing.Short() {
		each = 200
	}
	for name, opts := range map[string][]faas.FunctionOption{"typed": nil, "inline": {faas.WithInline()}} {
		for _, callers := range []int{2, 4} {
			t.Run(fmt.Sprint(name, callers), func(t *testing.T) {
				t.Parallel()
				r := router(t, faas.WithCapacity(callers), faas.WithQueue(0))
				f, g := faas.Register(r, "f", echo, opts...), faas.Register(r, "g", echo, opts...)
				var all sync.WaitGroup
				for i := range callers {
					all.Go(func() {
						for n := range each {
							h := f
							if (n/(5+i))%2 == 0 {
								h = g
							}
							if _, err := h.Invoke(t.Context(), n); !assert.NoError(t, err) {
								return
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// Each of these returns after its change is made. No call that begins after that may find a slot
// that a worker has kept from before.
func TestACallThatBeginsLaterFindsNoKeptSlot(t *testing.T) {
	t.Parallel()
	changes := map[string]func(r *faas.Router) error{
		"removed":   func(r *faas.Router) error { return r.Remove("f") },
		"off":       func(r *faas.Router) error { return r.SetConcurrency("f", 0) },
		"closed":    func(r *faas.Router) error { return r.Close() },
		"shut down": func(r *faas.Router) error { return r.Shutdown(context.Background()) },
	}
	for name, change := range changes {
		for kind, opts := range map[string][]faas.FunctionOption{"typed": nil, "inline": {faas.WithInline()}} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				for range 5 {
					changeWhileCalled(t, change, opts...)
				}
			})
		}
	}
}

// changeWhileCalled makes a change to the function f while four callers call it.
func changeWhileCalled(t *testing.T, change func(*faas.Router) error, opts ...faas.FunctionOption) {
	t.Helper()
	r := router(t)
	f := faas.Register(r, "f", echo, opts...)
	var made atomic.Bool
	var calls atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				after := made.Load()
				_, err := f.Invoke(context.Background(), 1)
				if err != nil {
					return
				}
				if !assert.False(t, after, "a call ran after the change") {
					return
				}
				calls.Add(1)
			}
		})
	}
	for calls.Load() < 100 {
		runtime.Gosched()
	}
	require.NoError(t, change(r))
	made.Store(true)
	all.Wait()
	require.LessOrEqual(t, calls.Load(), int64(r.Stats().Admitted), "Close cancels calls that were admitted")
	require.Zero(t, r.Stats().InFlight)
}
