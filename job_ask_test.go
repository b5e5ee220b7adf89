package faas_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestAJobIsDescribedToCallersOfItsTenantWhoMayCallItsFunction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type banned struct{}
		r := router(t, faas.WithGate(gateOf(func(ctx context.Context) error {
			if ctx.Value(banned{}) != nil {
				return errors.New("banned")
			}
			return nil
		})))
		fn := faas.Register(r, "f", func(_ context.Context, n int) (int, error) { return n, nil })
		acme := faas.WithTenant(t.Context(), "acme")
		job, err := fn.Send(faas.WithOrigin(acme, faas.Origin{Trigger: "http", Door: "http", RequestID: "r-1", Key: "k"}), 7, faas.WithDelay(time.Hour))
		require.NoError(t, err)

		info, err := job.InfoFor(acme)
		require.NoError(t, err)
		assert.Equal(t, faas.Origin{Trigger: "http", Door: "http", RequestID: "r-1", Key: "k"}, info.Origin)
		assert.Equal(t, job.ID(), info.ID)
		for _, stranger := range []context.Context{t.Context(), faas.WithTenant(t.Context(), "other")} {
			_, err = job.InfoFor(stranger)
			require.ErrorIs(t, err, faas.ErrNotFound)
		}
		_, err = job.InfoFor(context.WithValue(acme, banned{}, true))
		require.ErrorIs(t, err, faas.ErrDenied)
		_, err = r.Job(uuid.New()).InfoFor(acme)
		require.ErrorIs(t, err, faas.ErrNotFound)
		_, err = job.InfoFor(nil) //nolint:staticcheck // what is tested
		require.ErrorIs(t, err, faas.ErrInput)
		require.NoError(t, r.Remove("f"))
		_, err = job.InfoFor(acme)
		require.ErrorIs(t, err, faas.ErrNotFound)
		require.NoError(t, job.Cancel(acme))
	})
}

// gateOf judges by the context alone.
type gateOf func(ctx context.Context) error

func (g gateOf) Admit(ctx context.Context, _ faas.Invocation) error { return g(ctx) }
func (gateOf) Done(faas.Invocation, *faas.Execution)                {}

func TestADestinationHasATimeoutAndRetriesOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		began := make(chan time.Duration, 9)
		first := time.Now()
		slow := faas.ToFunc(func(ctx context.Context, _ faas.JobEnvelope) error {
			began <- time.Since(first)
			<-ctx.Done()
			return context.Cause(ctx)
		}).WithName("slow").WithTimeout(time.Minute).WithRetry(faas.Retry{Max: 1, First: time.Hour})
		fn := faas.Register(r, "f", func(context.Context, int) (int, error) { return 0, errors.New("boom") },
			faas.WithTimeout(time.Second), faas.WithRetry(faas.Retry{}), faas.WithOnFailure(slow))
		job, err := fn.Send(t.Context(), 1)
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.Error(t, err)
		time.Sleep(2 * time.Hour)
		require.Len(t, began, 2)
		assert.Equal(t, []time.Duration{0, time.Hour + time.Minute}, []time.Duration{<-began, <-began})
		var last faas.JobInfo
		for info, err := range r.Jobs(t.Context(), faas.JobFilter{}) {
			require.NoError(t, err)
			last = info
		}
		assert.Equal(t, faas.ConditionRetriesExhausted, last.Condition)
		assert.Contains(t, last.Last.Error, "timed out after 60.00 seconds")
		shut(t, r)
	})
}

func TestInfoTellsWhatHappensToAFunctionsJobs(t *testing.T) {
	t.Parallel()
	r := router(t)
	plain := faas.Register(r, "plain", func(context.Context, int) (int, error) { return 0, nil })
	assert.Equal(t, faas.JobPolicy{Retry: faas.Retry{Max: 2}, MaxAge: 6 * time.Hour, KeepDone: time.Hour, KeepDead: 14 * 24 * time.Hour}, plain.Info().JobPolicy)
	told := faas.Register(r, "told", func(context.Context, int) (int, error) { return 0, nil },
		faas.WithRetry(faas.Retry{Max: 5}), faas.WithMaxAge(time.Minute), faas.WithRetention(1, 2),
		faas.WithOnSuccess(faas.ToFunction("next:live")), faas.WithOnFailure(faas.ToFunc(func(context.Context, faas.JobEnvelope) error { return nil }).WithName("pager")))
	info, err := r.Info("told")
	require.NoError(t, err)
	p := info.JobPolicy
	assert.Equal(t, []any{5, time.Minute, time.Duration(1), time.Duration(2), "next:live", "pager"},
		[]any{p.Retry.Max, p.MaxAge, p.KeepDone, p.KeepDead, p.OnSuccess.String(), p.OnFailure.String()})
	assert.Equal(t, []string{"next:live", ""}, []string{p.OnSuccess.Function(), p.OnFailure.Function()})
	assert.Equal(t, told.Info().JobPolicy.OnSuccess, p.OnSuccess)
	assert.Equal(t, "func", faas.ToFunc(func(context.Context, faas.JobEnvelope) error { return nil }).String())
	assert.Empty(t, faas.Destination{}.String())
}

func TestADestinationThatCannotWorkIsAMistake(t *testing.T) {
	t.Parallel()
	r := router(t)
	to := faas.ToFunc(func(context.Context, faas.JobEnvelope) error { return nil })
	for want, o := range map[string]faas.FunctionOption{
		"WithTimeout(-1s)": faas.WithOnSuccess(to.WithTimeout(-time.Second)),
		"Max -1":           faas.WithOnFailure(to.WithRetry(faas.Retry{Max: -1})),
	} {
		_, err := faas.TryRegister(r, "f", func(context.Context, int) (int, error) { return 0, nil }, o)
		require.ErrorContains(t, err, want)
	}
}
