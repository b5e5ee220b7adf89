package cost_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/cost"
)

func TestMoneyReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0.20 USD": "0.2 USD", "-3 EUR": "-3 EUR", "1/3 USD": "1/3 USD", "2/4 USD": "0.5 USD", "0": "0", "007.0 JPY": "7 JPY",
	} {
		m, err := cost.ParseMoney(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, m.String())
		again, err := cost.ParseMoney(m.String())
		require.NoError(t, err, m)
		assert.Equal(t, m.String(), again.String())
	}
}

func TestMoneyRefusesOtherTexts(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "USD", "1", "1e9 USD", "1e999999999 USD", "0x10 USD", "1_000 USD", ".5 USD", "1. USD", "1/0 USD", "1/2/3 USD",
		"+1 USD", "--1 USD", " 1 USD", "1  USD", "1 US D", "1,5 EUR", "1 USD\n", "Inf USD", strings.Repeat("9", 2000) + " USD",
	} {
		_, err := cost.ParseMoney(in)
		require.ErrorIs(t, err, cost.ErrFormat, in)
	}
}

func TestMoneyIsExact(t *testing.T) {
	t.Parallel()
	sum := cost.Money{}
	for range 10 {
		var err error
		sum, err = sum.Add(money(t, "0.1 USD"))
		require.NoError(t, err)
	}
	assert.Equal(t, "1 USD", sum.String())
	assert.Equal(t, "0.0833335 USD", money(t, "0.0000166667 USD").Mul(big.NewRat(5000, 1)).String())
}

func TestMoneyRoundsHalfToEven(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0.125 USD": "0.12 USD", "0.135 USD": "0.14 USD", "0.1251 USD": "0.13 USD", "-0.125 USD": "-0.12 USD",
		"-0.135 USD": "-0.14 USD", "-0.126 USD": "-0.13 USD", "1/3 USD": "0.33 USD", "2/3 USD": "0.67 USD", "5 USD": "5 USD",
	} {
		assert.Equal(t, want, money(t, in).Round(2).String(), in)
	}
	assert.Equal(t, "2 USD", money(t, "2.5 USD").Round(-1).String())
}

func TestMoneyOfDifferentCurrenciesDoesNotMix(t *testing.T) {
	t.Parallel()
	usd, eur, none := money(t, "1 USD"), money(t, "1 EUR"), cost.Money{}
	_, err := usd.Add(eur)
	require.ErrorIs(t, err, cost.ErrCurrency)
	_, err = usd.Sub(eur)
	require.ErrorIs(t, err, cost.ErrCurrency)
	_, err = usd.Cmp(eur)
	require.ErrorIs(t, err, cost.ErrCurrency)

	sum, err := none.Add(usd)
	require.NoError(t, err)
	assert.Equal(t, "1 USD", sum.String())
	rest, err := usd.Sub(none)
	require.NoError(t, err)
	assert.Equal(t, "1 USD", rest.String())
	order, err := none.Cmp(usd)
	require.NoError(t, err)
	assert.Equal(t, -1, order)
	assert.Equal(t, "0", none.String())
	assert.Equal(t, 0, none.Sign())
}

func TestMoneyIsAValue(t *testing.T) {
	t.Parallel()
	amount := big.NewRat(1, 2)
	m := cost.NewMoney(amount, "USD")
	amount.SetInt64(7)
	m.Amount().SetInt64(8)
	_ = m.Mul(big.NewRat(9, 1))
	assert.Equal(t, "0.5 USD", m.String())
	assert.Equal(t, "USD", m.Currency())
}

func TestMoneyCrossesJSONAsText(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(map[string]cost.Money{"total": money(t, "0.0833335 USD")})
	require.NoError(t, err)
	assert.JSONEq(t, `{"total":"0.0833335 USD"}`, string(data))
	var back map[string]cost.Money
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, "0.0833335 USD", back["total"].String())
	require.Error(t, json.Unmarshal([]byte(`{"total":"much"}`), &back))
}
