package cost_test

import (
	"context"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

const mib = 1 << 20

// noon is an instant in the middle of a month.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func preset(tb testing.TB, name string) *cost.Book {
	tb.Helper()
	b, err := cost.Preset(name)
	require.NoError(tb, err)
	return b
}

func money(tb testing.TB, s string) cost.Money {
	tb.Helper()
	m, err := cost.ParseMoney(s)
	require.NoError(tb, err)
	return m
}

func rat(tb testing.TB, s string) *big.Rat {
	tb.Helper()
	r, ok := new(big.Rat).SetString(s)
	require.True(tb, ok, s)
	return r
}

// call is a record of a call at noon.
func call(d time.Duration, memory int64) faas.Execution {
	return faas.Execution{Function: "f", Start: noon, Duration: d, Memory: memory}
}

// record adds records to a new ledger of months in UTC.
func record(books []*cost.Book, records ...faas.Execution) *cost.Ledger {
	l := cost.NewLedger(cost.Calendar{}, books...)
	for _, e := range records {
		l.Record(context.Background(), e)
	}
	return l
}

// calls returns the usage of n equal calls.
func calls(tb testing.TB, n uint64, e faas.Execution, books ...*cost.Book) []cost.Usage {
	tb.Helper()
	usage := record(books, e).Usage(noon)
	require.Len(tb, usage, 1)
	return []cost.Usage{usage[0].Times(n)}
}

// march returns the month that contains noon.
func march() cost.Period { return cost.Calendar{}.Period(noon) }

// aDay returns the day that contains noon. A day by itself has no free quantities.
func aDay() cost.Period { return cost.Calendar{Every: cost.Day}.Period(noon) }

func statement(tb testing.TB, p cost.Period, b *cost.Book, usage []cost.Usage) cost.Statement {
	tb.Helper()
	s, err := cost.NewStatement(p, b, usage)
	require.NoError(tb, err)
	return s
}

func listOf(s cost.Statement, meter string) string {
	for _, c := range s.Total.Charges {
		if c.Meter == meter {
			return c.List.String()
		}
	}
	return fmt.Sprintf("no meter %q", meter)
}
