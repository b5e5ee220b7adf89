package cost_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// focusSchema is one line of testdata/focus-1.4.csv.
type focusSchema struct{ level, nulls, kind string }

func focusColumns(tb testing.TB) map[string]focusSchema {
	tb.Helper()
	file, err := os.Open("testdata/focus-1.4.csv")
	require.NoError(tb, err)
	defer file.Close()
	r := csv.NewReader(file)
	r.Comment = '#'
	lines, err := r.ReadAll()
	require.NoError(tb, err)
	all := map[string]focusSchema{}
	for _, l := range lines[1:] {
		all[l[0]] = focusSchema{l[1], l[2], l[3]}
	}
	return all
}

func focusRows(tb testing.TB, s cost.Statement, a cost.Account) (head []string, rows []map[string]string) {
	tb.Helper()
	var out bytes.Buffer
	require.NoError(tb, s.WriteFOCUS(&out, a))
	lines, err := csv.NewReader(&out).ReadAll()
	require.NoError(tb, err)
	for _, l := range lines[1:] {
		row := map[string]string{}
		for i, value := range l {
			row[lines[0][i]] = value
		}
		rows = append(rows, row)
	}
	return lines[0], rows
}

var (
	plainNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	utcTime     = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
)

// checkFOCUS holds a statement's rows against the column list, and the
// arithmetic: quantity × unit price = cost in each, and together the total.
func checkFOCUS(tb testing.TB, s cost.Statement) {
	tb.Helper()
	schema := focusColumns(tb)
	head, rows := focusRows(tb, s, cost.Account{ID: "account-1"})
	for name, column := range schema {
		if column.level == "Mandatory" {
			require.Contains(tb, head, name)
		}
	}
	custom := slices.IndexFunc(head, func(name string) bool { return strings.HasPrefix(name, "x_") })
	for i, name := range head {
		_, known := schema[name]
		require.Equal(tb, i < custom, known, "%s: FOCUS's columns first, then those of x_", name)
	}
	sum := new(big.Rat)
	for _, row := range rows {
		for name, value := range row {
			checkFOCUSValue(tb, name, value, schema[name])
		}
		product := new(big.Rat).Mul(rat(tb, row["PricingQuantity"]), rat(tb, row["ListUnitPrice"]))
		for _, name := range []string{"BilledCost", "EffectiveCost", "ListCost", "ContractedCost"} {
			require.Zero(tb, product.Cmp(rat(tb, row[name])), "%s of %v", name, row)
		}
		require.Equal(tb, row["ListUnitPrice"], row["ContractedUnitPrice"])
		sum.Add(sum, product)
	}
	require.Zero(tb, sum.Cmp(s.Total.Billed.Amount()), "Σ = %s, total %s", sum, s.Total.Billed)
}

func checkFOCUSValue(tb testing.TB, name, value string, column focusSchema) {
	tb.Helper()
	if value == "" {
		require.NotEqual(tb, "False", column.nulls, "%s must not be null", name)
		return
	}
	switch column.kind {
	case "Decimal":
		require.Regexp(tb, plainNumber, value, name)
	case "Date/Time":
		require.Regexp(tb, utcTime, value, name)
	case "JSON":
		require.True(tb, json.Valid([]byte(value)), name)
	}
}

// mixed is usage of several tenants, functions, outcomes and overruns.
func mixed(tb testing.TB, books []*cost.Book) *cost.Ledger {
	tb.Helper()
	l := cost.NewLedger(cost.Calendar{}, books...)
	for _, e := range sampleRecords() {
		for _, outcome := range []faas.Outcome{faas.OK, faas.Failed, faas.TimedOut} {
			e.Outcome = outcome
			l.Record(tb.Context(), e)
		}
	}
	l.AddOverrun(noon, faas.Overrun{Function: "function-0", Tenant: "tenant-0001", Duration: 3 * time.Second, Memory: 512 * mib})
	return l
}

func TestFOCUSRowsAddUpAndFitTheColumnList(t *testing.T) {
	t.Parallel()
	machine, err := cost.Machine(money(t, "0.0416 EUR"), money(t, "0.0047 EUR"))
	require.NoError(t, err)
	books := append(cost.Presets(), machine)
	usage := mixed(t, books).Usage(noon)
	for i := range usage { // past some of the free tiers
		usage[i] = usage[i].Times(uint64(10_007 + 997*i))
	}
	for _, b := range books {
		for _, p := range []cost.Period{march(), aDay()} {
			checkFOCUS(t, statement(t, p, b, usage))
			checkFOCUS(t, statement(t, p, b, usage).By(cost.Tenant))
		}
	}
}

func TestFOCUSRowsSayWhoAndWhat(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	e := call(time.Second, 1024*mib)
	e.Tenant, e.Labels, e.Version = `Müller "& Söhne", GmbH`, map[string]string{"team": "a,b\n\"c\""}, "v2"
	s := statement(t, march(), x86, calls(t, 500_000, e, x86))
	_, rows := focusRows(t, s, cost.Account{ID: "1", Name: "Platform", Issuer: "Us", Service: "Functions"})
	require.Len(t, rows, 3, "memory, free memory, free requests")
	paid, free := rows[0], rows[1]
	assert.Equal(t, "100000", paid["PricingQuantity"])
	assert.Equal(t, "0.0000166667", paid["ListUnitPrice"])
	assert.Equal(t, "1.66667", paid["BilledCost"])
	assert.Equal(t, "GiB-Seconds", paid["PricingUnit"])
	assert.Equal(t, "400000", free["PricingQuantity"])
	assert.Equal(t, "0", free["BilledCost"])
	assert.Equal(t, "true", free["x_FreeTier"])
	assert.NotEqual(t, paid["SkuPriceId"], free["SkuPriceId"])
	assert.Equal(t, "requests", strings.ToLower(rows[2]["PricingUnit"]))
	for name, want := range map[string]string{
		"SubAccountId": e.Tenant, "ResourceId": "f", "x_FunctionVersion": "v2", "x_Outcome": "OK", "BillingAccountName": "Platform",
		"InvoiceIssuerName": "Us", "ServiceName": "Functions", "ServiceProviderName": "Amazon Web Services", "BillingCurrency": "USD",
		"ServiceCategory": "Compute", "ChargeCategory": "Usage", "BillingPeriodStart": "2026-03-01T00:00:00Z", "BillingPeriodEnd": "2026-04-01T00:00:00Z",
	} {
		assert.Equal(t, want, paid[name], name)
	}
	var tags map[string]string
	require.NoError(t, json.Unmarshal([]byte(paid["Tags"]), &tags))
	assert.Equal(t, e.Labels, tags)

	require.Error(t, s.WriteFOCUS(&bytes.Buffer{}, cost.Account{}), "without an account")
}
