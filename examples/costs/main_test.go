package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// TestRun runs the program in virtual time: the live part takes no real time, and its clock begins at
// midnight.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "new")
		var stdout, stderr bytes.Buffer
		start := time.Now()
		require.NoError(t, run(t.Context(), []string{"-out", dir}, &stdout, &stderr))
		require.Less(t, time.Since(start), 2*time.Second)
		out := stdout.String()
		t.Logf("\n%s", out)
		require.Empty(t, stderr.String(), "no running total where there is no terminal")

		require.Contains(t, out, "want 100000 calls")
		require.Contains(t, out, "initech was stopped on day 19.")
		for _, book := range append(cost.Presets(), mustBooks(t).all...) {
			require.Contains(t, out, book.About().Title)
		}
		require.NotContains(t, out, "unrated")

		file := find(t, out, `FOCUS rows, which add up to exactly \S+ USD: (.+)`)
		require.Equal(t, filepath.Join(dir, "focus-2026-03.csv"), file)
		sum, _ := readFOCUS(t, file)
		require.Positive(t, sum.Sign())
		require.Zero(t, sum.Cmp(money(t, find(t, out, `add up to exactly (\S+ USD)`)).Amount()))

		require.Positive(t, number(t, out, `(\d+) calls refused by the budget`))
		require.Contains(t, out, `eager is told: faas: invoke "summarize" refused (budget)`)
		require.Equal(t, number(t, out, `(\d+) admitted`), number(t, out, `(\d+) on the bill`))
		require.Regexp(t, `Retry after: 23h59m5\ds`, out)
	})
}

// TestSmall runs a tenth of the default month's calls, with a tenth of the budget.
func TestSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), []string{"-calls", "10000", "-budget", "0.225 USD", "-out", t.TempDir()}, &out, io.Discard))
		require.Contains(t, out.String(), "initech was stopped on day 19.")
		require.Contains(t, out.String(), "add up to exactly 0 USD", "all of it is within the free tier")
	})
}

// TestMonth compares every sum of the default month with a sum from another source.
func TestMonth(t *testing.T) {
	cfg, err := parse(nil, io.Discard)
	require.NoError(t, err)
	calls := newTraffic(cfg.seed, cfg.calls)
	m := replayed(t, cfg.budget, calls)
	bill, saved := m.statements(t)

	// The billed amount must equal the sum of a rater's results for the single calls.
	want := rated(t, m.books.lambda, calls)
	got, err := bill.Total.List.Add(saved.Total.List)
	require.NoError(t, err)
	requireEqual(t, want, got)
	require.EqualValues(t, len(calls), bill.Total.Calls+saved.Total.Calls)

	require.Len(t, bill.By(cost.Tenant).Rows, len(tenants))
	for _, row := range bill.By(cost.Tenant).Rows {
		s := m.tenants[row.Tenant]
		require.EqualValues(t, s.wanted-s.refused, row.Calls, row.Tenant)
		b, ok := m.budgets.Balance(plan, row.Tenant)
		require.True(t, ok)
		requireEqual(t, row.List, b.Spent.Money())
		requireEqual(t, cost.Money{}, b.Excess.Money())
		over, err := b.Spent.Money().Cmp(b.Limit.Money())
		require.NoError(t, err)
		require.LessOrEqual(t, over, 0, "with reservation a budget is never exceeded")
		require.Equal(t, row.Tenant == looping, s.refused > 0, row.Tenant)
	}
	s := m.tenants[looping]
	require.Equal(t, 19, s.stopped.Day())
	require.Equal(t, 19, s.lastCall.Day(), "small calls fit in for some hours more, but not for days")
	require.True(t, s.warned.After(loopStart) && s.warned.Before(s.stopped))
}

// TestFOCUS compares the file with the statement it was made of.
func TestFOCUS(t *testing.T) {
	m := replayed(t, money(t, "10 USD"), newTraffic(1, 50_000))
	bill, _ := m.statements(t)
	file, err := writeFOCUS(bill, t.TempDir())
	require.NoError(t, err)
	sum, tenantsOf := readFOCUS(t, file)
	require.Positive(t, sum.Sign())
	require.Zero(t, sum.Cmp(bill.Total.Billed.Amount()))
	for _, row := range bill.By(cost.Tenant).Rows {
		require.Zero(t, tenantsOf[row.Tenant].Cmp(row.Billed.Amount()), row.Tenant)
	}
}

// TestNoBudgetSpent has a budget that is large enough even for the loop.
func TestNoBudgetSpent(t *testing.T) {
	m := replayed(t, money(t, "100 USD"), newTraffic(1, 1000))
	var out bytes.Buffer
	require.NoError(t, m.print(&out, t.TempDir()))
	require.Contains(t, out.String(), "No budget was spent.")
	require.NotContains(t, out.String(), "stopped")
}

func TestTraffic(t *testing.T) {
	calls := newTraffic(7, 5000)
	require.Len(t, calls, 5000)
	require.Equal(t, calls, newTraffic(7, 5000), "the same seed, the same month")
	require.NotEqual(t, calls, newTraffic(8, 5000))
	outcomes := make(map[faas.Outcome]int)
	for i, c := range calls {
		r := c.record
		outcomes[r.Outcome]++
		require.Equal(t, r.Outcome == faas.OK, r.Err == nil)
		require.False(t, r.Start.Before(monthStart) || !r.Start.Add(r.Duration).Before(monthEnd))
		require.Positive(t, r.Duration)
		require.LessOrEqual(t, r.Duration, c.timeout)
		require.False(t, i > 0 && r.Start.Before(calls[i-1].record.Start))
		require.False(t, i > 0 && r.ID == calls[i-1].record.ID)
	}
	for _, o := range []faas.Outcome{faas.OK, faas.Failed, faas.Panicked, faas.TimedOut, faas.Canceled} {
		require.Positive(t, outcomes[o], o)
	}
}

func TestWhereItIsNoon(t *testing.T) {
	month := time.Date(2026, time.July, 31, 0, 0, 0, 0, time.UTC)
	for now := month; now.Before(month.AddDate(0, 0, 2)); now = now.Add(1234567 * time.Millisecond) {
		zone := whereItIsNoon(now)
		y, m, d := now.In(zone).Date()
		noon := time.Date(y, m, d, 12, 0, 0, 0, zone)
		require.WithinDuration(t, noon, now, time.Second)
		p := cost.Calendar{Zone: zone}.Period(now)
		require.True(t, p.Contains(now.Add(11*time.Hour)) && p.Contains(now.Add(-11*time.Hour)), now)
	}
}

// TestLive also draws on a screen.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stdout, screen bytes.Buffer
		start := time.Now()
		require.NoError(t, live(t.Context(), mustBooks(t).lambda, 3*time.Second, &stdout, &screen))
		require.Less(t, time.Since(start), 3*time.Second+250*time.Millisecond)
		out := stdout.String()
		t.Logf("\n%s", out)

		require.Positive(t, number(t, out, `(?m)^ *eager +\d+ +0 +(\d+)`))
		require.Zero(t, number(t, out, `(?m)^ *calm +\d+ +0 +(\d+)`))
		require.Zero(t, number(t, out, `(?m)^ *steady +\d+ +0 +(\d+)`))
		answered := 0
		for _, a := range agents {
			answered += number(t, out, `(?m)^ *`+a.tenant+` +(\d+)`)
		}
		require.Equal(t, answered, number(t, out, `(\d+) on the bill`))

		lines := strings.Split(screen.String(), "\r")
		require.Greater(t, len(lines), 40)
		require.Equal(t, "0 calls, 0.000000000 USD so far, 0 refused ", lines[1])
		require.NotEqual(t, lines[2], lines[len(lines)-2])
		require.Equal(t, "\x1b[K", lines[len(lines)-1], "the line is taken away")
		require.NotContains(t, screen.String(), "\n")
	})
}

func TestInterrupted(t *testing.T) {
	t.Run("month", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out bytes.Buffer
		require.NoError(t, run(ctx, []string{"-calls", "100", "-out", t.TempDir()}, &out, io.Discard))
		require.Contains(t, out.String(), "Interrupted: these are the numbers so far.")
		require.NotContains(t, out.String(), "Live")
	})
	t.Run("live", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 310*time.Millisecond)
			defer cancel()
			var out bytes.Buffer
			start := time.Now()
			require.NoError(t, live(ctx, mustBooks(t).lambda, time.Hour, &out, io.Discard))
			require.Less(t, time.Since(start), 600*time.Millisecond)
			require.Contains(t, out.String(), "Interrupted; the calls that had begun were finished.")
			require.Zero(t, number(t, out.String(), `(\d+) calls refused`))
			require.Equal(t, number(t, out.String(), `(\d+) admitted`), number(t, out.String(), `(\d+) on the bill`))
		})
	})
}

func TestMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, args := range map[string][]string{
		"no calls":           {"-calls", "0"},
		"live for less":      {"-live", "-1s"},
		"not money":          {"-budget", "much"},
		"another currency":   {"-budget", "1 EUR"},
		"arguments":          {"what"},
		"no such flag":       {"-tenant", "me"},
		"not a directory":    {"-calls", "10", "-out", file},
		"a negative budget ": {"-budget", "-1 USD"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, run(t.Context(), args, io.Discard, io.Discard))
		})
	}
	require.NoError(t, run(t.Context(), []string{"-h"}, io.Discard, io.Discard))
}

func mustBooks(t *testing.T) books {
	t.Helper()
	b, err := loadBooks()
	require.NoError(t, err)
	return b
}

func replayed(t *testing.T, budget cost.Money, calls []call) *month {
	t.Helper()
	m, err := newMonth(mustBooks(t), budget)
	require.NoError(t, err)
	require.True(t, m.replay(t.Context(), calls))
	return m
}

func (m *month) statements(t *testing.T) (bill, saved cost.Statement) {
	t.Helper()
	bill, err := m.ledger.Statement(monthStart, m.books.lambda)
	require.NoError(t, err)
	saved, err = m.refused.Statement(monthStart, m.books.lambda)
	require.NoError(t, err)
	return bill, saved
}

// rated adds up the results of a rater for each call.
func rated(t *testing.T, book *cost.Book, calls []call) cost.Money {
	t.Helper()
	rater, sum := cost.NewRater(book), new(big.Rat)
	for _, c := range calls {
		price, err := rater.Call(c.record)
		if err != nil {
			t.Fatal(err)
		}
		sum.Add(sum, price.Amount())
	}
	return cost.NewMoney(sum, book.About().Currency)
}

// readFOCUS checks each row of a file, and adds up all rows, and those of each tenant.
func readFOCUS(t *testing.T, file string) (sum *big.Rat, byTenant map[string]*big.Rat) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	require.Greater(t, len(rows), 1)
	sum, byTenant = new(big.Rat), make(map[string]*big.Rat)
	for _, row := range rows[1:] {
		field := func(name string) string {
			for i, title := range rows[0] {
				if title == name {
					return row[i]
				}
			}
			t.Fatalf("no column %s", name)
			return ""
		}
		billed := rat(t, field("BilledCost"))
		require.Zero(t, billed.Cmp(new(big.Rat).Mul(rat(t, field("PricingQuantity")), rat(t, field("ListUnitPrice")))))
		require.Equal(t, "USD", field("BillingCurrency"))
		require.Equal(t, "2026-03-01T00:00:00Z", field("ChargePeriodStart"))
		sum.Add(sum, billed)
		tenant := field("SubAccountId")
		if byTenant[tenant] == nil {
			byTenant[tenant] = new(big.Rat)
		}
		byTenant[tenant].Add(byTenant[tenant], billed)
	}
	return sum, byTenant
}

func rat(t *testing.T, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	require.True(t, ok, "%q is not a number", s)
	return r
}

func money(t *testing.T, s string) cost.Money {
	t.Helper()
	m, err := cost.ParseMoney(s)
	require.NoError(t, err)
	return m
}

func requireEqual(t *testing.T, want, got cost.Money) {
	t.Helper()
	diff, err := want.Cmp(got)
	require.NoError(t, err)
	require.Zero(t, diff, "want %s, got %s", want, got)
}

// find returns the part of the text that the parentheses of a pattern match.
func find(t *testing.T, text, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, match, "%s in\n%s", pattern, text)
	return match[1]
}

func number(t *testing.T, text, pattern string) int {
	t.Helper()
	n, err := strconv.Atoi(find(t, text, pattern))
	require.NoError(t, err)
	return n
}
