package cost_test

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func TestALimitOfEachKindIsReadFromTheTextOfAnAmount(t *testing.T) {
	t.Parallel()
	b := budgets(t, cost.Budget{Name: "money", Limit: cost.Spend(money(t, "1 USD"), preset(t, "aws-lambda-x86"))},
		cost.Budget{Name: "time", Limit: cost.SlotTime(time.Hour)}, cost.Budget{Name: "calls", Limit: cost.Calls(1)})
	for budget, text := range map[string]string{"money": "2.5 USD", "time": "1m30s", "calls": "17 calls"} {
		limit, err := b.ParseLimit(budget, text)
		require.NoError(t, err, text)
		require.NoError(t, b.SetLimit(budget, "", limit), text)
		assert.Equal(t, map[string]string{"money": "2.5 USD", "time": "1m30s", "calls": "17 calls"}[budget], balanceOf(t, b, budget, "").Limit.String())
		for _, bad := range []string{"", "much", "nothing", "17", "-1 calls", "1 USD EUR"} {
			_, err := b.ParseLimit(budget, bad)
			require.ErrorIs(t, err, cost.ErrFormat, bad)
		}
	}
	other, err := b.ParseLimit("calls", "1m30s")
	require.NoError(t, err)
	require.Error(t, b.SetLimit("calls", "", other), "a limit of another kind")
	_, err = b.ParseLimit("none", "1 calls")
	require.Error(t, err)
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
	for range 3 { // the sum must not wrap around
		b.Charge(*ended(inv, math.MaxInt64))
		require.ErrorIs(t, b.Admit(t.Context(), asking(forever)), cost.ErrBudget)
	}
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

func TestAtomsCountAsBigNumbersDo(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	number := func() *big.Int {
		n := new(big.Int).SetUint64(rng.Uint64())
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(rng.Uint64()))
		n.Rsh(n, uint(rng.IntN(129)))
		if rng.IntN(3) == 0 { // all bits set, so that carries occur
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
