package cost_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
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

// budgets makes a gate whose logs are discarded.
func budgets(tb testing.TB, declared ...cost.Budget) *cost.Budgets {
	tb.Helper()
	for i := range declared {
		if declared[i].Logger == nil {
			declared[i].Logger = slog.New(slog.DiscardHandler)
		}
	}
	b, err := cost.NewBudgets(declared...)
	require.NoError(tb, err)
	return b
}

func balanceOf(tb testing.TB, b *cost.Budgets, budget, account string) cost.Balance {
	tb.Helper()
	balance, ok := b.Balance(budget, account)
	require.True(tb, ok, budget)
	return balance
}

// sleeper is a function whose calls take as long as they are told to.
func sleeper(r *faas.Router, name string, opts ...faas.FunctionOption) *faas.Function[time.Duration, struct{}] {
	return faas.Register(r, name, func(_ context.Context, d time.Duration) (struct{}, error) {
		time.Sleep(d)
		return struct{}{}, nil
	}, opts...)
}

func refusalOf(tb testing.TB, err error) (*faas.Error, *cost.BudgetError) {
	tb.Helper()
	var own *faas.Error
	var budget *cost.BudgetError
	require.ErrorAs(tb, err, &own)
	require.ErrorAs(tb, err, &budget)
	require.ErrorIs(tb, err, cost.ErrBudget)
	require.ErrorIs(tb, err, faas.ErrDenied)
	require.Equal(tb, cost.ReasonBudget, own.Reason)
	return own, budget
}

// asking is a call that asks without a router, with an id of its own.
func asking(inv faas.Invocation) faas.Invocation {
	binary.BigEndian.PutUint64(inv.ID[8:], rand.Uint64())
	if inv.Timeout == 0 {
		inv.Timeout = time.Second
	}
	if inv.Memory == 0 {
		inv.Memory = 128 * mib
	}
	return inv
}

func ended(inv faas.Invocation, d time.Duration) *faas.Execution {
	return &faas.Execution{
		ID: inv.ID, Function: inv.Function, Version: inv.Version, Tenant: inv.Tenant, Labels: inv.Labels,
		Start: time.Now(), Duration: d, Memory: inv.Memory,
	}
}

func TestABudgetRefusesBeforeTheHandlerRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "agents", Limit: cost.Calls(2), Per: cost.Tenant, Calendar: cost.Calendar{Every: cost.Hour}})
		rec := &faastest.Recorder{}
		r := faastest.New(t, faas.WithGate(b), faas.WithMeter(rec), faas.WithTimeout(time.Hour))
		f := sleeper(r, "f")
		acme := faas.WithTenant(t.Context(), "acme")
		for range 2 {
			_, err := f.Invoke(acme, time.Minute)
			require.NoError(t, err)
		}
		_, err := f.Invoke(acme, 0)
		own, why := refusalOf(t, err)
		assert.Equal(t, 58*time.Minute, own.RetryAfter)
		assert.Equal(t, "f", own.Function)
		assert.Equal(t, "agents", why.Balance.Budget)
		assert.Equal(t, "acme", why.Balance.Account)
		assert.Equal(t, uint64(2), why.Balance.Spent.Calls())
		assert.Equal(t, `faas: invoke "f" refused (budget): not within the budget: budget "agents", tenant "acme": 2 calls of 2 calls spent, until 2000-01-01T01:00:00Z`, err.Error())
		assert.Len(t, rec.Executions(), 2)
		assert.Equal(t, map[faas.Reason]uint64{"budget": 1}, f.Info().Rejected)

		_, err = f.Invoke(faas.WithTenant(t.Context(), "other"), 0)
		require.NoError(t, err, "another tenant has an account of its own")
		time.Sleep(own.RetryAfter)
		_, err = f.Invoke(acme, 0)
		require.NoError(t, err, "the next window")
	})
}

// crowd has callers call until the limit is spent, with calls of all lengths and
// ends, and returns the records.
func crowd(t *testing.T, b *cost.Budgets, callers int, opts ...faas.RouterOption) []faas.Execution {
	t.Helper()
	rec := &faastest.Recorder{}
	r := faastest.New(t, append(opts, faas.WithGate(b), faas.WithMeter(rec), faas.WithCapacity(callers/2), faas.WithTimeout(time.Second))...)
	f := faas.Register(r, "f", func(ctx context.Context, d time.Duration) (struct{}, error) {
		if d%2 == 0 {
			time.Sleep(d)
			return struct{}{}, errors.New("failed for the test")
		}
		<-ctx.Done() // its timeout, to the last
		return struct{}{}, nil
	}, faas.WithQueue(callers/4))
	var wg sync.WaitGroup
	for i := range callers {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		wg.Go(func() {
			for {
				_, err := f.Invoke(t.Context(), time.Duration(rng.Int64N(int64(1500*time.Millisecond))))
				var own *faas.Error
				if errors.As(err, &own) && own.Reason == cost.ReasonBudget && own.RetryAfter > 0 {
					return // spent
				}
				if own != nil && own.Reason != "" { // reserved, or no slot
					time.Sleep(time.Duration(rng.Int64N(int64(time.Second))))
				}
			}
		})
	}
	wg.Wait()
	return rec.Executions()
}

func TestAThousandCallersNeverExceedALimitThatReserves(t *testing.T) {
	t.Parallel()
	lambda := preset(t, "aws-lambda-x86")
	for name, c := range map[string]struct {
		limit cost.Limit
		worst string // of a call
	}{
		"money": {cost.Spend(money(t, "0.0123456789 USD"), lambda), "0.0000022833375 USD"}, // 1 s × 1/8 GB, and the request
		"time":  {cost.SlotTime(1234567 * time.Millisecond), "1s"},
		"calls": {cost.Calls(2345), "1 calls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := budgets(t, cost.Budget{Name: "all", Limit: c.limit, Reserve: true, Slack: -1})
				records := crowd(t, b, 1000)
				got := balanceOf(t, b, "all", "")
				assert.Empty(t, aboveLimit(got))
				assert.Equal(t, "0", zeroOf(got.Reserved))
				assert.Equal(t, "0", zeroOf(got.Excess))
				assert.Zero(t, b.Held())

				rater, spent, duration := cost.NewRater(lambda), cost.Money{}, time.Duration(0)
				for _, e := range records {
					each, err := rater.Call(e)
					require.NoError(t, err)
					spent, err = spent.Add(each)
					require.NoError(t, err)
					duration += e.Duration
				}
				switch name {
				case "money":
					assert.Equal(t, spent.String(), got.Spent.String())
					less, err := got.Left.Money().Cmp(money(t, c.worst))
					require.NoError(t, err)
					assert.Negative(t, less, got)
				case "time":
					assert.Equal(t, duration, got.Spent.Duration())
					assert.Less(t, got.Left.Duration(), time.Second, got)
				case "calls":
					assert.Len(t, records, 2345)
					assert.Equal(t, uint64(2345), got.Spent.Calls())
				}
				assert.Greater(t, len(records), 1000)
			})
		})
	}
}

// aboveLimit tells by how much, or nothing.
func aboveLimit(b cost.Balance) string {
	above := b.Spent.Calls() > b.Limit.Calls() || b.Spent.Duration() > b.Limit.Duration()
	if more, err := b.Spent.Money().Cmp(b.Limit.Money()); above || err != nil || more > 0 {
		return fmt.Sprintf("%s of %s", b.Spent, b.Limit)
	}
	return ""
}

func zeroOf(a cost.Amount) string {
	if a.Calls() == 0 && a.Duration() == 0 && a.Money().Sign() == 0 {
		return "0"
	}
	return a.String()
}

// Real time, where the race detector can see what a bubble's scheduler might
// not do.
func TestAThousandCallersInRealTime(t *testing.T) {
	t.Parallel()
	machine, err := cost.Machine(money(t, "36 EUR"), cost.Money{})
	require.NoError(t, err)
	for name, limit := range map[string]cost.Limit{
		"money": cost.Spend(money(t, "2 EUR"), machine), // 200 s
		"time":  cost.SlotTime(200 * time.Second),
		"calls": cost.Calls(5000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := budgets(t, cost.Budget{Name: "all", Limit: limit, Reserve: true, Slack: time.Second, Calendar: cost.Calendar{Every: cost.Month}})
			r := faastest.New(t, faas.WithGate(b), faas.WithTimeout(time.Minute))
			f := faas.Register(r, "f", func(context.Context, int) (int, error) { runtime.Gosched(); return 0, nil })
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					for range 10 {
						_, err := f.Invoke(t.Context(), 0)
						if got := balanceOf(t, b, "all", ""); aboveLimit(got) != "" {
							t.Errorf("%v", got)
						}
						if err != nil && !errors.Is(err, cost.ErrBudget) {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			got := balanceOf(t, b, "all", "")
			assert.Equal(t, "0", zeroOf(got.Reserved))
			assert.Zero(t, b.Held())
			if name == "calls" {
				assert.Equal(t, uint64(5000), got.Spent.Calls())
			}
		})
	}
}

// Windows of an hour with half hours among them, and calls that go over their
// ends: what was admitted in a window is within its limit.
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
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { rolling(t, zone(t, tt.zone), tt.every, tt.from, tt.windows, tt.limit) })
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

// admissions is a gate that adds up what calls use by the windows in which they
// asked.
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
				ask := func() (time.Duration, bool) {
					err := b.Admit(t.Context(), asking(faas.Invocation{}))
					if err == nil {
						return 0, true
					}
					own, _ := refusalOf(t, err)
					return own.RetryAfter, false
				}
				time.Sleep(time.Until(start) - 1)
				_, ok := ask()
				require.True(t, ok, "the last nanosecond of the window before")
				wait, ok := ask()
				require.False(t, ok)
				require.Equal(t, time.Duration(1), wait)
				time.Sleep(time.Nanosecond)
				_, ok = ask()
				require.True(t, ok, "the first nanosecond of the window")
				wait, ok = ask()
				require.False(t, ok)
				require.Equal(t, tt.long, wait)
				time.Sleep(tt.long - 1)
				wait, ok = ask()
				require.False(t, ok, "its last nanosecond")
				require.Equal(t, time.Duration(1), wait)
				time.Sleep(time.Nanosecond)
				_, ok = ask()
				require.True(t, ok, "the next window")
			})
		})
	}
}

func TestACallIsChargedToTheWindowInWhichItWasAdmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
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

func TestWithoutReservationTheOverrunIsWhatWasInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(time.Second)})
		f := sleeper(faastest.New(t, faas.WithGate(b)), "f")
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), time.Second); assert.NoError(t, err) })
		}
		wg.Wait()
		got := balanceOf(t, b, "all", "")
		assert.Equal(t, 10*time.Second, got.Spent.Duration())
		assert.Zero(t, got.Left.Duration())
		assert.Equal(t, "0", zeroOf(got.Excess), "there is none where nothing is reserved")
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, cost.ErrBudget)
	})
}

func TestACallThatIsRefusedAfterItsYesHasUsedNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budgets(t,
			cost.Budget{Name: "time", Limit: cost.SlotTime(61 * time.Second), Reserve: true},
			cost.Budget{Name: "calls", Limit: cost.Calls(2)})
		f := sleeper(faastest.New(t, faas.WithGate(b)), "f", faas.WithConcurrency(1), faas.WithQueue(0))
		go func() { _, _ = f.Invoke(t.Context(), time.Second) }()
		synctest.Wait()
		for range 10 {
			_, err := f.Invoke(t.Context(), 0)
			require.ErrorIs(t, err, faas.ErrOverloaded)
		}
		assert.Equal(t, uint64(1), balanceOf(t, b, "calls", "").Reserved.Calls())
		assert.Equal(t, 30100*time.Millisecond, balanceOf(t, b, "time", "").Reserved.Duration(), "timeout and slack")
		time.Sleep(time.Minute)
		assert.Equal(t, time.Second, balanceOf(t, b, "time", "").Spent.Duration())
		assert.Equal(t, uint64(1), balanceOf(t, b, "calls", "").Spent.Calls())
	})
}

func TestOfSeveralBudgetsAllOrNoneAreTakenFrom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budgets(t,
			cost.Budget{Name: "hour", Limit: cost.Calls(2), Calendar: cost.Calendar{Every: cost.Hour}},
			cost.Budget{Name: "day", Limit: cost.Calls(1), Calendar: cost.Calendar{Every: cost.Day}, Where: map[cost.Dimension]string{cost.Function: "f"}},
			cost.Budget{Name: "month", Limit: cost.Calls(2)})
		f, g := faas.Invocation{Function: "f"}, faas.Invocation{Function: "g"}
		require.NoError(t, b.Admit(t.Context(), asking(f)))
		own, why := refusalOf(t, b.Admit(t.Context(), asking(f)))
		assert.Equal(t, 24*time.Hour, own.RetryAfter)
		assert.Equal(t, "day", why.Balance.Budget)
		assert.Equal(t, uint64(1), balanceOf(t, b, "hour", "").Reserved.Calls())
		assert.Equal(t, uint64(1), balanceOf(t, b, "month", "").Reserved.Calls())
		require.NoError(t, b.Admit(t.Context(), asking(g)), "the day's is not about g")
		own, why = refusalOf(t, b.Admit(t.Context(), asking(f)))
		assert.Equal(t, 31*24*time.Hour, own.RetryAfter, "the longest of hour, day and month")
		assert.Equal(t, "month", why.Balance.Budget)
	})
}

func TestWhatIsOnlyReservedMayComeFreeAnyMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(time.Second), Reserve: true, Slack: -1})
		inv := asking(faas.Invocation{})
		require.NoError(t, b.Admit(t.Context(), inv))
		own, why := refusalOf(t, b.Admit(t.Context(), asking(inv)))
		assert.Zero(t, own.RetryAfter)
		assert.Equal(t, `not within the budget: budget "all": 0s of 1s spent, 1s reserved; the call could need 1s`, why.Error())
		calls := budgets(t, cost.Budget{Name: "calls", Limit: cost.Calls(1), Reserve: true})
		require.NoError(t, calls.Admit(t.Context(), inv))
		own, _ = refusalOf(t, calls.Admit(t.Context(), asking(inv)))
		assert.Equal(t, 31*24*time.Hour, own.RetryAfter, "a call that is admitted counts")
		b.Done(inv, ended(inv, 0))
		require.NoError(t, b.Admit(t.Context(), asking(inv)))
	})
}

func TestAccountsAreKeptByDimension(t *testing.T) {
	t.Parallel()
	label := cost.Label("team")
	calls := map[string]faas.Invocation{
		"a": {Function: "f", Version: "1", Tenant: "x", Labels: map[string]string{"team": "blue"}},
		"b": {Function: "f", Version: "2", Tenant: "y", Labels: map[string]string{"team": "blue"}},
		"c": {Function: "g", Version: "1", Tenant: "y", Labels: nil},
	}
	for per, want := range map[cost.Dimension]map[string]uint64{
		"":            {"": 3},
		cost.Function: {"f": 2, "g": 1},
		cost.Version:  {"1": 2, "2": 1},
		cost.Tenant:   {"x": 1, "y": 2},
		label:         {"blue": 2, "": 1},
	} {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.Calls(9), Per: per})
		for _, inv := range calls {
			inv = asking(inv)
			require.NoError(t, b.Admit(t.Context(), inv))
			b.Done(inv, ended(inv, 0))
		}
		got := map[string]uint64{}
		for _, balance := range b.Balances() {
			got[balance.Account] = balance.Spent.Calls()
			assert.Equal(t, per, balance.Per)
		}
		assert.Equal(t, want, got, per)
	}
	where := budgets(t, cost.Budget{Name: "all", Limit: cost.Calls(0), Where: map[cost.Dimension]string{label: "blue", cost.Tenant: "x"}})
	require.Error(t, where.Admit(t.Context(), asking(calls["a"])))
	require.NoError(t, where.Admit(t.Context(), asking(calls["b"])))
	require.NoError(t, where.Admit(t.Context(), asking(calls["c"])))
}

func TestWhatHasNoPriceIsRefused(t *testing.T) {
	t.Parallel()
	lambda := preset(t, "aws-lambda-x86")
	for _, reserve := range []bool{false, true} {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.Spend(money(t, "1 USD"), lambda), Reserve: reserve})
		own, why := refusalOf(t, b.Admit(t.Context(), asking(faas.Invocation{Memory: 10241 * mib})))
		require.ErrorIs(t, why, cost.ErrUnrated)
		assert.Zero(t, own.RetryAfter)
		soft := budgets(t, cost.Budget{Name: "all", Limit: cost.Spend(money(t, "1 USD"), lambda), Soft: true, WarnAt: []int{1}})
		require.ErrorIs(t, soft.Admit(t.Context(), asking(faas.Invocation{Memory: 10241 * mib})), cost.ErrUnrated)
	}
}

func TestAnAmountThatCanNotBeCountedIsMoreThanAnyLimit(t *testing.T) {
	t.Parallel()
	machine, err := cost.Machine(money(t, "1000000000000000000000000 USD"), cost.Money{})
	require.NoError(t, err)
	forever := faas.Invocation{Timeout: math.MaxInt64}
	reserving := budgets(t, cost.Budget{Name: "all", Limit: cost.Spend(money(t, "1 USD"), machine), Reserve: true})
	require.ErrorIs(t, reserving.Admit(t.Context(), asking(forever)), cost.ErrUnrated)

	b := budgets(t, cost.Budget{Name: "all", Limit: cost.Spend(money(t, "1 USD"), machine)})
	inv := asking(forever)
	require.NoError(t, b.Admit(t.Context(), inv), "it has a price, and nothing is reserved")
	b.Done(inv, ended(inv, math.MaxInt64))
	require.ErrorIs(t, b.Admit(t.Context(), asking(forever)), cost.ErrBudget)
	for range 3 { // the sum does not wrap around
		b.Charge(*ended(inv, math.MaxInt64))
		require.ErrorIs(t, b.Admit(t.Context(), asking(forever)), cost.ErrBudget)
	}
}

func TestACallThatCanNotEverFitSaysSo(t *testing.T) {
	t.Parallel()
	b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(time.Second), Reserve: true}, cost.Budget{Name: "calls", Limit: cost.Calls(9)})
	own, why := refusalOf(t, b.Admit(t.Context(), asking(faas.Invocation{})))
	assert.Zero(t, own.RetryAfter)
	assert.Contains(t, why.Error(), "the call could need 1.1s, which is more than the whole limit: give the function a shorter timeout or less memory, or raise the limit")
	zero := budgets(t, cost.Budget{Name: "none", Limit: cost.SlotTime(0)})
	own, why = refusalOf(t, zero.Admit(t.Context(), asking(faas.Invocation{})))
	assert.Zero(t, own.RetryAfter)
	assert.Contains(t, why.Error(), "a limit of nothing refuses all calls")
	endless := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(math.MaxInt64), Reserve: true})
	require.NoError(t, endless.Admit(t.Context(), asking(faas.Invocation{Timeout: math.MaxInt64})), "no more than there is")
}

func TestABudgetSpendsWhatARaterSays(t *testing.T) {
	t.Parallel()
	books := cost.Presets()
	machine, err := cost.Machine(money(t, "0.031 EUR"), money(t, "0.0042 EUR"))
	require.NoError(t, err)
	for _, book := range append(books, machine) {
		currency := book.About().Currency
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.Spend(money(t, "1000000000 "+currency), book)})
		rater := cost.NewRater(book)
		rng := rand.New(rand.NewPCG(3, 4))
		want := cost.NewMoney(nil, currency)
		add := func(m cost.Money, err error) {
			require.NoError(t, err)
			want, err = want.Add(m)
			require.NoError(t, err)
		}
		for range 2000 {
			inv := asking(faas.Invocation{Memory: 1 + rng.Int64N(1536*mib)})
			require.NoError(t, b.Admit(t.Context(), inv))
			e := ended(inv, time.Duration(rng.Int64N(int64(time.Hour))>>rng.IntN(40)))
			e.Init = time.Duration(rng.Int64N(int64(time.Second)))
			b.Done(inv, e)
			add(rater.Call(*e))
			o := faas.Overrun{Duration: time.Duration(rng.Int64N(int64(time.Minute))), Memory: inv.Memory}
			b.RecordOverrun(t.Context(), o)
			add(rater.Overrun(o))
		}
		assert.Equal(t, want.String(), balanceOf(t, b, "all", "").Spent.String(), book.About().Name)
	}
}

func TestARunawayIsChargedByABudgetThatIsAMeter(t *testing.T) {
	t.Parallel()
	for _, meter := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := budgets(t,
				cost.Budget{Name: "time", Limit: cost.SlotTime(time.Minute), Reserve: true, Slack: -1, Per: cost.Tenant},
				cost.Budget{Name: "calls", Limit: cost.Calls(2)})
			opts := []faas.RouterOption{faas.WithGate(b), faas.WithTimeout(time.Second)}
			want := time.Second
			if meter {
				opts, want = append(opts, faas.WithMeter(b)), 90*time.Second
			}
			f := sleeper(faastest.New(t, opts...), "f")
			_, err := f.Invoke(faas.WithTenant(t.Context(), "acme"), 90*time.Second)
			require.ErrorIs(t, err, faas.ErrTimeout)
			time.Sleep(2 * time.Minute)
			got := balanceOf(t, b, "time", "acme")
			assert.Equal(t, want, got.Spent.Duration())
			assert.Equal(t, uint64(1), balanceOf(t, b, "calls", "").Spent.Calls())
			_, err = f.Invoke(faas.WithTenant(t.Context(), "acme"), 0)
			assert.Equal(t, meter, errors.Is(err, cost.ErrBudget), err)
			assert.Equal(t, want-time.Second, got.Excess.Duration())
		})
	}
}

func TestWhatTakesLongerThanWasReservedIsChargedAllTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(10 * time.Second), Reserve: true})
		f := sleeper(faastest.New(t, faas.WithGate(b), faas.WithTimeout(time.Second)), "f", faas.WithInline())
		_, err := f.Invoke(t.Context(), 20*time.Second)
		require.ErrorIs(t, err, faas.ErrTimeout)
		got := balanceOf(t, b, "all", "")
		assert.Equal(t, 20*time.Second, got.Spent.Duration())
		assert.Equal(t, 18900*time.Millisecond, got.Excess.Duration())
		assert.Zero(t, got.Left.Duration())
		assert.Zero(t, got.Reserved.Duration())
	})
}

func TestAlertsAreToldOnceAWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		var log bytes.Buffer
		b := budgets(t, cost.Budget{
			Name: "all", Limit: cost.Calls(10), Per: cost.Tenant, Calendar: cost.Calendar{Every: cost.Hour}, WarnAt: []int{100, 50, 55},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Alert: func(a cost.Alert) {
				told = append(told, fmt.Sprintf("%s %d%% %t %s", a.Balance.Account, a.Percent, a.Refused, a.Balance.Spent))
				panic("an alert that panics is nobody's business")
			},
		})
		r := faastest.New(t, faas.WithGate(b))
		f := sleeper(r, "f")
		for range 2 {
			for range 15 {
				_, _ = f.Invoke(faas.WithTenant(t.Context(), "a"), 0)
			}
			_, err := f.Invoke(faas.WithTenant(t.Context(), "b"), 0)
			require.NoError(t, err)
			assert.Equal(t, []string{"a 50% false 5 calls", "a 55% false 6 calls", "a 100% false 10 calls", "a 0% true 10 calls"}, told)
			told = nil
			time.Sleep(time.Hour)
		}
		assert.Zero(t, r.Stats().HookPanics)
		assert.Equal(t, uint64(22), r.Stats().Admitted)
		assert.Contains(t, log.String(), `level=WARN msg="cost: budget has reached a threshold" budget=all account=a percent=50 spent="5 calls"`)
		assert.Contains(t, log.String(), `level=WARN msg="cost: budget refuses calls" budget=all account=a`)
		assert.Contains(t, log.String(), `the Alert of a budget panicked`)
	})
}

func TestSeveralThresholdsMayBeReachedByOneCall(t *testing.T) {
	t.Parallel()
	var told []int
	b := budgets(t, cost.Budget{
		Name: "all", Limit: cost.SlotTime(time.Second), WarnAt: []int{10, 200, 80}, Soft: true,
		Alert: func(a cost.Alert) { told = append(told, a.Percent) },
	})
	for _, d := range []time.Duration{time.Second - 1, time.Second, 1} {
		inv := asking(faas.Invocation{})
		require.NoError(t, b.Admit(t.Context(), inv), "a soft limit refuses nothing")
		b.Done(inv, ended(inv, d))
	}
	assert.Equal(t, []int{10, 80, 200}, told)
}

func TestAGateThatIsAskedTwiceAboutACallCountsItOnce(t *testing.T) {
	t.Parallel()
	b := budgets(t, cost.Budget{Name: "all", Limit: cost.Calls(1)})
	f := sleeper(faastest.New(t, faas.WithGate(b)), "f", faas.WithGate(b))
	_, err := f.Invoke(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, uint64(1), balanceOf(t, b, "all", "").Spent.Calls())
	assert.Zero(t, b.Held())
	stranger := asking(faas.Invocation{})
	b.Done(stranger, ended(stranger, 0))
	assert.Equal(t, uint64(1), balanceOf(t, b, "all", "").Spent.Calls(), "it was never admitted")
}

func TestLimitsOfAccountsChangeWhileCallsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lambda := preset(t, "aws-lambda-x86")
		var told []int
		b := budgets(t,
			cost.Budget{Name: "calls", Limit: cost.Calls(2), Per: cost.Tenant, WarnAt: []int{100}, Alert: func(a cost.Alert) { told = append(told, a.Percent) }},
			cost.Budget{Name: "money", Limit: cost.Spend(money(t, "1 USD"), lambda)})
		use := func(tenant string) error {
			inv := asking(faas.Invocation{Tenant: tenant})
			if err := b.Admit(t.Context(), inv); err != nil {
				return err
			}
			b.Done(inv, ended(inv, time.Second))
			return nil
		}
		require.NoError(t, use("a"))
		require.NoError(t, use("a"))
		require.Error(t, use("a"))
		require.NoError(t, b.SetLimit("calls", "a", cost.Calls(3)))
		require.NoError(t, use("a"))
		require.Error(t, use("a"))
		assert.Equal(t, []int{100, 0, 100, 0}, told)
		require.NoError(t, b.SetLimit("calls", "b", cost.Calls(0)))
		require.Error(t, use("b"))
		assert.Equal(t, uint64(2), balanceOf(t, b, "calls", "c").Limit.Calls())

		time.Sleep(31 * 24 * time.Hour)
		for range 3 {
			require.NoError(t, use("a"), "the new limit lasts")
		}
		require.Error(t, use("b"))

		require.ErrorContains(t, b.SetLimit("calls", "a", cost.SlotTime(1)), "of another kind")
		require.ErrorContains(t, b.SetLimit("none", "", cost.Calls(1)), `cost: budget "none": there is none of that name`)
		require.ErrorContains(t, b.SetLimit("money", "a", cost.Spend(money(t, "2 USD"), lambda)), `it has one account, named ""`)
		require.ErrorContains(t, b.SetLimit("money", "", cost.Spend(money(t, "2 USD"), preset(t, "azure-flex"))), "another needs a budget of its own")
		require.NoError(t, b.SetLimit("money", "", cost.Spend(money(t, "0.1234567891234 USD"), lambda)))
		assert.Equal(t, "0.1234567891234 USD", balanceOf(t, b, "money", "").Limit.String())
		_, ok := b.Balance("none", "")
		assert.False(t, ok)
	})
}

func TestABudgetGoesOnAfterARestartWithStoredRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(time.Minute), Reserve: true, Calendar: cost.Calendar{Every: cost.Hour}, Per: cost.Tenant})
		time.Sleep(90 * time.Minute)
		e := faas.Execution{Tenant: "a", Start: time.Now().Add(-20 * time.Minute), Duration: 25 * time.Second, Memory: mib}
		b.Charge(e)
		e.Queued = 11 * time.Minute // it was admitted in the hour before
		b.Charge(e)
		e.Start = e.Start.Add(2 * time.Hour) // in an hour to come
		b.Charge(e)
		b.ChargeOverrun(time.Now(), faas.Overrun{Tenant: "a", Duration: 10 * time.Second})
		b.ChargeOverrun(time.Now().Add(-time.Hour), faas.Overrun{Tenant: "a", Duration: 10 * time.Second})
		got := balanceOf(t, b, "all", "a")
		assert.Equal(t, 35*time.Second, got.Spent.Duration())
		assert.Equal(t, 10*time.Second, got.Excess.Duration())
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

func TestHandlersSeeWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budgets(t,
			cost.Budget{Name: "tenants", Limit: cost.Calls(5), Per: cost.Tenant},
			cost.Budget{Name: "others", Limit: cost.Calls(5), Where: map[cost.Dimension]string{cost.Function: "g"}})
		ask := func(opts ...faas.RouterOption) (so cost.Running, ok bool) {
			r := faastest.New(t, append(opts, faas.WithGate(b))...)
			f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
				time.Sleep(time.Second)
				so, ok = cost.FromContext(ctx)
				return 0, nil
			})
			_, err := f.Invoke(faas.WithTenant(t.Context(), "acme"), 0)
			require.NoError(t, err)
			return so, ok
		}
		track := faas.WithMiddleware(b.Track())
		so, ok := ask(track)
		require.True(t, ok)
		require.Len(t, so.Left, 1)
		assert.Equal(t, "acme", so.Left[0].Account)
		assert.Equal(t, uint64(4), so.Left[0].Left.Calls(), "its own is reserved")
		assert.Equal(t, time.Second, so.Elapsed)
		assert.Zero(t, so.Cost)

		so, ok = ask(track, faas.WithMiddleware(cost.Track(preset(t, "aws-lambda-x86"))))
		require.True(t, ok)
		require.Len(t, so.Left, 1)
		assert.Equal(t, uint64(3), so.Left[0].Left.Calls())
		assert.Equal(t, "0.0000022833375 USD", so.Cost.String())

		_, ok = ask()
		assert.False(t, ok)
	})
}

func TestMistakesInBudgetsNameTheirCure(t *testing.T) {
	t.Parallel()
	lambda := preset(t, "aws-lambda-x86")
	one := cost.Calls(1)
	deep := []byte(`{"name": "x", "title": "x", "provider": "x", "service": "x", "region": "x", "currency": "EUR", "effective": "2026-01-01", "source": "x",
		"duration": {"granularity": "1s"}, "memory": {"step": "1MiB"}, "prices": [{"meter": "requests", "unit": "request", "price": "0.` + string(bytes.Repeat([]byte("1"), 40)) + `"}]}`)
	fine, err := cost.ParseBook(deep)
	require.NoError(t, err)
	for want, declared := range map[string]cost.Budget{
		`cost: budget "": it has no name`: {Limit: one},
		"it has no limit; say Limit: cost.Spend(…), cost.SlotTime(…) or cost.Calls(…)": {Name: "x"},
		"Spend needs a book":                {Name: "x", Limit: cost.Spend(money(t, "1 USD"), nil)},
		"whose prices are in USD":           {Name: "x", Limit: cost.Spend(money(t, "1 EUR"), lambda)},
		"SlotTime(-1s) is negative":         {Name: "x", Limit: cost.SlotTime(-time.Second)},
		"Spend(-1 USD) is negative":         {Name: "x", Limit: cost.Spend(money(t, "-1 USD"), lambda)},
		"needs more than 128 bits":          {Name: "x", Limit: cost.Spend(money(t, "1"+string(bytes.Repeat([]byte("0"), 40))+" USD"), lambda)},
		"need more than 128 bits; give":     {Name: "x", Limit: cost.Spend(money(t, "1 EUR"), fine)},
		"Calendar.Every is 9":               {Name: "x", Limit: one, Calendar: cost.Calendar{Every: 9}},
		"Soft and Reserve exclude":          {Name: "x", Limit: one, Soft: true, Reserve: true, WarnAt: []int{1}},
		"Soft without WarnAt and Degrade":   {Name: "x", Limit: one, Soft: true},
		"WarnAt has 0":                      {Name: "x", Limit: one, WarnAt: []int{50, 0}},
		"WarnAt has 1001":                   {Name: "x", Limit: one, WarnAt: []int{1001}},
		"a call has no outcome yet":         {Name: "x", Limit: one, Per: cost.Outcome},
		`there is no dimension "team"; say`: {Name: "x", Limit: one, Per: "team"},
		"an empty dimension in Where":       {Name: "x", Limit: one, Where: map[cost.Dimension]string{"": "a"}},
		"Degrade.To is 0":                   {Name: "x", Limit: one, Per: cost.Function, Degrade: &cost.Degrade{}},
		"Degrade.At is -1":                  {Name: "x", Limit: one, Per: cost.Function, Degrade: &cost.Degrade{To: 1, At: -1}},
		"Degrade at 100% comes too late":    {Name: "x", Limit: one, Per: cost.Function, Degrade: &cost.Degrade{To: 1}},
		"Degrade slows a whole function":    {Name: "x", Limit: one, Per: cost.Tenant, Where: map[cost.Dimension]string{cost.Function: "f"}, Degrade: &cost.Degrade{To: 1}},
	} {
		_, err := cost.NewBudgets(declared)
		require.ErrorContains(t, err, want)
	}
	_, err = cost.NewBudgets(cost.Budget{Name: "x", Limit: one}, cost.Budget{Name: "x", Limit: one}, cost.Budget{Name: "y"})
	require.ErrorContains(t, err, `cost: budget "x": there are two of that name`)
	require.ErrorContains(t, err, `cost: budget "y": it has no limit`)
	none, err := cost.NewBudgets(cost.Budget{Name: "x", Limit: cost.Spend(cost.Money{}, lambda)})
	require.NoError(t, err)
	require.ErrorIs(t, none.Admit(t.Context(), asking(faas.Invocation{})), cost.ErrBudget)
}

func TestAmountsOfANewKindAreNothing(t *testing.T) {
	t.Parallel()
	var a cost.Amount
	assert.Equal(t, "nothing", a.String())
	assert.Zero(t, a.Calls())
	assert.Zero(t, a.Duration())
	assert.Zero(t, a.Money())
	b := budgets(t,
		cost.Budget{Name: "money", Limit: cost.Spend(money(t, "1.50 USD"), preset(t, "aws-lambda-arm")), Per: cost.Label("team")},
		cost.Budget{Name: "time", Limit: cost.SlotTime(90 * time.Second)})
	m, d := balanceOf(t, b, "money", "blue"), balanceOf(t, b, "time", "")
	text, err := json.Marshal([]cost.Amount{m.Left, d.Left})
	require.NoError(t, err)
	assert.JSONEq(t, `["1.5 USD", "1m30s"]`, string(text))
	assert.Zero(t, m.Left.Calls())
	assert.Zero(t, m.Left.Duration())
	assert.Zero(t, d.Left.Money())
	assert.Equal(t, `budget "money", label "team" "blue": 0 USD of 1.5 USD spent`, m.String())
	third := budgets(t, cost.Budget{Name: "x", Limit: cost.Spend(money(t, "1/3 USD"), preset(t, "aws-lambda-arm"))})
	assert.Equal(t, "1/3 USD", balanceOf(t, third, "x", "").Limit.String(), "to the last part")
	assert.Empty(t, b.Balances(), "to look at an account does not open it")
}

func TestBudgetsConformToGates(t *testing.T) {
	t.Parallel()
	lambda := preset(t, "aws-lambda-x86")
	for name, limit := range map[string]cost.Limit{
		"money": cost.Spend(money(t, "1000 USD"), lambda), "time": cost.SlotTime(1000 * time.Hour), "calls": cost.Calls(1e9),
	} {
		for _, reserve := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %t", name, reserve), func(t *testing.T) {
				t.Parallel()
				faastest.TestGate(t, func(t *testing.T) (faas.Gate, func() int) {
					b := budgets(t, cost.Budget{Name: "all", Limit: limit, Reserve: reserve, Per: cost.Tenant})
					return b, func() int {
						if left := zeroOf(balanceOf(t, b, "all", "").Reserved); left != "0" {
							t.Errorf("%s is reserved when all calls are over", left)
						}
						return b.Held()
					}
				})
			})
		}
	}
}

func TestAtomsCountAsBigNumbersDo(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	number := func() *big.Int {
		n := new(big.Int).SetUint64(rng.Uint64())
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(rng.Uint64()))
		n.Rsh(n, uint(rng.IntN(129)))
		if rng.IntN(3) == 0 { // ones all along, where carries are
			n.Lsh(big.NewInt(1), uint(rng.IntN(129))).Sub(n, big.NewInt(1))
		}
		return n
	}
	for range 20_000 {
		x, y := number(), number()
		sum, product := new(big.Int).Add(x, y), new(big.Int).Mul(x, y)
		fits := func(n *big.Int) *big.Int {
			if n.BitLen() > 128 {
				return nil
			}
			return n
		}
		difference := new(big.Int).Sub(x, y)
		if difference.Sign() < 0 {
			difference.SetInt64(0)
		}
		require.Equal(t, text(fits(sum)), text(cost.Atoms("plus", x, y)), "%v + %v", x, y)
		require.Equal(t, text(fits(product)), text(cost.Atoms("times", x, y)), "%v × %v", x, y)
		require.Equal(t, text(difference), text(cost.Atoms("minus", x, y)), "%v - %v", x, y)
		require.Equal(t, int64(x.Cmp(y)), cost.Atoms("cmp", x, y).Int64())
		p := big.NewInt(rng.Int64N(1000) + 1)
		part := new(big.Int).Mul(x, p)
		part.Add(part, big.NewInt(99)).Quo(part, big.NewInt(100))
		if part.BitLen() <= 128 {
			require.Equal(t, text(part), text(cost.Atoms("percent", x, p)))
		}
	}
}

func text(n *big.Int) string {
	if n == nil {
		return "too much"
	}
	return n.String()
}

func TestCallsInFlightAreFoundWhateverTheirIds(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	var table cost.Flights
	model := map[[16]byte]string{}
	for i := range 10_000 {
		var id [16]byte
		id[15], id[0] = byte(rng.IntN(40)), byte(rng.IntN(5)) // many with the same home
		name := fmt.Sprint(i)
		if _, ok := model[id]; ok {
			table.Remove(id)
			delete(model, id)
		} else if len(model) < 100 {
			table.Add(id, name)
			model[id] = name
		}
		got, ok := table.Find(id)
		want, known := model[id]
		require.Equal(t, known, ok)
		require.Equal(t, want, got)
		if i%100 == 0 {
			for id, want := range model {
				got, ok := table.Find(id)
				require.True(t, ok)
				require.Equal(t, want, got)
			}
		}
		used, places := table.Size()
		require.Equal(t, len(model), used)
		require.LessOrEqual(t, places, 256)
	}
}

// All methods at once, over windows that roll, for the race detector.
func TestBudgetsBearAllMethodsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lambda := preset(t, "aws-lambda-x86")
		b := budgets(t,
			cost.Budget{Name: "money", Limit: cost.Spend(money(t, "0.001 USD"), lambda), Reserve: true, Per: cost.Tenant, Calendar: cost.Calendar{Every: cost.Hour}},
			cost.Budget{Name: "calls", Limit: cost.Calls(300), Calendar: cost.Calendar{Every: cost.Hour, Zone: zone(t, "Asia/Kolkata")}},
			cost.Budget{Name: "slow", Limit: cost.SlotTime(time.Minute), Per: cost.Function, Degrade: &cost.Degrade{At: 50, To: 2}, WarnAt: []int{80}, Soft: true, Calendar: cost.Calendar{Every: cost.Hour}})
		r := faastest.New(t, faas.WithGate(b), faas.WithMeter(b), faas.WithTimeout(10*time.Second))
		b.Bind(r)
		f := sleeper(r, "f")
		var wg sync.WaitGroup
		for i := range 50 {
			rng := rand.New(rand.NewPCG(9, uint64(i)))
			ctx := faas.WithTenant(t.Context(), fmt.Sprint(i%3))
			wg.Go(func() {
				for range 200 {
					switch rng.IntN(12) {
					case 0:
						b.Balances()
					case 1:
						b.Balance("money", "1")
					case 2:
						assert.NoError(t, b.SetLimit("calls", "", cost.Calls(uint64(200+rng.IntN(200)))))
					case 3:
						b.Charge(faas.Execution{Function: "f", Start: time.Now(), Duration: time.Second, Memory: mib})
					default:
						_, _ = f.Invoke(ctx, time.Duration(rng.Int64N(int64(12*time.Second))))
						time.Sleep(time.Duration(rng.Int64N(int64(3 * time.Minute))))
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		assert.Zero(t, b.Held())
		assert.Zero(t, r.Stats().HookPanics)
		assert.Positive(t, r.Stats().Rejected[cost.ReasonBudget])
		b.Close()
	})
}
