package cost_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func TestFreeTierIsAMonthsAlone(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	usage := calls(t, 1_500_000, call(time.Second, 1024*mib), x86)
	s := statement(t, march(), x86, usage)
	assert.Equal(t, "25.30005 USD", s.Total.List.String())
	assert.Equal(t, "18.43337 USD", s.Total.Billed.String(), "1,100,000 GB-s and 500,000 requests")
	for _, every := range []cost.Every{cost.Week, cost.Day, cost.Hour} {
		s := statement(t, cost.Calendar{Every: every}.Period(noon), x86, usage)
		assert.Equal(t, s.Total.List.String(), s.Total.Billed.String(), every)
	}
	berlin := cost.Calendar{Zone: zone(t, "Europe/Berlin")}.Period(noon)
	assert.Equal(t, s.Total.Billed.String(), statement(t, berlin, x86, usage).Total.Billed.String())
}

func TestFreeTierIsSharedInProportion(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	small, big := call(time.Second, 1024*mib), call(time.Second, 1024*mib)
	small.Tenant, big.Tenant = "small", "big"
	usage := append(calls(t, 200_000, small, x86), calls(t, 600_000, big, x86)...)
	s := statement(t, march(), x86, usage).By(cost.Tenant)
	require.Len(t, s.Rows, 2)
	assert.Equal(t, "300000", s.Rows[0].Charges[0].Free.RatString(), "big")
	assert.Equal(t, "100000", s.Rows[1].Charges[0].Free.RatString(), "small")
}

func TestSharesAreWholeFairAndComplete(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		used := make([]*big.Int, rng.IntN(6))
		total := new(big.Int)
		for i := range used {
			used[i] = big.NewInt(rng.Int64N(20))
			total.Add(total, used[i])
		}
		free := big.NewInt(rng.Int64N(60))
		given := new(big.Int)
		for i, share := range cost.ShareOut(free, used) {
			require.True(t, share.Sign() >= 0 && share.Cmp(used[i]) <= 0, "%s of %s: %s of %s", free, used, share, used[i])
			given.Add(given, share)
			if total.Cmp(free) > 0 { // each share is within one unit of the exact proportion
				exact := new(big.Rat).SetFrac(new(big.Int).Mul(free, used[i]), total)
				exact.Sub(exact, new(big.Rat).SetInt(share)).Abs(exact)
				require.Negative(t, exact.Cmp(big.NewRat(1, 1)))
			}
		}
		want := free
		if total.Cmp(free) < 0 {
			want = total
		}
		require.Zero(t, want.Cmp(given), "%s of %s", free, used)
	}
}

func TestGroupsAddUpToTheSameTotal(t *testing.T) {
	t.Parallel()
	run := preset(t, "gcp-cloud-run")
	usage := mixed(t, []*cost.Book{run}).Usage(noon)
	for i := range usage {
		usage[i] = usage[i].Times(100_003)
	}
	s := statement(t, march(), run, usage)
	rows := map[string]int{}
	for name, by := range map[string][]cost.Dimension{
		"all": nil, "function": {cost.Function}, "tenant": {cost.Tenant}, "team": {cost.Label("team")}, "none": {cost.Label("none")},
		"version × outcome": {cost.Version, cost.Outcome},
	} {
		g := s.By(by...)
		rows[name] = len(g.Rows)
		list, billed, calls := cost.Money{}, cost.Money{}, uint64(0)
		for _, row := range g.Rows {
			var err error
			list, err = list.Add(row.List)
			require.NoError(t, err)
			billed, err = billed.Add(row.Billed)
			require.NoError(t, err)
			if !row.Overrun {
				calls += row.Calls
			}
			for i, c := range row.Charges {
				product := c.UnitPrice.Mul(new(big.Rat).Sub(c.Quantity, c.Free))
				require.Equal(t, product.String(), row.Charges[i].Billed.String())
			}
		}
		assert.Equal(t, s.Total.List.String(), list.String(), name)
		assert.Equal(t, s.Total.Billed.String(), billed.String(), name)
		assert.Equal(t, s.Total.Calls, calls, name)
	}
	assert.Equal(t, map[string]int{"all": 2, "function": 5, "tenant": 17, "team": 5, "none": 2, "version × outcome": 4}, rows)
	order, err := s.Total.Billed.Cmp(s.Total.List)
	require.NoError(t, err)
	assert.Negative(t, order)
}

func TestTextTable(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	e := call(1500*time.Millisecond, 2048*mib)
	e.Tenant = "acme"
	l := record([]*cost.Book{x86}, e, e)
	e.Tenant, e.Outcome = "evil\x1b[31m\tcorp", faas.TimedOut
	l.Record(t.Context(), e)
	l.AddOverrun(noon, faas.Overrun{Function: "f", Tenant: "acme", Duration: 10 * time.Second, Memory: 1024 * mib})
	s := statement(t, aDay(), x86, l.Usage(noon))
	var out strings.Builder
	require.NoError(t, s.WriteText(&out))
	assert.Equal(t, strings.TrimLeft(`
2026-03-14T00:00:00Z to 2026-03-15T00:00:00Z
AWS Lambda, x86, us-east-1, prices of 2025-08-01
  function                tenant   outcome    calls       GB-s   request      list  billed USD
         f                  acme        OK        2   6.000000  2.000000  0.000100    0.000100
         f                  acme   Overrun        1  10.000000  0.000000  0.000167    0.000167
         f  "evil\x1b[31m\tcorp"  TimedOut        1   3.000000  1.000000  0.000050    0.000050
                                                  3  19.000000  3.000000  0.000317    0.000317
of it overruns: 0.000167
`, "\n"), out.String())

	out.Reset()
	require.NoError(t, s.By(cost.Function).WriteText(&out))
	assert.Contains(t, out.String(), "f  Overrun      1  10.000000")
}

func TestCSVQuotesWhatNeedsIt(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	e := call(time.Millisecond, 512*mib)
	e.Tenant = "a \"b\",\nc; ü"
	e.Labels = map[string]string{"team": "=1+1"}
	var out bytes.Buffer
	require.NoError(t, statement(t, aDay(), x86, calls(t, 10_000_000, e, x86)).WriteCSV(&out))
	lines, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, [][]string{
		{
			"period_start", "period_end", "book", "function", "tenant", "label:team", "outcome", "overrun", "calls",
			"memory GB-s", "memory free", "requests request", "requests free", "list", "billed", "currency",
		},
		{
			"2026-03-14T00:00:00Z", "2026-03-15T00:00:00Z", "aws-lambda-x86", "f", e.Tenant, "=1+1", "OK", "false", "10000000",
			"5000", "0", "10000000", "0", "2.0833335", "2.0833335", "USD",
		},
	}, lines)
}

func TestJSONIsExact(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	var out bytes.Buffer
	require.NoError(t, statement(t, aDay(), x86, calls(t, 10_000_000, call(time.Millisecond, 512*mib), x86)).WriteJSON(&out))
	var got struct {
		Period cost.Period
		Book   cost.About
		Rows   []struct {
			Key     map[string]string
			Calls   uint64
			Charges []struct{ Meter, Quantity, UnitPrice string }
			Billed  cost.Money
		}
		Total struct{ Billed cost.Money }
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Len(t, got.Rows, 1)
	assert.Equal(t, map[string]string{"function": "f", "outcome": "OK"}, got.Rows[0].Key)
	assert.Equal(t, "5000", got.Rows[0].Charges[0].Quantity)
	assert.Equal(t, "0.0000166667 USD", got.Rows[0].Charges[0].UnitPrice)
	assert.Equal(t, "2.0833335 USD", got.Total.Billed.String())
	assert.Equal(t, x86.About(), got.Book)
	assert.True(t, got.Period.Start.Equal(aDay().Start))
}

func TestEmptyStatementIsComplete(t *testing.T) {
	t.Parallel()
	s := statement(t, march(), preset(t, "gcp-cloud-run"), nil)
	assert.Equal(t, "0 USD", s.Total.Billed.String())
	assert.Len(t, s.Total.Charges, 3)
	for _, write := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return s.WriteText(b) }, func(b *bytes.Buffer) error { return s.WriteCSV(b) },
		func(b *bytes.Buffer) error { return s.WriteJSON(b) },
		func(b *bytes.Buffer) error { return s.WriteFOCUS(b, cost.Account{ID: "1"}) },
	} {
		var out bytes.Buffer
		require.NoError(t, write(&out))
		assert.NotEmpty(t, out.String())
	}
}

// broken is a writer whose disk is full.
type broken struct{}

var errFull = errors.New("disk full")

func (broken) Write([]byte) (int, error) { return 0, errFull }

func TestWritersReportWhatFails(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	l := record([]*cost.Book{x86}, call(time.Second, mib))
	s, err := l.Statement(noon, x86)
	require.NoError(t, err)
	require.ErrorIs(t, s.WriteText(broken{}), errFull)
	require.ErrorIs(t, s.WriteCSV(broken{}), errFull)
	require.ErrorIs(t, s.WriteJSON(broken{}), errFull)
	require.ErrorIs(t, s.WriteFOCUS(broken{}, cost.Account{ID: "1"}), errFull)
	require.ErrorIs(t, cost.Compare(march(), l.Usage(noon), x86).WriteText(broken{}), errFull)
}

func TestCompareShowsBooksSideBySideAndGuessesNone(t *testing.T) {
	t.Parallel()
	x86, flex, consumption := preset(t, "aws-lambda-x86"), preset(t, "azure-flex"), preset(t, "azure-consumption")
	usage := calls(t, 2_000_000, call(120*time.Millisecond, 2048*mib), x86, flex)
	c := cost.Compare(aDay(), usage, x86, consumption, flex)
	require.Len(t, c.Entries, 3)
	assert.Equal(t, "8.400016 USD", c.Entries[0].Statement.Total.List.String(), "480,000 GB-s")
	require.ErrorIs(t, c.Entries[1].Err, cost.ErrUnrated)
	assert.Equal(t, "104.8 USD", c.Entries[2].Statement.Total.List.String(), "4,000,000 GB-s")
	var out strings.Builder
	require.NoError(t, c.WriteText(&out))
	assert.Equal(t, strings.TrimLeft(`
2026-03-14T00:00:00Z to 2026-03-15T00:00:00Z
                                         book     region     compute  requests        list      billed     
                              AWS Lambda, x86  us-east-1    8.000016  0.400000    8.400016    8.400016  USD
                 Azure Functions, Consumption     eastus                                       unrated     
  Azure Functions, Flex Consumption on demand     eastus  104.000000  0.800000  104.800000  104.800000  USD
`, "\n")+c.Entries[1].Err.Error()+"\n", out.String())
}

func TestHandlerLearnsWhatItHasCostSoFar(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	synctest.Test(t, func(t *testing.T) {
		r := faas.New(faas.WithMiddleware(cost.Track(x86)))
		handler := func(ctx context.Context, _ struct{}) ([2]string, error) {
			time.Sleep(1500 * time.Microsecond)
			first, ok := cost.FromContext(ctx)
			assert.True(t, ok)
			time.Sleep(time.Second)
			second, _ := cost.FromContext(ctx)
			assert.Equal(t, 1001500*time.Microsecond, second.Elapsed)
			return [2]string{first.Cost.String(), second.Cost.String()}, nil
		}
		f := faas.Register(r, "f", handler, faas.WithMemory(1024*mib))
		got, err := f.Invoke(t.Context(), struct{}{})
		assert.NoError(t, err)
		assert.Equal(t, [2]string{"0.0000002333334 USD", "0.0000169000334 USD"}, got, "2 ms, 1,002 ms, and a request")
		assert.NoError(t, r.Close())
		synctest.Wait()
	})
	_, ok := cost.FromContext(t.Context())
	assert.False(t, ok, "outside of a call")
}
