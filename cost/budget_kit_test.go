package cost_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// budgets returns a gate that logs nothing.
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

// sleeper registers a function whose calls take as long as their input says.
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

// asking returns inv with an id of its own, for calls of the gate without a router.
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

// aboveLimit returns the amount by which an account is above its limit, or "".
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

// serve makes a call that takes d; the error is the gate's refusal.
func serve(tb testing.TB, b *cost.Budgets, inv faas.Invocation, d time.Duration) error {
	tb.Helper()
	inv = asking(inv)
	if err := b.Admit(tb.Context(), inv); err != nil {
		return err
	}
	b.Done(inv, ended(inv, d))
	return nil
}
