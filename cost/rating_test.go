package cost_test

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func TestTenMillionShortCallsCostToTheLastDigit(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	const n = 10_000_000
	e := call(time.Millisecond, 512*mib)
	usage := calls(t, n, e, x86)
	if !testing.Short() && !raceEnabled {
		l := cost.NewLedger(cost.Calendar{}, x86)
		for range n {
			l.Record(t.Context(), e)
		}
		usage = l.Usage(noon)
	}
	s := statement(t, aDay(), x86, usage)
	assert.Equal(t, "0.0833335 USD", listOf(s, "memory"))
	assert.Equal(t, "2.0833335 USD", s.Total.Billed.String())
	assert.Equal(t, uint64(n), s.Total.Calls)
}

// The providers' own examples. Lambda's (1 to 3) are on
// https://aws.amazon.com/lambda/pricing/ (US East, N. Virginia, x86): Example 2 leaves the
// free tier out; of example 3 the test has the parts that are not about storage. Azure's is
// on https://azure.microsoft.com/pricing/details/functions/ (Consumption).
func TestProvidersExamplesReproduceToTheCent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, book             string
		calls                  uint64
		duration               time.Duration
		memory                 int64
		period                 cost.Period
		compute, requests, all string
	}{
		{"Lambda 1: mobile backend", "aws-lambda-x86", 3_000_000, 120 * time.Millisecond, 1536, march(), "2.33", "0.4", "2.73"},
		{"Lambda 2: telemetry", "aws-lambda-x86", 7_440_000, 2 * time.Second, 1024, aDay(), "248", "1.49", "249.49"},
		{"Lambda 3: support tickets", "aws-lambda-x86", 6_000_000, 280 * time.Millisecond, 4096, march(), "105.33", "1", "106.33"},
		{"Azure Consumption", "azure-consumption", 3_000_000, time.Second, 512, march(), "17.6", "0.4", "18"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := preset(t, tt.book)
			s := statement(t, tt.period, b, calls(t, tt.calls, call(tt.duration, tt.memory*mib), b))
			got := map[string]string{}
			for _, c := range s.Total.Charges {
				got[c.Meter] = c.Billed.Round(2).String()
			}
			assert.Equal(t, map[string]string{"memory": tt.compute + " USD", "requests": tt.requests + " USD"}, got)
			assert.Equal(t, tt.all+" USD", s.Total.Billed.Round(2).String())
		})
	}
}

// In 2020 the same page had other prices, and durations were rounded up to 100 ms:
// https://aws.amazon.com/lambda/pricing/, example 1.
func TestReplacedBookReproducesTheExamplesOfItsTime(t *testing.T) {
	t.Parallel()
	b, err := cost.LoadBook("testdata/aws-lambda-2020.json")
	require.NoError(t, err)
	for want, usage := range map[string][]cost.Usage{
		"18.74 USD": calls(t, 3_000_000, call(time.Second, 512*mib), b),
	} {
		assert.Equal(t, want, statement(t, march(), b, usage).Total.Billed.Round(2).String())
	}
}

// oracle prices calls one at a time, in rational numbers, by the text of the providers'
// pages. It uses nothing of the package but the prices.
type oracle struct {
	granularity, minimum int64 // ns
	init                 bool
	memory               func(bytes int64) *big.Rat // GB (of 1024 MB)
	cpu                  func(bytes int64) *big.Rat // vCPU
	perGBs, perCPUs      string
	perMillion           string
	perProcessorSecond   string // price of the duration without initialization, in whole milliseconds; empty: none
}

func (o oracle) cost(tb testing.TB, e faas.Execution) *big.Rat {
	tb.Helper()
	d := big.NewInt(int64(e.Duration))
	if o.init {
		d.Add(d, big.NewInt(int64(e.Init)))
	}
	if d.Cmp(big.NewInt(o.minimum)) < 0 {
		d.SetInt64(o.minimum)
	}
	d.Add(d, big.NewInt(o.granularity-1)).Div(d, big.NewInt(o.granularity)).Mul(d, big.NewInt(o.granularity))
	seconds := new(big.Rat).SetFrac(d, big.NewInt(1e9))
	total := new(big.Rat).Quo(rat(tb, o.perMillion), rat(tb, "1000000"))
	add := func(amount *big.Rat, price string) {
		amount.Mul(amount, seconds)
		total.Add(total, amount.Mul(amount, rat(tb, price)))
	}
	add(o.memory(e.Memory), o.perGBs)
	if o.cpu != nil {
		add(o.cpu(e.Memory), o.perCPUs)
	}
	if o.perProcessorSecond != "" {
		ms := (int64(e.Duration) + 999_999) / 1_000_000
		total.Add(total, new(big.Rat).Mul(big.NewRat(ms, 1000), rat(tb, o.perProcessorSecond)))
	}
	return total
}

func inSteps(minimum, step int64) func(int64) *big.Rat {
	return func(bytes int64) *big.Rat {
		n := new(big.Int).SetInt64(max(bytes, minimum*mib))
		n.Add(n, big.NewInt(step*mib-1)).Div(n, big.NewInt(step*mib))
		return new(big.Rat).SetFrac(n.Mul(n, big.NewInt(step)), big.NewInt(1024))
	}
}

func flexSize(bytes int64) *big.Rat {
	switch {
	case bytes <= 512*mib:
		return big.NewRat(1, 2)
	case bytes <= 2048*mib:
		return big.NewRat(2, 1)
	}
	return big.NewRat(4, 1)
}

func scalewaySize(bytes int64) *big.Rat {
	mb := int64(128)
	for mb < 2048 && bytes > mb*mib {
		mb *= 2
	}
	return big.NewRat(mb, 1024)
}

func cloudRunCPU(bytes int64) *big.Rat {
	for _, line := range [][2]int64{{128, 83}, {256, 167}, {512, 333}, {1024, 583}, {2048, 1000}, {8192, 2000}, {16384, 4000}} {
		if bytes <= line[0]*mib {
			return big.NewRat(line[1], 1000)
		}
	}
	return big.NewRat(8, 1)
}

func oneCore(int64) *big.Rat { return big.NewRat(1, 1) }

func oracles() map[string]oracle {
	return map[string]oracle{
		"aws-lambda-x86": {granularity: 1e6, init: true, memory: inSteps(128, 1), perGBs: "0.0000166667", perMillion: "0.20"},
		"aws-lambda-arm": {granularity: 1e6, init: true, memory: inSteps(128, 1), perGBs: "0.0000133334", perMillion: "0.20"},
		"gcp-cloud-run": {
			granularity: 1e8, init: true, memory: inSteps(128, 1), perGBs: "0.0000025",
			cpu: cloudRunCPU, perCPUs: "0.000024", perMillion: "0.40",
		},
		"azure-consumption":      {granularity: 1e6, minimum: 1e8, memory: inSteps(128, 128), perGBs: "0.000016", perMillion: "0.20"},
		"azure-flex":             {granularity: 1e8, minimum: 1e9, memory: flexSize, perGBs: "0.000026", perMillion: "0.40"},
		"digitalocean-functions": {granularity: 1e6, minimum: 1e8, memory: inSteps(128, 1), perGBs: "0.0000185", perMillion: "0"},
		"scaleway-functions":     {granularity: 1e6, memory: scalewaySize, perGBs: "0.000012", perMillion: "0.15"},
		"cloudflare-workers":     {granularity: 1e6, memory: inSteps(0, 1), perGBs: "0", perMillion: "0.30", perProcessorSecond: "0.00002"},
		"machine": {
			granularity: 3600, init: true, memory: inSteps(0, 1), perGBs: "7/3600000",
			cpu: oneCore, perCPUs: "41/3600000", perMillion: "0",
		},
	}
}

func TestRatingAgreesWithAnIndependentOracle(t *testing.T) {
	t.Parallel()
	machine, err := cost.Machine(money(t, "0.041 USD"), money(t, "0.007 USD"))
	require.NoError(t, err)
	books := append(cost.Presets(), machine)
	require.Len(t, oracles(), len(books))
	rng := rand.New(rand.NewPCG(1, 2))
	usages := 10_000
	if testing.Short() || raceEnabled {
		usages = 1000
	}
	for range usages {
		records := randomRecords(rng)
		usage := record(books, records...).Usage(noon)
		for _, b := range books {
			o := oracles()[b.About().Name]
			want := new(big.Rat)
			for _, e := range records {
				want.Add(want, o.cost(t, e))
			}
			got := statement(t, aDay(), b, usage).Total
			require.Zero(t, want.Cmp(got.Billed.Amount()), "%s: %s, want %s: %+v", b.About().Name, got.Billed, cost.Decimal(want), records)
			one, err := cost.NewRater(b).Call(records[0])
			require.NoError(t, err)
			require.Zero(t, o.cost(t, records[0]).Cmp(one.Amount()), "%s: %s: %+v", b.About().Name, one, records[0])
		}
	}
}

// randomRecords returns records of one function, with durations and sizes near those at which
// rounding changes.
func randomRecords(rng *rand.Rand) []faas.Execution {
	edges := []time.Duration{0, 1, time.Microsecond, 3600, time.Millisecond, 100 * time.Millisecond, time.Second, 15 * time.Minute}
	sizes := []int64{1, mib, 128 * mib, 512 * mib, 1024 * mib, 1536 * mib}
	duration := func() time.Duration {
		d := edges[rng.IntN(len(edges))] * time.Duration(1+rng.IntN(3))
		if rng.IntN(2) == 0 {
			d += time.Duration(rng.Int64N(int64(2 * time.Second)))
		}
		return max(0, d+time.Duration(rng.IntN(3)-1))
	}
	all := make([]faas.Execution, 1+rng.IntN(4))
	for i := range all {
		memory := min(sizes[rng.IntN(len(sizes))]+rng.Int64N(3)-1, 1536*mib)
		all[i] = call(duration(), memory)
		if rng.IntN(3) == 0 {
			all[i].Init = duration()
		}
		all[i].Outcome = faas.Outcome(rng.IntN(8))
	}
	return all
}

func TestEveryCallIsRoundedByItself(t *testing.T) {
	t.Parallel()
	flex := preset(t, "azure-flex")
	l := record([]*cost.Book{flex}, call(time.Millisecond, 512*mib), call(1001*time.Millisecond, 512*mib))
	s, err := l.Statement(noon, flex)
	require.NoError(t, err)
	assert.Equal(t, "21/20", s.Total.Charges[0].Quantity.String(), "(1000 ms + 1100 ms) × 0.5 GB")
}

func TestExtremeCallsDoNotOverflow(t *testing.T) {
	t.Parallel()
	b, err := cost.Machine(money(t, "3.6 USD"), cost.Money{})
	require.NoError(t, err)
	e := call(1<<63-1, 1<<63-1)
	e.Init = 1<<63 - 1
	l := cost.NewLedger(cost.Calendar{}, b)
	var callers sync.WaitGroup
	for range 3 { // sums of more than 64 bits, in several stripes of the ledger
		callers.Go(func() { l.Record(t.Context(), e) })
	}
	callers.Wait()
	usage := l.Usage(noon.Add(e.Duration))
	require.Len(t, usage, 1)
	assert.Equal(t, new(big.Int).Mul(big.NewInt(3), big.NewInt(1<<63-1)), usage[0].Duration())
	s := statement(t, aDay(), b, usage)
	// 2⁶⁴-2 ns are 18446744073709551.614 µs, rounded up to 3.6 µs each.
	quanta := new(big.Int).Add(new(big.Int).Div(rat(t, "18446744073709551614").Num(), big.NewInt(3600)), big.NewInt(1))
	want := new(big.Rat).SetFrac(quanta.Mul(quanta, big.NewInt(3*3600)), big.NewInt(1e12)) // $0.001 a second
	assert.Zero(t, want.Cmp(s.Total.Billed.Amount()), "%s, want %s", s.Total.Billed, want)

	assert.True(t, cost.PlusCarries())

	negative := call(-time.Second, -1)
	negative.Init = -1
	total := statement(t, aDay(), b, record([]*cost.Book{b}, negative).Usage(noon)).Total
	assert.Equal(t, "0 USD", total.Billed.String())
	assert.Equal(t, uint64(1), total.Calls)
}

func TestUnknownRuleIsUnrated(t *testing.T) {
	t.Parallel()
	x86, flex := preset(t, "aws-lambda-x86"), preset(t, "azure-flex")
	l := record([]*cost.Book{x86}, call(time.Second, 512*mib))
	_, err := l.Statement(noon, flex)
	require.ErrorIs(t, err, cost.ErrUnrated)
	require.ErrorContains(t, err, "azure-flex")

	arm := preset(t, "aws-lambda-arm") // has the same rule
	_, err = l.Statement(noon, arm)
	require.NoError(t, err)
}

func TestMemoryThatTheBookDoesNotSellIsUnrated(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int64{
		"aws-lambda-x86": 10240, "azure-consumption": 1536, "azure-flex": 4096, "gcp-cloud-run": 32768,
	} {
		r := cost.NewRater(preset(t, name))
		_, err := r.Call(call(time.Second, most*mib))
		require.NoError(t, err, name)
		_, err = r.Call(call(time.Second, most*mib+1))
		require.ErrorIs(t, err, cost.ErrUnrated, name)
	}
}

func TestOverrunCostsTimeAlone(t *testing.T) {
	t.Parallel()
	consumption := preset(t, "azure-consumption")
	got, err := cost.NewRater(consumption).Overrun(faas.Overrun{Duration: 1500 * time.Microsecond, Memory: 1024 * mib})
	require.NoError(t, err)
	assert.Equal(t, "0.000000032 USD", got.String(), "2 ms at 1 GB: no request, no minimum")
}

func TestGBIsWhatTheBookSays(t *testing.T) {
	t.Parallel()
	for gb, want := range map[string]string{"1000MB": "1.073741824", "1024MiB": "1", "1GB": "1.073741824", "1GiB": "1"} {
		text := strings.NewReplacer(`"1024MiB"`, `"`+gb+`"`, `"free": "400000"`, `"free": "0"`).Replace(lambda(t))
		b, err := cost.ParseBook([]byte(text))
		require.NoError(t, err)
		s := statement(t, aDay(), b, calls(t, 1, call(time.Second, 1024*mib), b))
		assert.Equal(t, want, cost.Decimal(s.Total.Charges[0].Quantity), gb)
		_, rows := focusRows(t, s, cost.Account{ID: "1"})
		assert.Equal(t, want == "1", rows[0]["PricingUnit"] == "GiB-Seconds", gb)
	}
}

func TestInitIsBilledWhereTheBookSaysSo(t *testing.T) {
	t.Parallel()
	e := call(1500*time.Microsecond, 1024*mib)
	e.Init = 700 * time.Microsecond
	for name, want := range map[string]uint64{"aws-lambda-x86": 3, "azure-consumption": 100} {
		b := preset(t, name)
		usage := record([]*cost.Book{b}, e).Usage(noon)
		assert.Equal(t, int64(e.Init), usage[0].Init().Int64())
		quanta, err := usage[0].Quanta(b.Rounding())
		require.NoError(t, err)
		assert.Equal(t, want, quanta.Uint64(), name)
	}
}

func BenchmarkStatement(b *testing.B) {
	x86 := preset(b, "aws-lambda-x86")
	usage := record([]*cost.Book{x86}, sampleRecords()...).Usage(noon)
	for b.Loop() {
		if _, err := cost.NewStatement(march(), x86, usage); err != nil {
			b.Fatal(err)
		}
	}
}
