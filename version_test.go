package faas_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// answers is a handler that answers the number, whatever it is asked.
func answers(n int) faas.Handler[int, int] {
	return func(context.Context, int) (int, error) { return n, nil }
}

func TestVersionsOfANameAreCalledByTheirNumber(t *testing.T) {
	t.Parallel()
	meter := &recorder{}
	r := router(t, faas.WithMeter(meter))
	faas.Register(r, "f", answers(0))
	second := faas.Register(r, "f", answers(2), faas.WithVersion(2))
	faas.Register(r, "f", answers(1), faas.WithVersion(1))

	for name, want := range map[string]string{"f": "0", "f:$LATEST": "0", "f:1": "1", "f:2": "2"} {
		got, err := r.Invoke(t.Context(), name, []byte("7"))
		require.NoError(t, err, name)
		assert.Equal(t, want, string(got), name)
		e := meter.last(t)
		assert.Equal(t, "f", e.Function)
		sig, err := r.Signature(name)
		require.NoError(t, err)
		assert.Equal(t, sig.Version, e.Version)
	}
	found, err := faas.Lookup[int, int](r, "f:2")
	require.NoError(t, err)
	assert.Same(t, second, found)
	got, err := second.Invoke(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, 2, got)
	assert.Equal(t, "2", second.Info().Version)
	assert.NoError(t, r.DryRun(t.Context(), "f:1"))
	for _, name := range []string{"f:3", "f:02", "f:-2", "f:live", "g:1"} {
		_, err := r.Invoke(t.Context(), name, []byte("7"))
		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
	}
	_, err = r.Info("f:3")
	assert.ErrorContains(t, err, `there is "f:$LATEST", "f:1", "f:2"`)
}

func TestANameWithoutALatestVersionIsCalledWithANumberOnly(t *testing.T) {
	t.Parallel()
	r := router(t)
	faas.Register(r, "f", answers(1), faas.WithVersion(1))

	_, err := r.Invoke(t.Context(), "f", []byte("7"))

	assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
	assert.ErrorContains(t, err, `there is "f:1"`)
	info, err := r.Info("f")
	require.NoError(t, err, "the name is there")
	assert.Equal(t, "1", info.Version)
}

func TestWhatIsNoVersionIsNotRegistered(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithQueue(7))
	faas.Register(r, "f", double, faas.WithVersion(1), faas.WithConcurrency(4), faas.WithTenantConcurrency(2))

	for _, c := range []struct {
		opts []faas.FunctionOption
		want error
	}{
		{[]faas.FunctionOption{faas.WithVersion(1)}, faas.ErrDuplicate},
		{[]faas.FunctionOption{faas.WithVersion(0)}, faas.ErrInput},
		{[]faas.FunctionOption{faas.WithVersion(-2)}, faas.ErrInput},
		{[]faas.FunctionOption{faas.WithVersion(2), faas.WithConcurrency(5)}, faas.ErrInput},
		{[]faas.FunctionOption{faas.WithVersion(2), faas.WithQueue(8)}, faas.ErrInput},
		{[]faas.FunctionOption{faas.WithVersion(2), faas.WithReserved(1)}, faas.ErrInput},
		{[]faas.FunctionOption{faas.WithVersion(2), faas.WithWeight(2)}, faas.ErrInput},
		{[]faas.FunctionOption{faas.WithVersion(2), faas.WithTenantConcurrency(3)}, faas.ErrInput},
		{[]faas.FunctionOption{faas.WithVersion(2), faas.WithRunaways(1)}, faas.ErrInput},
	} {
		_, err := faas.TryRegister(r, "f", double, c.opts...)
		assert.ErrorIs(t, err, c.want)
	}
	_, err := faas.TryRegister(r, "f", func(context.Context, string) (int, error) { return 0, nil }, faas.WithVersion(2))
	require.ErrorIs(t, err, faas.ErrType)
	_, err = faas.TryRegisterStream(r, "f", func(context.Context, int, io.Writer) error { return nil }, faas.WithVersion(2))
	require.ErrorIs(t, err, faas.ErrType)

	_, err = faas.TryRegister(r, "f", double, faas.WithVersion(2), faas.WithConcurrency(4), faas.WithQueue(7), faas.WithTimeout(time.Minute))
	require.NoError(t, err, "what the name has may be repeated, and the timeout is the version's")
	all, err := r.Versions("f")
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, []string{"1", "2"}, []string{all[0].Version, all[1].Version})
	assert.Equal(t, []time.Duration{30 * time.Second, time.Minute}, []time.Duration{all[0].Timeout, all[1].Timeout})
}

func TestVersionsShareTheLimitOfTheirName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var running, most atomic.Int64
		slow := func(ctx context.Context, _ int) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return 0, nil
		}
		faas.Register(r, "f", slow, faas.WithConcurrency(3))
		faas.Register(r, "f", slow, faas.WithVersion(1))
		faas.Register(r, "f", slow, faas.WithVersion(2))
		var calls sync.WaitGroup
		for i := range 30 {
			calls.Go(func() {
				_, err := r.Invoke(context.Background(), []string{"f", "f:1", "f:2"}[i%3], []byte("1"))
				assert.NoError(t, err)
			})
		}
		synctest.Wait()
		info, err := r.Info("f")
		require.NoError(t, err)
		assert.Equal(t, []int{3, 27, 3}, []int{info.InFlight, info.Queued, info.Limit})
		queued := 0
		versions, err := r.Versions("f")
		require.NoError(t, err)
		for _, v := range versions {
			queued += v.Queued
		}
		assert.Equal(t, 27, queued)
		require.NoError(t, r.SetConcurrency("f", 6))
		synctest.Wait()
		assert.EqualValues(t, 6, running.Load())
		require.ErrorIs(t, r.SetConcurrency("f:1", 6), faas.ErrName)

		calls.Wait()
		assert.EqualValues(t, 6, most.Load())
		assert.Equal(t, 1, r.Stats().Functions)
		info, err = r.Info("f")
		require.NoError(t, err)
		assert.EqualValues(t, 30, info.Admitted)
	})
}

func TestARemovedVersionFinishesItsCallsAndItsCountsStayWithTheName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		faas.Register(r, "f", func(context.Context, int) (int, error) { time.Sleep(time.Second); return 1, nil }, faas.WithVersion(1))
		faas.Register(r, "f", answers(2), faas.WithVersion(2))
		answered := make(chan error)
		go func() { _, err := r.Invoke(context.Background(), "f:1", []byte("0")); answered <- err }()
		synctest.Wait()

		require.ErrorIs(t, r.Remove("f"), faas.ErrNotFound, "there is no $LATEST")
		require.NoError(t, r.Remove("f:1"))

		_, err := r.Invoke(context.Background(), "f:1", []byte("0"))
		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
		info, err := r.Info("f")
		require.NoError(t, err)
		assert.Equal(t, 1, info.InFlight, "the call of the removed version")
		require.NoError(t, <-answered)
		got, err := r.Invoke(context.Background(), "f:2", []byte("0"))
		require.NoError(t, err)
		assert.Equal(t, "2", string(got))
		synctest.Wait()
		info, err = r.Info("f")
		require.NoError(t, err)
		assert.EqualValues(t, 2, info.Admitted)
		faas.Register(r, "f", answers(11), faas.WithVersion(1))
		got, err = r.Invoke(context.Background(), "f:1", []byte("0"))
		require.NoError(t, err)
		assert.Equal(t, "11", string(got))
		require.NoError(t, r.Shutdown(context.Background()))
		assert.EqualValues(t, 3, r.Stats().Admitted)
	})
}

func TestTheLastVersionTakesTheNameWithIt(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithCapacity(10))
	for range 3 {
		faas.Register(r, "f", double, faas.WithVersion(1), faas.WithReserved(8), faas.WithConcurrency(9))
		faas.Register(r, "f", double)
		require.NoError(t, r.Remove("f:$LATEST"))
		require.NoError(t, r.Remove("f:1"))
		_, err := r.Info("f")
		require.ErrorIs(t, err, faas.ErrNotFound)
		assert.Zero(t, r.Stats().Functions)
	}
	_, err := faas.TryRegister(r, "f", func(context.Context, string) (string, error) { return "", nil }, faas.WithConcurrency(1))
	assert.NoError(t, err, "nothing of the earlier name is left")
}

func TestVersionsHaveInstancesAndDecisionsOfTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		init := func(n int) faas.Init[int, int] {
			return func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
				return answers(n), nil, nil
			}
		}
		faas.RegisterInit(r, "f", init(1), faas.WithVersion(1), faas.WithMinInstances(2))
		faas.RegisterInit(r, "f", init(2), faas.WithVersion(2), faas.WithMinInstances(3))

		versions, err := r.Versions("f")
		require.NoError(t, err)
		assert.Equal(t, []int{2, 3}, []int{versions[0].Ready, versions[1].Ready})
		info, err := r.Info("f")
		require.NoError(t, err)
		assert.Equal(t, 5, info.Instances)
		all, err := r.Decisions("f")
		require.NoError(t, err)
		require.Len(t, all, 2)
		assert.Equal(t, []string{"1", "2"}, []string{all[0].Version, all[1].Version})
		own, err := r.Decisions("f:2")
		require.NoError(t, err)
		assert.Len(t, own, 1)
	})
}

func TestVersionsComeAndGoWhileCallsRun(t *testing.T) {
	t.Parallel()
	meter := &recorder{}
	r := router(t, faas.WithMeter(meter), faas.WithCapacity(8))
	faas.Register(r, "f", answers(0), faas.WithConcurrency(4))
	var stop atomic.Bool
	var changes, calls sync.WaitGroup
	for n := 1; n <= 3; n++ {
		changes.Go(func() {
			name := fmt.Sprint("f:", n)
			for !stop.Load() {
				faas.Register(r, "f", answers(n), faas.WithVersion(n))
				runtime.Gosched()
				assert.NoError(t, r.Remove(name))
			}
		})
	}
	var admitted atomic.Int64
	for i := range 8 {
		calls.Go(func() {
			for j := range 2000 {
				n := (i + j) % 4
				got, err := r.Invoke(context.Background(), fmt.Sprint("f:", []string{"$LATEST", "1", "2", "3"}[n]), []byte("0"))
				switch {
				case err == nil:
					admitted.Add(1)
					assert.Equal(t, fmt.Sprint(n), string(got))
				case n == 0:
					assert.NoError(t, err)
				default:
					assert.ErrorIs(t, err, faas.ErrNotFound)
				}
			}
		})
	}
	calls.Wait()
	stop.Store(true)
	changes.Wait()
	require.NoError(t, r.Shutdown(context.Background()))
	assert.EqualValues(t, admitted.Load(), r.Stats().Admitted)
	assert.Len(t, meter.all(), int(admitted.Load()))
}

func TestAnIdleFunctionTakesAtMostOneKiB(t *testing.T) {
	const n = 10_000
	r := faas.New()
	var was, is runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&was)
	for i := range n {
		faas.Register(r, fmt.Sprint("f", i), double)
	}
	runtime.GC()
	runtime.ReadMemStats(&is)
	each := (is.HeapAlloc - was.HeapAlloc) / n
	t.Log("bytes each:", each)
	assert.LessOrEqual(t, each, uint64(1024))
	require.NoError(t, r.Close())
}

func ExampleWithVersion() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "greet", func(_ context.Context, name string) (string, error) { return "hello " + name, nil }, faas.WithVersion(1))
	faas.Register(r, "greet", func(_ context.Context, name string) (string, error) { return "good day, " + name, nil }, faas.WithVersion(2))

	for _, version := range []string{"greet:1", "greet:2"} {
		out, err := r.Invoke(context.Background(), version, []byte(`"ana"`))
		fmt.Println(string(out), err)
	}
	_, err := r.Invoke(context.Background(), "greet", []byte(`"ana"`))
	fmt.Println(err)
	// Output:
	// "hello ana" <nil>
	// "good day, ana" <nil>
	// faas: invoke "greet" refused (not_found): no such function: there is "greet:1", "greet:2"
}
