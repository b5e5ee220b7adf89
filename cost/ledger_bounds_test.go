package cost_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func TestAnHourOfTheLastDayOfALeapYearIsCounted(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	for _, year := range []int{2028, 2040} {
		for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Adelaide"} {
			z := zone(t, name)
			l := cost.NewLedger(cost.Calendar{Every: cost.Hour, Zone: z}, x86)
			e := call(time.Second, 128*mib)
			e.Start = time.Date(year, 12, 31, 15, 30, 0, 0, time.UTC)
			for range 1000 {
				l.Record(t.Context(), e)
			}
			s, err := l.Statement(e.Start, x86)
			require.NoError(t, err)
			assert.Equal(t, uint64(1000), s.Total.Calls, "%d %s", year, name)
		}
	}
}

func TestARecordThatNoPeriodContainsIsRefusedLoudly(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	l := cost.NewLedger(cost.Calendar{Every: cost.Day, Zone: jumpingZone(t, noon)}, x86)
	e := call(time.Second, 128*mib)
	e.Start = noon.AddDate(0, 0, -10)
	l.Record(t.Context(), e)
	require.NoError(t, l.Err())
	_, err := l.Statement(e.Start, x86)
	require.NoError(t, err)

	e.Start = noon.Add(-time.Minute)
	l.Record(t.Context(), e)
	l.AddOverrun(e.Start, faas.Overrun{Function: "f", Duration: time.Second})
	require.ErrorIs(t, l.Err(), cost.ErrPeriod)
	require.ErrorContains(t, l.Err(), "refused 2 records")
	for _, at := range []time.Time{e.Start, noon.AddDate(0, 0, -10)} {
		_, err = l.Statement(at, x86)
		require.ErrorIs(t, err, cost.ErrPeriod, "a bill that may be short is not made")
	}
	assert.Empty(t, l.Usage(e.Start))
}

func TestTenantsBeyondTheMostKeysAreCountedTogether(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	l := cost.NewLedger(cost.Calendar{}, x86)
	l.SetMaxKeys(50)
	var wg sync.WaitGroup
	for g := range 8 { // so that each stripe of the ledger gets each key
		wg.Go(func() {
			for i := range 300 {
				e := call(time.Millisecond, 128*mib)
				e.Tenant = fmt.Sprint("tenant-", (i+g*37)%300)
				l.Record(t.Context(), e)
			}
		})
	}
	wg.Wait()
	e := call(time.Millisecond, 128*mib)
	e.Function = "without a tenant"
	l.Record(t.Context(), e)
	l.AddOverrun(noon, faas.Overrun{Function: "f", Tenant: "late", Duration: time.Second, Memory: 128 * mib})

	calls, own, usage := uint64(0), map[string]uint64{}, l.Usage(noon)
	for _, u := range usage {
		calls += u.Calls
		if u.Tenant != cost.Overflow && u.Tenant != "" {
			own[u.Tenant] += u.Calls
		}
	}
	assert.Equal(t, uint64(8*300+2), calls, "none is lost")
	assert.Len(t, own, 50)
	for tenant, n := range own {
		assert.Equal(t, uint64(8), n, "%s has its key in all stripes or in none", tenant)
	}
	assert.Len(t, usage, 50+3, "the tenants, those beyond and their overrun, and the function without one")
	s := statement(t, march(), x86, usage).By(cost.Tenant)
	assert.Equal(t, uint64(8*300+1), s.Total.Calls)
}

func TestTheOldestPeriodIsGivenUpForOneMore(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	l := cost.NewLedger(cost.Calendar{Every: cost.Hour}, x86)
	l.SetMaxPeriods(3)
	e := call(time.Second, 128*mib)
	at := func(hour int) time.Time { return noon.Add(time.Duration(hour) * time.Hour) }
	for hour := range 5 {
		for range 20 {
			e.Start = at(hour)
			l.Record(t.Context(), e)
		}
	}
	e.Start = at(0)
	l.Record(t.Context(), e) // too late: its period was dropped
	for hour := range 5 {
		s, err := l.Statement(at(hour), x86)
		if hour < 2 {
			require.ErrorIs(t, err, cost.ErrPeriod, "%d", hour)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, uint64(20), s.Total.Calls, "%d", hour)
	}
	require.NoError(t, l.Err(), "the others are whole")
	l.Forget(at(4))
	e.Start = at(5)
	l.Record(t.Context(), e)
	s, err := l.Statement(at(4), x86)
	require.NoError(t, err)
	assert.Equal(t, uint64(20), s.Total.Calls, "what was forgotten made room")
}

func TestALedgerTakesTimesOfAnyAge(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86").AnyTime()
	l := cost.NewLedger(cost.Calendar{}, x86)
	for _, at := range []time.Time{{}, time.Unix(-3600, 0), time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)} {
		e := call(time.Second, 128*mib)
		e.Start = at
		l.Record(t.Context(), e)
		s, err := l.Statement(at, x86)
		require.NoError(t, err)
		assert.Equal(t, uint64(1), s.Total.Calls, at)
	}
}
