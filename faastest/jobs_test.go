package faastest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

// failing returns a handler that fails its first n calls.
func failing(n int) faas.Handler[int, int] {
	return func(_ context.Context, in int) (int, error) {
		if n--; n >= 0 {
			return 0, errors.New("not now")
		}
		return in, nil
	}
}

// list is written by several goroutines.
type list[T any] struct {
	mu  sync.Mutex // guards all
	all []T
}

func (l *list[T]) add(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, v)
}

func (l *list[T]) get() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func TestDrainRunsAllJobsWithTheirRetriesAndWhatFollowsFromThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faastest.New(t)
		jobs := faastest.NewJobs(t, r)
		jobs.Drain() // there are none
		var buried list[faas.JobCondition]
		faas.Register(r, "undertaker", func(_ context.Context, e faas.JobEnvelope) (struct{}, error) {
			buried.add(e.RequestContext.Condition)
			return struct{}{}, nil
		})
		flaky := faas.Register(r, "flaky", failing(2))
		lost := faas.Register(r, "lost", failing(9), faas.WithOnFailure(faas.ToFunction("undertaker")))
		start := time.Now()
		good, err := flaky.Send(t.Context(), 7)
		require.NoError(t, err)
		bad, err := lost.Send(t.Context(), 8, faas.WithDelay(30*time.Minute))
		require.NoError(t, err)

		jobs.Drain()

		assert.Equal(t, 33*time.Minute, time.Since(start))
		out, err := good.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 7, out)
		assert.Equal(t, []faas.JobCondition{faas.ConditionRetriesExhausted}, buried.get())
		require.Len(t, jobs.Dead(), 1)
		assert.Equal(t, bad.ID(), jobs.Dead()[0].ID)
	})
}

func TestDrainGivesUpAJobWhoseFunctionIsNeverRegistered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faastest.New(t)
		jobs := faastest.NewJobs(t, r)
		f := faas.Register(r, "f", failing(0))
		_, err := f.Send(t.Context(), 1, faas.WithDelay(time.Minute))
		require.NoError(t, err)
		require.NoError(t, r.Remove("f"))
		jobs.Drain()
		require.Len(t, jobs.Dead(), 1)
		assert.Equal(t, faas.ConditionEventAgeExceeded, jobs.Dead()[0].Condition)
	})
}

func TestAdvanceRunsWhatIsDueByThen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faastest.New(t)
		jobs := faastest.NewJobs(t, r)
		f := faas.Register(r, "f", failing(1))
		job, err := f.Send(t.Context(), 1)
		require.NoError(t, err)
		deliveries := func() int {
			info, err := job.Info(t.Context())
			require.NoError(t, err)
			return info.Deliveries
		}
		jobs.Advance(0)
		assert.Equal(t, 1, deliveries())
		jobs.Advance(time.Minute - 1)
		assert.Equal(t, 1, deliveries())
		jobs.Advance(1)
		assert.Equal(t, 2, deliveries())
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
	})
}

func TestACrashLosesTheJobsThatHaveNotEndedAndTheirKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faastest.New(t)
		jobs := faastest.NewJobs(t, r)
		var ran list[int]
		var causes list[error]
		f := faas.Register(r, "f", func(ctx context.Context, in int) (int, error) {
			if in == 2 {
				<-ctx.Done()
				causes.add(context.Cause(ctx))
			}
			ran.add(in)
			return in, nil
		})
		key := faas.WithUnique("order 7", time.Hour)
		done, err := f.Send(t.Context(), 1)
		require.NoError(t, err)
		_, err = f.Send(t.Context(), 2)
		require.NoError(t, err)
		waits, err := f.Send(t.Context(), 3, faas.WithDelay(time.Minute), key)
		require.NoError(t, err)
		jobs.Advance(time.Second)

		assert.Equal(t, 2, jobs.Crash())

		_, err = waits.Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrNotFound)
		out, err := done.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, out)
		again, err := f.Send(t.Context(), 4, faas.WithJobID(waits.ID()), key)
		require.NoError(t, err)
		assert.False(t, again.Duplicate())
		jobs.Drain()
		assert.Equal(t, []int{1, 4}, ran.get())
		jobs.Advance(20 * time.Second)
		assert.Equal(t, []int{1, 4, 2}, ran.get())
		assert.Equal(t, []error{faas.ErrLease}, causes.get())
		assert.Empty(t, jobs.Dead())
	})
}

func TestLostLeasesHaveTheJobRunAgainAndTheThirdIsTheLast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec faastest.Recorder
		r := faastest.New(t, faas.WithMeter(&rec))
		jobs := faastest.NewJobs(t, r)
		running := 0
		f := faas.Register(r, "f", func(ctx context.Context, in int) (int, error) {
			if running++; running > 1 {
				t.Error("two deliveries at once")
			}
			defer func() { running-- }()
			<-ctx.Done()
			return 0, ctx.Err()
		}, faas.WithTimeout(time.Hour), faas.WithConcurrency(5))
		_, err := f.Send(t.Context(), 1)
		require.NoError(t, err)
		for range 3 {
			jobs.Advance(time.Minute)
			assert.Equal(t, 1, jobs.LoseLeases())
		}
		jobs.Drain()
		require.Len(t, jobs.Dead(), 1)
		dead := jobs.Dead()[0]
		assert.Equal(t, faas.ConditionHostCrashes, dead.Condition)
		assert.Equal(t, []int{0, 3}, []int{dead.Attempts, dead.Crashes})
		jobs.Advance(time.Minute)
		require.Equal(t, 3, rec.Len()) // the delivery that lost its lease has a record too
		for n, e := range rec.Executions() {
			assert.Equal(t, n+1, e.Delivery)
			assert.Equal(t, faas.Canceled, e.Outcome)
		}
	})
}

// deskQueue has neither LoseJobs nor LoseLeases.
type deskQueue struct{ faas.JobQueue }

func TestWhatJobsCanNotDoIsFatalAndSaysWhy(t *testing.T) {
	t.Parallel()
	tb := newEndingTB(t)
	jobs := faastest.NewJobs(tb, faastest.New(tb, faas.WithJobs(deskQueue{faas.NewMemoryJobs(0, 0)})))
	assert.Zero(t, jobs.Crash())
	assert.Contains(t, tb.failed(), "faastest_test.deskQueue can't lose leases")

	tb = newEndingTB(t)
	faastest.NewJobs(tb, faastest.New(tb)).Advance(time.Hour)
	assert.Contains(t, tb.failed(), "only inside a bubble")

	tb = newEndingTB(t)
	r := faastest.New(tb)
	f := faas.Register(r, "f", failing(0))
	_, err := f.Send(t.Context(), 1, faas.WithDelay(time.Hour))
	require.NoError(t, err)
	tb.end()
	assert.Empty(t, tb.failed(), "a job that is left is no failure")
	faastest.NewJobs(tb, r).Drain()
	assert.Contains(t, tb.failed(), `left: "f" Scheduled (1)`)

	queue := faas.NewMemoryJobs(0, 0)
	require.NoError(t, queue.Close())
	tb = newEndingTB(t)
	assert.Empty(t, faastest.NewJobs(tb, faastest.New(tb, faas.WithJobs(queue))).Dead())
	assert.Contains(t, tb.failed(), "the queue is closed")
	tb.end()
}

func TestDrainWorksOutsideOfABubble(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	f := faas.Register(r, "f", failing(1), faas.WithConcurrency(1), faas.WithRetry(faas.Retry{Max: 1, First: time.Millisecond}))
	for n := range 20 {
		_, err := f.Send(t.Context(), n)
		require.NoError(t, err)
	}
	faastest.NewJobs(t, r).Drain()
	n := 0
	for info, err := range r.Jobs(t.Context(), faas.JobFilter{States: []faas.JobState{faas.JobSucceeded}}) {
		require.NoError(t, err)
		n += info.Deliveries
	}
	assert.Equal(t, 21, n)
}
