package faastest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

func TestInvokeReturnsAnswerAndRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := func(ctx context.Context, in int) (int, error) { time.Sleep(time.Second); return in + 1, nil }
		ctx := faas.WithTenant(t.Context(), "acme")
		res := faastest.Invoke(ctx, t, h, 41, faas.WithMemory(1<<20))
		assert.NoError(t, res.Err)
		assert.Equal(t, 42, res.Output)
		assert.True(t, res.Admitted)
		assert.Equal(t, faas.OK, res.Execution.Outcome)
		assert.Equal(t, "acme", res.Execution.Tenant)
		assert.Equal(t, time.Second, res.Execution.Duration)
		assert.Equal(t, int64(1<<20), res.Execution.Memory)
	})
}

func TestInvokeReturnsWhatWentWrong(t *testing.T) {
	t.Parallel()
	oops := errors.New("oops")
	for name, c := range map[string]struct {
		h    faas.Handler[int, int]
		want faas.Outcome
		is   error
	}{
		"an error comes back untouched": {func(context.Context, int) (int, error) { return 7, oops }, faas.Failed, oops},
		"a panic":                       {func(context.Context, int) (int, error) { panic(oops) }, faas.Panicked, oops},
		"a timeout":                     {sleep(time.Minute), faas.TimedOut, faas.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				res := faastest.Invoke(t.Context(), t, c.h, 1)
				assert.ErrorIs(t, res.Err, c.is)
				assert.Zero(t, res.Output)
				assert.True(t, res.Admitted)
				assert.Equal(t, c.want, res.Execution.Outcome)
			})
		})
	}
}

func TestInvokeHasNoRecordOfARefusedCall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res := faastest.Invoke(ctx, t, sleep(0), 1)
	assert.ErrorIs(t, res.Err, context.Canceled)
	assert.False(t, res.Admitted)
	assert.Zero(t, res.Execution)
}

func TestInvokeFailsTheTestForAnImpossibleOption(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{TB: t}
	res := faastest.Invoke(t.Context(), tb, sleep(0), 1, faas.WithTimeout(-1))
	assert.Contains(t, tb.failed(), "WithTimeout")
	assert.ErrorIs(t, res.Err, faas.ErrInput)
}

func TestInvokeTellsAMeterAboutTheOverrun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rec faastest.Recorder
		faastest.Invoke(t.Context(), t, sleep(time.Minute), 1, faas.WithMeter(&rec), faas.WithTimeout(time.Second))
		assert.NoError(t, rec.WaitOverruns(t.Context(), 1))
		assert.Equal(t, 59*time.Second, rec.Overruns()[0].Duration)
	})
}
