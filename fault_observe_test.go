package faas_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
)

// observer has the meters that count the calls of a case, each in its own way.
type observer struct {
	book     *cost.Book
	ledger   *cost.Ledger
	recorder *observe.Recorder
}

func newObserver() *observer {
	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		panic(err)
	}
	book = book.AnyTime() // a bubble's clock begins before the prices are valid
	return &observer{book, cost.NewLedger(cost.Calendar{}, book), observe.NewRecorder(observe.WithBooks(book))}
}

func (o *observer) option() faas.RouterOption {
	return faas.WithOptions(faas.WithMeter(o.ledger), faas.WithMeter(o.recorder), faas.WithRefusals(o.recorder.Refused))
}

// check compares the recorder's counts with the ledger and with Stats.
func (o *observer) check(t *testing.T, records []faas.Execution, s faas.Stats) {
	t.Helper()
	var calls uint64
	refused, byOutcome := map[faas.Reason]uint64{}, map[faas.Outcome]uint64{}
	for one := range o.recorder.Snapshot() {
		calls += one.Outcomes.Calls()
		assert.Equal(t, one.Outcomes.Calls(), one.Run.Count())
		for outcome, n := range one.Outcomes {
			if n > 0 {
				byOutcome[faas.Outcome(outcome)] += n
			}
		}
		for _, c := range one.Refusals {
			refused[c.Reason] += c.Count
		}
	}
	assert.Equal(t, s.Admitted, calls, "admitted, seen")
	assert.Equal(t, s.Rejected, refused, "refused, seen")
	for _, e := range records {
		byOutcome[e.Outcome]--
	}
	for outcome, n := range byOutcome {
		assert.Zero(t, n, "%v seen, less those recorded", outcome)
	}
	o.checkUsage(t)
}

// checkUsage compares integers and money with those of the ledger.
func (o *observer) checkUsage(t *testing.T) {
	t.Helper()
	want := o.add(t, o.ledger.Usage(time.Now()))
	got := o.add(t, o.recorder.Usage())
	assert.Equal(t, want.calls, got.calls)
	assert.Zero(t, want.duration.Cmp(got.duration), "nanoseconds: %v, %v", want.duration, got.duration)
	assert.Zero(t, want.money.Cmp(got.money), "money: %v, %v", want.money, got.money)
}

type sums struct {
	calls    uint64
	duration *big.Int
	money    *big.Rat
}

func (o *observer) add(t *testing.T, all []cost.Usage) sums {
	t.Helper()
	s := sums{duration: new(big.Int), money: new(big.Rat)}
	for _, u := range all {
		s.calls += u.Calls
		s.duration.Add(s.duration, u.Duration())
		charges, err := cost.NewRater(o.book).Rate(u)
		require.NoError(t, err)
		for _, c := range charges {
			s.money.Add(s.money, c.List.Amount())
		}
	}
	return s
}
