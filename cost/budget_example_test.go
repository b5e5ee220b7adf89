package cost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// Each tenant may spend a fixed amount a month. A call that could cost more than is left is
// refused before its handler runs.
func ExampleNewBudgets() {
	lambda, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		panic(err)
	}
	limit, err := cost.ParseMoney("0.00001 USD")
	if err != nil {
		panic(err)
	}
	budgets, err := cost.NewBudgets(cost.Budget{
		Name:    "agents",
		Limit:   cost.Spend(limit, lambda),
		Per:     cost.Tenant,
		Reserve: true,
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	r := faas.New(faas.WithGate(budgets), faas.WithMeter(budgets), faas.WithTimeout(2*time.Second))
	f := faas.Register(r, "f", func(context.Context, struct{}) (string, error) { return "done", nil })

	ctx := faas.WithTenant(context.Background(), "acme")
	for {
		_, err := f.Invoke(ctx, struct{}{})
		if refused := (*cost.BudgetError)(nil); errors.As(err, &refused) {
			fmt.Println(errors.Is(err, cost.ErrBudget), refused.Balance.Account, "could need", refused.Needed)
			break
		}
	}
	if err := r.Close(); err != nil {
		panic(err)
	}
	// Output: true acme could need 0.00000457500875 USD
}

// A budget that refuses no calls, but warns and slows the function down.
func ExampleBudgets_Bind() {
	budgets, err := cost.NewBudgets(cost.Budget{
		Name:     "reports",
		Limit:    cost.Calls(2),
		Where:    map[cost.Dimension]string{cost.Function: "report"},
		Calendar: cost.Calendar{Every: cost.Month},
		Soft:     true,
		WarnAt:   []int{50},
		Alert:    func(a cost.Alert) { fmt.Println(a.Percent, "%:", a.Balance) },
		Logger:   slog.New(slog.DiscardHandler),
		Degrade:  &cost.Degrade{At: 100, To: 1},
	})
	if err != nil {
		panic(err)
	}
	defer budgets.Close()
	r := faas.New(faas.WithGate(budgets), faas.WithConcurrency(8))
	budgets.Bind(r)
	report := faas.Register(r, "report", func(context.Context, struct{}) (bool, error) { return true, nil })
	for range 3 {
		ok, err := report.Invoke(context.Background(), struct{}{})
		fmt.Println(ok, err, report.Info().Limit)
	}
	if err := r.Close(); err != nil {
		panic(err)
	}
	// Output:
	// 50 %: budget "reports": 1 calls of 2 calls spent
	// true <nil> 8
	// true <nil> 1
	// true <nil> 1
}

// Balance returns what is left of a budget, outside a call.
func ExampleBudgets_Balance() {
	budgets, err := cost.NewBudgets(cost.Budget{Name: "minutes", Limit: cost.SlotTime(time.Hour), Per: cost.Tenant})
	if err != nil {
		panic(err)
	}
	budgets.Charge(faas.Execution{Tenant: "acme", Start: time.Now(), Duration: 90 * time.Second}) // for example a stored record
	balance, ok := budgets.Balance("minutes", "acme")
	fmt.Println(balance.Spent, balance.Left, ok)
	// Output: 1m30s 58m30s true
}

// One tenant gets a larger limit than the others.
func ExampleBudgets_SetLimit() {
	budgets, err := cost.NewBudgets(cost.Budget{Name: "calls", Limit: cost.Calls(100), Per: cost.Tenant})
	if err != nil {
		panic(err)
	}
	fmt.Println(budgets.SetLimit("calls", "acme", cost.Calls(5000)))
	// Output: <nil>
}

// A handler reads what the budgets have left for calls like its own.
func ExampleBudgets_Track() {
	budgets, err := cost.NewBudgets(cost.Budget{Name: "calls", Limit: cost.Calls(100), Per: cost.Tenant})
	if err != nil {
		panic(err)
	}
	r := faas.New(faas.WithGate(budgets), faas.WithMiddleware(budgets.Track()))
	f := faas.Register(r, "f", func(ctx context.Context, _ struct{}) (string, error) {
		so, _ := cost.FromContext(ctx)
		return so.Left[0].Left.String(), nil
	})
	fmt.Println(f.Invoke(faas.WithTenant(context.Background(), "acme"), struct{}{}))
	if err := r.Close(); err != nil {
		panic(err)
	}
	// Output: 99 calls <nil>
}

// At most 4 calls at once, and at most 1,200 minutes a week, for each tenant.
func ExampleSlotTime() {
	minutes, err := cost.NewBudgets(cost.Budget{
		Name:     "minutes",
		Limit:    cost.SlotTime(1200 * time.Minute),
		Per:      cost.Tenant,
		Calendar: cost.Calendar{Every: cost.Week},
		Reserve:  true,
	})
	if err != nil {
		panic(err)
	}
	r := faas.New(faas.WithTenantConcurrency(4), faas.WithGate(minutes), faas.WithMeter(minutes))

	build := faas.Register(r, "build", func(context.Context, struct{}) (string, error) { return "done", nil })
	out, err := build.Invoke(faas.WithTenant(context.Background(), "acme"), struct{}{})
	fmt.Println(out, err)
	if err := r.Close(); err != nil {
		panic(err)
	}
	// Output: done <nil>
}

// An alert at 80 % that survives a deploy. The balances are stored as JSON when the old
// process ends, and restored when the new one begins. No alert is given twice.
func ExampleBudgets_Restore() {
	start := func() *cost.Budgets {
		budgets, err := cost.NewBudgets(cost.Budget{
			Name: "calls", Limit: cost.Calls(10), Per: cost.Tenant, WarnAt: []int{80},
			Alert:  func(a cost.Alert) { fmt.Println(a.Percent, "%:", a.Balance) },
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			panic(err)
		}
		return budgets
	}
	run := func(budgets *cost.Budgets, calls int) {
		r := faas.New(faas.WithGate(budgets))
		f := faas.Register(r, "f", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
		for range calls {
			if _, err := f.Invoke(faas.WithTenant(context.Background(), "acme"), struct{}{}); err != nil {
				panic(err)
			}
		}
		if err := r.Close(); err != nil {
			panic(err)
		}
	}

	budgets := start()
	if err := budgets.SetLimit("calls", "acme", cost.Calls(20)); err != nil {
		panic(err)
	}
	run(budgets, 16)
	stored, err := json.Marshal(budgets.Balances()) // once no call is in flight
	if err != nil {
		panic(err)
	}

	// The deploy.

	budgets = start()
	var balances []cost.Balance
	if err := json.Unmarshal(stored, &balances); err != nil {
		panic(err)
	}
	if err := budgets.Restore(balances...); err != nil {
		panic(err)
	}
	run(budgets, 2)
	balance, _ := budgets.Balance("calls", "acme")
	fmt.Println(balance)
	// Output:
	// 80 %: budget "calls", tenant "acme": 16 calls of 20 calls spent
	// budget "calls", tenant "acme": 18 calls of 20 calls spent
}
