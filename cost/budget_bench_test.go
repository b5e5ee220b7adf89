package cost_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// benchBudgets returns budgets with limits that no benchmark reaches.
func benchBudgets(tb testing.TB) map[string]cost.Budget {
	tb.Helper()
	return map[string]cost.Budget{
		"calls": {Limit: cost.Calls(1 << 62)},
		"time":  {Limit: cost.SlotTime(1 << 62), Reserve: true},
		"money": {Limit: cost.Spend(money(tb, "1000000000 USD"), preset(tb, "aws-lambda-x86")), Reserve: true},
	}
}

// BenchmarkBudgets is the cost of Admit and Done for a call of a tenant that has an account.
// The case clock, which only reads the clock, is for comparison.
func BenchmarkBudgets(b *testing.B) {
	b.Run("clock", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = time.Now()
			}
		})
	})
	for _, name := range []string{"calls", "time", "money"} {
		b.Run(name, func(b *testing.B) {
			budget := benchBudgets(b)[name]
			budget.Name, budget.Per = name, cost.Tenant
			gate := budgets(b, budget)
			b.ReportAllocs()
			var seed atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				rng := rand.New(rand.NewPCG(1, seed.Add(1)))
				inv := faas.Invocation{Function: "f", Timeout: time.Second, Memory: 128 * mib}
				e := faas.Execution{Function: "f", Start: time.Now(), Duration: 1500 * time.Microsecond, Memory: 128 * mib}
				for pb.Next() {
					n := rng.Uint64()
					inv.Tenant = [...]string{"acme", "globex", "initech", "umbrella"}[n%4]
					binary.BigEndian.PutUint64(inv.ID[8:], n)
					if gate.Admit(context.Background(), inv) != nil {
						b.Error("refused")
					}
					gate.Done(inv, &e)
				}
			})
		})
	}
}

func TestBudgetsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, budget := range benchBudgets(t) {
		budget.Name, budget.Per, budget.WarnAt = name, cost.Tenant, []int{50}
		gate := budgets(t, budget, cost.Budget{Name: "second", Limit: cost.Calls(1 << 60), Where: map[cost.Dimension]string{cost.Function: "f"}})
		e := ended(asking(faas.Invocation{Function: "f"}), time.Millisecond)
		inv := asking(faas.Invocation{Function: "f", Tenant: "acme"})
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			inv.ID[15]++
			if gate.Admit(context.Background(), inv) != nil {
				t.Error("refused")
			}
			gate.Done(inv, e)
		}), name)
	}
}
