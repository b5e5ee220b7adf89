package cost_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
)

func hourly(name string, limit cost.Limit, d cost.Degrade) cost.Budget {
	return cost.Budget{Name: name, Limit: limit, Per: cost.Function, Soft: true, Calendar: cost.Calendar{Every: cost.Hour}, Degrade: &d}
}

func limitOf(tb testing.TB, r *faas.Router, function string) int {
	tb.Helper()
	info, err := r.Info(function)
	require.NoError(tb, err)
	return info.Limit
}

func TestAFunctionThatHasSpentMuchIsSlowedDownUntilTheWindowEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := budgets(t, hourly("f", cost.SlotTime(time.Minute), cost.Degrade{At: 50, To: 2}))
		r := faastest.New(t, faas.WithGate(b), faas.WithConcurrency(7))
		f, _ := sleeper(r, "f"), sleeper(r, "g")
		_, err := f.Invoke(t.Context(), 0)
		_, why := refusalOf(t, err)
		require.ErrorContains(t, why, "call Budgets.Bind", "it is not bound")
		b.Bind(r)
		_, err = f.Invoke(t.Context(), 29*time.Second)
		require.NoError(t, err)
		assert.Equal(t, 7, limitOf(t, r, "f"))
		_, err = f.Invoke(t.Context(), time.Second)
		require.NoError(t, err)
		assert.Equal(t, 2, limitOf(t, r, "f"))
		assert.Equal(t, 7, limitOf(t, r, "g"))
		time.Sleep(59*time.Minute + 30*time.Second - 1)
		synctest.Wait()
		assert.Equal(t, 2, limitOf(t, r, "f"), "the last nanosecond of the window")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, 7, limitOf(t, r, "f"), "without a call")
		_, err = f.Invoke(t.Context(), 29*time.Second)
		require.NoError(t, err)
		_, err = f.Invoke(t.Context(), 2*time.Second)
		require.NoError(t, err)
		assert.Equal(t, 2, limitOf(t, r, "f"), "and again")
		b.Close()
		assert.Equal(t, 7, limitOf(t, r, "f"))
		_, err = f.Invoke(t.Context(), time.Second)
		require.NoError(t, err)
		assert.Equal(t, 7, limitOf(t, r, "f"), "closed")
	})
}

func TestTheLowestLimitOfSeveralBudgetsCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		day := hourly("day", cost.SlotTime(20*time.Second), cost.Degrade{To: 3})
		day.Calendar.Every = cost.Day
		day.Per, day.Where = "", map[cost.Dimension]string{cost.Function: "f"}
		b := budgets(t, hourly("hour", cost.SlotTime(10*time.Second), cost.Degrade{To: 5}), day, hourly("wide", cost.SlotTime(1), cost.Degrade{To: 100}))
		r := faastest.New(t, faas.WithGate(b))
		f := sleeper(r, "f", faas.WithConcurrency(9))
		b.Bind(r)
		use := func() {
			_, err := f.Invoke(t.Context(), 10*time.Second)
			require.NoError(t, err)
		}
		use()
		assert.Equal(t, 5, limitOf(t, r, "f"))
		use()
		assert.Equal(t, 3, limitOf(t, r, "f"))
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 3, limitOf(t, r, "f"), "the hour's has ended, the day's has not")
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		assert.Equal(t, 9, limitOf(t, r, "f"))
		b.Close()
	})
}

func TestALimitThatTheProgramHasSetIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := budgets(t, hourly("f", cost.SlotTime(1), cost.Degrade{To: 2}))
		r := faastest.New(t, faas.WithGate(b))
		f, _ := sleeper(r, "f"), sleeper(r, "g", faas.WithConcurrency(1))
		b.Bind(r)
		for _, name := range []string{"f", "g"} {
			b.Charge(faas.Execution{Function: name, Start: time.Now(), Duration: time.Second})
		}
		assert.Equal(t, 2, limitOf(t, r, "f"))
		assert.Equal(t, 1, limitOf(t, r, "g"), "never raised")
		require.NoError(t, r.SetConcurrency("f", 4))
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 4, limitOf(t, r, "f"))

		b.Charge(faas.Execution{Function: "f", Start: time.Now(), Duration: time.Second})
		assert.Equal(t, 2, limitOf(t, r, "f"))
		require.NoError(t, r.Remove("f"))
		sleeper(r, "f")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, math.MaxInt32, limitOf(t, r, "f"), "another function of that name")
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrNotFound)
		require.NoError(t, r.Remove("f"))
		b.Charge(faas.Execution{Function: "f", Start: time.Now(), Duration: time.Second}) // the function to slow down is not registered yet
		b.Close()
	})
}

func TestTheLimitGivenBackIsTheLastThatTheProgramHasSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := budgets(t, hourly("low", cost.SlotTime(time.Second), cost.Degrade{To: 3}), hourly("lower", cost.SlotTime(2*time.Second), cost.Degrade{To: 1}))
		r := faastest.New(t, faas.WithGate(b))
		sleeper(r, "f", faas.WithConcurrency(9))
		b.Bind(r)
		use := func() { b.Charge(faas.Execution{Function: "f", Start: time.Now(), Duration: time.Second}) }
		use()
		require.Equal(t, 3, limitOf(t, r, "f"))
		require.NoError(t, r.SetConcurrency("f", 5))
		use()
		require.Equal(t, 1, limitOf(t, r, "f"))
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 5, limitOf(t, r, "f"))
	})
}

// While the machine sleeps, the timer stands still but the wall clock goes on.
func TestTheFirstCallOfAWindowGivesLimitsBackIfTheTimerIsLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := budgets(t, hourly("f", cost.SlotTime(time.Second), cost.Degrade{To: 1}))
		r := faastest.New(t, faas.WithGate(b))
		f := sleeper(r, "f", faas.WithConcurrency(9))
		b.Bind(r)
		b.Charge(faas.Execution{Function: "f", Start: time.Now(), Duration: time.Second})
		b.StopTimer()
		time.Sleep(time.Hour)
		require.Equal(t, 1, limitOf(t, r, "f"))
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, 9, limitOf(t, r, "f"))
	})
}

func TestARaisedLimitLetsAFunctionRunAgain(t *testing.T) {
	t.Parallel()
	b := budgets(t, hourly("f", cost.SlotTime(10*time.Second), cost.Degrade{To: 1}))
	r := faastest.New(t, faas.WithGate(b))
	sleeper(r, "f", faas.WithConcurrency(6))
	b.Bind(r)
	b.Charge(faas.Execution{Function: "f", Start: time.Now(), Duration: 11 * time.Second})
	require.Equal(t, 1, limitOf(t, r, "f"))
	require.NoError(t, b.SetLimit("f", "f", cost.SlotTime(20*time.Second)))
	assert.Equal(t, 6, limitOf(t, r, "f"))
	require.NoError(t, b.SetLimit("f", "f", cost.SlotTime(time.Second)))
	assert.Equal(t, 1, limitOf(t, r, "f"))
	b.Close()
}
