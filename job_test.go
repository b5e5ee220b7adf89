package faas_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

type parcel struct{ N int }

// shipping returns a handler that fails its first n calls, and notes when each began.
func shipping(n int, began *[]time.Duration) faas.Handler[parcel, string] {
	first := time.Now()
	return func(_ context.Context, in parcel) (string, error) {
		*began = append(*began, time.Since(first))
		if len(*began) <= n {
			return "", fmt.Errorf("failure %d", len(*began))
		}
		return "order " + strconv.Itoa(in.N), nil
	}
}

// state returns a job's state, and what it waits for.
func state[Out any](t *testing.T, job *faas.Job[Out]) string {
	t.Helper()
	info, err := job.Info(t.Context())
	require.NoError(t, err)
	if info.Waiting.For == "" {
		return info.State.String()
	}
	return info.State.String() + " " + string(info.Waiting.For)
}

// shut ends a router, all of whose jobs must have ended.
func shut(t *testing.T, r *faas.Router) {
	t.Helper()
	require.NoError(t, r.Shutdown(t.Context()))
	synctest.Wait()
}

func TestAJobSucceedsAndWaitHasItsAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		meter := &recorder{}
		r := router(t, faas.WithMeter(meter))
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began))
		job, err := fn.Send(t.Context(), parcel{7})
		require.NoError(t, err)
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "order 7", out)
		again, err := r.Job(job.ID()).Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, `"order 7"`, string(again))
		record := meter.last(t)
		assert.Equal(t, []any{job.ID(), 1, 1}, []any{record.Job, record.Delivery, record.Attempt})
		assert.NotEqual(t, job.ID(), record.ID)
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, faas.ConditionSuccess, info.Condition)
		assert.Equal(t, record.ID, info.Last.Invocation)
		assert.False(t, job.Duplicate())
		shut(t, r)
	})
}

func TestAJobThatFailsIsTriedAgainAfterOneAndTwoMinutesAndIsDeadThen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(9, &began))
		job, err := fn.Send(t.Context(), parcel{7})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, "Scheduled backoff", state(t, job))
		assert.Equal(t, faas.JobCount{Scheduled: 1, Bytes: r.Stats().Jobs.Bytes}, r.Stats().Jobs)
		_, err = job.Wait(t.Context())
		assert.Equal(t, []time.Duration{0, time.Minute, 3 * time.Minute}, began)
		var end *faas.JobError
		require.ErrorAs(t, err, &end)
		assert.Equal(t, faas.ConditionRetriesExhausted, end.Condition)
		assert.EqualError(t, err, `faas: job "ship" Dead (RetriesExhausted): failure 3`)
		shut(t, r)
	})
}

func TestARetrySucceeds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(1, &began))
		job, err := fn.Send(t.Context(), parcel{7})
		require.NoError(t, err)
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "order 7", out)
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, info.Attempts)
		shut(t, r)
	})
}

func TestARetryWaitsForTheHandlerOfItsLastAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var running, most atomic.Int32
		fn := faas.Register(r, "deaf", func(context.Context, parcel) (string, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(20 * time.Minute)
			return "", nil
		}, faas.WithTimeout(15*time.Minute), faas.WithRetry(faas.Retry{Max: 1}))
		job, err := fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		time.Sleep(17 * time.Minute)
		assert.Equal(t, "Parked handler", state(t, job))
		begin := time.Now()
		_, err = job.Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, 18*time.Minute, time.Since(begin)) // 3 minutes until the handler has returned, and 15 for the next
		assert.Equal(t, int32(1), most.Load())
		shut(t, r)
	})
}

func TestWithOverlapARetryDoesNotWaitForTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		fn := faas.Register(r, "deaf", func(context.Context, parcel) (string, error) {
			time.Sleep(20 * time.Minute)
			return "", nil
		}, faas.WithTimeout(15*time.Minute), faas.WithRetry(faas.Retry{Max: 1}), faas.WithOverlap())
		job, err := fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		begin := time.Now()
		_, err = job.Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, 31*time.Minute, time.Since(begin))
		shut(t, r)
	})
}

func TestWaitInAHandlerAnswersErrCycleUnlessTheJobHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		ship := faas.Register(r, "ship", shipping(0, &began))
		done, err := ship.Send(t.Context(), parcel{1})
		require.NoError(t, err)
		_, err = done.Wait(t.Context())
		require.NoError(t, err)
		outer := faas.Register(r, "outer", func(ctx context.Context, _ parcel) (string, error) {
			out, err := ship.Job(done.ID()).Wait(ctx)
			if err != nil {
				return "", err
			}
			later, err := ship.Send(ctx, parcel{2}, faas.WithDelay(time.Second))
			if err != nil {
				return "", err
			}
			_, err = later.Wait(ctx)
			if !errors.Is(err, faas.ErrCycle) {
				return "", fmt.Errorf("not a cycle: %w", err)
			}
			return out, nil
		})
		out, err := outer.Invoke(t.Context(), parcel{})
		require.NoError(t, err)
		assert.Equal(t, "order 1", out)
		time.Sleep(time.Minute)
		shut(t, r)
	})
}

func TestAJobThatWaitsIsCanceledAndNeverRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began))
		job, err := fn.Send(t.Context(), parcel{7}, faas.WithDelay(time.Hour))
		require.NoError(t, err)
		assert.Equal(t, "Scheduled due", state(t, job))
		require.NoError(t, job.Cancel(t.Context()))
		require.NoError(t, job.Cancel(t.Context()))
		_, err = job.Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrJobCanceled)
		time.Sleep(2 * time.Hour)
		assert.Empty(t, began)
		shut(t, r)
	})
}

func TestAJobThatRunsIsCanceledAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		meter := &recorder{}
		r := router(t, faas.WithMeter(meter))
		var cause error
		fn := faas.Register(r, "slow", func(ctx context.Context, _ parcel) (string, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return "", ctx.Err()
		})
		job, err := fn.Send(t.Context(), parcel{7})
		require.NoError(t, err)
		time.Sleep(time.Second)
		assert.Equal(t, "Running", state(t, job))
		require.NoError(t, job.Cancel(t.Context()))
		_, err = job.Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrJobCanceled)
		synctest.Wait()
		require.ErrorIs(t, cause, faas.ErrJobCanceled)
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, time.Second, info.Used)
		assert.Equal(t, time.Second, meter.last(t).Duration)
		shut(t, r)
	})
}

func TestAJobThatHasEndedCanNotBeCanceled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began))
		job, err := fn.Send(t.Context(), parcel{7})
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, job.Cancel(t.Context()), faas.ErrSettled)
		require.ErrorIs(t, r.Job(uuid.New()).Cancel(t.Context()), faas.ErrNotFound)
		shut(t, r)
	})
}

func TestShutdownInABackoffNamesWhatIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(9, &began))
		job, err := fn.Send(t.Context(), parcel{7})
		require.NoError(t, err)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err = r.Shutdown(ctx)
		var left *faas.JobsLeft
		require.ErrorAs(t, err, &left)
		assert.Equal(t, map[string]int{"ship": 1}, left.ByFunction)
		require.NoError(t, ctx.Err(), "it does not wait for what comes too late")
		_, err = job.Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrClosed)
		_, err = fn.Send(t.Context(), parcel{8})
		require.ErrorIs(t, err, faas.ErrClosed)
	})
}

func TestShutdownRunsWhatIsDueBeforeItsDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(1, &began), faas.WithConcurrency(1))
		job, err := fn.Send(t.Context(), parcel{7})
		require.NoError(t, err)
		later, err := fn.Send(t.Context(), parcel{8}, faas.WithDelay(30*time.Second))
		require.NoError(t, err)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		require.NoError(t, r.Shutdown(ctx))
		for _, j := range []*faas.Job[string]{job, later} {
			_, err := j.Wait(t.Context())
			require.NoError(t, err)
		}
		assert.Len(t, began, 3)
	})
}

func TestShutdownPutsBackWhatItHadToCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		fn := faas.Register(r, "slow", func(ctx context.Context, _ parcel) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		_, err := fn.Send(t.Context(), parcel{7})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = r.Shutdown(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var left *faas.JobsLeft
		require.ErrorAs(t, err, &left)
		assert.Equal(t, map[string]int{"slow": 1}, left.ByFunction)
	})
}
