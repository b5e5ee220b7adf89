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

// eraBook returns a book of a provider that changes its prices for GiB-seconds and requests.
func eraBook(tb testing.TB, effective, second, free, request string) *cost.Book {
	tb.Helper()
	return parse(tb, fmt.Sprintf(`{"name": "x", "title": "X", "provider": "x", "service": "x", "region": "x", "currency": "EUR", "effective": %q, "source": "x",
		"duration": {"granularity": "1s"}, "memory": {"step": "1GiB"},
		"prices": [{"meter": "memory", "unit": "GiB-s", "price": %q, "free": %q, "tiers": [{"above": "20", "price": "1"}]},
			{"meter": "requests", "unit": "request", "price": %q}]}`, effective, second, free, request))
}

func parse(tb testing.TB, text string) *cost.Book {
	tb.Helper()
	b, err := cost.ParseBook([]byte(text))
	require.NoError(tb, err)
	return b
}

func series(tb testing.TB, books ...*cost.Book) *cost.Book {
	tb.Helper()
	b, err := cost.NewSeries(books...)
	require.NoError(tb, err)
	return b
}

func onDay(day int, seconds int) faas.Execution {
	return faas.Execution{Function: "f", Start: time.Date(2026, 3, day, 12, 0, 0, 0, time.UTC), Duration: time.Duration(seconds) * time.Second, Memory: 1 << 30}
}

func TestAPeriodBeforeTheFirstBookIsRefused(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	at := time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC)
	e := call(time.Second, 128*mib)
	e.Start = at
	_, err := record([]*cost.Book{x86}, e).Statement(at, x86)
	require.ErrorIs(t, err, cost.ErrUnrated)
	require.ErrorContains(t, err, "no prices before 2022-09-01")

	_, err = cost.NewLedger(cost.Calendar{}, x86).Statement(at, x86)
	require.ErrorIs(t, err, cost.ErrUnrated, "also of nothing")

	today := x86.AnyTime()
	s, err := record([]*cost.Book{today}, e).Statement(at, today)
	require.NoError(t, err, "what it would cost today")
	assert.Empty(t, s.Book.Effective)
	assert.Equal(t, uint64(1), s.Total.Calls)
}

func TestAChangeWithinAMonthSplitsIt(t *testing.T) {
	t.Parallel()
	b := series(t, eraBook(t, "2026-03-15", "3", "10", "0.5"), eraBook(t, "2020-01-01", "2", "10", "0.25"))
	l := record([]*cost.Book{b}, onDay(14, 6), onDay(15, 30), onDay(1, 7))
	usage := l.Usage(noon)
	require.Len(t, usage, 2)
	assert.Equal(t, "2026-03-01T00:00:00Z to 2026-03-15T00:00:00Z", usage[0].Period.String())
	assert.Equal(t, "2026-03-15T00:00:00Z to 2026-04-01T00:00:00Z", usage[1].Period.String())

	s, err := l.Statement(noon, b)
	require.NoError(t, err)
	require.Len(t, s.Rows, 1, "one key")
	// 13 GiB-s at 2, of which the first 10 are free; then 7 at 3 up to 20, and 23 at 1.
	var lines []string
	for _, c := range s.Rows[0].Charges {
		lines = append(lines, fmt.Sprintf("%s since %s: %s, %s free, %s", c.Meter, c.Since, c.Quantity.RatString(), c.Free.RatString(), c.Billed))
	}
	assert.Equal(t, []string{
		"memory since 2020-01-01: 13, 10 free, 6 EUR",
		"requests since 2020-01-01: 2, 0 free, 0.5 EUR",
		"memory since 2026-03-15: 7, 0 free, 21 EUR",
		"memory since 2026-03-15: 23, 0 free, 23 EUR",
		"requests since 2026-03-15: 1, 0 free, 0.5 EUR",
	}, lines)
	assert.Equal(t, "51 EUR", s.Total.Billed.String())
	assert.Equal(t, uint64(3), s.Total.Calls)
	assert.Equal(t, "2026-03-15", s.Book.Effective)
	checkFOCUS(t, s)
	var csv bytes.Buffer
	require.NoError(t, s.WriteCSV(&csv))
	assert.Contains(t, csv.String(), "memory GiB-s since 2026-03-15 above 20")

	_, err = record([]*cost.Book{b.AnyTime()}, onDay(14, 6)).Statement(noon, b)
	require.ErrorContains(t, err, "was not metered apart", "a ledger that does not know of the change")
	require.ErrorIs(t, err, cost.ErrUnrated)
}

func TestAChangeGoesByTheCalendarsClocks(t *testing.T) {
	t.Parallel()
	auckland := zone(t, "Pacific/Auckland")
	b := series(t, eraBook(t, "2026-04-01", "3", "0", "0"), eraBook(t, "2020-01-01", "2", "0", "0"))
	l := cost.NewLedger(cost.Calendar{Zone: auckland}, b)
	e := onDay(31, 1)
	for _, hour := range []int{22, 23, 24, 25} { // in Auckland it is April from 11:00 UTC
		e.Start = time.Date(2026, 3, 31, hour-12, 59, 0, 0, time.UTC)
		l.Record(t.Context(), e)
	}
	for month, want := range map[time.Month]string{time.March: "2 EUR", time.April: "9 EUR"} {
		s, err := l.Statement(time.Date(2026, month, 20, 0, 0, 0, 0, auckland), b)
		require.NoError(t, err)
		assert.Equal(t, want, s.Total.Billed.String(), month)
	}
}

func TestInitializationIsBilledByLambdaSinceAugust2025(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"aws-lambda-x86", "aws-lambda-arm"} {
		b := preset(t, name)
		for month, want := range map[time.Month]int64{time.July: 100, time.August: 1100} {
			e := call(100*time.Millisecond, 1024*mib)
			e.Init, e.Start = time.Second, time.Date(2025, month, 15, 0, 0, 0, 0, time.UTC)
			s, err := record([]*cost.Book{b}, e).Statement(e.Start, b)
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprint(rat(t, fmt.Sprintf("%d/1000", want))), fmt.Sprint(s.Total.Charges[0].Quantity), "%s in %s", name, month)
		}
		require.Len(t, b.Series(), 2)
		assert.False(t, b.Series()[0].Rounding().Init)
	}
}

func TestBooksThatDontFollowEachOtherAreNoSeries(t *testing.T) {
	t.Parallel()
	first := eraBook(t, "2026-01-01", "3", "0", "0")
	for why, replace := range map[string][2]string{
		"two providers":  {`"provider": "x"`, `"provider": "y"`},
		"two currencies": {"EUR", "USD"},
		"same day":       {"2026-05-01", "2026-01-01"},
		"two units":      {"GiB-s", "GiB-min"},
	} {
		text := strings.Replace(`{"name": "x", "title": "X", "provider": "x", "service": "x", "region": "x", "currency": "EUR", "effective": "2026-05-01", "source": "x",
		"duration": {"granularity": "3s"}, "memory": {"step": "1GiB"}, "prices": [{"meter": "memory", "unit": "GiB-s", "price": "60"}]}`, replace[0], replace[1], 1)
		_, err := cost.NewSeries(first, parse(t, text))
		require.ErrorContains(t, err, why)
	}
	_, err := cost.NewSeries(nil)
	require.Error(t, err)
	again := series(t, series(t, first, eraBook(t, "2026-02-01", "3", "0", "0")), eraBook(t, "2025-02-01", "3", "0", "0"))
	require.Len(t, again.Series(), 3, "a series in a series")
	assert.Equal(t, "2025-02-01", again.Series()[0].About().Effective)
}
