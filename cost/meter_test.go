package cost_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// The providers' own examples: https://www.digitalocean.com/pricing/functions,
// https://www.scaleway.com/en/docs/faq/serverless-functions/ (example 1) and
// https://developers.cloudflare.com/workers/platform/pricing/ (example 1). The first page
// shows 7.59, 26.08 and 183.33, which are rounded to cents; here the amounts are exact.
func TestSmallProvidersExamplesReproduceExactly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		book     string
		calls    uint64
		duration time.Duration
		memory   int64
		billed   map[string]string
		all      string
	}{
		{"digitalocean-functions", 1e6, 100 * time.Millisecond, 128, map[string]string{"memory": "0"}, "0 USD"},
		{"digitalocean-functions", 3_600_000, 100 * time.Millisecond, 256, map[string]string{"memory": "0"}, "0 USD"},
		{"digitalocean-functions", 10e6, 40 * time.Millisecond, 512, map[string]string{"memory": "7.585"}, "7.585 USD"},
		{"digitalocean-functions", 15e6, 200 * time.Millisecond, 512, map[string]string{"memory": "26.085"}, "26.085 USD"},
		{"digitalocean-functions", 20e6, 500 * time.Millisecond, 1024, map[string]string{"memory": "183.335"}, "183.335 USD"},
		{"scaleway-functions", 30e6, time.Second, 128, map[string]string{"memory": "40.2", "requests": "4.35"}, "44.55 EUR"},
		{"cloudflare-workers", 15e6, 7 * time.Millisecond, 128, map[string]string{"base": "5", "processor": "1.5", "requests": "1.5"}, "8 USD"},
	} {
		b := preset(t, tt.book)
		s := statement(t, march(), b, calls(t, tt.calls, call(tt.duration, tt.memory*mib), b))
		got := map[string]string{}
		for _, c := range s.Total.Charges {
			got[c.Meter] = strings.Fields(c.Billed.String())[0]
		}
		assert.Equal(t, tt.billed, got, tt.book)
		assert.Equal(t, tt.all, s.Total.Billed.String(), tt.book)
		checkFOCUS(t, s)
	}
}

func TestABaseFeeIsARowOfItsOwnOnceAMonth(t *testing.T) {
	t.Parallel()
	b := preset(t, "cloudflare-workers")
	s := statement(t, march(), b, calls(t, 3, call(time.Second, mib), b))
	require.Len(t, s.Rows, 2)
	assert.True(t, s.Rows[1].Base)
	assert.Zero(t, s.Rows[1].Calls)
	assert.Equal(t, "5 USD", s.Total.Billed.String())
	assert.Equal(t, uint64(3), s.Total.Calls)
	require.Len(t, s.By(cost.Tenant).Rows, 2, "it is no tenant's, not even nobody's")
	var text bytes.Buffer
	require.NoError(t, s.WriteText(&text))
	assert.Contains(t, text.String(), "Base fee")

	assert.Equal(t, "5 USD", statement(t, march(), b, nil).Total.Billed.String(), "without a call")
	first := cost.Calendar{Every: cost.Day}.Period(march().Start)
	for _, day := range []cost.Period{aDay(), first} {
		assert.Len(t, statement(t, day, b, calls(t, 3, call(time.Second, mib), b)).Rows, 1, "a day alone has none")
	}
}

func TestProcessorTimeThatWasNotMeasuredIsAtMostTheDuration(t *testing.T) {
	t.Parallel()
	b := preset(t, "cloudflare-workers")
	e := call(time.Second, mib)
	processor := func(l *cost.Ledger) cost.Charge {
		s := statement(t, aDay(), b, l.Usage(noon))
		require.Equal(t, "processor", s.Total.Charges[1].Meter)
		require.Equal(t, strings.Contains(textOf(t, s), "at most"), s.Total.Charges[1].AtMost)
		checkFOCUS(t, s)
		return s.Total.Charges[1]
	}
	l := cost.NewLedger(cost.Calendar{}, b)
	l.RecordProcessor(t.Context(), e, 2300*time.Microsecond)
	l.RecordProcessor(t.Context(), e, 0)
	measured := processor(l)
	assert.Equal(t, "3", measured.Quantity.RatString(), "ms")
	assert.False(t, measured.AtMost)

	l.Record(t.Context(), e)
	mixed := processor(l)
	assert.Equal(t, "1003", mixed.Quantity.RatString())
	assert.True(t, mixed.AtMost)

	l.AddOverrun(noon, faas.Overrun{Function: "f", Duration: 1500 * time.Microsecond})
	assert.Equal(t, "1005", processor(l).Quantity.RatString())

	_, err := record([]*cost.Book{preset(t, "aws-lambda-x86")}, e).Statement(noon, b)
	require.ErrorIs(t, err, cost.ErrUnrated)
}

func textOf(tb testing.TB, s cost.Statement) string {
	tb.Helper()
	var out bytes.Buffer
	require.NoError(tb, s.WriteText(&out))
	return out.String()
}

// meterBook returns the text of a book with the given prices.
func meterBook(prices string) string {
	return `{"name": "x", "title": "X", "provider": "x", "service": "x", "region": "x", "currency": "EUR", "effective": "2026-01-01", "source": "x",
	"duration": {"granularity": "1ms"}, "memory": {"step": "1MiB"}, "cpu": [{"memory": "1024MiB", "milli": 500}], "prices": [` + prices + `]}`
}

func TestOutputIsBilledAboveWhatEachCallHas(t *testing.T) {
	t.Parallel()
	b := parse(t, meterBook(`{"meter": "bytes", "unit": "GB", "price": "8", "allowance": "6MB", "free": "0.5"}`))
	var records []faas.Execution
	for _, bytes := range []int{0, 6_000_000, 1_006_000_000, 106_000_001} {
		e := call(time.Second, mib)
		e.BytesOut = bytes
		records = append(records, e)
	}
	s, err := record([]*cost.Book{b}, records...).Statement(noon, b)
	require.NoError(t, err)
	assert.Equal(t, "1.100000001", cost.Decimal(s.Total.Charges[0].Quantity))
	assert.Equal(t, "4.800000008 EUR", s.Total.Billed.String())
	checkFOCUS(t, s)
	one, err := cost.NewRater(b).Call(records[2])
	require.NoError(t, err)
	assert.Equal(t, "8 EUR", one.String())
}

func TestUnitsMayBeANumberOfThemAndMilliseconds(t *testing.T) {
	t.Parallel()
	for prices, want := range map[string]string{
		`{"meter": "cpu", "unit": "1000000 vCPU-ms", "price": "0.02"}`:                   "0.00004 EUR", // 4 s of half a vCPU
		`{"meter": "cpu", "unit": "vCPU-s", "price": "0.02"}`:                            "0.04 EUR",
		`{"meter": "memory", "unit": "100000 GiB-s", "price": "1.20"}`:                   "0.000048 EUR",
		`{"meter": "processor", "unit": "s", "price": "1"}`:                              "4 EUR",
		`{"meter": "requests", "unit": "10 requests", "price": "1"}`:                     "0.1 EUR",
		`{"meter": "bytes", "unit": "10 GiB", "price": "1"}`:                             "0 EUR",
		`{"meter": "base", "unit": "month", "price": "1"}`:                               "0 EUR",
		`{"meter": "memory", "unit": "1000 GiB-ms", "price": "1", "free": "1000000000"}`: "4 EUR",
	} {
		got, err := cost.NewRater(parse(t, meterBook(prices))).Call(call(4*time.Second, 1024*mib))
		require.NoError(t, err)
		assert.Equal(t, want, got.String(), prices)
	}
	for prices, why := range map[string]string{
		`{"meter": "memory", "unit": "many GiB-s", "price": "1"}`:                                                                                         "a number of them",
		`{"meter": "memory", "unit": "0 GiB-s", "price": "1"}`:                                                                                            "a number of them",
		`{"meter": "processor", "unit": "vCPU-s", "price": "1"}`:                                                                                          "ms, s, min or h",
		`{"meter": "bytes", "unit": "MB", "price": "1"}`:                                                                                                  "GB or GiB",
		`{"meter": "base", "unit": "year", "price": "1"}`:                                                                                                 `write "month"`,
		`{"meter": "base", "unit": "month", "price": "1", "free": "1"}`:                                                                                   "nothing free",
		`{"meter": "requests", "unit": "request", "price": "1", "allowance": "1MB"}`:                                                                      "allowance",
		`{"meter": "memory", "unit": "GiB-s", "price": "1", "grant": "g"}, {"meter": "cpu", "unit": "vCPU-s", "price": "1", "grant": "g"}`:                "shares a ladder or a grant",
		`{"meter": "memory", "unit": "GiB-s", "price": "1", "ladder": ""}`:                                                                                "not empty",
		`{"meter": "processor", "unit": "s", "price": "1", "ladder": "l"}, {"meter": "cpu", "unit": "vCPU-s", "price": "1", "ladder": "l", "free": "10"}`: "shares a ladder or a grant",
	} {
		_, err := cost.ParseBook([]byte(meterBook(prices)))
		require.ErrorContains(t, err, why, prices)
	}
}

func TestX86AndArmShareOneGrant(t *testing.T) {
	t.Parallel()
	x86, arm := preset(t, "aws-lambda-x86"), preset(t, "aws-lambda-arm")
	both := []*cost.Book{x86, arm}
	onX86 := calls(t, 900_000, call(time.Second, 1024*mib), both...)
	onArm := calls(t, 300_000, call(time.Second, 1024*mib), both...)
	all, err := cost.NewStatements(march(), cost.Part{Book: x86, Usage: onX86}, cost.Part{Book: arm, Usage: onArm})
	require.NoError(t, err)
	require.Len(t, all, 2)
	free := map[string]string{}
	for _, s := range all {
		checkFOCUS(t, s)
		for _, c := range s.Total.Charges {
			free[s.Book.Name+" "+c.Meter] = c.Free.RatString()
		}
	}
	assert.Equal(t, map[string]string{ // 400,000 GB-s and 1,000,000 requests are divided three to one
		"aws-lambda-x86 memory": "300000", "aws-lambda-x86 requests": "750000",
		"aws-lambda-arm memory": "100000", "aws-lambda-arm requests": "250000",
	}, free)
	assert.Equal(t, "400000", statement(t, march(), x86, onX86).Total.Charges[0].Free.RatString(), "alone")
}

func TestMetersThatShareALadderClimbItTogether(t *testing.T) {
	t.Parallel()
	// 4 s of a processor and 4 s of half a vCPU with 2 GiB are counted together, in seconds.
	b := parse(t, meterBook(`{"meter": "memory", "unit": "GiB-s", "price": "7", "ladder": "l", "free": "1", "tiers": [{"above": "6", "price": "3"}]}`))
	c := parse(t, strings.NewReplacer(`"name": "x"`, `"name": "y"`, `"step": "1MiB"`, `"step": "64MiB"`, `"price": "7"`, `"price": "5"`, `"price": "3"`, `"price": "2"`).
		Replace(meterBook(`{"meter": "memory", "unit": "GiB-s", "price": "7", "ladder": "l", "free": "1", "tiers": [{"above": "6", "price": "3"}]}`)))
	usage := record([]*cost.Book{b, c}, call(6*time.Second, 1024*mib)).Usage(noon)
	all, err := cost.NewStatements(march(), cost.Part{Book: b, Usage: usage}, cost.Part{Book: c, Usage: usage})
	require.NoError(t, err)
	// 12 GiB-s: 6 in the first tier, 1 of them free, and 6 in the second, half each.
	assert.Equal(t, "26.5 EUR", all[0].Total.Billed.String(), "2.5 × 7 + 3 × 3")
	assert.Equal(t, "18.5 EUR", all[1].Total.Billed.String(), "2.5 × 5 + 3 × 2")

	other := parse(t, meterBook(`{"meter": "memory", "unit": "GiB-s", "price": "7", "ladder": "l", "free": "1", "tiers": [{"above": "5", "price": "3"}]}`))
	_, err = cost.NewStatements(march(), cost.Part{Book: b, Usage: usage}, cost.Part{Book: other, Usage: usage})
	require.ErrorIs(t, err, cost.ErrFormat)
}

func TestAFunctionThatABookCannotRateIsNamedAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	b := preset(t, "azure-consumption")
	large, small := call(time.Second, 2048*mib), call(time.Second, 1024*mib)
	large.Function, small.Function = "large", "small"
	s, err := record([]*cost.Book{b}, large, small, large).Statement(noon.Add(time.Hour), b)
	require.ErrorIs(t, err, cost.ErrUnrated)
	require.ErrorContains(t, err, `function "large" has 2048 MiB`)
	assert.Equal(t, uint64(1), s.Total.Calls)
	assert.Equal(t, "0.0000162 USD", s.Total.List.String())
	require.Len(t, s.Unrated, 1)
	assert.Equal(t, "large", s.Unrated[0].Function)
	assert.Equal(t, uint64(2), s.Unrated[0].Calls)
	assert.Contains(t, textOf(t, s), "not in it: 2 of large with 2048 MiB")

	other := call(time.Second, 4096*mib)
	other.Function = "larger"
	_, err = record([]*cost.Book{b}, large, other).Statement(noon, b)
	require.ErrorContains(t, err, "larger")
	require.ErrorContains(t, err, `"large"`)
}

func TestFreeQuantitiesGoOnAboveTheFirstTier(t *testing.T) {
	t.Parallel()
	b := parse(t, `{"name":"x","title":"X","provider":"p","service":"s","region":"r","currency":"EUR","effective":"2026-01-01","source":"s","gb":"1024MiB",
	"duration":{"granularity":"1ms"},"memory":{"step":"1MiB"},
	"prices":[{"meter":"memory","unit":"GB-s","price":"1","free":"100","tiers":[{"above":"10","price":"2"},{"above":"120","price":"4"}]}]}`)
	for n, want := range map[uint64]string{5: "0 EUR", 10: "0 EUR", 50: "0 EUR", 100: "0 EUR", 101: "2 EUR", 120: "40 EUR", 121: "44 EUR"} {
		s := statement(t, march(), b, calls(t, n, call(time.Second, 1024*mib), b))
		assert.Equal(t, want, s.Total.Billed.String(), "%d GB-s", n)
		checkFOCUS(t, s)
	}
}

func TestBooksThatSellWhatTheyCannotPriceAreRefused(t *testing.T) {
	t.Parallel()
	for change, why := range map[[2]string]string{
		{`"maximum": "10240MiB"`, `"maximum": "10000001B"`}: "multiple of the step",
		{`"USD"`, `"usd"`}:    "ISO 4217",
		{`"USD"`, `"Dollar"`}: "ISO 4217",
		{`"USD"`, `"XYZ"`}:    "ISO 4217",
		{`"USD"`, `"D F"`}:    "ISO 4217",
		{`"USD"`, `"€"`}:      "ISO 4217",
		{`"prices"`, `"cpu": [{"memory": "1GiB", "milli": 1000}], "prices"`}: "below the most memory",
		{`"read": "2026"`, `"read": "last year"`}:                            "write a date",
	} {
		_, err := cost.ParseBook([]byte(strings.Replace(lambda(t), change[0], change[1], 1)))
		require.ErrorContains(t, err, why, change)
	}
	sizes := fmt.Sprintf(`{"sizes": [%q, %q]}`, "1GiB", "2GiB")
	_, err := cost.ParseBook([]byte(strings.Replace(meterBook(`{"meter": "cpu", "unit": "vCPU-s", "price": "1"}`), `{"step": "1MiB"}`, sizes, 1)))
	require.ErrorContains(t, err, "below the most memory")
}

func TestATenantsPartNamesItsOwnUnratedFunctionsAlone(t *testing.T) {
	t.Parallel()
	b := preset(t, "azure-consumption")
	e := call(time.Second, 2048*mib)
	other := e
	e.Tenant, other.Tenant = "acme", "bolt"
	s, err := record([]*cost.Book{b}, e, other).Statement(noon, b)
	require.ErrorIs(t, err, cost.ErrUnrated)
	require.Len(t, s.Unrated, 2)
	require.Len(t, s.Only(cost.Tenant, "acme").Unrated, 1)
	assert.Equal(t, "acme", s.Only(cost.Tenant, "acme").Unrated[0].Tenant)
}
