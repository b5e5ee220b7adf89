package cost_test

import (
	"context"
	"errors"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
)

// delivery returns the record of a delivery of a job, at noon.
func delivery(job uuid.UUID, attempt int, outcome faas.Outcome, d time.Duration) faas.Execution {
	e := call(d, 128*mib)
	e.Job, e.Delivery, e.Attempt, e.Outcome = job, attempt, attempt, outcome
	return e
}

// spent returns the billed amounts of a statement by the values of a dimension.
func spent(s cost.Statement, by cost.Dimension) map[string]string {
	all := map[string]string{}
	for _, row := range s.By(by).Rows {
		switch by {
		case cost.Job:
			all[row.Job.String()] = row.List.String()
		default:
			all[row.Spent.String()] = row.List.String()
		}
	}
	return all
}

func jobsLedger(n int, state func(uuid.UUID) (faas.JobState, bool), books ...*cost.Book) *cost.Ledger {
	l := cost.NewLedger(cost.Calendar{}, books...)
	l.CountJobs(n, state)
	return l
}

func TestRetriesAndDeadLettersAreRowsOfAStatement(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	good, bad := uuid.New(), uuid.New()
	records := []faas.Execution{
		call(time.Second, 128*mib),
		delivery(good, 1, faas.Failed, time.Second), delivery(good, 2, faas.OK, 2*time.Second),
		delivery(bad, 1, faas.Failed, 4*time.Second), delivery(bad, 2, faas.TimedOut, 8*time.Second),
	}
	of := func(seconds, requests int64) string { // the price of that many seconds at 128 MiB, and of the requests
		sum, err := money(t, "0.0000166667 USD").Mul(big.NewRat(seconds, 8)).Add(money(t, "0.0000002 USD").Mul(big.NewRat(requests, 1)))
		require.NoError(t, err)
		return sum.String()
	}

	l := jobsLedger(10, nil, x86)
	for _, e := range records {
		l.Record(t.Context(), e)
	}
	s, err := l.Statement(noon, x86)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"call": of(1, 1), "first attempt": of(1, 1), "retry": of(2, 1), "dead letter": of(12, 2)}, spent(s, cost.SpentOn))
	assert.Equal(t, map[string]string{uuid.Nil.String(): of(1, 1), good.String(): of(3, 2), bad.String(): of(12, 2)}, spent(s, cost.Job))
	assert.Equal(t, of(2, 1), s.Only(cost.SpentOn, "retry").Total.List.String())

	l = cost.NewLedger(cost.Calendar{}, x86) // does not count jobs one by one
	for _, e := range records {
		l.Record(t.Context(), e)
	}
	s, err = l.Statement(noon, x86)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"call": of(1, 1), "first attempt": of(5, 2), "retry": of(10, 2)}, spent(s, cost.SpentOn))
}

func TestWhatTheQueueSaysOfAJobCountsMoreThanItsRecords(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	canceled, waits, dead, forgotten := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	states := map[uuid.UUID]faas.JobState{canceled: faas.JobCanceled, waits: faas.JobScheduled, dead: faas.JobDead}
	l := jobsLedger(10, func(id uuid.UUID) (faas.JobState, bool) {
		state, known := states[id]
		return state, known
	}, x86)
	for _, id := range []uuid.UUID{canceled, waits, dead, forgotten} {
		l.Record(t.Context(), delivery(id, 1, faas.Failed, time.Second))
	}
	l.Record(t.Context(), delivery(dead, 2, faas.OK, time.Second)) // its host died before the queue knew

	by := map[uuid.UUID]cost.Spending{}
	for _, u := range l.Usage(noon) {
		by[u.Job] = u.Spent
	}
	assert.Equal(t, map[uuid.UUID]cost.Spending{
		canceled: cost.OnFirstAttempts, waits: cost.OnFirstAttempts, dead: cost.OnDeadLetters, forgotten: cost.OnDeadLetters,
	}, by)
}

func TestAJobThatSucceedsInTheNextMonthIsNoDeadLetterOfThisOne(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	id := uuid.New()
	l := jobsLedger(10, nil, x86)
	l.Record(t.Context(), delivery(id, 1, faas.Failed, time.Second))
	require.Equal(t, cost.OnDeadLetters, l.Usage(noon)[0].Spent, "as far as is known")
	late := delivery(id, 2, faas.OK, time.Second)
	late.Start = noon.AddDate(0, 1, 0)
	l.Record(t.Context(), late)
	assert.Equal(t, cost.OnFirstAttempts, l.Usage(noon)[0].Spent)
	assert.Equal(t, cost.OnRetries, l.Usage(late.Start)[0].Spent)
}

func TestJobsForWhichThereIsNoRoomAreCountedTogether(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	l, all := jobsLedger(3, nil, x86), cost.NewLedger(cost.Calendar{}, x86)
	for i := range 10 {
		id := uuid.New()
		for attempt := 1; attempt <= 1+i%2; attempt++ {
			e := delivery(id, attempt, faas.Failed, time.Duration(i)*time.Second)
			e.Tenant = "acme"
			l.Record(t.Context(), e)
			all.Record(t.Context(), e)
		}
	}
	rows := map[bool]int{}
	for _, u := range l.Usage(noon) {
		rows[u.Job != uuid.Nil]++
		require.Equal(t, u.Job != uuid.Nil, u.Spent == cost.OnDeadLetters, "the end of the others is not known")
	}
	require.Equal(t, map[bool]int{true: 4, false: 2}, rows) // there are three jobs, and one of them had a retry
	got, err := l.Statement(noon, x86)
	require.NoError(t, err)
	want, err := all.Statement(noon, x86)
	require.NoError(t, err)
	assert.Equal(t, want.Total.List.String(), got.Total.List.String())
	assert.Equal(t, want.Total.Calls, got.Total.Calls)
}

func TestWhatARunawayUsesBelongsToItsJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x86 := preset(t, "aws-lambda-x86")
		l := jobsLedger(10, nil, x86)
		r := faastest.New(t, faas.WithMeter(l), faas.WithTimeout(time.Second), faas.WithRetry(faas.Retry{Max: 1, First: time.Minute}))
		deaf := faas.Register(r, "deaf", func(context.Context, struct{}) (struct{}, error) {
			time.Sleep(3 * time.Second)
			return struct{}{}, nil
		})
		at := time.Now()
		job, err := deaf.Send(t.Context(), struct{}{})
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrTimeout)
		time.Sleep(time.Minute)
		used := map[bool]int64{}
		for _, u := range l.Usage(at) {
			require.Equal(t, job.ID(), u.Job)
			require.Equal(t, cost.OnDeadLetters, u.Spent)
			used[u.Overrun] += u.Duration().Int64()
		}
		assert.Equal(t, map[bool]int64{false: int64(2 * time.Second), true: int64(4 * time.Second)}, used)
	})
}

// jobHost runs functions that fail in many ways. Some of them get calls and no jobs.
type jobHost struct {
	*faas.Router

	ledger *cost.Ledger
	f      *faas.Function[int, int]
}

func newJobHost(t *testing.T, books ...*cost.Book) *jobHost {
	h := &jobHost{ledger: cost.NewLedger(cost.Calendar{}, books...)}
	h.Router = faastest.New(t, faas.WithMeter(h.ledger), faas.WithTimeout(2*time.Second), faas.WithRetry(faas.Retry{Max: 2, First: time.Second}),
		faas.WithLogger(slog.New(slog.DiscardHandler)))
	h.ledger.CountJobs(10_000, func(id uuid.UUID) (faas.JobState, bool) {
		info, err := h.Job(id).Info(context.Background())
		return info.State, err == nil
	})
	h.f = faas.Register(h.Router, "f", func(ctx context.Context, seed int) (int, error) {
		rng := rand.New(rand.NewPCG(uint64(seed), uint64(time.Now().UnixNano())))
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
		switch rng.IntN(6) {
		case 0:
			return 0, errors.New("no")
		case 1:
			panic("no")
		case 2:
			return 0, faas.RetryAfter(time.Second, nil)
		case 3:
			return 0, faas.Permanent(errors.New("no"))
		}
		return seed, nil
	}, faas.WithRunaways(1000))
	return h
}

// TestThePricesOfJobsAddUpToTheStatement checks that the rows of jobs add up to the total,
// over jobs that end in all ways.
func TestThePricesOfJobsAddUpToTheStatement(t *testing.T) {
	t.Parallel()
	n := 400
	if testing.Short() {
		n = 60
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(noon)) // virtual time begins in 2000, for which the book has no prices
		x86 := preset(t, "aws-lambda-x86")
		h, at := newJobHost(t, x86), time.Now()
		jobs := make([]*faas.Job[int], n)
		for i := range n {
			job, err := h.f.Send(faas.WithTenant(t.Context(), []string{"a", "b"}[i%2]), i)
			require.NoError(t, err)
			jobs[i] = job
			_, _ = h.f.Invoke(t.Context(), -i) // a plain call between the jobs
			if i%7 == 0 {
				_ = job.Cancel(t.Context())
			}
		}
		for _, job := range jobs {
			_, _ = job.Wait(t.Context())
		}
		time.Sleep(time.Minute) // until the last handlers have ended
		s, err := h.ledger.Statement(at, x86)
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(s.Rows, func(row cost.Row) bool { return row.Overrun }))

		sum, usedBy, deadBy := cost.Money{}, map[uuid.UUID]int64{}, map[uuid.UUID]bool{}
		for _, row := range s.By(cost.Job).Rows {
			sum, err = sum.Add(row.List)
			require.NoError(t, err)
		}
		require.Equal(t, s.Total.List.String(), sum.String())
		for _, u := range h.ledger.Usage(at) {
			if !u.Overrun {
				usedBy[u.Job] += u.Duration().Int64()
			}
			deadBy[u.Job] = u.Spent == cost.OnDeadLetters
		}
		states := map[faas.JobState]int{}
		for _, job := range jobs {
			info, err := job.Info(t.Context())
			require.NoError(t, err)
			states[info.State]++
			require.Equal(t, int64(info.Used), usedBy[job.ID()], "to the nanosecond")
			require.Equal(t, info.State == faas.JobDead && usedBy[job.ID()] > 0, deadBy[job.ID()])
		}
		require.Len(t, states, 3, "%v", states)
		sum = cost.Money{}
		for _, row := range s.By(cost.SpentOn).Rows {
			sum, err = sum.Add(row.List)
			require.NoError(t, err)
		}
		require.Equal(t, s.Total.List.String(), sum.String())
	})
}

func TestJobsAreCountedWhileStatementsAreMade(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	l := jobsLedger(50, nil, x86)
	ids := make([]uuid.UUID, 100)
	for i := range ids {
		ids[i] = uuid.New()
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				l.Record(context.Background(), delivery(ids[(i+w)%len(ids)], 1+i%3, faas.Outcome(i%2), time.Millisecond))
				l.AddOverrun(noon, faas.Overrun{Function: "f", Job: ids[i%len(ids)], Attempt: 1, Duration: 1})
				if i%100 == 0 {
					_, err := l.Statement(noon, x86)
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	s, err := l.Statement(noon, x86)
	require.NoError(t, err)
	require.EqualValues(t, 2000, s.Total.Calls)
}
