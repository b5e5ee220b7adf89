package cost_test

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// offer is a random price list, in the terms in which a provider describes one. Prices are in
// cents, for a GiB-second and for a request.
type offer struct {
	from          int // the day of March from which it is in force; 0: since long before
	fee           int64
	init          bool
	minimum       int64 // seconds
	meters        [2]terms
	processorCent int64 // for a second; 0 if processor time is not billed
}

// terms are the prices of one meter.
type terms struct {
	free   int64
	bounds []int64
	prices []int64 // one more than there are bounds
}

func draw(rng *rand.Rand) []offer {
	var all []offer
	processor := rng.Int64N(3)
	for i := range 1 + rng.IntN(3) {
		o := offer{fee: rng.Int64N(3) * 500, init: rng.IntN(2) == 0, minimum: rng.Int64N(3), processorCent: processor}
		if i > 0 {
			o.from = all[i-1].from + 1 + rng.IntN(12)
		}
		for m := range o.meters {
			t := terms{prices: []int64{1 + rng.Int64N(9)}}
			if rng.IntN(3) > 0 {
				t.free = rng.Int64N(60)
			}
			bound := int64(0)
			for range rng.IntN(3) {
				bound += 1 + rng.Int64N(40)
				t.bounds, t.prices = append(t.bounds, bound), append(t.prices, 1+rng.Int64N(9))
			}
			o.meters[m] = t
		}
		all = append(all, o)
	}
	return all
}

// book writes the offer as a price list.
func (o offer) book(tb testing.TB) *cost.Book {
	tb.Helper()
	effective := "2020-01-01"
	if o.from > 0 {
		effective = fmt.Sprintf("2026-03-%02d", o.from)
	}
	prices := []string{fmt.Sprintf(`{"meter": "base", "unit": "month", "price": %q}`, cents(o.fee))}
	for i, head := range []string{`{"meter": "memory", "unit": "GiB-s"`, `{"meter": "requests", "unit": "request"`} {
		t := o.meters[i]
		line := fmt.Sprintf(`%s, "price": %q, "free": "%d"`, head, cents(t.prices[0]), t.free)
		var tiers []string
		for k, bound := range t.bounds {
			tiers = append(tiers, fmt.Sprintf(`{"above": "%d", "price": %q}`, bound, cents(t.prices[k+1])))
		}
		if len(tiers) > 0 {
			line += `, "tiers": [` + strings.Join(tiers, ", ") + "]"
		}
		prices = append(prices, line+"}")
	}
	if o.processorCent > 0 {
		prices = append(prices, fmt.Sprintf(`{"meter": "processor", "unit": "s", "price": %q}`, cents(o.processorCent)))
	}
	return parse(tb, fmt.Sprintf(`{"name": "x", "title": "X", "provider": "x", "service": "x", "region": "x", "currency": "EUR", "effective": %q, "source": "x",
		"duration": {"granularity": "1s", "minimum": "%ds", "init": %t}, "memory": {"step": "1GiB"}, "prices": [%s]}`,
		effective, o.minimum, o.init, strings.Join(prices, ", ")))
}

func cents(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// account counts what was used in a month, unit by unit.
type account struct{ used [2]int64 }

// add counts n more units of a meter, one by one, and returns their price in cents.
func (a *account) add(meter int, t terms, n int64) (total int64) {
	for range n {
		position := a.used[meter]
		a.used[meter]++
		if position < t.free {
			continue
		}
		tier := 0
		for tier < len(t.bounds) && position >= t.bounds[tier] {
			tier++
		}
		total += t.prices[tier]
	}
	return total
}

// bill counts a call, and returns its price in cents.
func (a *account) bill(offers []offer, e faas.Execution) int64 {
	o := offers[0]
	for _, later := range offers {
		if e.Start.Day() >= later.from {
			o = later
		}
	}
	ns := int64(e.Duration)
	if o.init {
		ns += int64(e.Init)
	}
	seconds := max((ns+999_999_999)/1_000_000_000, o.minimum)
	gib := (e.Memory + 1<<30 - 1) >> 30
	processor := (int64(e.Duration) + 999_999_999) / 1_000_000_000
	return a.add(0, o.meters[0], seconds*gib) + a.add(1, o.meters[1], 1) + processor*o.processorCent
}

// marchCalls returns calls of a few tenants, in the order of time. Each begins at noon of a
// day.
func marchCalls(rng *rand.Rand) []faas.Execution {
	all := make([]faas.Execution, rng.IntN(12))
	for i := range all {
		all[i] = faas.Execution{
			Function: "f", Tenant: string(rune('a' + rng.IntN(3))), Memory: rng.Int64N(3<<30) + 1,
			Start: time.Date(2026, 3, 1+rng.IntN(31), 12, 0, 0, 0, time.UTC), Duration: time.Duration(rng.Int64N(12e9)),
		}
		if rng.IntN(3) == 0 {
			all[i].Init = time.Duration(rng.Int64N(3e9))
		}
	}
	slices.SortStableFunc(all, func(x, y faas.Execution) int { return x.Start.Compare(y.Start) })
	return all
}

// TestBillsAgreeWithOnesThatAreCountedUnitByUnit compares tiers, free quantities, series of
// books, base fees and the days of a month with a count of single units. The count uses
// nothing of the package but the text of the price list.
func TestBillsAgreeWithOnesThatAreCountedUnitByUnit(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(20, 26))
	usages := 20_000
	if testing.Short() || raceEnabled {
		usages = 500
	}
	for i := range usages {
		offers := draw(rng)
		var books []*cost.Book
		for _, o := range offers {
			books = append(books, o.book(t))
		}
		b := series(t, books...)
		calls := marchCalls(rng)
		perDay := map[int]int64{1: offers[0].fee} // the base fee is that of the offer in force when the month begins
		if len(offers) > 1 && offers[1].from == 1 {
			perDay[1] = offers[1].fee
		}
		month := perDay[1]
		var a account
		for _, e := range calls {
			n := a.bill(offers, e)
			perDay[e.Start.Day()] += n
			month += n
		}
		s, err := record([]*cost.Book{b}, calls...).Statement(noon, b)
		require.NoError(t, err)
		require.Equal(t, big.NewRat(month, 100).RatString(), s.Total.Billed.Amount().RatString(), "%+v %+v", offers, calls)
		if i%100 == 0 {
			checkFOCUS(t, s)
		}
		if i%20 == 0 {
			daysAgree(t, b, calls, perDay, s)
		}
	}
}

// daysAgree compares each day with the count, and the sum of the days with the month.
func daysAgree(t *testing.T, b *cost.Book, calls []faas.Execution, perDay map[int]int64, month cost.Statement) {
	t.Helper()
	l := daily([]*cost.Book{b}, calls...)
	var before []cost.Usage
	var days []cost.Statement
	for day := 1; day <= 31; day++ {
		at := time.Date(2026, 3, day, 1, 0, 0, 0, time.UTC)
		usage := l.Usage(at)
		s, err := cost.NewDayStatement(l.Period(at), b, before, usage)
		require.NoError(t, err)
		require.Equal(t, big.NewRat(perDay[day], 100).RatString(), s.Total.Billed.Amount().RatString(), "day %d of %+v", day, calls)
		before = append(before, usage...)
		days = append(days, s)
	}
	var out bytes.Buffer
	require.NoError(t, focusForm(t, "1.2").Write(&out, cost.Account{ID: "1"}, days...))
	_, rows := readRows(t, &out)
	sums := sumsOf(t, rows)
	require.Equal(t, month.Total.Billed.Amount().RatString(), sums["BilledCost"].RatString())
	require.Equal(t, fmt.Sprint(month.Total.Calls), sums["x_Calls"].RatString())
	for _, row := range rows {
		require.Equal(t, "2026-03-01T00:00:00Z", row["BillingPeriodStart"])
		require.Equal(t, "2026-04-01T00:00:00Z", row["BillingPeriodEnd"])
	}
}
