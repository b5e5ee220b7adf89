package faas_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// jobHook puts a hook of jobs into service, as [hooks] does for hooks of calls.
type jobHook struct {
	router   []faas.RouterOption
	function []faas.FunctionOption
	payload  string // of the job that is sent
}

// jobHooks returns the places where jobs call foreign code, by name. Each calls do there.
func jobHooks(do func()) map[string]jobHook {
	carrier := func(save, restore func()) []faas.RouterOption {
		return []faas.RouterOption{faas.WithCarrier(faas.Carrier{
			Name:    "c",
			Save:    func(context.Context) ([]byte, error) { save(); return []byte{1}, nil },
			Restore: func(ctx context.Context, _ []byte) (context.Context, error) { restore(); return ctx, nil },
		})}
	}
	nothing := func() {}
	all := map[string]jobHook{
		"carrier's Save":    {router: carrier(do, nothing), payload: "1"},
		"carrier's Restore": {router: carrier(nothing, do), payload: "1"},
		"upgrade": {payload: "x", function: []faas.FunctionOption{faas.WithUpgrade(func([]byte, string) ([]byte, error) {
			do()
			return []byte("1"), nil
		})}},
		"Failed of WithBatches": {payload: "1", function: []faas.FunctionOption{faas.WithBatches(faas.Batches{
			Failed: func([]byte, []byte) []int { do(); return nil },
			Pick:   func([]byte, []int) []byte { return nil },
		})}},
		"Pick of WithBatches": {payload: "1", function: []faas.FunctionOption{faas.WithBatches(faas.Batches{
			Failed: func([]byte, []byte) []int { return []int{0} },
			Pick:   func([]byte, []int) []byte { do(); return []byte("1") },
		})}},
		"destination": {payload: "1", function: []faas.FunctionOption{faas.WithOnSuccess(faas.ToFunc(func(context.Context, faas.JobEnvelope) error {
			do()
			return nil
		}))}},
	}
	for _, method := range jobMethods() {
		all["queue's "+method] = jobHook{router: []faas.RouterOption{faas.WithJobs(hookJobs(method, do))}, payload: "1"}
	}
	return all
}

// telling is a middleware that reports the progress of a job.
func telling(next faas.Runner) faas.Runner {
	return func(ctx context.Context, inv faas.Invocation) error {
		_ = faas.Progress(ctx, 1, 2, "half")
		return next(ctx, inv)
	}
}

// useJobs uses jobs so that each hook is called at least once. It returns although some of the
// hooks fail.
func useJobs(t *testing.T, r *faas.Router, payload string) {
	t.Helper()
	steps := []func(){
		func() { _, _ = r.Send(t.Context(), "f", []byte(payload), faas.WithItems(2)) },
		func() {
			if job, err := r.Send(t.Context(), "f", []byte(payload), faas.WithDelay(time.Second), faas.WithItems(2)); err == nil {
				_, _ = job.Wait(t.Context())
			}
		},
		func() {
			if job, err := r.Send(t.Context(), "f", []byte("1"), faas.WithDelay(time.Hour)); err == nil {
				_ = job.Cancel(t.Context())
			}
		},
		func() {
			for range r.Jobs(t.Context(), faas.JobFilter{}) {
				continue
			}
		},
		func() { _ = r.Stats() },
	}
	for _, step := range steps {
		var over sync.WaitGroup // a goroutine for each step, since a hook may end it by Goexit
		over.Go(step)
		over.Wait()
		synctest.Wait()
	}
}

// shutAnyway ends a router that may have jobs left.
func shutAnyway(t *testing.T, r *faas.Router) {
	t.Helper()
	if err := r.Shutdown(t.Context()); err != nil {
		_, left := errors.AsType[*faas.JobsLeft](err)
		require.True(t, left, "%v", err)
	}
}

func TestCloseFromAHookOfJobsReturns(t *testing.T) {
	t.Parallel()
	for name := range jobHooks(nil) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var r *faas.Router
				var once sync.Once
				returned := make(chan struct{})
				hook := jobHooks(func() {
					once.Do(func() {
						_ = r.Close()
						close(returned)
					})
				})[name]
				r = router(t, hook.router...)
				faas.Register(r, "f", double, append(hook.function, faas.WithMiddleware(telling))...)
				begin := time.Now()
				useJobs(t, r, hook.payload)
				<-returned
				shutAnyway(t, r)
				assert.Less(t, time.Since(begin), 5*time.Second, "it has waited for itself")
			})
		})
	}
}

func TestShutdownFromAHookOfJobsSaysToCallItElsewhere(t *testing.T) {
	t.Parallel()
	for name := range jobHooks(nil) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var r *faas.Router
				var once sync.Once
				var err error
				reached := make(chan struct{})
				hook := jobHooks(func() {
					once.Do(func() {
						err = r.Shutdown(context.Background())
						close(reached)
					})
				})[name]
				r = router(t, hook.router...)
				faas.Register(r, "f", double, append(hook.function, faas.WithMiddleware(telling))...)
				useJobs(t, r, hook.payload)
				<-reached
				require.ErrorIs(t, err, faas.ErrInput)
				shutAnyway(t, r)
			})
		})
	}
}

// If a hook panics or ends its goroutine once, no job is lost: all jobs that were accepted end, and
// no goroutine is left.
func TestAHookOfJobsThatPanicsOrExitsLosesNoJob(t *testing.T) {
	t.Parallel()
	for name := range jobHooks(nil) {
		for how, fail := range map[string]func(){"panics": func() { panic(name) }, "exits": exit} {
			t.Run(name+" "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var once sync.Once
					hook := jobHooks(func() { once.Do(fail) })[name]
					r := router(t, hook.router...)
					faas.Register(r, "f", double, append(hook.function, faas.WithMiddleware(telling), faas.WithConcurrency(1))...)
					useJobs(t, r, hook.payload)
					time.Sleep(2 * time.Hour)
					synctest.Wait()
					for info, err := range r.Jobs(t.Context(), faas.JobFilter{}) {
						require.NoError(t, err)
						assert.True(t, info.State.IsSettled(), "%v %+v", info.State, info.Waiting)
					}
					stats := r.Stats()
					assert.Zero(t, stats.InFlight+stats.Queued)
					out, err := r.Invoke(t.Context(), "f", []byte("4"))
					require.NoError(t, err, "the slot is there")
					assert.Equal(t, "8", string(out))
					require.NoError(t, r.Shutdown(t.Context()))
				})
			})
		}
	}
}

// A job that was parked because its own handler still runs is unparked when that handler has
// returned. Only one goroutine does this, so it must try again if the queue fails.
func TestAParkedJobRunsThoughTheQueueFailsWhenItIsLetGo(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Get", "Swap"} {
		for how, fail := range map[string]func(){"panics": func() { panic(method) }, "exits": exit} {
			t.Run(method+" "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var isArmed atomic.Bool
					r := router(t, faas.WithJobs(hookJobs(method, func() {
						if isArmed.Swap(false) {
							fail()
						}
					})))
					var runs atomic.Int32
					f := faas.Register(r, "f", func(context.Context, int) (int, error) {
						if runs.Add(1) == 1 {
							time.Sleep(10 * time.Second)
						}
						return 0, nil
					}, faas.WithTimeout(time.Second), faas.WithRetry(faas.Retry{Max: 1, First: time.Second}))
					job, err := f.Send(t.Context(), 1)
					require.NoError(t, err)
					time.Sleep(9 * time.Second)
					synctest.Wait()
					require.Equal(t, "Parked handler", state(t, job))
					isArmed.Store(true)
					time.Sleep(3 * time.Second)
					synctest.Wait()
					assert.Equal(t, "Succeeded", state(t, job))
				})
			})
		}
	}
}

func TestTheBodyOfALoopOverJobsMayCloseAndShutDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		fn := faas.Register(r, "f", double)
		_, err := fn.Send(t.Context(), 1)
		require.NoError(t, err)
		synctest.Wait()
		for range r.Jobs(t.Context(), faas.JobFilter{}) {
			require.NoError(t, r.Shutdown(t.Context()))
		}
		assert.PanicsWithValue(t, "mine", func() {
			for range r.Jobs(t.Context(), faas.JobFilter{}) {
				panic("mine")
			}
		})
		assert.Zero(t, r.Stats().HookPanics, "the loop's panic is not the queue's")
	})
}

func TestShutdownWaitsForAQueueThatBlocksUntilItsContextEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		r := router(t, faas.WithJobs(hookJobs("Settle", func() { <-release })))
		fn := faas.Register(r, "f", double)
		_, err := fn.Send(t.Context(), 1)
		require.NoError(t, err)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		err = r.Shutdown(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "has not stored the ends of 1 jobs")
		assert.Equal(t, time.Minute, time.Since(begin))
		close(release)
		synctest.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestCloseReturnsWhenTheJobsThatItCanceledCanRunElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		for _, q := range []faas.JobQueue{queue, &hookedJobs{queue, func(_ context.Context, m string) {
			if m == "Settle" {
				time.Sleep(time.Second)
			}
		}}} {
			r := router(t, faas.WithJobs(q))
			fn := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
			job, err := fn.Send(t.Context(), 1)
			require.NoError(t, err)
			synctest.Wait()
			require.NoError(t, r.Close())
			rec, err := queue.Get(t.Context(), job.ID())
			require.NoError(t, err)
			assert.Equal(t, faas.JobReady, rec.State)
			assert.Zero(t, rec.Attempts)
			require.NoError(t, queue.Swap(t.Context(), rec, faas.JobRecord{ID: rec.ID, State: faas.JobCanceled}))
		}
	})
}

func TestCloseWaitsForAQueueThatBlocksForAFewSecondsOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		release := make(chan struct{})
		r = router(t, faas.WithJobs(hookJobs("Settle", func() { <-release })))
		fn := faas.Register(r, "f", double)
		_, err := fn.Send(t.Context(), 1)
		require.NoError(t, err)
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, r.Close())
		assert.Equal(t, 5*time.Second, time.Since(begin))
		close(release)
	})
}

func TestAHandlerOfAJobMayCloseItsRouter(t *testing.T) {
	t.Parallel()
	for _, inline := range []bool{false, true} {
		t.Run(map[bool]string{false: "on a worker", true: "inline"}[inline], func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var r *faas.Router
				opts := []faas.FunctionOption{faas.WithRetry(faas.Retry{})}
				if inline {
					opts = append(opts, faas.WithInline())
				}
				var took time.Duration
				r = router(t)
				fn := faas.Register(r, "f", func(context.Context, int) (int, error) {
					begin := time.Now()
					err := r.Close()
					took = time.Since(begin)
					return 0, err
				}, opts...)
				job, err := fn.Send(t.Context(), 1)
				require.NoError(t, err)
				synctest.Wait()
				assert.Zero(t, took)
				info, err := job.Info(t.Context())
				require.NoError(t, err)
				assert.Equal(t, faas.JobReady, info.State)
			})
		})
	}
}
