package cost_test

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/cost"
)

func TestCompareNeverStandsTwoCurrenciesInOneColumn(t *testing.T) {
	t.Parallel()
	x86, scaleway, workers := preset(t, "aws-lambda-x86"), preset(t, "scaleway-functions"), preset(t, "cloudflare-workers")
	usage := calls(t, 2_000_000, call(120*time.Millisecond, 1024*mib), x86, scaleway, workers)
	c := cost.Compare(march(), usage, x86, scaleway, workers)
	var out strings.Builder
	require.NoError(t, c.WriteText(&out))
	assert.Equal(t, strings.TrimLeft(`
2026-03-01T00:00:00Z to 2026-04-01T00:00:00Z
                     book     region   compute  requests     other       list    billed              
          AWS Lambda, x86  us-east-1  4.000008  0.400000  0.000000   4.400008  0.200000           USD
  Cloudflare Workers Paid     global  4.800000  0.600000  5.000000  10.400000  9.200000  USD, at most

                           book  region   compute  requests      list    billed     
  Scaleway Serverless Functions  fr-par  2.880000  0.300000  3.180000  0.150000  EUR
`, "\n"), out.String())

	out.Reset()
	rates := cost.Rates{To: "USD", Of: map[string]*big.Rat{"EUR": big.NewRat(5, 4)}}
	one, err := c.In(rates)
	require.NoError(t, err)
	require.NoError(t, one.WriteText(&out))
	assert.Contains(t, out.String(), "3.975000")
	assert.NotContains(t, out.String(), "EUR")
	assert.Equal(t, 1, strings.Count(out.String(), "compute"))
	assert.Equal(t, "3.18 EUR", one.Entries[1].Statement.Total.List.String(), "statements stay as they are")

	_, err = c.In(cost.Rates{To: "EUR"})
	require.ErrorIs(t, err, cost.ErrCurrency)
	_, err = cost.Rates{To: "USD", Of: map[string]*big.Rat{"EUR": {}}}.Convert(money(t, "1 EUR"))
	require.ErrorIs(t, err, cost.ErrCurrency, "a rate of zero is none")
	nothing, err := rates.Convert(cost.Money{})
	require.NoError(t, err)
	assert.Equal(t, "0 USD", nothing.String())
}

func TestCompareSaysWhatABookLeavesOut(t *testing.T) {
	t.Parallel()
	b := preset(t, "azure-consumption")
	large, small := call(time.Second, 2048*mib), call(time.Second, 1024*mib)
	large.Function = "large"
	var out strings.Builder
	require.NoError(t, cost.Compare(aDay(), record([]*cost.Book{b}, large, small).Usage(noon), b).WriteText(&out))
	assert.Contains(t, out.String(), "USD, not of all")
	assert.Contains(t, out.String(), `function "large" has 2048 MiB`)
}
