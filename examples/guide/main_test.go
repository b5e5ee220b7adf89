package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func TestTwoPotsOfTeaCostNineDollars(t *testing.T) {
	res := faastest.Invoke(t.Context(), t, quote, Order{Item: "tea", Count: 2})
	require.NoError(t, res.Err)
	assert.Equal(t, Quote{Cents: 900}, res.Output)
}

// In a bubble of testing/synctest two seconds take no real time.
func TestAWarehouseThatHangsCostsTheCallerTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faastest.New(t)
		f := faas.Register(r, "quote", func(ctx context.Context, _ Order) (Quote, error) {
			<-ctx.Done() // the warehouse does not answer
			return Quote{}, ctx.Err()
		}, faas.WithTimeout(2*time.Second))

		start := time.Now()
		_, err := f.Invoke(t.Context(), Order{Item: "tea", Count: 1})

		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, 2*time.Second, time.Since(start)) // exactly
	})
}

func TestAMailThatCanNotBeSentIsTriedThreeTimesAndDeadThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faastest.New(t)
		mail := faas.Register(r, "mail", func(context.Context, Quote) (string, error) {
			return "", errors.New("the mail server is down")
		})
		job, err := mail.Send(t.Context(), Quote{Cents: 900})
		require.NoError(t, err) // accepted

		jobs := faastest.NewJobs(t, r)
		jobs.Drain() // until every job has ended: three attempts, within three minutes

		require.Len(t, jobs.Dead(), 1)
		assert.Equal(t, job.ID(), jobs.Dead()[0].ID)
		assert.Equal(t, faas.ConditionRetriesExhausted, jobs.Dead()[0].Condition)
	})
}

func TestTheProgramAnswersOverHTTPAndPrintsTheBill(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, false))
	assert.Contains(t, out.String(), `200 OK {"Cents":900}`)
	assert.Contains(t, out.String(), "500 Internal Server Error")
	assert.Contains(t, out.String(), "400 Bad Request")
	assert.Regexp(t, `(?m)^ +acme +2 `, out.String()) // the call that could not be read was refused, and is not billed
}
