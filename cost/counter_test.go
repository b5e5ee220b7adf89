package cost_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// listed returns the price of usage by a book, at list prices.
func listed(t require.TestingT, b *cost.Book, usage []cost.Usage) *big.Rat {
	sum := new(big.Rat)
	for _, u := range usage {
		charges, err := cost.NewRater(b).Rate(u)
		require.NoError(t, err)
		one := new(big.Rat)
		for _, c := range charges {
			one.Add(one, c.List.Amount())
		}
		list, err := cost.NewRater(b).List(u)
		require.NoError(t, err)
		require.Zero(t, one.Cmp(list.Amount()), "List is the sum of what Rate lists")
		sum.Add(sum, one)
	}
	return sum
}

func TestACounterCountsAsALedgerDoes(t *testing.T) {
	t.Parallel()
	books := append(cost.Presets(), series(t, eraBook(t, "2020-01-01", "1", "0", "0.1"), eraBook(t, "2026-03-15", "3", "0", "0.2")))
	rapid.Check(t, func(rt *rapid.T) {
		counter, ledger := cost.NewCounter(books...), cost.NewLedger(cost.Calendar{}, books...)
		sums := make([]cost.Sums, 2) // as if two processors had counted
		for range rapid.IntRange(0, 30).Draw(rt, "calls") {
			e := onDay(rapid.IntRange(13, 17).Draw(rt, "day"), rapid.IntRange(-1, 100).Draw(rt, "seconds"))
			e.Init = time.Duration(rapid.Int64Range(0, 1e9).Draw(rt, "init"))
			e.BytesOut = rapid.IntRange(0, 1<<20).Draw(rt, "bytes")
			counter.Add(&sums[rapid.IntRange(0, 1).Draw(rt, "processor")], &e)
			ledger.Record(t.Context(), e)
		}
		var all cost.Sums
		for i := range sums {
			counter.AddSums(&all, &sums[i])
		}
		usage, want := counter.Usage(cost.Key{Function: "f"}, 1<<30, &all), ledger.Usage(march().Start)
		var calls, wantCalls uint64
		for _, u := range usage {
			calls += u.Calls
		}
		for _, u := range want {
			wantCalls += u.Calls
		}
		assert.Equal(rt, wantCalls, calls)
		for _, b := range books {
			assert.Zero(rt, listed(rt, b, want).Cmp(listed(rt, b, usage)), b.About().Name)
		}
	})
}

func TestACounterKeepsOverrunsByTheTimeAtWhichTheyEnd(t *testing.T) {
	t.Parallel()
	b := series(t, eraBook(t, "2020-01-01", "1", "0", "0"), eraBook(t, "2026-03-15", "3", "0", "0"))
	counter := cost.NewCounter(b, nil)
	var sums cost.Sums
	assert.Empty(t, counter.Usage(cost.Key{}, 0, &sums), "nothing")
	o := faas.Overrun{Function: "f", Duration: 1500 * time.Millisecond, Memory: 1 << 30}
	change := time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC)
	counter.AddOverrun(&sums, change.Add(-time.Second), &o)
	counter.AddOverrun(&sums, change, &o)
	usage := counter.Usage(cost.Key{Function: "f", Overrun: true}, o.Memory, &sums)
	require.Len(t, usage, 2)
	assert.Equal(t, change, usage[0].Period.End)
	assert.Equal(t, "2", listed(t, b, usage[:1]).RatString(), "2 s of 1 GiB at 1")
	assert.Equal(t, "6", listed(t, b, usage[1:]).RatString())
	assert.Equal(t, int64(1500*time.Millisecond), usage[1].Duration().Int64())
}

func TestACounterWithoutDatesHasNoPeriodsAndAllocatesNothing(t *testing.T) {
	b := preset(t, "aws-lambda-x86").AnyTime()
	counter := cost.NewCounter(b)
	var sums cost.Sums
	e := onDay(1, 1)
	counter.Add(&sums, &e)
	usage := counter.Usage(cost.Key{Function: "f"}, e.Memory, &sums)
	require.Len(t, usage, 1)
	assert.Zero(t, usage[0].Period)
	assert.Zero(t, testing.AllocsPerRun(100, func() { counter.Add(&sums, &e) }))
}
