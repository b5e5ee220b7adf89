package faas_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// This file tests what the versions of a name share, and what is left when one is removed.

// napper is a handler that sleeps as long as its input says.
func napper(_ context.Context, d time.Duration) (struct{}, error) {
	time.Sleep(d)
	return struct{}{}, nil
}

// heeding is like napper, but returns when its context ends.
func heeding(ctx context.Context, d time.Duration) (struct{}, error) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return struct{}{}, ctx.Err()
}

func TestVersionsShareTheirNamesLimitAndQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := router(t)
		one := faas.Register(r, "f", napper, faas.WithVersion(1), faas.WithConcurrency(2), faas.WithQueue(1))
		two := faas.Register(r, "f", napper, faas.WithVersion(2))
		var wg sync.WaitGroup
		for _, f := range []*faas.Function[time.Duration, struct{}]{one, two, two} {
			wg.Go(func() { _, err := f.Invoke(t.Context(), time.Second); assert.NoError(t, err) })
			synctest.Wait()
		}
		_, err := one.Invoke(t.Context(), 0)
		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonOverloaded)

		name, err := r.Info("f")
		require.NoError(t, err)
		assert.Equal(t, [3]int{2, 1, 2}, [3]int{name.InFlight, name.Queued, name.Limit})
		assert.EqualValues(t, 2, name.Admitted)
		assert.Equal(t, map[faas.Reason]uint64{faas.ReasonOverloaded: 1}, name.Rejected)
		second, err := r.Info("f:2")
		require.NoError(t, err)
		assert.Equal(t, [3]int{1, 1, 2}, [3]int{second.InFlight, second.Queued, second.Limit})
		assert.Equal(t, second, two.Info())
		wg.Wait()
		assert.Equal(t, 2*time.Second, time.Since(start(t)))
	})
}

// start returns when virtual time begins.
func start(t *testing.T) time.Time {
	t.Helper()
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
}

func TestVersionsShareTheBudgetOfRunaways(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := router(t)
		both := faas.WithOptions(faas.WithTimeout(time.Second), faas.WithQueueTimeout(time.Minute))
		one := faas.Register(r, "f", napper, both, faas.WithVersion(1), faas.WithConcurrency(2), faas.WithRunaways(1))
		two := faas.Register(r, "f", napper, both, faas.WithVersion(2))

		for _, f := range []*faas.Function[time.Duration, struct{}]{one, two} {
			_, err := f.Invoke(t.Context(), time.Hour/2)
			require.ErrorIs(t, err, faas.ErrTimeout)
		}
		info, err := r.Info("f")
		require.NoError(t, err)
		assert.Equal(t, 2, info.Runaways)
		// One of the two runaways has given its slot back, so all slots but one are free.
		_, err = one.Invoke(t.Context(), time.Hour/2)
		require.ErrorIs(t, err, faas.ErrTimeout)
		_, err = two.Invoke(t.Context(), 0)
		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonRunaways)
		time.Sleep(time.Hour)
		_, err = two.Invoke(t.Context(), 0)
		require.NoError(t, err, "the budget has come back")
	})
}

func TestCallsOfARemovedVersionGoOnAndAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := router(t)
		one := faas.Register(r, "f", napper, faas.WithVersion(1), faas.WithConcurrency(1))
		two := faas.Register(r, "f", napper, faas.WithVersion(2))
		var wg sync.WaitGroup
		for range 2 { // one call runs and one waits
			wg.Go(func() { _, err := one.Invoke(t.Context(), time.Second); assert.NoError(t, err) })
			synctest.Wait()
		}

		require.NoError(t, r.Remove("f:1"))

		_, err := one.Invoke(t.Context(), 0)
		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
		info, err := r.Info("f")
		require.NoError(t, err)
		assert.Equal(t, [2]int{1, 1}, [2]int{info.InFlight, info.Queued}, "they hold and want slots of the name")
		_, err = two.Invoke(t.Context(), time.Second)
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(start(t)), "it has waited for them")
		wg.Wait()

		info, err = r.Info("f")
		require.NoError(t, err)
		assert.EqualValues(t, 3, info.Admitted, "also those of the removed version")
		assert.EqualValues(t, 1, two.Info().Admitted)
		stats := r.Stats()
		assert.EqualValues(t, 3, stats.Admitted)
		assert.Equal(t, map[faas.Reason]uint64{faas.ReasonNotFound: 1}, stats.Rejected)
		assert.Zero(t, stats.InFlight+stats.Queued)
	})
}

func TestShutdownWaitsForTheCallsOfARemovedVersionAndNamesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := router(t)
		one := faas.Register(r, "f", napper, faas.WithVersion(1))
		faas.Register(r, "f", napper)
		go func() { _, _ = one.Invoke(context.Background(), 10*time.Second) }()
		synctest.Wait()
		require.NoError(t, r.Remove("f:1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		err := r.Shutdown(ctx)

		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `"f:1" (1)`)
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(start(t)))
	})
}

func TestEachVersionHasItsOwnTimeoutLabelsHooksAndInstances(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := router(t)
		var built, closed atomic.Int32
		init := func(context.Context) (faas.Handler[time.Duration, struct{}], func(context.Context) error, error) {
			built.Add(1)
			return heeding, func(context.Context) error { closed.Add(1); return nil }, nil
		}
		var records recorder
		one := faas.RegisterInit(r, "f", init, faas.WithVersion(1), faas.WithTimeout(time.Second), faas.WithScaler(faas.FixedScaler{N: 2}), faas.WithMinInstances(2))
		two := faas.RegisterInit(r, "f", init, faas.WithVersion(2), faas.WithTimeout(time.Minute), faas.WithScaler(faas.FixedScaler{N: 1}), faas.WithMinInstances(1),
			faas.WithLabels(map[string]string{"stage": "beta"}), faas.WithMeter(&records), faas.WithMemory(1<<20))
		assert.EqualValues(t, 3, built.Load())

		_, err := one.Invoke(t.Context(), 2*time.Second)
		require.ErrorIs(t, err, faas.ErrTimeout)
		_, err = two.Invoke(t.Context(), 2*time.Second)
		require.NoError(t, err)
		require.Len(t, records.all(), 1)
		assert.Equal(t, "beta", records.last(t).Labels["stage"])
		assert.EqualValues(t, 1<<20, records.last(t).Memory)

		name, err := r.Info("f")
		require.NoError(t, err)
		assert.Equal(t, 3, name.Ready)
		assert.Equal(t, "2", name.Version)
		of := func(name string) (rules []string) {
			all, err := r.Decisions(name)
			require.NoError(t, err)
			for _, d := range all {
				rules = append(rules, d.Function+":"+d.Version)
			}
			return rules
		}
		assert.Equal(t, []string{"f:1"}, of("f:1"))
		assert.Equal(t, []string{"f:2"}, of("f:2"))
		assert.Equal(t, []string{"f:1", "f:2"}, of("f"))

		require.NoError(t, r.Remove("f:1"))
		synctest.Wait()
		assert.EqualValues(t, 2, closed.Load(), "its instances are closed, and the other's not")
	})
}

func TestALogLevelIsOfAllVersionsOrOfTheOneThatIsNamed(t *testing.T) {
	t.Parallel()
	r := router(t)
	for n := range 3 {
		faas.Register(r, "f", says(""), faas.WithVersion(n+1))
	}
	require.NoError(t, r.SetLogLevel("f", slog.LevelError))
	require.NoError(t, r.SetLogLevel("f:2", slog.LevelDebug))
	for _, i := range versions(t, r, "f") {
		want := slog.LevelError
		if i.Version == "2" {
			want = slog.LevelDebug
		}
		assert.Equal(t, want, i.LogLevel.Level(), i.Version)
	}
	require.ErrorIs(t, r.SetLogLevel("f:4", slog.LevelInfo), faas.ErrNotFound)
}

func TestARemovedVersionIsLetGoWhileItsNameLives(t *testing.T) {
	t.Parallel()
	r := router(t)
	faas.Register(r, "f", says("stays"), faas.WithVersion(2))
	freed := make(chan struct{})
	func() {
		held := new([1 << 16]byte)
		runtime.AddCleanup(held, func(c chan struct{}) { close(c) }, freed)
		f := faas.Register(r, "f", func(context.Context, int) (string, error) { return fmt.Sprint(held[0]), nil }, faas.WithVersion(1))
		for range 20 { // enough for a worker to keep the slot of its last call
			_, err := f.Invoke(t.Context(), 1)
			require.NoError(t, err)
		}
	}()
	require.NoError(t, r.Remove("f:1"))
	for {
		runtime.GC()
		select {
		case <-freed:
			return
		default:
			runtime.Gosched()
		}
	}
}

func TestVersionsComeAndGoWhileTheNameIsCalled(t *testing.T) {
	t.Parallel()
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	const limit = 3
	var records recorder
	r := router(t, faas.WithMeter(&records), faas.WithQueue(100))
	var running, most atomic.Int64
	handler := func(n string) faas.Handler[int, string] {
		return func(context.Context, int) (string, error) {
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			runtime.Gosched()
			running.Add(-1)
			return n, nil
		}
	}
	faas.Register(r, "f", handler("$LATEST"), faas.WithConcurrency(limit))
	stop := make(chan struct{})
	var callers, changers sync.WaitGroup
	var answered, refused atomic.Uint64
	for i := range 4 {
		names := []string{"f", "f:1", "f:2", "f:3"}
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				name := names[i]
				out, err := r.Invoke(t.Context(), name, []byte("1"))
				switch {
				case err == nil:
					answered.Add(1)
					if name != "f" {
						assert.JSONEq(t, `"`+name[2:]+`"`, string(out))
					}
				case name == "f":
					assert.NoError(t, err, "$LATEST is always there")
				default:
					assert.ErrorIs(t, err, faas.ErrNotFound)
					refused.Add(1)
				}
			}
		})
	}
	for n := range 3 {
		changers.Go(func() {
			version := fmt.Sprint(n + 1)
			for range rounds {
				_, err := faas.TryRegister(r, "f", handler(version), faas.WithVersion(n+1))
				assert.NoError(t, err)
				if rand.IntN(2) == 0 {
					runtime.Gosched()
				}
				info, err := r.Info("f")
				assert.NoError(t, err)
				assert.Equal(t, limit, info.Limit)
				assert.NoError(t, r.Remove("f:"+version))
			}
		})
	}
	changers.Wait()
	close(stop)
	callers.Wait()

	assert.LessOrEqual(t, most.Load(), int64(limit))
	assert.Len(t, records.all(), int(answered.Load()))
	stats := r.Stats()
	assert.Equal(t, answered.Load(), stats.Admitted)
	assert.Equal(t, refused.Load(), stats.Rejected[faas.ReasonNotFound])
	assert.Equal(t, 1, stats.Functions)
	info, err := r.Info("f")
	require.NoError(t, err)
	assert.Equal(t, answered.Load(), info.Admitted)
	assert.Zero(t, info.InFlight+info.Queued)
}
