package cost_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
)

// throughJSON encodes balances as JSON and decodes them again.
func throughJSON(tb testing.TB, balances []cost.Balance) (restored []cost.Balance) {
	tb.Helper()
	text, err := json.Marshal(balances)
	require.NoError(tb, err)
	require.NoError(tb, json.Unmarshal(text, &restored), "%s", text)
	return restored
}

func TestStoredRecordsDoNotTellAlertsAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := 0
		var stored []faas.Execution
		start := func() *cost.Budgets {
			b := budgets(t, cost.Budget{Name: "b", Limit: cost.Calls(10), WarnAt: []int{50, 80}, Alert: func(cost.Alert) { told++ }})
			for _, e := range stored {
				b.Charge(e)
			}
			return b
		}
		b := start()
		use := func(n int) {
			for range n {
				inv := asking(faas.Invocation{Function: "f"})
				require.NoError(t, b.Admit(t.Context(), inv))
				b.Done(inv, ended(inv, time.Millisecond))
				stored = append(stored, *ended(inv, time.Millisecond))
			}
		}
		use(7)
		assert.Equal(t, 1, told, "50 %")
		b = start()
		assert.Equal(t, 1, told, "by the charge of what was told of")
		use(1)
		assert.Equal(t, 2, told, "80 %")
		use(2)
		require.Error(t, b.Admit(t.Context(), asking(faas.Invocation{Function: "f"})))
		assert.Equal(t, 3, told, "refused")
		for range 3 {
			b = start()
			require.Error(t, b.Admit(t.Context(), asking(faas.Invocation{Function: "f"})))
			assert.Equal(t, 3, told)
		}
	})
}

func TestAnOverrunThatIsRecordedNowTellsItsAlert(t *testing.T) {
	t.Parallel()
	var told []int
	b := budgets(t, cost.Budget{
		Name: "b", Limit: cost.SlotTime(time.Minute), WarnAt: []int{50, 80}, Alert: func(a cost.Alert) { told = append(told, a.Percent) },
	})
	b.ChargeOverrun(time.Now(), faas.Overrun{Function: "f", Duration: 30 * time.Second})
	assert.Empty(t, told, "a stored one")
	b.RecordOverrun(t.Context(), faas.Overrun{Function: "f", Duration: 20 * time.Second})
	assert.Equal(t, []int{80}, told)
}

func TestAccountsAndLimitsSurviveARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x86 := preset(t, "aws-lambda-x86")
		var told []string
		start := func() *cost.Budgets {
			alert := func(a cost.Alert) {
				told = append(told, fmt.Sprint(a.Balance.Budget, " ", a.Balance.Account, " ", a.Percent))
			}
			return budgets(t,
				cost.Budget{Name: "money", Limit: cost.Spend(money(t, "0.001 USD"), x86), Per: cost.Tenant, WarnAt: []int{50}, Alert: alert},
				cost.Budget{Name: "time", Limit: cost.SlotTime(time.Hour), Per: cost.Label("team"), WarnAt: []int{50}, Alert: alert},
				cost.Budget{Name: "calls", Limit: cost.Calls(3), Calendar: cost.Calendar{Every: cost.Day, Zone: zone(t, "Europe/Berlin")}, Alert: alert},
			)
		}
		b := start()
		require.NoError(t, b.SetLimit("money", "big", cost.Spend(money(t, "0.125 USD"), x86)))
		require.NoError(t, b.SetLimit("time", "not seen", cost.SlotTime(2*time.Hour)))
		for _, tenant := range []string{"big", "small", ""} {
			inv := faas.Invocation{Function: "f", Tenant: tenant, Labels: map[string]string{"team": "a"}, Memory: 1024 * mib}
			require.NoError(t, serve(t, b, inv, 20*time.Minute))
		}
		require.Error(t, b.Admit(t.Context(), asking(faas.Invocation{Function: "f"})))
		before, toldBefore := b.Balances(), len(told)
		require.Equal(t, 5, toldBefore, "%v", told) // three accounts are half spent, and two are spent

		b = start()
		require.NoError(t, b.Restore(throughJSON(t, before)...))
		assert.Len(t, told, toldBefore)
		assert.Equal(t, fmt.Sprint(before), fmt.Sprint(b.Balances()))
		require.Error(t, b.Admit(t.Context(), asking(faas.Invocation{Function: "f"})))
		assert.Len(t, told, toldBefore, "that the calls are spent was told")

		time.Sleep(24 * time.Hour)
		b = start()
		require.NoError(t, b.Restore(throughJSON(t, before)...))
		assert.Zero(t, balanceOf(t, b, "calls", "").Spent.Calls(), "another day")
		time.Sleep(40 * 24 * time.Hour)
		b = start()
		require.NoError(t, b.Restore(throughJSON(t, before)...))
		assert.Zero(t, balanceOf(t, b, "money", "big").Spent.Money().Sign())
		assert.Equal(t, "0.125 USD", balanceOf(t, b, "money", "big").Limit.String(), "what was set lasts")
		assert.Equal(t, 2*time.Hour, balanceOf(t, b, "time", "not seen").Limit.Duration())
		assert.Equal(t, "0.001 USD", balanceOf(t, b, "money", "small").Limit.String())
	})
}

func TestWhatIsRestoredComesOnTopOfWhatWasSpentSince(t *testing.T) {
	t.Parallel()
	declared := cost.Budget{Name: "time", Limit: cost.SlotTime(time.Hour), Per: cost.Tenant}
	old, b := budgets(t, declared), budgets(t, declared)
	require.NoError(t, serve(t, old, faas.Invocation{Tenant: "a"}, 20*time.Minute))
	require.NoError(t, serve(t, b, faas.Invocation{Tenant: "a"}, time.Minute))
	require.NoError(t, b.Restore(old.Balances()...))
	b.Charge(faas.Execution{Tenant: "a", Start: time.Now(), Duration: time.Second})
	assert.Equal(t, 21*time.Minute+time.Second, balanceOf(t, b, "time", "a").Spent.Duration())
	limits := old.Balances()
	for i := range limits {
		limits[i].Spent, limits[i].Excess = cost.Amount{}, cost.Amount{}
	}
	require.NoError(t, b.Restore(limits...))
	assert.Equal(t, 21*time.Minute+time.Second, balanceOf(t, b, "time", "a").Spent.Duration(), "limits alone")
}

func TestABalanceThatFitsNoBudgetIsNamedAndTheOthersAreRestored(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	old := budgets(t, cost.Budget{Name: "gone", Limit: cost.Calls(3)}, cost.Budget{Name: "kind", Limit: cost.Calls(3)},
		cost.Budget{Name: "per", Limit: cost.Calls(3), Per: cost.Tenant}, cost.Budget{Name: "money", Limit: cost.Spend(money(t, "1 USD"), x86)},
		cost.Budget{Name: "same", Limit: cost.Calls(3)})
	require.NoError(t, serve(t, old, faas.Invocation{Memory: mib}, time.Second))
	perCore := money(t, "1 EUR")
	machine, err := cost.Machine(perCore, cost.Money{})
	require.NoError(t, err)
	b := budgets(t, cost.Budget{Name: "kind", Limit: cost.SlotTime(time.Hour)}, cost.Budget{Name: "per", Limit: cost.Calls(3)},
		cost.Budget{Name: "money", Limit: cost.Spend(money(t, "1 EUR"), machine)}, cost.Budget{Name: "same", Limit: cost.Calls(3)})
	err = b.Restore(throughJSON(t, old.Balances())...)
	for _, name := range []string{"gone", "kind", "per", "money"} {
		require.ErrorContains(t, err, fmt.Sprintf("%q", name))
	}
	require.ErrorIs(t, err, cost.ErrCurrency)
	assert.NotContains(t, err.Error(), `"same"`)
	assert.Equal(t, uint64(1), balanceOf(t, b, "same", "").Spent.Calls())
}

func TestAmountsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"nothing", "0 calls", "18446744073709551615 calls", "0s", "1m30.000000001s", "2562047h47m16.854775807s", "0 USD", "0.00000457500875 USD", "1/3 EUR"} {
		var a cost.Amount
		require.NoError(t, a.UnmarshalText([]byte(text)), text)
		assert.Equal(t, text, a.String())
	}
	for _, text := range []string{"", "calls", "-1 calls", "1.5 calls", "-1s", "soon", "-1 USD", "0x1 USD", "1e9 USD", strings.Repeat("9", 60) + " USD"} {
		var a cost.Amount
		require.ErrorIs(t, a.UnmarshalText([]byte(text)), cost.ErrFormat, text)
		assert.Equal(t, cost.Amount{}, a)
	}
}

// Budgets that are restarted at random moments behave like budgets that are never restarted.
func TestBudgetsThatAreRestartedDoAsThoseThatAreNot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			var told [2][]string
			start := func(which int) *cost.Budgets {
				alert := func(a cost.Alert) {
					told[which] = append(told[which], fmt.Sprint(a.Percent, a.Refused, a.Balance))
				}
				return budgets(t,
					cost.Budget{Name: "hour", Limit: cost.SlotTime(10 * time.Minute), Per: cost.Tenant, Calendar: cost.Calendar{Every: cost.Hour}, WarnAt: []int{50, 80}, Alert: alert},
					cost.Budget{Name: "day", Limit: cost.Calls(40), Calendar: cost.Calendar{Every: cost.Day}, WarnAt: []int{80}, Alert: alert})
			}
			b := [2]*cost.Budgets{start(0), start(1)}
			for range rapid.IntRange(1, 60).Draw(rt, "steps") {
				tenant := rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "tenant")
				switch rapid.IntRange(0, 9).Draw(rt, "step") {
				case 0:
					again := start(1)
					require.NoError(t, again.Restore(throughJSON(t, b[1].Balances())...))
					b[1] = again
				case 1:
					limit := cost.SlotTime(time.Duration(rapid.IntRange(0, 20).Draw(rt, "minutes")) * time.Minute)
					require.NoError(t, b[0].SetLimit("hour", tenant, limit))
					require.NoError(t, b[1].SetLimit("hour", tenant, limit))
				case 2:
					time.Sleep(time.Duration(rapid.IntRange(1, 90).Draw(rt, "sleep")) * time.Minute)
				default:
					d := time.Duration(rapid.IntRange(0, 200).Draw(rt, "seconds")) * time.Second
					got := [2]error{serve(t, b[0], faas.Invocation{Tenant: tenant}, d), serve(t, b[1], faas.Invocation{Tenant: tenant}, d)}
					require.Equal(t, fmt.Sprint(got[0]), fmt.Sprint(got[1]))
				}
			}
			assert.Equal(t, fmt.Sprint(b[0].Balances()), fmt.Sprint(b[1].Balances()))
			assert.Equal(t, told[0], told[1])
		})
	})
}

func TestDegradeTakesHoldInAnyOrder(t *testing.T) {
	orders := []string{
		"charge bind register", "charge register bind", "bind charge register", "bind register charge", "register charge bind", "register bind charge",
		"restore bind register", "bind restore register", "register restore bind", "bind register restore",
	}
	for _, order := range orders {
		t.Run(order, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				for _, declared := range []cost.Budget{
					{Name: "one", Limit: cost.SlotTime(time.Hour), Where: map[cost.Dimension]string{cost.Function: "f"}, Soft: true, Degrade: &cost.Degrade{At: 50, To: 1}},
					{Name: "each", Limit: cost.SlotTime(time.Hour), Per: cost.Function, Degrade: &cost.Degrade{At: 50, To: 1}},
				} {
					inOrder(t, declared, order)
				}
			})
		})
	}
}

func inOrder(t *testing.T, declared cost.Budget, order string) {
	t.Helper()
	used := faas.Execution{Function: "f", Start: time.Now(), Duration: 40 * time.Minute}
	before := budgets(t, declared)
	before.Charge(used)
	b := budgets(t, declared)
	r := faastest.New(t, faas.WithGate(b))
	defer b.Close()
	for step := range strings.FieldsSeq(order) {
		switch step {
		case "bind":
			b.Bind(r)
		case "register":
			sleeper(r, "f", faas.WithConcurrency(8))
		case "charge":
			b.Charge(used)
		case "restore":
			require.NoError(t, b.Restore(throughJSON(t, before.Balances())...))
		}
	}
	_, err := r.Invoke(t.Context(), "f", []byte("0"))
	require.NoError(t, err)
	assert.Equal(t, 1, limitOf(t, r, "f"), declared.Name)
	require.NoError(t, r.Remove("f"))
	sleeper(r, "f", faas.WithConcurrency(8))
	b.Close()
	assert.Equal(t, 8, limitOf(t, r, "f"))
}

func TestAccountsBeyondTheMostShareOne(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := budgets(t, cost.Budget{
		Name: "calls", Limit: cost.Calls(5), Per: cost.Tenant, MaxAccounts: 10, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, b.SetLimit("calls", "paying", cost.Calls(100)))
	ask := func(tenant string) error { return serve(t, b, faas.Invocation{Tenant: tenant}, 0) }
	for i := range 9 {
		require.NoError(t, ask(fmt.Sprint("tenant-", i)))
	}
	for i := range 5 {
		require.NoError(t, ask(fmt.Sprint("late-", i)))
	}
	require.ErrorIs(t, ask("late-6"), cost.ErrBudget, "the five of all that came late are spent")
	require.NoError(t, ask("tenant-3"), "it has its own")
	for range 50 {
		require.NoError(t, ask("paying"))
	}
	require.NoError(t, ask(""), "the tenant without a name")
	require.NoError(t, b.SetLimit("calls", "late-1", cost.Calls(3)))
	require.NoError(t, ask("late-1"))
	for i := range 1000 {
		_ = ask(fmt.Sprint("attack-", i))
	}
	assert.Len(t, b.Balances(), 10+3, "and the overflow, the nameless, and the one whose limit was set late")
	assert.Equal(t, cost.Overflow, balanceOf(t, b, "calls", "never seen").Account)
	assert.Equal(t, 1, strings.Count(log.String(), "no room for more accounts"), log.String())
}

func TestABudgetWithoutAWindowForTheMomentRefusesLoudly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		jump := time.Now().AddDate(0, 0, 2)
		b := budgets(t, cost.Budget{
			Name: "day", Limit: cost.Calls(1), Calendar: cost.Calendar{Every: cost.Day, Zone: jumpingZone(t, jump)}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		err := serve(t, b, faas.Invocation{}, 0)
		own, _ := refusalOf(t, err)
		require.ErrorIs(t, err, cost.ErrPeriod)
		assert.Zero(t, own.RetryAfter)
		b.Charge(faas.Execution{Start: time.Now()})
		assert.Equal(t, 2, strings.Count(log.String(), "no window for this moment"), log.String())
		require.ErrorIs(t, b.SetLimit("day", "", cost.Calls(2)), cost.ErrPeriod)
		assert.Zero(t, balanceOf(t, b, "day", "").Spent.Calls())
		time.Sleep(3 * 24 * time.Hour)
		require.NoError(t, serve(t, b, faas.Invocation{}, 0))
		require.Error(t, serve(t, b, faas.Invocation{}, 0), "a limit of one call a day admits one")
	})
}

func TestAnHourlyBudgetCountsOnTheLastDayOfALeapYear(t *testing.T) {
	bubble(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2028, 12, 31, 14, 30, 0, 0, time.UTC)))
		b := budgets(t, cost.Budget{Name: "b", Limit: cost.Calls(1), Calendar: cost.Calendar{Every: cost.Hour, Zone: zone(t, "Europe/Berlin")}})
		require.NoError(t, serve(t, b, faas.Invocation{}, 0))
		for range 100 {
			own, _ := refusalOf(t, serve(t, b, faas.Invocation{}, 0))
			require.Equal(t, 30*time.Minute, own.RetryAfter)
		}
	})
}

func TestBalancesAreReadWhileAccountsAreOpenedAndLimitsSet(t *testing.T) {
	t.Parallel()
	b := budgets(t, cost.Budget{Name: "calls", Limit: cost.Calls(1 << 40), Per: cost.Tenant})
	var callers, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			last := 0
			for {
				all := b.Balances()
				if len(all) < last {
					t.Errorf("%d accounts after %d", len(all), last)
				}
				last = len(all)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for g := range 4 {
		callers.Go(func() {
			for i := range 700 {
				tenant := fmt.Sprint(g, "-", i)
				if err := serve(t, b, faas.Invocation{Tenant: tenant}, 0); err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					if err := b.SetLimit("calls", tenant, cost.Calls(7)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	readers.Wait()
	all := b.Balances()
	require.Len(t, all, 4*700)
	set := 0
	for i, balance := range all {
		assert.Equal(t, uint64(1), balance.Spent.Calls())
		assert.True(t, i == 0 || all[i-1].Account < balance.Account)
		if balance.LimitSet {
			set++
		}
	}
	assert.Equal(t, 4*14, set)
}
