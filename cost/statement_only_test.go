package cost_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// fourTenants returns the statement of a month in which all tenants together use more than
// the free quantity, and no single tenant does.
func fourTenants(tb testing.TB, b *cost.Book) cost.Statement {
	tb.Helper()
	l := cost.NewLedger(cost.Calendar{}, b)
	for i := range 4 {
		e := call(50*time.Hour, 2048*mib)
		e.Tenant, e.Labels = fmt.Sprint("t", i), map[string]string{"team": fmt.Sprint(i % 2)}
		l.Record(context.Background(), e)
	}
	l.AddOverrun(noon, faas.Overrun{Function: "f", Tenant: "t1", Duration: time.Hour, Memory: 2048 * mib})
	return statement(tb, march(), b, l.Usage(noon))
}

func TestTheStatementsOfAllTenantsAddUpToTheWhole(t *testing.T) {
	t.Parallel()
	all := fourTenants(t, preset(t, "aws-lambda-x86"))
	require.Equal(t, "17.45336824 USD", all.Total.Billed.String(), "1,447,200 GB-s but for 400,000, at 0.0000166667")
	for d, values := range map[cost.Dimension][]string{
		cost.Tenant: {"t0", "t1", "t2", "t3"}, cost.Label("team"): {"0", "1", ""}, cost.Function: {"f"},
		cost.Outcome: {"OK", "Overrun"}, cost.Version: {""}, cost.Label("none"): {""},
	} {
		billed, overruns, calls, free := cost.Money{}, cost.Money{}, uint64(0), new(big.Rat)
		for _, value := range values {
			s := all.Only(d, value)
			var err error
			billed, err = billed.Add(s.Total.Billed)
			require.NoError(t, err)
			overruns, err = overruns.Add(s.Overruns)
			require.NoError(t, err)
			calls += s.Total.Calls
			free.Add(free, s.Total.Charges[0].Free)
			for _, row := range s.Rows {
				assert.NotEmpty(t, row.Charges)
			}
		}
		assert.Equal(t, all.Total.Billed.String(), billed.String(), d)
		assert.Equal(t, all.Overruns.String(), overruns.String(), d)
		assert.Equal(t, all.Total.Calls, calls, d)
		assert.Equal(t, all.Total.Charges[0].Free, free, d)
	}
	one := all.Only(cost.Tenant, "t1")
	assert.Len(t, one.Rows, 2)
	assert.Equal(t, uint64(1), one.Total.Calls, "the overrun is no call")
	assert.Positive(t, one.Overruns.Sign())
	assert.Equal(t, one.Total.Billed.String(), all.By(cost.Tenant).Only(cost.Tenant, "t1").Total.Billed.String())
	assert.Equal(t, one.Total.Billed.String(), one.By(cost.Function).Only(cost.Function, "f").Total.Billed.String())
	assert.Len(t, all.Rows, 5, "it is as it was")
}

func TestAnEmptyPartOfAStatementIsComplete(t *testing.T) {
	t.Parallel()
	all := fourTenants(t, preset(t, "aws-lambda-x86"))
	for name, none := range map[string]cost.Statement{
		"no such tenant": all.Only(cost.Tenant, "nobody"), "lost by grouping": all.By(cost.Function).Only(cost.Tenant, ""),
		"no dimension": all.By(cost.Function).Only("tenants", "t1"),
	} {
		assert.Empty(t, none.Rows, name)
		assert.Equal(t, "0 USD", none.Total.Billed.String(), name)
		assert.Len(t, none.Total.Charges, len(all.Total.Charges), name)
		for _, write := range []func(*bytes.Buffer) error{
			func(b *bytes.Buffer) error { return none.WriteText(b) }, func(b *bytes.Buffer) error { return none.WriteCSV(b) },
			func(b *bytes.Buffer) error { return none.WriteJSON(b) },
			func(b *bytes.Buffer) error { return none.WriteFOCUS(b, cost.Account{ID: "1"}) },
		} {
			require.NoError(t, write(new(bytes.Buffer)), name)
		}
	}
}

func TestRowsThatAreRoundedAddUpToTheRoundedTotal(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		l := cost.NewLedger(cost.Calendar{}, x86)
		for i := range 1 + rng.IntN(12) {
			e := call(time.Duration(rng.Int64N(int64(40*time.Hour))), 2048*mib)
			e.Tenant, e.Outcome = fmt.Sprint("t", i), faas.Outcome(rng.IntN(2))
			l.Record(t.Context(), e)
		}
		l.AddOverrun(noon, faas.Overrun{Function: "f", Tenant: "t0", Duration: time.Duration(rng.Int64N(int64(time.Hour))), Memory: 2048 * mib})
		places := rng.IntN(5)
		addsUpRounded(t, statement(t, march(), x86, l.Usage(noon)).By(cost.Tenant), places)
	}
}

func addsUpRounded(t *testing.T, s cost.Statement, places int) {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, s.WriteCSV(&out, cost.RoundTo(places)))
	lines, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	at := len(lines[0]) - 2
	require.Equal(t, "billed", lines[0][at])
	sum, unit := new(big.Rat), new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
	for i, line := range lines[1:] {
		amount := rat(t, line[at])
		sum.Add(sum, amount)
		assert.True(t, new(big.Rat).Quo(amount, unit).IsInt(), "%s has more than %d decimals", line[at], places)
		off := new(big.Rat).Sub(amount, s.Rows[i].Billed.Amount())
		require.Negative(t, off.Abs(off).Cmp(unit), "%s for %s", line[at], s.Rows[i].Billed)
	}
	require.Equal(t, s.Total.Billed.Round(places).Amount(), sum)
}

func TestCentsInEveryForm(t *testing.T) {
	t.Parallel()
	s := fourTenants(t, preset(t, "aws-lambda-x86")).By(cost.Tenant)
	var out strings.Builder
	require.NoError(t, s.WriteText(&out, cost.RoundTo(2)))
	assert.Contains(t, out.String(), "  24.12       17.45\n", "the totals")
	assert.Contains(t, out.String(), "of it overruns: 0.09")
	out.Reset()
	require.NoError(t, s.WriteJSON(&out, cost.RoundTo(-1)))
	assert.Contains(t, out.String(), `"billed": "17 USD"`)
	out.Reset()
	require.NoError(t, s.WriteText(&out, nil))
	assert.Contains(t, out.String(), "24.120049   17.453368\n", "as ever")
}
