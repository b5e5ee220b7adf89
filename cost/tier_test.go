package cost_test

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/cost"
)

// The bounds and prices are on https://aws.amazon.com/lambda/pricing/ (US East, N.
// Virginia); the bounds also in
// https://aws.amazon.com/blogs/compute/introducing-tiered-pricing-for-aws-lambda/.
func TestLambdasTiersCostToTheLastDigit(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		// 6, 9 and 5 billion GB-s; 7.5, 11.25 and 1.25 billion.
		"aws-lambda-x86": {"100000.2", "135000", "66667"},
		"aws-lambda-arm": {"100000.5", "135001.125", "13333.375"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := preset(t, name)
			usage := calls(t, 20e9, call(time.Second, 1024*mib), b)
			s := statement(t, march(), b, usage)
			require.Len(t, s.Total.Charges, 4)
			sum := s.Total.Charges[3].List // the requests
			assert.Equal(t, "4000 USD", sum.String())
			for i, c := range s.Total.Charges[:3] {
				assert.Equal(t, want[i]+" USD", c.List.String())
				assert.Equal(t, i == 0, c.Above == nil)
				sum, _ = sum.Add(c.List)
			}
			assert.Equal(t, sum, s.Total.List)
			assert.Equal(t, "400000", s.Total.Charges[0].Free.RatString(), "what is free is the first")
			assert.Zero(t, s.Total.Charges[1].Free.Sign())
			checkFOCUS(t, s)

			assert.Len(t, statement(t, aDay(), b, usage).Total.Charges, 2, "tiers belong to a month")
			assert.Len(t, statement(t, march(), b, calls(t, 6e9, call(time.Second, 1024*mib), b)).Total.Charges, 2, "a bound is not above itself")
		})
	}
}

const tieredBook = `{"name": "x", "title": "X", "provider": "x", "service": "x", "region": "x", "currency": "EUR", "effective": "2026-01-01", "source": "x",
	"duration": {"granularity": "1s"}, "memory": {"step": "1GiB"},
	"prices": [{"meter": "memory", "unit": "GiB-s", "price": "7", "free": "10", "tiers": [{"above": "100", "price": "5"}, {"above": "250", "price": "2"}]},
		{"meter": "requests", "unit": "10 requests", "price": "1", "tiers": [{"above": "5", "price": "0.30"}]}]}`

// tieredPrice returns the price of n units in a month, counted one by one.
func tieredPrice(n int64, bounds []int64, prices ...int64) (total int64) {
	for i := range n {
		tier := 0
		for tier < len(bounds) && i >= bounds[tier] {
			tier++
		}
		total += prices[tier]
	}
	return total
}

func TestTiersAddUpForAllTenants(t *testing.T) {
	t.Parallel()
	b, err := cost.ParseBook([]byte(tieredBook))
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(11, 12))
	reached := map[int]int{}
	for range 200 {
		l := cost.NewLedger(cost.Calendar{}, b)
		seconds, requests := int64(0), rng.Int64N(12)
		for range requests {
			e := call(time.Duration(rng.Int64N(100))*time.Second, 1<<30)
			e.Tenant = string(rune('a' + rng.IntN(4)))
			seconds += int64(e.Duration / time.Second)
			l.Record(t.Context(), e)
		}
		s, err := l.Statement(noon, b)
		require.NoError(t, err)
		// In cents: a request costs 10, and 3 above the bound.
		want := 100*tieredPrice(seconds, []int64{100, 250}, 7, 5, 2) + tieredPrice(requests, []int64{5}, 10, 3)
		require.Zero(t, big.NewRat(want, 100).Cmp(s.Total.List.Amount()), "%d s: %s, want %d cents", seconds, s.Total.List, want)
		reached[len(s.Total.Charges)]++
		for _, grouped := range []cost.Statement{s, s.By(cost.Tenant), s.By()} {
			sum := new(big.Rat)
			for _, row := range grouped.Rows {
				require.Len(t, row.Charges, len(s.Total.Charges))
				for _, c := range row.Charges {
					require.True(t, c.Quantity.IsInt(), "whole units")
					sum.Add(sum, new(big.Rat).Mul(c.Quantity, c.UnitPrice.Amount()))
				}
			}
			require.Zero(t, sum.Cmp(s.Total.List.Amount()))
		}
		checkFOCUS(t, s)
	}
	for _, n := range []int{2, 3, 4, 5} {
		assert.Positive(t, reached[n], "%d charges", n)
	}
}

func TestFormsTellTiersApart(t *testing.T) {
	t.Parallel()
	b, err := cost.ParseBook([]byte(tieredBook))
	require.NoError(t, err)
	s := statement(t, march(), b, calls(t, 6, call(20*time.Second, 1<<30), b))
	var text, csv, json bytes.Buffer
	require.NoError(t, s.WriteText(&text))
	require.NoError(t, s.WriteCSV(&csv))
	require.NoError(t, s.WriteJSON(&json))
	assert.Contains(t, text.String(), "GiB-s above 100")
	assert.Contains(t, csv.String(), "memory GiB-s,memory free,memory GiB-s above 100,memory free above 100,requests request,requests free,requests request above 5,")
	assert.Contains(t, json.String(), `"above": "100"`)
	_, rows := focusRows(t, s, cost.Account{ID: "account-1"})
	prices := map[string]string{}
	for _, row := range rows {
		prices[row["SkuPriceId"]] = row["ListUnitPrice"]
	}
	assert.Equal(t, map[string]string{
		"x/memory": "7", "x/memory/free": "0", "x/memory/above-100": "5", // without a date: they stay
		"x/requests": "0.1", "x/requests/above-5": "0.03",
	}, prices)
}

func TestOneCallCostsTheFirstPrice(t *testing.T) {
	t.Parallel()
	b, err := cost.ParseBook([]byte(tieredBook))
	require.NoError(t, err)
	got, err := cost.NewRater(b).Call(call(1000*time.Second, 1<<30))
	require.NoError(t, err)
	assert.Equal(t, "7000.1 EUR", got.String())
}

func TestMistakesInTiersNameTheirCure(t *testing.T) {
	t.Parallel()
	for tiers, want := range map[string]string{
		`[{"above": "100"}]`:             `prices[0].tiers[0].price`,
		`[{"price": "1"}]`:               `prices[0].tiers[0].above`,
		`[{"above": "0", "price": "1"}]`: "must be more than zero, and ascend",
		`[{"above": "9", "price": "1"}, {"above": "9", "price": "1"}]`: "must be more than zero, and ascend",
		`[{"above": "0.5", "price": "1"}]`:                             "is not a whole number of billed units",
		`[{"above": "9", "price": 1}]`:                                 "write it as a string",
		`[{"above": "9", "price": "-1"}]`:                              "not negative",
		`[{"above": "9", "price": "1", "free": "1"}]`:                  "free",
		`{"above": "9", "price": "1"}`:                                 "prices[0].tiers",
	} {
		book := bytes.Replace([]byte(tieredBook), []byte(`[{"above": "100", "price": "5"}, {"above": "250", "price": "2"}]`), []byte(tiers), 1)
		_, err := cost.ParseBook(book)
		require.ErrorContains(t, err, want, tiers)
	}
}
