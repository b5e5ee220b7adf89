package faasprom_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasprom"
)

func lambda(tb testing.TB) *cost.Book {
	tb.Helper()
	b, err := cost.Preset("aws-lambda-x86")
	require.NoError(tb, err)
	return b.AnyTime()
}

// gather returns the metrics by name.
func gather(tb testing.TB, c prometheus.Collector) map[string]*dto.MetricFamily {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(tb, registry.Register(c))
	all, err := registry.Gather()
	require.NoError(tb, err)
	byName := map[string]*dto.MetricFamily{}
	for _, f := range all {
		byName[f.GetName()] = f
	}
	return byName
}

// text returns the value of each metric that is not a histogram, by name and labels.
func text(tb testing.TB, c prometheus.Collector) map[string]float64 {
	tb.Helper()
	all := map[string]float64{}
	for name, family := range gather(tb, c) {
		for _, m := range family.GetMetric() {
			if m.Histogram == nil {
				all[name+labels(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return all
}

func labels(m *dto.Metric) string {
	var all []string
	for _, l := range m.GetLabel() {
		all = append(all, l.GetName()+"="+l.GetValue())
	}
	return "{" + strings.Join(all, ",") + "}"
}

// busy runs a router until each metric has a value, and then calls look.
func busy(t *testing.T, look func(*faasprom.Collector)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		book := lambda(t)
		rec := observe.NewRecorder(observe.WithBooks(book), observe.WithExemplar(func(context.Context) string { return "a-trace" }))
		r := faas.New(faas.WithMeter(rec), faas.WithRefusals(rec.Refused), faas.WithDecisions(rec.Decided), faas.WithTimeout(time.Second),
			faas.WithLogger(slog.New(slog.DiscardHandler)))
		defer r.Close()
		f := faas.Register(r, "f", func(ctx context.Context, what string) (string, error) {
			switch what {
			case "fail":
				return "", errors.New("no")
			case "late":
				time.Sleep(time.Minute)
			case "wait":
				time.Sleep(time.Second / 2)
			}
			return what, nil
		}, faas.WithScaler(faas.ConcurrencyScaler{}), faas.WithInstanceConcurrency(1), faas.WithMemory(512<<20))
		faas.RegisterInit(r, "cold", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			time.Sleep(time.Second / 4)
			return func(_ context.Context, n int) (int, error) { return n, nil }, nil, nil
		}, faas.WithMaxInstances(1))
		faas.Register(r, "plain", func(context.Context, int) (int, error) { return 0, nil })
		acme := faas.WithTenant(t.Context(), "acme")
		for _, what := range []string{"fine", "fail", "late"} {
			_, _ = f.Invoke(acme, what)
		}
		_, err := r.Invoke(acme, "cold", []byte("1"))
		require.NoError(t, err)
		_, err = r.Invoke(acme, "nobody", nil)
		require.ErrorIs(t, err, faas.ErrNotFound)
		time.Sleep(2 * time.Minute)
		go func() { _, _ = f.Invoke(acme, "wait") }()
		synctest.Wait()
		_, err = f.Send(acme, "fine", faas.WithDelay(time.Hour))
		require.NoError(t, err)
		look(faasprom.NewCollector(r, rec, faasprom.WithBook(book)))
		time.Sleep(time.Second)
	})
}

func TestWhatHasHappenedIsInTheMetrics(t *testing.T) {
	t.Parallel()
	busy(t, func(c *faasprom.Collector) {
		got := text(t, c)
		for name, want := range map[string]float64{
			"faas_calls_total{function=f,outcome=OK,version=$LATEST}":                                        1,
			"faas_calls_total{function=f,outcome=Failed,version=$LATEST}":                                    1,
			"faas_calls_total{function=f,outcome=TimedOut,version=$LATEST}":                                  1,
			"faas_calls_total{function=cold,outcome=OK,version=$LATEST}":                                     1,
			"faas_cold_starts_total{function=cold,version=$LATEST}":                                          1,
			"faas_received_bytes_total{function=cold,version=$LATEST}":                                       1,
			"faas_sent_bytes_total{function=cold,version=$LATEST}":                                           1,
			"faas_refusals_total{function=,kind=NotFound,reason=not_found,version=}":                         1,
			"faas_overruns_total{function=f,version=$LATEST}":                                                1,
			"faas_overrun_seconds_total{function=f,version=$LATEST}":                                         59,
			"faas_tenant_calls_total{function=f,tenant=acme,version=$LATEST}":                                3,
			"faas_tenant_run_seconds_total{function=f,tenant=acme,version=$LATEST}":                          60,
			"faas_billed_seconds_total{book=aws-lambda-x86,function=f,tenant=acme,version=$LATEST}":          60,
			"faas_list_price_total{book=aws-lambda-x86,currency=USD,function=f,tenant=acme,version=$LATEST}": 60*0.5*0.0000166667 + 3*0.0000002,
			"faas_calls_in_flight{function=f}":                                                               1,
			"faas_concurrency_limit{function=plain}":                                                         math.Inf(1),
			"faas_jobs{state=Scheduled}":                                                                     1,
			"faas_jobs{state=Dead}":                                                                          0,
			"faas_hook_panics_total{}":                                                                       0,
			"faas_folded_tenants{}":                                                                          0,
			"faas_instances{function=f,state=wanted,version=$LATEST}":                                        1,
		} {
			require.Contains(t, got, name)
			if math.IsInf(want, 0) {
				assert.True(t, math.IsInf(got[name], 1), name)
				continue
			}
			assert.InDelta(t, want, got[name], 1e-12, name)
		}
		h := gather(t, c)["faas_call_init_seconds"].GetMetric()[0].GetHistogram()
		assert.EqualValues(t, 1, h.GetSampleCount())
		assert.InDelta(t, 0.25, h.GetSampleSum(), 1e-12)
	})
}

func TestTheDocumentationNamesAllMetricsAndNoOthers(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	documented := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^//	(faas_\w+) +(counter|gauge|histogram)`).FindAllStringSubmatch(string(doc), -1) {
		documented[m[1]] = strings.ToUpper(m[2])
	}
	busy(t, func(c *faasprom.Collector) {
		exposed := map[string]string{}
		for name, f := range gather(t, c) {
			exposed[name] = f.GetType().String()
		}
		assert.Equal(t, documented, exposed)
	})
}

func TestNamesAndUnitsFollowTheConventions(t *testing.T) {
	t.Parallel()
	busy(t, func(c *faasprom.Collector) {
		problems, err := testutil.CollectAndLint(c)
		require.NoError(t, err)
		assert.Empty(t, problems)
	})
}

// metricName matches the names of this package's metrics in an expression.
var metricName = regexp.MustCompile(`faas_\w+`)

func TestTheDashboardAndTheAlertsNameMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	busy(t, func(c *faasprom.Collector) {
		exposed := gather(t, c)
		for _, file := range []string{"dashboard.json", "alerts.yml", "alerts_test.yml"} {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			names := metricName.FindAllString(string(text), -1)
			require.NotEmpty(t, names, file)
			for _, name := range names {
				base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
				assert.Contains(t, exposed, base, "%s reads %s", file, name)
			}
		}
	})
}

// classicQuantile and nativeQuantile return what PromQL computes from classic and from native
// buckets, and the width of the bucket that contains the result.
func classicQuantile(h *dto.Histogram, q float64) (value, width float64) {
	rank, from, below := q*float64(h.GetSampleCount()), 0.0, 0.0
	for _, b := range h.GetBucket() {
		if n := float64(b.GetCumulativeCount()); n >= rank {
			return from + (b.GetUpperBound()-from)*(rank-below)/(n-below), b.GetUpperBound() - from
		}
		from, below = b.GetUpperBound(), float64(b.GetCumulativeCount())
	}
	return from, math.Inf(1)
}

func nativeQuantile(h *dto.Histogram, q float64) (value, width float64) {
	rank, below, n := q*float64(h.GetSampleCount()), float64(h.GetZeroCount()), int64(0)
	deltas := h.GetPositiveDelta()
	index := int32(0)
	for _, span := range h.GetPositiveSpan() {
		for index += span.GetOffset(); span.GetLength() > 0; index++ {
			n += deltas[0]
			deltas = deltas[1:]
			*span.Length--
			from, to := math.Exp2(float64(index-1)/8), math.Exp2(float64(index)/8)
			if below+float64(n) >= rank {
				return from + (to-from)*(rank-below)/float64(n), to - from
			}
			below += float64(n)
		}
	}
	return math.NaN(), 0
}

func TestQuantilesOfNativeAndClassicBucketsAreWithinABucketAndAFewPercent(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	rec := observe.NewRecorder()
	exact := make([]float64, 20_000)
	for i := range exact {
		d := time.Duration(20e6 * math.Exp(random.NormFloat64()))
		exact[i] = d.Seconds()
		rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Duration: d})
	}
	slices.Sort(exact)
	h := gather(t, faasprom.NewCollector(nil, rec))["faas_call_run_seconds"].GetMetric()[0].GetHistogram()
	var sum float64
	for _, x := range exact {
		sum += x
	}
	assert.InEpsilon(t, sum, h.GetSampleSum(), 1e-9)
	for _, q := range []float64{0.5, 0.99} {
		want := exact[int(q*float64(len(exact)))]
		classic, width := classicQuantile(h, q)
		assert.InDelta(t, want, classic, width+0.05*want)
		native, width := nativeQuantile(gather(t, faasprom.NewCollector(nil, rec))["faas_call_run_seconds"].GetMetric()[0].GetHistogram(), q)
		assert.InDelta(t, want, native, 0.05*want, "%v, a bucket is %v wide", want, width)
	}
}

func TestAnExemplarIsInTheBucketOfItsCall(t *testing.T) {
	t.Parallel()
	traces := []string{"a", "b", strings.Repeat("too long", 20), "d"}
	rec := observe.NewRecorder(observe.WithExemplar(func(context.Context) string {
		next := traces[0]
		traces = traces[1:]
		return next
	}))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, d := range []time.Duration{30 * time.Millisecond, 40 * time.Millisecond, time.Second, time.Hour} {
		rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Start: start, Duration: d})
	}
	h := gather(t, faasprom.NewCollector(nil, rec))["faas_call_run_seconds"].GetMetric()[0].GetHistogram()
	got := map[float64]string{}
	for _, b := range h.GetBucket() {
		if e := b.GetExemplar(); e != nil {
			got[b.GetUpperBound()] = e.GetLabel()[0].GetValue()
		}
	}
	assert.Equal(t, map[float64]string{0.05: "b", math.Inf(1): "d"}, got, "of two of one bucket the last")
	assert.Len(t, h.GetExemplars(), 3, "of native buckets")
}

func TestAHistogramWithoutCallsIsNativeToo(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1"})
	all := gather(t, faasprom.NewCollector(nil, rec))
	assert.NotEmpty(t, all["faas_call_init_seconds"].GetMetric()[0].GetHistogram().GetPositiveSpan())
	assert.EqualValues(t, 1, all["faas_call_wait_seconds"].GetMetric()[0].GetHistogram().GetZeroCount())
}

// record records a call for each tenant.
func record(rec *observe.Recorder, tenants ...int) {
	for _, i := range tenants {
		rec.Record(context.Background(), faas.Execution{
			Function: fmt.Sprint("f", i%3), Version: "1", Tenant: fmt.Sprintf("t%05d", i), Duration: time.Duration(1+i) * 1234567, Memory: 512 << 20,
		})
	}
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestFoldingLosesNoMoneyAndNoCountGetsSmaller(t *testing.T) {
	t.Parallel()
	book := lambda(t)
	rec := observe.NewRecorder(observe.WithBooks(book), observe.WithTenants(150))
	ledger := cost.NewLedger(cost.Calendar{}, book)
	c := faasprom.NewCollector(nil, rec, faasprom.WithBook(book), faasprom.WithSeries(500))
	var before map[string]float64
	for _, n := range []int{10, 50, 100, 400, 400} {
		record(rec, upTo(n)...)
		for _, i := range upTo(n) {
			ledger.Record(t.Context(), faas.Execution{Tenant: fmt.Sprint(i), Duration: time.Duration(1+i) * 1234567, Memory: 512 << 20, Start: time.Now()})
		}
		now := text(t, c)
		for name, value := range before {
			if !strings.HasPrefix(name, "faas_folded") {
				require.Contains(t, now, name)
				assert.GreaterOrEqual(t, now[name], value, name)
			}
		}
		sum, series := 0.0, 0
		for name, value := range now {
			if strings.HasPrefix(name, "faas_list_price_total") {
				sum += value
			}
			series++
		}
		want, _ := priced(t, book, ledger).Float64()
		assert.InDelta(t, want, sum, 1e-9, "a billionth of a dollar, after %d tenants", n)
		assert.Less(t, series, 500)
		assert.Equal(t, n > 50, now["faas_folded_tenants{}"] > 0, "%d tenants", n)
		before = now
	}
}

// priced returns the list price of all usage in a ledger's present month.
func priced(t *testing.T, b *cost.Book, l *cost.Ledger) *big.Rat {
	t.Helper()
	sum := new(big.Rat)
	for _, u := range l.Usage(time.Now()) {
		charges, err := cost.NewRater(b).Rate(u)
		require.NoError(t, err)
		for _, charge := range charges {
			sum.Add(sum, charge.List.Amount())
		}
	}
	return sum
}

func TestATenantKeepsItsSeriesWhenOthersCome(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	c := faasprom.NewCollector(nil, rec, faasprom.WithSeries(220))
	record(rec, 30)
	const name = "faas_tenant_calls_total{function=f0,tenant=t00030,version=1}"
	require.InDelta(t, 1, text(t, c)[name], 0)
	record(rec, upTo(60)...) // 30 of them sort before the others
	all := text(t, c)
	assert.InDelta(t, 2, all[name], 0)
	assert.Positive(t, all["faas_folded_tenants{}"])
	assert.Positive(t, all["faas_tenant_calls_total{function=f0,tenant=other,version=1}"])
}

func TestATenantThatWasFoldedStaysSoWhenThereIsRoomAgain(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	r := faas.New()
	defer r.Close()
	for i := range 30 {
		faas.Register(r, fmt.Sprint("idle", i), func(context.Context, int) (int, error) { return 0, nil })
	}
	c := faasprom.NewCollector(r, rec, faasprom.WithSeries(400))
	record(rec, upTo(50)...)
	const other = "faas_tenant_calls_total{function=f0,tenant=other,version=1}"
	before := text(t, c)
	require.InDelta(t, 50, before["faas_folded_tenants{}"], 0)
	for i := range 30 {
		require.NoError(t, r.Remove(fmt.Sprint("idle", i)))
	}
	record(rec, 99) // a new tenant, for which there is room
	after := text(t, c)
	assert.InDelta(t, before[other], after[other], 0)
	assert.InDelta(t, 50, after["faas_folded_tenants{}"], 0)
	assert.InDelta(t, 1, after["faas_tenant_calls_total{function=f0,tenant=t00099,version=1}"], 0)
}

func TestNamesThatAreNoTextAreShown(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Tenant: "a\xffb"})
	assert.Contains(t, text(t, faasprom.NewCollector(nil, rec)), "faas_tenant_calls_total{function=f,tenant=a\uFFFDb,version=1}")
}

func TestUsageWithoutAPriceIsAnErrorOfTheScrape(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	record(rec, 1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(faasprom.NewCollector(nil, rec, faasprom.WithBook(lambda(t))))
	_, err := registry.Gather()
	require.ErrorIs(t, err, cost.ErrUnrated)
}

func TestBoundsOfBucketsAscend(t *testing.T) {
	t.Parallel()
	for _, bounds := range [][]float64{{2, 1}, {1, 1}, {math.NaN()}, {1, math.Inf(1)}} {
		assert.Panics(t, func() { faasprom.WithBuckets(bounds...) }, bounds)
	}
	rec := observe.NewRecorder()
	record(rec, 1)
	h := gather(t, faasprom.NewCollector(nil, rec, faasprom.WithBuckets(0.1, 7), nil))["faas_call_run_seconds"].GetMetric()[0].GetHistogram()
	require.Len(t, h.GetBucket(), 2)
	assert.InDelta(t, 7, h.GetBucket()[1].GetUpperBound(), 0)
}
