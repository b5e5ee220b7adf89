package memqueue_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/memqueue"
)

// listed lists the jobs of a function, or of all functions, and counts the jobs that List looks at.
func listed(t *testing.T, q *queue, function string) (ids []memqueue.ID, looks int) {
	t.Helper()
	for seq, more := uint64(0), true; more; more = seq != 0 {
		var found []memqueue.View[string]
		var err error
		found, seq, err = q.List(seq, function, func(*item) bool { looks++; return true })
		require.NoError(t, err)
		for _, v := range found {
			ids = append(ids, v.ID)
		}
	}
	return ids, looks
}

func TestAListHasTheJobsOfAllFunctionsInTheOrderOfTheirAcceptance(t *testing.T) {
	t.Parallel()
	const jobs = 5000 // more jobs than one call of List looks at
	q := memqueue.New[string](jobs, math.MaxInt64)
	var all, first []memqueue.ID
	for n := range jobs {
		it := job(n, "")
		it.Function = "f" + strconv.Itoa(n%7)
		if n > jobs/2 && n < jobs/2+2000 { // many jobs of one function in a row
			it.Function = "f0"
		}
		require.NoError(t, put(t, q, it))
		all = append(all, it.ID)
		if it.Function == "f0" {
			first = append(first, it.ID)
		}
	}
	ids, _ := listed(t, q, "")
	assert.Equal(t, all, ids)
	ids, _ = listed(t, q, "f0")
	assert.Equal(t, first, ids)
}

// A router lists the jobs of a function when the function is registered or removed. A million jobs of
// other functions must not make that slower.
func TestAListOfAFunctionLooksAtNoJobOfAnother(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](10_000, math.MaxInt64)
	for n := range 5000 {
		it := job(n, "")
		if n%1000 == 0 {
			it.Function = "rare"
		}
		require.NoError(t, put(t, q, it))
	}
	_, looks := listed(t, q, "rare")
	assert.Equal(t, 5, looks)
	_, looks = listed(t, q, "unknown")
	assert.Zero(t, looks)
}

func TestAFunctionWhoseLastJobIsForgottenIsListedWithItsNextOne(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](10, math.MaxInt64)
	for n := range 3 {
		it := job(n, "")
		it.State, it.At = memqueue.Succeeded, time.Now().Add(-time.Hour).UnixNano()
		require.NoError(t, put(t, q, it))
		_, err := q.Get(it.ID)
		require.ErrorIs(t, err, memqueue.ErrForgotten)
	}
	it := job(3, "")
	require.NoError(t, put(t, q, it))
	ids, _ := listed(t, q, "f")
	assert.Equal(t, []memqueue.ID{it.ID}, ids)
	ids, _ = listed(t, q, "")
	assert.Equal(t, []memqueue.ID{it.ID}, ids)
}
