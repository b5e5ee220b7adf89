package cost_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
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

// focusColumns12 are the columns of FOCUS 1.2, which has 57. Columns that were added later are left out,
// and two that were renamed later have their old names
// (https://focus.finops.org/focus-specification/v1-2/; AWS lists them in
// https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-focus-1-2-aws-columns.html).
func focusColumns12(tb testing.TB) map[string]focusSchema {
	tb.Helper()
	all := focusColumns(tb)
	for _, name := range []string{
		"AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId", "AllocatedResourceName", "AllocatedTags",
		"CommitmentProgramEligibilityDetails", "ContractApplied", "InvoiceDetailId", "HostProviderName", "ServiceProviderName",
	} {
		require.Contains(tb, all, name)
		delete(all, name)
	}
	all["ProviderName"] = focusSchema{"Mandatory", "False", "String"}
	all["PublisherName"] = focusSchema{"Mandatory", "False", "String"}
	require.Len(tb, all, 57)
	return all
}

func focusForm(tb testing.TB, version string) *cost.FOCUSForm {
	tb.Helper()
	f, err := cost.FOCUS(version)
	require.NoError(tb, err)
	return f
}

func focusRows(tb testing.TB, s cost.Statement, a cost.Account) (head []string, rows []map[string]string) {
	tb.Helper()
	var out bytes.Buffer
	require.NoError(tb, s.WriteFOCUS(&out, a))
	return readRows(tb, &out)
}

func readRows(tb testing.TB, from io.Reader) (head []string, rows []map[string]string) {
	tb.Helper()
	lines, err := csv.NewReader(from).ReadAll()
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

// checkFOCUS compares a statement's rows with the column lists, and checks that quantity ×
// unit price = cost in each row, and that the rows add up to the total.
func checkFOCUS(tb testing.TB, s cost.Statement) {
	tb.Helper()
	for version, schema := range map[string]map[string]focusSchema{"1.4": focusColumns(tb), "1.2": focusColumns12(tb)} {
		var out bytes.Buffer
		require.NoError(tb, focusForm(tb, version).Write(&out, cost.Account{ID: "account-1"}, s))
		head, rows := readRows(tb, &out)
		checkFOCUSHead(tb, head, schema)
		for _, row := range rows {
			checkFOCUSRow(tb, row, schema)
		}
		sums := sumsOf(tb, rows)
		require.Zero(tb, sums["BilledCost"].Cmp(s.Total.Billed.Amount()), "Σ = %s, total %s", sums["BilledCost"], s.Total.Billed)
		require.Equal(tb, new(big.Rat).SetInt(new(big.Int).SetUint64(s.Total.Calls)).RatString(), sums["x_Calls"].RatString(), "calls")
		quantities := map[string]*big.Rat{}
		for _, c := range s.Total.Charges {
			if quantities[c.Unit] == nil {
				quantities[c.Unit] = new(big.Rat)
			}
			quantities[c.Unit].Add(quantities[c.Unit], c.Quantity)
		}
		all := new(big.Rat)
		for _, q := range quantities {
			all.Add(all, q)
		}
		require.Zero(tb, all.Cmp(sums["PricingQuantity"]))
	}
}

// sumsOf returns the sum of each column, as a spreadsheet would compute it.
func sumsOf(tb testing.TB, rows []map[string]string) map[string]*big.Rat {
	tb.Helper()
	sums := map[string]*big.Rat{}
	for _, name := range []string{"BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingQuantity", "x_Calls"} {
		sums[name] = new(big.Rat)
		for _, row := range rows {
			sums[name].Add(sums[name], rat(tb, row[name]))
		}
	}
	return sums
}

func checkFOCUSHead(tb testing.TB, head []string, schema map[string]focusSchema) {
	tb.Helper()
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
}

func checkFOCUSRow(tb testing.TB, row map[string]string, schema map[string]focusSchema) {
	tb.Helper()
	for name, value := range row {
		checkFOCUSValue(tb, name, value, schema[name])
	}
	product := new(big.Rat).Mul(rat(tb, row["PricingQuantity"]), rat(tb, row["ListUnitPrice"]))
	for _, name := range []string{"BilledCost", "EffectiveCost", "ListCost", "ContractedCost"} {
		require.Zero(tb, product.Cmp(rat(tb, row[name])), "%s of %v", name, row)
	}
	require.Equal(tb, row["ListUnitPrice"], row["ContractedUnitPrice"])
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

// mixed returns a ledger with usage of several tenants, functions and outcomes, and with
// overruns.
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
	for i := range usage { // so that some free quantities are exceeded
		usage[i] = usage[i].Times(uint64(10_007 + 997*i))
	}
	for i, b := range books {
		if testing.Short() && i%3 != 0 {
			continue
		}
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
		"SubAccountId": e.Tenant, "ResourceId": "f:v2", "ResourceName": "f", "x_FunctionVersion": "v2", "x_Outcome": "OK", "BillingAccountName": "Platform",
		"InvoiceIssuerName": "Us", "ServiceName": "Functions", "ServiceProviderName": "Platform", "HostProviderName": "Platform", "RegionId": "", "BillingCurrency": "USD",
		"ServiceCategory": "Compute", "ChargeCategory": "Usage", "BillingPeriodStart": "2026-03-01T00:00:00Z", "BillingPeriodEnd": "2026-04-01T00:00:00Z",
	} {
		assert.Equal(t, want, paid[name], name)
	}
	var tags map[string]string
	require.NoError(t, json.Unmarshal([]byte(paid["Tags"]), &tags))
	assert.Equal(t, e.Labels, tags)

	require.Error(t, s.WriteFOCUS(&bytes.Buffer{}, cost.Account{}), "without an account")
}

func TestWhatRanElsewhereIsNotTheProvidersWhosePricesMeasureIt(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	s := statement(t, aDay(), x86, calls(t, 5, call(time.Hour, 1024*mib), x86))
	who := []string{"ServiceProviderName", "HostProviderName", "InvoiceIssuerName", "ServiceName", "RegionId", "RegionName"}
	for account, want := range map[cost.Account][]string{
		{ID: "1"}:                   {"1", "1", "1", "Functions", "", ""},
		{ID: "1", Name: "Platform"}: {"Platform", "Platform", "Platform", "Functions", "", ""},
		{ID: "1", Provider: "Us", Host: "Hetzner", Region: "fsn1", Issuer: "Us GmbH", Service: "faas"}: {"Us", "Hetzner", "Us GmbH", "faas", "fsn1", "fsn1"},
	} {
		_, rows := focusRows(t, s, account)
		require.NotEmpty(t, rows)
		for i, name := range who {
			assert.Equal(t, want[i], rows[0][name], "%s of %+v", name, account)
		}
		var out bytes.Buffer
		require.NoError(t, focusForm(t, "1.2").Write(&out, account, s))
		_, rows = readRows(t, &out)
		assert.Equal(t, want[0], rows[0]["ProviderName"])
		assert.Equal(t, want[0], rows[0]["PublisherName"])
	}
	_, err := cost.FOCUS("1.3")
	require.ErrorIs(t, err, cost.ErrFormat)
}

func TestADaysBillingPeriodIsItsCalendarsMonth(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	auckland := zone(t, "Pacific/Auckland")
	for _, tt := range []struct {
		calendar   cost.Calendar
		at         time.Time
		start, end string
	}{
		{cost.Calendar{Every: cost.Day}, noon, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{cost.Calendar{Every: cost.Hour}, noon, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{cost.Calendar{Every: cost.Day, Zone: auckland}, noon, "2026-02-28T11:00:00Z", "2026-03-31T11:00:00Z"},
		{cost.Calendar{Every: cost.Week}, time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC), "2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z"},
	} {
		e := call(time.Second, mib)
		e.Start = tt.at
		l := cost.NewLedger(tt.calendar, x86)
		l.Record(t.Context(), e)
		s, err := l.Statement(tt.at, x86)
		require.NoError(t, err)
		_, rows := focusRows(t, s, cost.Account{ID: "1"})
		assert.Equal(t, tt.start, rows[0]["BillingPeriodStart"], tt.calendar)
		assert.Equal(t, tt.end, rows[0]["BillingPeriodEnd"], tt.calendar)
		assert.Equal(t, s.Period.Start.UTC().Format(time.RFC3339), rows[0]["ChargePeriodStart"])
	}
}

func TestCallsThatCostNothingAreCountedInFOCUSRows(t *testing.T) {
	t.Parallel()
	machine, err := cost.Machine(money(t, "1 EUR"), money(t, "1 EUR"))
	require.NoError(t, err)
	s := statement(t, march(), machine, calls(t, 7, call(0, 0), machine))
	checkFOCUS(t, s)
	_, rows := focusRows(t, s, cost.Account{ID: "1"})
	require.Len(t, rows, 1)
	assert.Equal(t, "7", rows[0]["x_Calls"])
	assert.Equal(t, "0", rows[0]["BilledCost"])
}

func TestABaseFeeIsAPurchase(t *testing.T) {
	t.Parallel()
	s := statement(t, march(), preset(t, "cloudflare-workers"), nil)
	_, rows := focusRows(t, s, cost.Account{ID: "1"})
	require.Len(t, rows, 1)
	for name, want := range map[string]string{
		"ChargeCategory": "Purchase", "ChargeFrequency": "Recurring", "ConsumedQuantity": "", "ResourceId": "", "BilledCost": "5", "x_Calls": "0",
	} {
		assert.Equal(t, want, rows[0][name], name)
	}
}

func TestCorrectionsMakeWhatWasBilledRight(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	slow, gone, added := call(time.Second, 1024*mib), call(time.Second, 512*mib), call(time.Second, 256*mib)
	gone.Function, added.Function = "gone", "added"
	half := slow
	half.Duration = time.Second / 2
	was := statement(t, aDay(), x86, record([]*cost.Book{x86}, slow, slow, gone).Usage(noon))
	right := statement(t, aDay(), x86, record([]*cost.Book{x86}, slow, half, added).Usage(noon))
	april := cost.Calendar{}.Period(noon.AddDate(0, 1, 0))
	var out bytes.Buffer
	require.NoError(t, focusForm(t, "1.4").WriteCorrections(&out, cost.Account{ID: "1"}, april, was, right))
	_, corrections := readRows(t, &out)
	for _, row := range corrections {
		assert.Equal(t, "Correction", row["ChargeClass"])
		assert.Equal(t, "2026-03-14T00:00:00Z", row["ChargePeriodStart"])
		assert.Equal(t, "2026-04-01T00:00:00Z", row["BillingPeriodStart"])
		checkFOCUSRow(t, row, focusColumns(t))
	}
	require.Len(t, corrections, 5, "half a second less, and both meters of what is gone and of what was added")
	_, billed := focusRows(t, was, cost.Account{ID: "1"})
	_, want := focusRows(t, right, cost.Account{ID: "1"})
	got := sumsOf(t, append(billed, corrections...))
	for name, sum := range sumsOf(t, want) {
		assert.Zero(t, sum.Cmp(got[name]), name)
	}

	require.ErrorIs(t, focusForm(t, "1.4").WriteCorrections(&out, cost.Account{ID: "1"}, april, was, statement(t, march(), x86, nil)), cost.ErrFormat)
	out.Reset()
	require.NoError(t, focusForm(t, "1.2").WriteCorrections(&out, cost.Account{ID: "1"}, april, was, was))
	_, none := readRows(t, &out)
	assert.Empty(t, none, "nothing to correct")
}

func TestMetadataSaysWhichColumnsWhenAndHowComplete(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	s := statement(t, aDay(), x86, nil)
	type metadata struct {
		DataGenerator struct{ DataGenerator string }
		Schema        []struct {
			SchemaId, FocusVersion, CreationDate string
			ColumnDefinition                     []struct{ ColumnName, DataType string }
		}
		Recency []struct {
			TimeSectors []struct {
				TimeSectorStart, TimeSectorEnd string
				TimeSectorComplete             bool
			}
		}
	}
	read := func(version string, made time.Time, complete bool) (m metadata) {
		var out bytes.Buffer
		require.NoError(t, focusForm(t, version).WriteMetadata(&out, cost.Account{ID: "1", Name: "Us"}, made, complete, s, s))
		require.NoError(t, json.Unmarshal(out.Bytes(), &m))
		return m
	}
	m := read("1.4", s.Period.End, true)
	head, rows := focusRows(t, statement(t, aDay(), x86, calls(t, 1, call(time.Second, mib), x86)), cost.Account{ID: "1"})
	require.Len(t, m.Schema, 1)
	assert.Equal(t, "1.4", m.Schema[0].FocusVersion)
	assert.Equal(t, "2026-03-15T00:00:00Z", m.Schema[0].CreationDate)
	var names []string
	for _, c := range m.Schema[0].ColumnDefinition {
		names = append(names, c.ColumnName)
		if want := focusColumns(t)[c.ColumnName].kind; want != "" {
			assert.Equal(t, map[string]string{"Decimal": "DECIMAL", "Date/Time": "DATETIME", "JSON": "JSON", "String": "STRING"}[want], c.DataType, c.ColumnName)
		}
	}
	assert.Equal(t, head, names)
	require.NotEmpty(t, rows)
	require.Len(t, m.Recency[0].TimeSectors, 1, "each period once")
	assert.True(t, m.Recency[0].TimeSectors[0].TimeSectorComplete)
	assert.False(t, read("1.4", s.Period.End.Add(-time.Second), true).Recency[0].TimeSectors[0].TimeSectorComplete, "it is not over")
	assert.False(t, read("1.4", s.Period.End, false).Recency[0].TimeSectors[0].TimeSectorComplete)
	assert.Equal(t, m.Schema[0].SchemaId, read("1.4", noon, false).Schema[0].SchemaId)
	old := read("1.2", noon, true)
	assert.Empty(t, old.Recency, "since 1.3")
	assert.NotEqual(t, m.Schema[0].SchemaId, old.Schema[0].SchemaId)
	assert.Equal(t, "Us", old.DataGenerator.DataGenerator)

	require.Error(t, focusForm(t, "1.4").WriteMetadata(io.Discard, cost.Account{}, noon, true, s), "without an account")
}

func TestOneFileOfManyStatementsAddsUp(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	var all []cost.Statement
	for day := 1; day <= 3; day++ {
		e := onDay(day, 10*day)
		l := cost.NewLedger(cost.Calendar{Every: cost.Day}, x86)
		l.Record(t.Context(), e)
		s, err := l.Statement(e.Start, x86)
		require.NoError(t, err)
		all = append(all, s)
	}
	var out bytes.Buffer
	require.NoError(t, focusForm(t, "1.4").Write(&out, cost.Account{ID: "1"}, all...))
	_, rows := readRows(t, &out)
	require.Len(t, rows, 6)
	assert.Equal(t, "3", sumsOf(t, rows)["x_Calls"].RatString())
}
