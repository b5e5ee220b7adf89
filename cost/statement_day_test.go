package cost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func TestTheDaysOfAMonthAddUpToTheMonth(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	for name, calendar := range map[string]cost.Calendar{"UTC": {}, "New York": {Zone: zone(t, "America/New_York")}} {
		month, days := cost.NewLedger(calendar, x86), cost.NewLedger(cost.Calendar{Every: cost.Day, Zone: calendar.Zone}, x86)
		for day := range 31 {
			e := faas.Execution{Function: "f", Tenant: "a", Duration: 4 * time.Hour, Memory: 1 << 30}
			e.Start = time.Date(2026, 3, day+1, 12, 0, 0, 0, time.UTC)
			month.Record(t.Context(), e)
			days.Record(t.Context(), e)
		}
		whole, err := month.Statement(noon, x86)
		require.NoError(t, err)
		assert.Equal(t, "0.77333488 USD", whole.Total.Billed.String(), "446,400 GB-s, of which 400,000 are free")
		sum := cost.Money{}
		for day := range 31 {
			s, err := days.Statement(time.Date(2026, 3, day+1, 12, 0, 0, 0, time.UTC), x86)
			require.NoError(t, err)
			assert.Equal(t, day >= 27, s.Total.Billed.Sign() > 0, "%d: the free ones are used up on the 28th", day+1)
			sum, err = sum.Add(s.Total.Billed)
			require.NoError(t, err)
		}
		assert.Equal(t, whole.Total.Billed.String(), sum.String(), name)
	}
}

func TestADaysStatementNeedsTheDaysBeforeIt(t *testing.T) {
	t.Parallel()
	x86 := preset(t, "aws-lambda-x86")
	l := cost.NewLedger(cost.Calendar{Every: cost.Day}, x86)
	for day := 1; day <= 31; day++ {
		e := call(time.Hour, 1024*mib)
		e.Start = time.Date(2026, 3, day, 1, 0, 0, 0, time.UTC)
		l.Record(t.Context(), e)
	}
	at := func(day int) error {
		_, err := l.Statement(time.Date(2026, 3, day, 3, 0, 0, 0, time.UTC), x86)
		return err
	}
	require.NoError(t, at(31))
	l.Forget(time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC))
	require.ErrorIs(t, at(31), cost.ErrPeriod)
	require.ErrorIs(t, at(5), cost.ErrPeriod)
	require.NoError(t, at(32), "another month")

	for _, p := range []cost.Period{{}, {Start: noon, End: noon}, cost.Calendar{Every: cost.Week}.Period(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))} {
		_, err := cost.NewDayStatement(p, x86, nil, nil)
		require.ErrorIs(t, err, cost.ErrPeriod, p)
	}
}

// priceList has the numbers of a book, for the oracle. They are written twice, here and as
// JSON, because the oracle must not use the book.
type priceList struct {
	grain, minimum time.Duration
	init           bool
	step, least    int64 // MiB
	free           int64 // GB-s
	bounds         []int64
	prices         []int64 // for a GB-s, in millionths: the first price, and the price above each bound
	request        int64   // for a request, in millionths
	freeRequests   int64
	fee            int64 // a month
}

func drawPriceList(rng *rand.Rand) priceList {
	p := priceList{
		grain: []time.Duration{time.Millisecond, 100 * time.Millisecond, time.Second}[rng.IntN(3)], init: rng.IntN(2) == 0,
		step: []int64{1, 64, 128}[rng.IntN(3)], free: rng.Int64N(300), request: rng.Int64N(50), freeRequests: rng.Int64N(40), fee: rng.Int64N(2) * 5,
	}
	p.minimum, p.least = p.grain*time.Duration(rng.IntN(3)), p.step*rng.Int64N(3)
	p.prices = append(p.prices, 1+rng.Int64N(900))
	for range rng.IntN(4) {
		last := int64(0)
		if n := len(p.bounds); n > 0 {
			last = p.bounds[n-1]
		}
		p.bounds = append(p.bounds, last+1+rng.Int64N(200))
		p.prices = append(p.prices, 1+rng.Int64N(900))
	}
	return p
}

func (p priceList) book(tb testing.TB) *cost.Book {
	tb.Helper()
	type object = map[string]any
	millionths := func(n int64) string { return big.NewRat(n, 1e6).FloatString(6) }
	memory := object{"meter": "memory", "unit": "GB-s", "price": millionths(p.prices[0]), "free": fmt.Sprint(p.free)}
	var tiers []object
	for i, bound := range p.bounds {
		tiers = append(tiers, object{"above": fmt.Sprint(bound), "price": millionths(p.prices[i+1])})
	}
	if tiers != nil {
		memory["tiers"] = tiers
	}
	prices := []object{memory, {"meter": "requests", "unit": "request", "price": millionths(p.request), "free": fmt.Sprint(p.freeRequests)}}
	if p.fee > 0 {
		prices = append(prices, object{"meter": "base", "unit": "month", "price": fmt.Sprint(p.fee)})
	}
	text, err := json.Marshal(object{
		"name": "drawn", "title": "Drawn", "provider": "none", "service": "none", "region": "none", "currency": "EUR", "effective": "2026-01-01",
		"source": "a test", "gb": "1024MiB",
		"duration": object{"granularity": p.grain.String(), "minimum": p.minimum.String(), "init": p.init},
		"memory":   object{"step": fmt.Sprint(p.step, "MiB"), "minimum": fmt.Sprint(p.least, "MiB")},
		"prices":   prices,
	})
	require.NoError(tb, err)
	b, err := cost.ParseBook(text)
	require.NoError(tb, err, "%s", text)
	return b
}

// gbSeconds returns the GB-seconds that one call is billed for.
func (p priceList) gbSeconds(e faas.Execution) *big.Rat {
	d := e.Duration
	if p.init {
		d += e.Init
	}
	if rest := d % p.grain; rest > 0 {
		d += p.grain - rest
	}
	d = max(p.minimum, d)
	memory := max(p.least, (e.Memory/mib+p.step-1)/p.step*p.step)
	return new(big.Rat).Mul(big.NewRat(int64(d), 1e9), big.NewRat(memory, 1024))
}

// ladder returns the price of a month's usage from one quantity up to another.
func (p priceList) ladder(from, to *big.Rat) *big.Rat {
	sum, low := new(big.Rat), new(big.Rat)
	for i, price := range p.prices {
		high := to
		if i < len(p.bounds) {
			high = big.NewRat(p.bounds[i], 1)
		}
		begin, end := later(low, from), earlier(high, to)
		if begin.Cmp(end) < 0 {
			part := new(big.Rat).Sub(end, begin)
			sum.Add(sum, part.Mul(part, big.NewRat(price, 1e6)))
		}
		low = high
	}
	return sum
}

func later(a, b *big.Rat) *big.Rat {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

func earlier(a, b *big.Rat) *big.Rat {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

// billed returns the price of a month up to a day: the list price of all usage except the
// free quantity.
func (p priceList) billed(used *big.Rat, requests int64) *big.Rat {
	sum := p.ladder(earlier(big.NewRat(p.free, 1), used), used)
	sum.Add(sum, new(big.Rat).Mul(big.NewRat(max(0, requests-p.freeRequests), 1), big.NewRat(p.request, 1e6)))
	return sum.Add(sum, big.NewRat(p.fee, 1))
}

// The test compares the bills for 20,000 random calls, by months and by days, with an oracle
// that uses nothing of the package: the oracle integrates list prices over the usage.
func TestMonthsDaysAndPartsAgreeWithAnOracle(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 12))
	months, each := 200, 100
	if testing.Short() || raceEnabled {
		months = 20
	}
	for range months {
		p := drawPriceList(rng)
		book := p.book(t)
		month, days := cost.NewLedger(cost.Calendar{}, book), cost.NewLedger(cost.Calendar{Every: cost.Day}, book)
		var used [32]*big.Rat
		var requests [32]int64
		for i := range used {
			used[i] = new(big.Rat)
		}
		for range each {
			e := faas.Execution{
				Function: fmt.Sprint("f", rng.IntN(2)), Tenant: fmt.Sprint("t", rng.IntN(4)), Memory: (1 + rng.Int64N(3000)) * mib,
				Duration: time.Duration(rng.Int64N(int64(8 * time.Second))), Init: time.Duration(rng.Int64N(int64(time.Second))),
			}
			day := 1 + rng.IntN(31)
			e.Start = time.Date(2026, 3, day, rng.IntN(23), 0, 0, 0, time.UTC)
			month.Record(context.Background(), e)
			days.Record(context.Background(), e)
			used[day].Add(used[day], p.gbSeconds(e))
			requests[day]++
		}
		agree(t, p, book, month, days, used, requests)
	}
}

func agree(t *testing.T, p priceList, book *cost.Book, month, days *cost.Ledger, used [32]*big.Rat, requests [32]int64) {
	t.Helper()
	whole, err := month.Statement(noon, book)
	require.NoError(t, err)
	sum, toDate, calls := new(big.Rat), new(big.Rat), int64(0)
	before := new(big.Rat)
	for day := 1; day <= 31; day++ {
		s, err := days.Statement(time.Date(2026, 3, day, 5, 0, 0, 0, time.UTC), book)
		require.NoError(t, err)
		toDate.Add(toDate, used[day])
		calls += requests[day]
		want := p.billed(toDate, calls)
		sameAmount(t, new(big.Rat).Sub(want, before), s.Total.Billed, "%+v: day %d", p, day)
		before = want
		sum.Add(sum, s.Total.Billed.Amount())
		if day%6 == 0 {
			partsAddUp(t, s)
		}
	}
	sameAmount(t, p.billed(toDate, calls), whole.Total.Billed, "%+v", p)
	sameAmount(t, sum, whole.Total.Billed, "%+v", p)
	partsAddUp(t, whole)
	fairShares(t, p, whole)
}

func sameAmount(t *testing.T, want *big.Rat, got cost.Money, message string, args ...any) {
	t.Helper()
	require.Equal(t, want.RatString(), got.Amount().RatString(), append([]any{message}, args...)...)
}

// partsAddUp checks that the statements of all tenants add up to the whole.
func partsAddUp(t *testing.T, s cost.Statement) {
	t.Helper()
	sum, calls := new(big.Rat), uint64(0)
	for _, tenant := range []string{"", "t0", "t1", "t2", "t3"} {
		part := s.Only(cost.Tenant, tenant)
		sum.Add(sum, part.Total.Billed.Amount())
		calls += part.Total.Calls
		rows := new(big.Rat)
		for _, row := range part.Rows {
			require.Equal(t, tenant, row.Tenant)
			rows.Add(rows, row.Billed.Amount())
		}
		sameAmount(t, rows, part.Total.Billed, tenant)
	}
	sameAmount(t, sum, s.Total.Billed, "all tenants")
	require.Equal(t, s.Total.Calls, calls)
}

// fairShares checks that each row has its part of the free quantity, to within one billed
// unit for each tier.
func fairShares(t *testing.T, p priceList, s cost.Statement) {
	t.Helper()
	unit := new(big.Rat).Mul(big.NewRat(int64(p.grain), 1e9), big.NewRat(p.step, 1024))
	allowed := new(big.Rat).Mul(unit, big.NewRat(2*int64(len(p.prices)), 1))
	row := func(r cost.Row) (used, free *big.Rat) {
		used, free = new(big.Rat), new(big.Rat)
		for _, c := range r.Charges {
			if c.Meter == "memory" {
				used.Add(used, c.Quantity)
				free.Add(free, c.Free)
			}
		}
		return used, free
	}
	total, free := row(s.Total)
	if total.Sign() == 0 {
		return
	}
	for _, r := range s.Rows {
		used, got := row(r)
		want := new(big.Rat).Quo(new(big.Rat).Mul(free, used), total)
		off := new(big.Rat).Sub(got, want)
		require.LessOrEqual(t, off.Abs(off).Cmp(allowed), 0, "%+v: %s of %s free, in proportion %s", p, got.FloatString(6), used.FloatString(6), want.FloatString(6))
	}
}
