package faas_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// jobBill is a ledger that counts the jobs of a jobMill one by one.
type jobBill struct {
	*cost.Ledger

	book *cost.Book
}

func newJobBill(t *testing.T, jobs int, queue faas.JobQueue) jobBill {
	t.Helper()
	book, err := cost.Preset("aws-lambda-x86")
	require.NoError(t, err)
	book = book.AnyTime() // a bubble's clock begins in 2000
	b := jobBill{cost.NewLedger(cost.Calendar{}, book), book}
	b.CountJobs(jobs, func(id uuid.UUID) (faas.JobState, bool) {
		rec, err := queue.Get(t.Context(), id)
		return rec.State, err == nil
	})
	return b
}

// check compares the ledger's usage of each job with the records. It also checks two sums: the prices
// of the jobs, and the parts into which the statement is divided, both add up to the statement.
func (b jobBill) check(t *testing.T, queue faas.JobQueue, used map[uuid.UUID]time.Duration) {
	t.Helper()
	now := time.Now()
	billed := map[uuid.UUID]time.Duration{}
	for _, u := range b.Usage(now) {
		if u.Job == uuid.Nil {
			continue
		}
		if !u.Overrun {
			billed[u.Job] += time.Duration(u.Duration().Int64())
		}
		rec, err := queue.Get(t.Context(), u.Job)
		require.NoError(t, err)
		assert.Equal(t, rec.State == faas.JobDead, u.Spent == cost.OnDeadLetters, "%v of %q", rec.State, rec.Function)
	}
	assert.Len(t, billed, len(used))
	for id, d := range used {
		assert.Equal(t, d, billed[id])
	}
	s, err := b.Statement(now, b.book)
	require.NoError(t, err)
	spent := map[cost.Spending]bool{}
	for _, by := range []cost.Dimension{cost.Job, cost.SpentOn} {
		var sum cost.Money
		for _, row := range s.By(by).Rows {
			sum, err = sum.Add(row.List)
			require.NoError(t, err)
			spent[row.Spent] = true
		}
		assert.Equal(t, s.Total.List.String(), sum.String(), by)
	}
	assert.Len(t, spent, 4, "calls, first attempts, retries and dead letters")
}
