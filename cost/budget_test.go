package cost_test

import (
	"bytes"
	"context"
	"fmt"
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

func TestABudgetRefusesBeforeTheHandlerRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
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

func TestACallThatIsRefusedAfterItsYesHasUsedNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
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
			require.NoError(t, serve(t, b, inv, 0))
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
	bubble(t, func(t *testing.T) {
		lambda := preset(t, "aws-lambda-x86")
		var told []int
		b := budgets(t,
			cost.Budget{Name: "calls", Limit: cost.Calls(2), Per: cost.Tenant, WarnAt: []int{100}, Alert: func(a cost.Alert) { told = append(told, a.Percent) }},
			cost.Budget{Name: "money", Limit: cost.Spend(money(t, "1 USD"), lambda)})
		use := func(tenant string) error { return serve(t, b, faas.Invocation{Tenant: tenant}, time.Second) }
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
	bubble(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(time.Minute), Reserve: true, Calendar: cost.Calendar{Every: cost.Hour}, Per: cost.Tenant})
		time.Sleep(90 * time.Minute)
		e := faas.Execution{Tenant: "a", Start: time.Now().Add(-20 * time.Minute), Duration: 25 * time.Second, Memory: mib}
		b.Charge(e)
		e.Queued = 11 * time.Minute // so the call was admitted in the hour before
		b.Charge(e)
		e.Start = e.Start.Add(2 * time.Hour) // so it is in a later hour
		b.Charge(e)
		b.ChargeOverrun(time.Now(), faas.Overrun{Tenant: "a", Duration: 10 * time.Second})
		b.ChargeOverrun(time.Now().Add(-time.Hour), faas.Overrun{Tenant: "a", Duration: 10 * time.Second})
		got := balanceOf(t, b, "all", "a")
		assert.Equal(t, 35*time.Second, got.Spent.Duration())
		assert.Equal(t, 10*time.Second, got.Excess.Duration())
	})
}

func TestHandlersSeeWhatIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
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

// The test calls all methods at once, while windows end, for the race detector.
func TestBudgetsBearAllMethodsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
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

func TestABudgetOfAFunctionIsAboutAllItsVersionsUnlessItNamesOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := budgets(t,
			cost.Budget{Name: "name", Limit: cost.Calls(3), Where: map[cost.Dimension]string{cost.Function: "f"}},
			cost.Budget{Name: "version", Limit: cost.Calls(1), Where: map[cost.Dimension]string{cost.Function: "f:2"}},
		)
		r := faastest.New(t, faas.WithGate(b))
		latest := sleeper(r, "f")
		two := sleeper(r, "f", faas.WithVersion(2))

		_, err := two.Invoke(t.Context(), 0)
		require.NoError(t, err)
		_, err = two.Invoke(t.Context(), 0)
		_, refused := refusalOf(t, err)
		require.Equal(t, "version", refused.Balance.Budget)
		for range 2 {
			_, err = latest.Invoke(t.Context(), 0)
			require.NoError(t, err)
		}
		_, err = latest.Invoke(t.Context(), 0)
		_, refused = refusalOf(t, err)
		require.Equal(t, "name", refused.Balance.Budget)
	})
}

func TestAVersionCannotBeSlowedDownAlone(t *testing.T) {
	_, err := cost.NewBudgets(cost.Budget{
		Name: "b", Limit: cost.Calls(3), Where: map[cost.Dimension]string{cost.Function: "f:2"}, Degrade: &cost.Degrade{At: 50, To: 1},
	})
	require.ErrorContains(t, err, `leave the version "f:2" out of Where`)
}
