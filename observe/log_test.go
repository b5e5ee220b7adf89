package observe_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/internal/logtest"
	"github.com/inproc/faas/observe"
)

// book collects log lines.
type book struct{ logtest.Text }

// lines returns the lines so far, without their times.
func (b *book) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		delete(m, "time")
		all = append(all, m)
	}
	return all
}

func TestALineSaysWhatACallWas(t *testing.T) {
	t.Parallel()
	var b book
	job, id := uuid.New(), uuid.New()
	observe.Log(b.JSON(slog.LevelInfo), observe.WithBilled(cost.Rounding{Granularity: time.Second, Init: true}), nil).Record(t.Context(), faas.Execution{
		ID: id, Function: "resize", Version: "2", Tenant: "acme", Attempt: 3, Outcome: faas.Failed, Err: errors.New("a secret of the input"),
		Queued: 2 * time.Second, Init: 600 * time.Millisecond, Duration: 1500 * time.Millisecond, Cold: true, Job: job, Delivery: 4,
		Origin: faas.Origin{Trigger: "http", Door: "lambda", RequestID: "r-1"},
	})
	assert.Equal(t, []map[string]any{{
		"level": "WARN", "msg": "call", "function": "resize", "version": "2", "id": id.String(), "tenant": "acme", "request": "r-1",
		"trigger": "http", "door": "lambda", "job": job.String(), "delivery": 4.0, "attempt": 3.0, "outcome": "Failed",
		"wait": 2e9, "run": 1.5e9, "cold": 6e8, "billed": 3e9,
	}}, b.lines(t))
}

func TestTheTextOfAnErrorIsInDebugLogsAlone(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		var b book
		l := observe.Log(b.JSON(level))
		for outcome := faas.Failed; outcome <= faas.InitFailed; outcome++ {
			l.Record(t.Context(), faas.Execution{Outcome: outcome, Err: errors.New("secret")})
		}
		assert.Equal(t, want, strings.Contains(b.String(), "secret"), level)
		assert.Len(t, b.lines(t), 7)
	}
}

// blocking is an error whose method Error blocks.
type blocking struct{ release chan struct{} }

func (e blocking) Error() string { <-e.release; return "" }

func TestAnErrorThatDoesNotAnswerHoldsACallUpForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b book
		err := blocking{make(chan struct{})}
		start := time.Now()
		observe.Log(b.JSON(slog.LevelDebug)).Record(t.Context(), faas.Execution{Outcome: faas.Failed, Err: err})
		assert.LessOrEqual(t, time.Since(start), time.Second)
		assert.Len(t, b.lines(t), 1)
		close(err.release)
	})
}

func TestSuccessesAreSampledAndNothingElseIs(t *testing.T) {
	t.Parallel()
	var b book
	l := observe.Log(b.JSON(slog.LevelInfo), observe.WithSampling(50))
	for range 5000 {
		l.Record(t.Context(), faas.Execution{})
	}
	n := len(b.lines(t))
	assert.InDelta(t, 100, n, 60) // six standard deviations
	for _, line := range b.lines(t) {
		assert.InDelta(t, 50, line["rate"], 0)
	}
	for outcome := faas.Failed; outcome <= faas.InitFailed; outcome++ {
		for range 10 {
			l.Record(t.Context(), faas.Execution{Outcome: outcome})
		}
	}
	all := b.lines(t)
	require.Len(t, all, n+70)
	for _, line := range all[n:] {
		assert.NotContains(t, line, "rate")
	}
}

func TestOnlyCallsThatAreOKOrCanceledAreBelowWarn(t *testing.T) {
	t.Parallel()
	var b book
	l := observe.Log(b.JSON(slog.LevelWarn))
	for outcome := faas.OK; outcome <= faas.InitFailed; outcome++ {
		l.Record(t.Context(), faas.Execution{Outcome: outcome})
	}
	var outcomes []any
	for _, line := range b.lines(t) {
		outcomes = append(outcomes, line["outcome"])
	}
	assert.Equal(t, []any{"Failed", "Panicked", "Exited", "TimedOut", "OutputInvalid", "InitFailed"}, outcomes)
}

func TestRefusalsAreWrittenOnceASecondWithTheirCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b book
		l := observe.Log(b.JSON(slog.LevelInfo))
		refuse := func(function, version string, kind faas.Kind, why faas.Reason) {
			l.Refused(t.Context(), faas.Refusal{Invocation: faas.Invocation{Function: function, Version: version}, Kind: kind, Reason: why})
		}
		for range 1000 {
			refuse("f", "1", faas.KindBusy, faas.ReasonOverloaded)
			refuse("a name of the caller's", "", faas.KindNotFound, faas.ReasonName)
		}
		refuse("f", "1", faas.KindBusy, faas.ReasonOff)
		assert.Empty(t, b.lines(t))
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, []map[string]any{
			{"level": "WARN", "msg": "refused", "kind": "NotFound", "reason": "name", "count": 1000.0, "within": 1e9},
			{"level": "WARN", "msg": "refused", "function": "f", "version": "1", "kind": "Busy", "reason": "off", "count": 1.0, "within": 1e9},
			{"level": "WARN", "msg": "refused", "function": "f", "version": "1", "kind": "Busy", "reason": "overloaded", "count": 1000.0, "within": 1e9},
		}, b.lines(t))

		before := len(b.lines(t))
		refuse("f", "1", faas.KindBusy, faas.ReasonOff)
		require.NoError(t, l.Flush(t.Context()))
		assert.Len(t, b.lines(t), before+1)
		time.Sleep(time.Minute)
		assert.Len(t, b.lines(t), before+1, "written once")
	})
}

func TestReasonsThatGatesMakeUpDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	var b book
	l := observe.Log(b.JSON(slog.LevelInfo), observe.WithFolding(time.Hour))
	for range 3000 {
		l.Refused(t.Context(), faas.Refusal{Kind: faas.KindDenied, Reason: faas.Reason(uuid.NewString())})
	}
	require.NoError(t, l.Flush(t.Context()))
	all := b.lines(t)
	assert.Len(t, all, 1001)
	assert.Contains(t, all, map[string]any{"level": "WARN", "msg": "refused", "kind": "Denied", "reason": "other", "count": 2000.0, "within": 36e11})
}

// panics is a log handler that panics.
type panics struct{ slog.Handler }

func (panics) Enabled(context.Context, slog.Level) bool  { return true }
func (panics) Handle(context.Context, slog.Record) error { panic("the disk is full") }

func TestAPanicOfTheLogHandlerDoesNotEndTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := observe.Log(slog.New(panics{}))
		l.Refused(t.Context(), faas.Refusal{Reason: faas.ReasonOff})
		time.Sleep(time.Hour)
		l.Refused(t.Context(), faas.Refusal{Reason: faas.ReasonOff})
		require.NoError(t, l.Flush(t.Context()))
	})
}

func TestShutdownWritesWhatIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b book
		l := observe.Log(b.JSON(slog.LevelInfo), observe.WithFolding(time.Hour))
		r := faastest.New(t, faas.WithMeter(l), faas.WithRefusals(l.Refused), faas.WithTimeout(time.Second))
		deaf := faas.Register(r, "deaf", func(context.Context, int) (int, error) {
			time.Sleep(time.Minute)
			return 0, nil
		})
		_, err := deaf.Invoke(faas.WithTenant(t.Context(), "acme"), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		_, err = r.Invoke(t.Context(), "deaf", []byte("{"))
		require.ErrorIs(t, err, faas.ErrInput)
		time.Sleep(time.Minute)
		require.NoError(t, r.Shutdown(t.Context()))
		all := b.lines(t)
		require.Len(t, all, 3)
		assert.Equal(t, "TimedOut", all[0]["outcome"])
		assert.Equal(t, "runaway ended", all[1]["msg"])
		assert.InDelta(t, 59e9, all[1]["over"], 0)
		assert.Equal(t, all[0]["id"], all[1]["id"])
		assert.Equal(t, "acme", all[1]["tenant"])
		assert.Equal(t, "refused", all[2]["msg"])
	})
}
