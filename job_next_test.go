package faas_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

var jobsBegin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// resizeJob is a job that was due at jobsBegin.
func resizeJob() faas.JobRecord {
	return faas.JobRecord{
		Format: faas.JobFormat, ID: uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057"), Function: "resize", Tenant: "acme",
		State: faas.JobRunning, Accepted: jobsBegin, Due: jobsBegin, Payload: []byte(`{"n":1}`),
	}
}

// ran is a delivery that was admitted.
func ran() faas.Delivery {
	return faas.Delivery{Invocation: uuid.New(), Version: "7", Duration: time.Second, Timeout: 3 * time.Second, Output: []byte(`"done"`)}
}

func refusedWith(why faas.Reason, err error, after time.Duration) error {
	return &faas.Error{Op: "invoke", Function: "resize", Kind: why.Kind(), Reason: why, RetryAfter: after, Err: err}
}

func endedAs(o faas.Outcome, err error) error {
	return &faas.Error{Op: "invoke", Function: "resize", Outcome: o, Err: err}
}

var errJob = errors.New("boom")

// wantAgain checks that the job waits for that long, and that no job follows.
func wantAgain(t *testing.T, rec faas.JobRecord, follow []faas.JobRecord, now time.Time, wait time.Duration) {
	t.Helper()
	state := faas.JobScheduled
	if wait == 0 {
		state = faas.JobReady
	}
	assert.Equal(t, state.String(), rec.State.String())
	assert.Equal(t, wait, rec.NotBefore.Sub(now))
	assert.Empty(t, rec.Condition)
	assert.Empty(t, follow)
	assert.Zero(t, rec.Settled)
}

// wantDead checks that the job is dead for that reason, and that one job reports it.
func wantDead(t *testing.T, rec faas.JobRecord, follow []faas.JobRecord, now time.Time, why faas.JobCondition) {
	t.Helper()
	assert.Equal(t, faas.JobDead.String(), rec.State.String())
	assert.Equal(t, why, rec.Condition)
	assert.Equal(t, now, rec.Settled)
	assert.Equal(t, now.Add(14*24*time.Hour), rec.KeepUntil)
	assert.Zero(t, rec.NotBefore)
	if assert.Len(t, follow, 1) {
		assert.Equal(t, "undertaker", follow[0].Function)
		assert.Equal(t, faas.JobReady, follow[0].State)
	}
}

var undertaker = faas.WithOnFailure(faas.ToFunction("undertaker"))

func TestAJobWhoseDeliveryIsOKHasSucceeded(t *testing.T) {
	t.Parallel()
	now := jobsBegin.Add(7 * time.Hour) // a success counts at any age
	rec, follow := faas.AfterDelivery(resizeJob(), nil, ran(), now, undertaker)
	assert.Equal(t, faas.JobSucceeded, rec.State)
	assert.Equal(t, faas.ConditionSuccess, rec.Condition)
	assert.JSONEq(t, `"done"`, string(rec.Output))
	assert.Equal(t, now, rec.Settled)
	assert.Equal(t, now.Add(time.Hour), rec.KeepUntil)
	assert.Equal(t, []int{1, 1}, []int{rec.Attempts, rec.Deliveries})
	assert.Empty(t, follow)

	_, follow = faas.AfterDelivery(resizeJob(), nil, ran(), now, undertaker, faas.WithOnSuccess(faas.ToFunction("next:live")))
	require.Len(t, follow, 1)
	assert.Equal(t, []string{"next", "next:live"}, []string{follow[0].Function, follow[0].Name})
}

func TestAFailureIsRetriedAfterOneMinuteAndTwoAndThenDead(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"failed":    errJob,
		"panicked":  endedAs(faas.Panicked, &faas.PanicError{Value: "boom"}),
		"exited":    endedAs(faas.Exited, faas.ErrExited),
		"timed out": endedAs(faas.TimedOut, faas.ErrTimeout),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := jobsBegin
			rec, follow := faas.AfterDelivery(resizeJob(), err, ran(), now, undertaker)
			wantAgain(t, rec, follow, now, time.Minute)
			now = rec.NotBefore
			rec, follow = faas.AfterDelivery(rec, err, ran(), now, undertaker)
			wantAgain(t, rec, follow, now, 2*time.Minute)
			now = rec.NotBefore
			rec, follow = faas.AfterDelivery(rec, err, ran(), now, undertaker)
			wantDead(t, rec, follow, now, faas.ConditionRetriesExhausted)
			assert.Equal(t, []int{3, 3}, []int{rec.Attempts, rec.Deliveries})
			assert.Equal(t, 3*time.Second, rec.Used)
		})
	}
}

func TestRetryAfterIsNoAttempt(t *testing.T) {
	t.Parallel()
	var follow []faas.JobRecord
	rec := resizeJob()
	for range 20 {
		now := rec.Due.Add(time.Duration(rec.Deliveries) * time.Minute)
		rec, follow = faas.AfterDelivery(rec, faas.RetryAfter(17*time.Second, errJob), ran(), now, undertaker)
		wantAgain(t, rec, follow, now, 17*time.Second)
	}
	assert.Equal(t, []int{0, 20}, []int{rec.Attempts, rec.Deliveries})
	now := jobsBegin.Add(6*time.Hour - time.Second)
	rec, follow = faas.AfterDelivery(rec, faas.RetryAfter(17*time.Second, errJob), ran(), now, undertaker)
	wantAgain(t, rec, follow, now, time.Second) // its age allows no longer wait
}

func TestAPermanentErrorIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	rec, follow := faas.AfterDelivery(resizeJob(), faas.Permanent(errJob), ran(), jobsBegin, undertaker)
	wantDead(t, rec, follow, jobsBegin, faas.ConditionPermanent)
	assert.Equal(t, 1, rec.Attempts)
}

func TestAnOutputThatCantBeEncodedIsDeadBecauseItsEffectsHaveHappened(t *testing.T) {
	t.Parallel()
	rec, follow := faas.AfterDelivery(resizeJob(), endedAs(faas.OutputInvalid, faas.ErrOutput), ran(), jobsBegin, undertaker)
	wantDead(t, rec, follow, jobsBegin, faas.ConditionOutputInvalid)
}

func TestARefusalForGoodIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	for why, want := range map[faas.Reason]faas.JobCondition{
		faas.ReasonDenied:   faas.ConditionDenied,
		faas.ReasonInput:    faas.ConditionInvalid,
		faas.ReasonTooLarge: faas.ConditionTooLarge,
		faas.ReasonDepth:    faas.ConditionNesting,
		faas.ReasonCycle:    faas.ConditionNesting,
		faas.ReasonOff:      faas.ConditionZeroReservedConcurrency,
	} {
		t.Run(string(why), func(t *testing.T) {
			t.Parallel()
			rec, follow := faas.AfterDelivery(resizeJob(), refusedWith(why, errJob, 0), faas.Delivery{}, jobsBegin, undertaker)
			wantDead(t, rec, follow, jobsBegin, want)
			assert.Equal(t, []int{0, 1}, []int{rec.Attempts, rec.Deliveries})
		})
	}
}

func TestWhatCouldNotRunBacksOffFromOneSecondToFiveMinutes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err error
		ran faas.Delivery
	}{
		"overloaded":    {refusedWith(faas.ReasonOverloaded, faas.ErrOverloaded, 0), faas.Delivery{}},
		"runaways":      {refusedWith(faas.ReasonRunaways, faas.ErrOverloaded, 0), faas.Delivery{}},
		"queue timeout": {refusedWith(faas.ReasonQueueTimeout, faas.ErrOverloaded, 0), faas.Delivery{}},
		"meter full":    {refusedWith(faas.ReasonMeterFull, faas.ErrOverloaded, 0), faas.Delivery{}},
		"init":          {refusedWith(faas.ReasonInit, faas.ErrInit, 0), faas.Delivery{}},
		"a gate's own": {
			&faas.Error{Op: "invoke", Function: "resize", Kind: faas.KindUnavailable, Reason: "unanswered", Err: errJob}, faas.Delivery{},
		},
		"init failed": {endedAs(faas.InitFailed, faas.ErrInit), ran()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, now := resizeJob(), jobsBegin
			var follow []faas.JobRecord
			for _, seconds := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300} {
				rec, follow = faas.AfterDelivery(rec, c.err, c.ran, now, undertaker)
				wantAgain(t, rec, follow, now, time.Duration(seconds)*time.Second)
				now = rec.NotBefore
			}
			assert.Zero(t, rec.Attempts)
			for rec.NotBefore.Before(jobsBegin.Add(6 * time.Hour)) {
				now = rec.NotBefore
				rec, _ = faas.AfterDelivery(rec, c.err, c.ran, now, undertaker)
			}
			assert.Equal(t, 6*time.Hour, rec.NotBefore.Sub(jobsBegin)) // to be given up then
			rec, follow, dead := faas.Premature(rec, rec.NotBefore, undertaker)
			assert.True(t, dead)
			wantDead(t, rec, follow, jobsBegin.Add(6*time.Hour), faas.ConditionEventAgeExceeded)
		})
	}
}

func TestABackoffStartsAnewAfterAnAttempt(t *testing.T) {
	t.Parallel()
	busy := refusedWith(faas.ReasonOverloaded, faas.ErrOverloaded, 0)
	rec, _ := faas.AfterDelivery(resizeJob(), busy, faas.Delivery{}, jobsBegin)
	rec, _ = faas.AfterDelivery(rec, busy, faas.Delivery{}, jobsBegin)
	rec, _ = faas.AfterDelivery(rec, errJob, ran(), jobsBegin)
	rec, follow := faas.AfterDelivery(rec, busy, faas.Delivery{}, jobsBegin)
	wantAgain(t, rec, follow, jobsBegin, time.Second)
}

func TestABackoffIsAsLongAsTheRefusalAsksFor(t *testing.T) {
	t.Parallel()
	rec, follow := faas.AfterDelivery(resizeJob(), refusedWith(faas.ReasonOverloaded, faas.ErrOverloaded, 20*time.Minute), faas.Delivery{}, jobsBegin)
	wantAgain(t, rec, follow, jobsBegin, 20*time.Minute)
	rec, follow = faas.AfterDelivery(resizeJob(), refusedWith(faas.ReasonOverloaded, faas.ErrOverloaded, time.Millisecond), faas.Delivery{}, jobsBegin)
	wantAgain(t, rec, follow, jobsBegin, time.Second)
}

func TestABudgetThatIsSpentParksTheJobUntilItsWindowRolls(t *testing.T) {
	t.Parallel()
	spent := &faas.Error{Op: "invoke", Function: "resize", Kind: faas.KindBusy, Reason: "budget", RetryAfter: 2 * time.Hour, Err: errJob}
	rec, follow := faas.AfterDelivery(resizeJob(), spent, faas.Delivery{}, jobsBegin, undertaker)
	assert.Equal(t, faas.JobParked, rec.State)
	assert.Equal(t, 2*time.Hour, rec.NotBefore.Sub(jobsBegin))
	assert.Empty(t, follow)
	assert.Zero(t, rec.Attempts)

	rec, follow = faas.AfterDelivery(resizeJob(), spent, faas.Delivery{}, jobsBegin, undertaker, faas.WithDeadOnBudget())
	wantDead(t, rec, follow, jobsBegin, faas.ConditionBudgetExceeded)

	spent.RetryAfter = 24 * time.Hour
	rec, _ = faas.AfterDelivery(resizeJob(), spent, faas.Delivery{}, jobsBegin, undertaker)
	assert.Equal(t, 6*time.Hour, rec.NotBefore.Sub(jobsBegin)) // parked until it is too old, and no longer

	never := &faas.Error{Op: "invoke", Function: "resize", Kind: faas.KindDenied, Reason: "budget", Err: errJob}
	rec, follow = faas.AfterDelivery(resizeJob(), never, faas.Delivery{}, jobsBegin, undertaker)
	wantDead(t, rec, follow, jobsBegin, faas.ConditionDenied)
}

func TestAJobWhoseFunctionIsNotRegisteredIsParkedUntilItIs(t *testing.T) {
	t.Parallel()
	now := jobsBegin.Add(time.Hour)
	rec, follow := faas.AfterDelivery(resizeJob(), refusedWith(faas.ReasonNotFound, faas.ErrNotFound, 0), faas.Delivery{}, now, undertaker)
	assert.Equal(t, faas.JobParked, rec.State)
	assert.Equal(t, 6*time.Hour, rec.NotBefore.Sub(jobsBegin))
	assert.Empty(t, follow)

	ready := faas.Unparked(rec, now)
	assert.Equal(t, faas.JobReady, ready.State)
	assert.Equal(t, now, ready.NotBefore)
	rec, _, dead := faas.Premature(rec, rec.NotBefore)
	assert.True(t, dead)
	assert.Equal(t, faas.ConditionEventAgeExceeded, rec.Condition)
}

func TestAHostThatShutsDownLeavesTheJobToTheNextAtOnce(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"closed":         refusedWith(faas.ReasonClosed, faas.ErrClosed, 0),
		"queue canceled": refusedWith(faas.ReasonQueueCanceled, errJob, 0),
		"canceled":       endedAs(faas.Canceled, faas.ErrClosed),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, follow := faas.AfterDelivery(resizeJob(), err, faas.Delivery{}, jobsBegin, undertaker)
			wantAgain(t, rec, follow, jobsBegin, 0)
			assert.Zero(t, rec.Attempts)
		})
	}
}

func TestACanceledJobIsToldToNoDestination(t *testing.T) {
	t.Parallel()
	both := []faas.Option{undertaker, faas.WithOnSuccess(faas.ToFunction("next"))}
	rec, follow := faas.AfterEvent(resizeJob(), faas.JobWasCanceled, faas.Delivery{}, jobsBegin, both...)
	assert.Equal(t, faas.JobCanceled, rec.State)
	assert.Equal(t, faas.ConditionCanceled, rec.Condition)
	assert.Equal(t, jobsBegin.Add(time.Hour), rec.KeepUntil)
	assert.Empty(t, follow)
	assert.Zero(t, rec.Deliveries) // it was canceled while it waited

	rec, _ = faas.AfterEvent(resizeJob(), faas.JobWasCanceled, ran(), jobsBegin, both...)
	assert.Equal(t, []int{0, 1}, []int{rec.Attempts, rec.Deliveries}) // it was canceled while it ran
	assert.Equal(t, time.Second, rec.Used)
}

func TestAJobIsDeadOnceThreeHostsHaveDiedOfIt(t *testing.T) {
	t.Parallel()
	rec := resizeJob()
	for crashes := range 3 {
		rec.Crashes = crashes
		_, _, dead := faas.Premature(rec, jobsBegin)
		assert.False(t, dead)
		again, follow := faas.AfterEvent(rec, faas.JobHostDied, faas.Delivery{}, jobsBegin)
		wantAgain(t, again, follow, jobsBegin, 0)
		assert.Zero(t, again.Attempts)
	}
	rec.Crashes = 3
	rec, follow, dead := faas.Premature(rec, jobsBegin, undertaker)
	assert.True(t, dead)
	wantDead(t, rec, follow, jobsBegin, faas.ConditionHostCrashes)
}

func TestAJobThatIsTooOldIsDeadWithoutAnotherRun(t *testing.T) {
	t.Parallel()
	limit := jobsBegin.Add(6 * time.Hour)
	_, _, dead := faas.Premature(resizeJob(), limit.Add(-time.Nanosecond))
	assert.False(t, dead)
	rec, follow, dead := faas.Premature(resizeJob(), limit, undertaker)
	assert.True(t, dead)
	wantDead(t, rec, follow, limit, faas.ConditionEventAgeExceeded)
	assert.Zero(t, rec.Deliveries)

	young := resizeJob()
	young.MaxAge = time.Minute // as WithExpiry sets it
	rec, _, dead = faas.Premature(young, jobsBegin.Add(time.Minute))
	assert.True(t, dead)
	assert.Equal(t, faas.ConditionEventAgeExceeded, rec.Condition)
	_, _, dead = faas.Premature(resizeJob(), jobsBegin.Add(time.Hour), faas.WithMaxAge(time.Hour))
	assert.True(t, dead)
}

func TestARetryThatWouldComeTooLateIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	now := jobsBegin.Add(6*time.Hour - time.Minute)
	rec, follow := faas.AfterDelivery(resizeJob(), errJob, ran(), now, undertaker)
	wantDead(t, rec, follow, now, faas.ConditionEventAgeExceeded)
	rec, follow = faas.AfterDelivery(resizeJob(), errJob, ran(), now.Add(-time.Nanosecond), undertaker)
	wantAgain(t, rec, follow, now.Add(-time.Nanosecond), time.Minute)
}

func TestAnEndAfterTheAgeIsOverIsDead(t *testing.T) {
	t.Parallel()
	now := jobsBegin.Add(7 * time.Hour)
	for _, err := range []error{
		errJob, faas.RetryAfter(time.Second, nil), refusedWith(faas.ReasonOverloaded, faas.ErrOverloaded, 0),
		refusedWith(faas.ReasonClosed, faas.ErrClosed, 0), refusedWith(faas.ReasonNotFound, faas.ErrNotFound, 0),
	} {
		rec, follow := faas.AfterDelivery(resizeJob(), err, ran(), now, undertaker)
		wantDead(t, rec, follow, now, faas.ConditionEventAgeExceeded)
	}
}

func TestAJobBehindItsOwnRunawayIsParkedUntilItIsTooOld(t *testing.T) {
	t.Parallel()
	now := jobsBegin.Add(time.Hour)
	rec, follow := faas.AfterEvent(resizeJob(), faas.JobIsBehindItself, faas.Delivery{}, now, undertaker)
	assert.Equal(t, faas.JobParked, rec.State)
	assert.Equal(t, 6*time.Hour, rec.NotBefore.Sub(jobsBegin))
	assert.Empty(t, follow)
	assert.Zero(t, rec.Deliveries)
	now = jobsBegin.Add(6 * time.Hour)
	rec, follow = faas.AfterEvent(rec, faas.JobIsBehindItself, faas.Delivery{}, now, undertaker)
	wantDead(t, rec, follow, now, faas.ConditionEventAgeExceeded)
}

func TestRetryIsSetByTheFunction(t *testing.T) {
	t.Parallel()
	waits := func(r faas.Retry, seed float64) (waits []time.Duration) {
		rec, d := resizeJob(), ran()
		d.Seed = seed
		for now := jobsBegin; ; now = rec.NotBefore {
			if rec, _ = faas.AfterDelivery(rec, errJob, d, now, faas.WithRetry(r)); rec.State.IsSettled() {
				return waits
			}
			waits = append(waits, rec.NotBefore.Sub(now))
		}
	}
	assert.Empty(t, waits(faas.Retry{}, 0))
	assert.Equal(t, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}, waits(faas.Retry{Max: 3}, 0.9))
	assert.Equal(t, []time.Duration{time.Second, 3 * time.Second, 5 * time.Second},
		waits(faas.Retry{Max: 3, First: time.Second, Factor: 3, Longest: 5 * time.Second}, 0.1))
	assert.Equal(t, []time.Duration{time.Second / 2, time.Second / 2}, waits(faas.Retry{Max: 2, First: time.Second, Factor: 1, Jitter: 0.5}, 0))
	assert.Equal(t, []time.Duration{5 * time.Second / 4}, waits(faas.Retry{Max: 1, First: time.Second, Jitter: 0.5}, 0.75))
	assert.Len(t, waits(faas.Retry{Max: 1 << 30, First: time.Hour, Factor: 1e300}, 0), 1) // the second wait is too far in the future, but does not overflow
}

func TestOptionsOfJobsOutOfRangeAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []faas.Option{
		faas.WithRetry(faas.Retry{Max: -1}), faas.WithRetry(faas.Retry{First: -1}), faas.WithRetry(faas.Retry{Longest: -1}),
		faas.WithRetry(faas.Retry{Factor: 0.5}), faas.WithRetry(faas.Retry{Jitter: 1.5}), faas.WithRetry(faas.Retry{Jitter: -1}),
		faas.WithRetry(faas.Retry{Jitter: math.NaN()}), faas.WithRetry(faas.Retry{Factor: math.NaN()}), faas.WithRetry(faas.Retry{Factor: math.Inf(1)}),
		faas.WithMaxAge(0), faas.WithRetention(-1, 0), faas.WithRetention(0, -1),
	} {
		r := faas.New()
		_, err := faas.TryRegister(r, "f", faas.NoOutput(func(context.Context, struct{}) error { return nil }), o)
		assert.ErrorIs(t, err, faas.ErrInput)
		r.Close()
	}
}

func TestAdviceIsReadThroughOtherErrorsAndSurvivesPoison(t *testing.T) {
	t.Parallel()
	state := func(err error) faas.JobRecord {
		rec, _ := faas.AfterDelivery(resizeJob(), err, ran(), jobsBegin)
		return rec
	}
	assert.Equal(t, faas.ConditionPermanent, state(errors.Join(errJob, faas.Permanent(errJob))).Condition)
	assert.Equal(t, faas.ConditionPermanent, state(faas.Permanent(faas.RetryAfter(time.Hour, errJob))).Condition)
	assert.Equal(t, time.Hour, state(faas.RetryAfter(time.Hour, faas.Permanent(errJob))).NotBefore.Sub(jobsBegin))
	assert.Equal(t, faas.JobReady, state(faas.RetryAfter(-1, nil)).State)
	assert.Equal(t, time.Minute, state(poisonError{}).NotBefore.Sub(jobsBegin))
	require.NoError(t, faas.Permanent(nil))
	require.ErrorIs(t, faas.Permanent(errJob), errJob)
	require.ErrorIs(t, faas.RetryAfter(0, errJob), errJob)
	assert.Equal(t, "boom", faas.RetryAfter(0, errJob).Error())
}

// poisonError panics in each of its methods.
type poisonError struct{}

func (poisonError) Error() string { panic("poison") }
func (poisonError) As(any) bool   { panic("poison") }

func TestWhatARecordKeepsOfAnErrorIsBoundedAndInLambdasWords(t *testing.T) {
	t.Parallel()
	last := func(err error) *faas.JobEnd {
		rec, _ := faas.AfterDelivery(resizeJob(), err, ran(), jobsBegin)
		return rec.Last
	}
	e := last(errJob)
	assert.Equal(t, []string{"boom", "errorString"}, []string{e.Error, e.ErrorType})
	assert.Equal(t, "errorString", last(faas.Permanent(errJob)).ErrorType)
	e = last(endedAs(faas.TimedOut, faas.ErrTimeout))
	assert.Equal(t, "Sandbox.Timedout", e.ErrorType)
	assert.Equal(t, "RequestId: 01890a5d-ac96-774b-bcce-b302099a8057 Error: Task timed out after 3.00 seconds", e.Error)
	assert.Equal(t, "Runtime.ExitError", last(endedAs(faas.Exited, faas.ErrExited)).ErrorType)
	assert.Equal(t, "boom", last(endedAs(faas.Panicked, &faas.PanicError{Value: "boom"})).Error)
	assert.LessOrEqual(t, len(last(errors.New(strings.Repeat("ü", 5000))).Error), 4<<10+3)
	assert.Contains(t, last(poisonError{}).Error, "poisonError")
}

// TestEveryJobEndsInOneTerminalState drives jobs through random deliveries.
func TestEveryJobEndsInOneTerminalState(t *testing.T) {
	t.Parallel()
	ends := []error{
		errJob, nil, endedAs(faas.TimedOut, faas.ErrTimeout), endedAs(faas.InitFailed, faas.ErrInit), endedAs(faas.Canceled, faas.ErrClosed),
		faas.RetryAfter(time.Minute, nil), refusedWith(faas.ReasonOverloaded, faas.ErrOverloaded, 0),
		refusedWith(faas.ReasonNotFound, faas.ErrNotFound, 0), refusedWith(faas.ReasonClosed, faas.ErrClosed, 0),
		refusedWith(faas.ReasonMeterFull, faas.ErrOverloaded, time.Hour), faas.Permanent(errJob),
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		rec, now, used := resizeJob(), jobsBegin, time.Duration(0)
		var follow []faas.JobRecord
		for steps := 0; !rec.State.IsSettled(); steps++ {
			require.Less(t, steps, 100_000)
			var dead bool
			if rec, follow, dead = faas.Premature(rec, now, undertaker); dead {
				break
			}
			d := faas.Delivery{Invocation: uuid.New(), Duration: time.Duration(1 + r.Int64N(int64(time.Minute)))}
			used += d.Duration
			now = now.Add(d.Duration)
			end := ends[r.IntN(len(ends))]
			if end == nil && r.IntN(4) > 0 {
				end = ends[6]
			}
			rec, follow = faas.AfterDelivery(rec, end, d, now, undertaker)
			if rec.NotBefore.After(now) {
				now = rec.NotBefore
			}
		}
		require.Equal(t, used, rec.Used)
		require.NotEmpty(t, rec.Condition)
		require.Equal(t, rec.State == faas.JobDead, len(follow) == 1)
		require.False(t, now.After(jobsBegin.Add(6*time.Hour+time.Minute)))
	}
}
