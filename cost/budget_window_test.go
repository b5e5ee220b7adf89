package cost_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
)

// Windows are an hour or half an hour long, and calls may end after their window. The calls
// admitted in a window must be within its limit.
func TestNoWindowIsExceededWhileTheyRoll(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		zone    string
		every   cost.Every
		from    time.Time
		windows int
		limit   time.Duration
	}{
		{"Australia/Lord_Howe", cost.Hour, time.Date(2000, 3, 25, 10, 0, 0, 0, time.UTC), 8, 40 * time.Minute},
		{"America/New_York", cost.Day, time.Date(2000, 4, 1, 5, 0, 0, 0, time.UTC), 4, 20 * time.Hour},
		{"America/New_York", cost.Day, time.Date(2000, 10, 28, 4, 0, 0, 0, time.UTC), 4, 20 * time.Hour},
	} {
		t.Run(tt.zone+" "+tt.every.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) { rolling(t, zone(t, tt.zone), tt.every, tt.from, tt.windows, tt.limit) })
		})
	}
}

func rolling(t *testing.T, in *time.Location, every cost.Every, from time.Time, windows int, limit time.Duration) {
	t.Helper()
	time.Sleep(time.Until(from))
	calendar := cost.Calendar{Every: every, Zone: in}
	b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(limit), Reserve: true, Slack: -1, Calendar: calendar})
	at := &admissions{windows: map[[16]byte]time.Time{}, calendar: calendar, spent: map[time.Time]time.Duration{}}
	r := faastest.New(t, faas.WithGate(b, at), faas.WithTimeout(limit/7))
	f := sleeper(r, "f")
	var wg sync.WaitGroup
	end := from
	for range windows {
		end = calendar.Period(end).End
	}
	for i := range 100 {
		rng := rand.New(rand.NewPCG(2, uint64(i)))
		wg.Go(func() {
			for time.Now().Before(end) {
				_, err := f.Invoke(t.Context(), time.Duration(rng.Int64N(int64(limit/5))))
				if errors.Is(err, cost.ErrBudget) {
					time.Sleep(time.Duration(1 + rng.Int64N(int64(limit/20))))
				}
			}
		})
	}
	wg.Wait()
	synctest.Wait()
	full := 0
	for window, spent := range at.spent {
		assert.LessOrEqual(t, spent, limit, window)
		if spent > limit-limit/7 {
			full++
		}
	}
	assert.GreaterOrEqual(t, full, windows, "windows that were used up to the last call")
	assert.Zero(t, b.Held())
}

// admissions is a gate that adds up what calls use, by the windows in which they were
// admitted.
type admissions struct {
	calendar cost.Calendar
	mu       sync.Mutex
	windows  map[[16]byte]time.Time
	spent    map[time.Time]time.Duration
}

func (a *admissions) Admit(_ context.Context, inv faas.Invocation) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.windows[inv.ID] = a.calendar.Period(time.Now()).Start
	return nil
}

func (a *admissions) Done(inv faas.Invocation, e *faas.Execution) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spent[a.windows[inv.ID]] += e.Duration
}

func TestWindowsRollExactlyWhereClocksChange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		zone  string
		every cost.Every
		start string
		long  time.Duration
	}{
		{"America/New_York", cost.Day, "2000-04-02T00:00:00-05:00", 23 * time.Hour},
		{"America/New_York", cost.Day, "2000-10-29T00:00:00-04:00", 25 * time.Hour},
		{"America/New_York", cost.Week, "2000-03-27T00:00:00-05:00", 167 * time.Hour},
		{"America/New_York", cost.Month, "2000-04-01T00:00:00-05:00", 719 * time.Hour},
		{"America/New_York", cost.Hour, "2000-04-02T01:00:00-05:00", time.Hour},
		{"Australia/Lord_Howe", cost.Day, "2000-03-26T00:00:00+11:00", 24*time.Hour + 30*time.Minute},
		{"Australia/Lord_Howe", cost.Day, "2000-08-27T00:00:00+10:30", 23*time.Hour + 30*time.Minute},
		{"Australia/Lord_Howe", cost.Hour, "2000-03-26T01:30:00+10:30", 30 * time.Minute},
		{"Asia/Kolkata", cost.Hour, "2000-01-02T00:00:00+05:30", time.Hour},
		{"UTC", cost.Month, "2000-02-01T00:00:00Z", 29 * 24 * time.Hour},
	} {
		t.Run(tt.zone+" "+tt.every.String()+" of "+tt.start[:10], func(t *testing.T) {
			t.Parallel()
			start, err := time.Parse(time.RFC3339, tt.start)
			require.NoError(t, err)
			synctest.Test(t, func(t *testing.T) {
				b := budgets(t, cost.Budget{Name: "all", Limit: cost.Calls(1), Calendar: cost.Calendar{Every: tt.every, Zone: zone(t, tt.zone)}})
				admits := func(why string) {
					require.NoError(t, b.Admit(t.Context(), asking(faas.Invocation{})), why)
				}
				refusesFor := func(wait time.Duration) {
					own, _ := refusalOf(t, b.Admit(t.Context(), asking(faas.Invocation{})))
					require.Equal(t, wait, own.RetryAfter)
				}
				time.Sleep(time.Until(start) - 1)
				admits("the last nanosecond of the window before")
				refusesFor(1)
				time.Sleep(time.Nanosecond)
				admits("the first nanosecond of the window")
				refusesFor(tt.long)
				time.Sleep(tt.long - 1)
				refusesFor(1) // the last nanosecond of the window
				time.Sleep(time.Nanosecond)
				admits("the next window")
			})
		})
	}
}

func TestACallIsChargedToTheWindowInWhichItWasAdmitted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []cost.Alert
		b := budgets(t, cost.Budget{
			Name: "all", Limit: cost.SlotTime(10 * time.Minute), Reserve: true, Slack: -1, Calendar: cost.Calendar{Every: cost.Hour},
			WarnAt: []int{90}, Alert: func(a cost.Alert) { told = append(told, a) },
		})
		time.Sleep(55 * time.Minute)
		inv := asking(faas.Invocation{Timeout: 10 * time.Minute})
		require.NoError(t, b.Admit(t.Context(), inv))
		require.ErrorIs(t, b.Admit(t.Context(), asking(faas.Invocation{})), cost.ErrBudget)
		time.Sleep(9 * time.Minute)
		require.NoError(t, b.Admit(t.Context(), asking(inv)), "the next window has its whole limit")
		b.Done(inv, ended(inv, 9*time.Minute))
		got := balanceOf(t, b, "all", "")
		assert.Zero(t, got.Spent.Duration())
		assert.Equal(t, 10*time.Minute, got.Reserved.Duration())
		require.Len(t, told, 1)
		assert.Equal(t, 9*time.Minute, told[0].Balance.Spent.Duration())
		assert.Equal(t, time.Now().Add(-4*time.Minute), told[0].Balance.Window.End.Local())
	})
}

func TestAClockThatIsPutBackFindsTheWindowBeforeAsItWas(t *testing.T) {
	t.Parallel()
	b := budgets(t, cost.Budget{Name: "all", Limit: cost.Calls(1), Calendar: cost.Calendar{Every: cost.Hour}})
	ask := func(at time.Time) error { return b.AdmitAt(asking(faas.Invocation{}), at) }
	end := noon.Add(time.Hour)
	require.NoError(t, ask(end.Add(-1)))
	require.NoError(t, ask(end))
	for range 3 {
		require.Error(t, ask(end.Add(-1)), "it was spent")
		require.Error(t, ask(end), "and so was this one")
	}
	require.NoError(t, ask(end.Add(time.Hour)))
	require.Error(t, ask(end), "still known")
	require.NoError(t, ask(end.Add(3*time.Hour)))
	require.NoError(t, ask(end.Add(3*time.Hour-1)), "the last second before it is not in it")
}
