package cost_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
)

// crowd makes calls from many callers until the limit is spent, with various durations and
// outcomes, and returns the records.
func crowd(t *testing.T, b *cost.Budgets, callers int, opts ...faas.RouterOption) []faas.Execution {
	t.Helper()
	rec := &faastest.Recorder{}
	r := faastest.New(t, append(opts, faas.WithGate(b), faas.WithMeter(rec), faas.WithCapacity(callers/2), faas.WithTimeout(time.Second))...)
	f := faas.Register(r, "f", func(ctx context.Context, d time.Duration) (struct{}, error) {
		if d%2 == 0 {
			time.Sleep(d)
			return struct{}{}, errors.New("failed for the test")
		}
		<-ctx.Done() // it takes exactly its whole timeout
		return struct{}{}, nil
	}, faas.WithQueue(callers/4))
	var wg sync.WaitGroup
	for i := range callers {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		wg.Go(func() {
			for {
				_, err := f.Invoke(t.Context(), time.Duration(rng.Int64N(int64(1500*time.Millisecond))))
				var own *faas.Error
				if errors.As(err, &own) && own.Reason == cost.ReasonBudget && own.RetryAfter > time.Second {
					return // the limit is spent
				}
				if own != nil && own.Reason != "" { // the rest is reserved, or there is no slot
					time.Sleep(time.Duration(rng.Int64N(int64(time.Second))))
				}
			}
		})
	}
	wg.Wait()
	return rec.Executions()
}

func TestAThousandCallersNeverExceedALimitThatReserves(t *testing.T) {
	t.Parallel()
	lambda := preset(t, "aws-lambda-x86")
	for name, c := range map[string]struct {
		limit cost.Limit
		worst string // the worst case of a call
	}{
		"money": {cost.Spend(money(t, "0.0123456789 USD"), lambda), "0.0000022833375 USD"}, // 1 s × 1/8 GB, and the price of the request
		"time":  {cost.SlotTime(1234567 * time.Millisecond), "1s"},
		"calls": {cost.Calls(2345), "1 calls"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := budgets(t, cost.Budget{Name: "all", Limit: c.limit, Reserve: true, Slack: -1})
				records := crowd(t, b, 1000)
				got := balanceOf(t, b, "all", "")
				assert.Empty(t, aboveLimit(got))
				assert.Equal(t, "0", zeroOf(got.Reserved))
				assert.Equal(t, "0", zeroOf(got.Excess))
				assert.Zero(t, b.Held())

				rater, spent, duration := cost.NewRater(lambda), cost.Money{}, time.Duration(0)
				for _, e := range records {
					each, err := rater.Call(e)
					require.NoError(t, err)
					spent, err = spent.Add(each)
					require.NoError(t, err)
					duration += e.Duration
				}
				switch name {
				case "money":
					assert.Equal(t, spent.String(), got.Spent.String())
					less, err := got.Left.Money().Cmp(money(t, c.worst))
					require.NoError(t, err)
					assert.Negative(t, less, got)
				case "time":
					assert.Equal(t, duration, got.Spent.Duration())
					assert.Less(t, got.Left.Duration(), time.Second, got)
				case "calls":
					assert.Len(t, records, 2345)
					assert.Equal(t, uint64(2345), got.Spent.Calls())
				}
				assert.Greater(t, len(records), 1000)
			})
		})
	}
}

// This test runs in real time, because there the race detector sees interleavings that may
// not occur in a bubble.
func TestAThousandCallersInRealTime(t *testing.T) {
	t.Parallel()
	machine, err := cost.Machine(money(t, "36 EUR"), cost.Money{})
	require.NoError(t, err)
	for name, limit := range map[string]cost.Limit{
		"money": cost.Spend(money(t, "2 EUR"), machine), // 200 s
		"time":  cost.SlotTime(200 * time.Second),
		"calls": cost.Calls(5000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := budgets(t, cost.Budget{Name: "all", Limit: limit, Reserve: true, Slack: time.Second, Calendar: cost.Calendar{Every: cost.Month}})
			r := faastest.New(t, faas.WithGate(b), faas.WithTimeout(time.Minute))
			f := faas.Register(r, "f", func(context.Context, int) (int, error) { runtime.Gosched(); return 0, nil })
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					for range 10 {
						_, err := f.Invoke(t.Context(), 0)
						if got := balanceOf(t, b, "all", ""); aboveLimit(got) != "" {
							t.Errorf("%v", got)
						}
						if err != nil && !errors.Is(err, cost.ErrBudget) {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			got := balanceOf(t, b, "all", "")
			assert.Equal(t, "0", zeroOf(got.Reserved))
			assert.Zero(t, b.Held())
			if name == "calls" {
				assert.Equal(t, uint64(5000), got.Spent.Calls())
			}
		})
	}
}

func TestWithoutReservationTheOverrunIsWhatWasInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(time.Second)})
		f := sleeper(faastest.New(t, faas.WithGate(b)), "f")
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, err := f.Invoke(t.Context(), time.Second); assert.NoError(t, err) })
		}
		wg.Wait()
		got := balanceOf(t, b, "all", "")
		assert.Equal(t, 10*time.Second, got.Spent.Duration())
		assert.Zero(t, got.Left.Duration())
		assert.Equal(t, "0", zeroOf(got.Excess), "there is none where nothing is reserved")
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, cost.ErrBudget)
	})
}

func TestWhatIsOnlyReservedMayComeFreeAnyMoment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(time.Second), Reserve: true, Slack: -1})
		inv := asking(faas.Invocation{})
		require.NoError(t, b.Admit(t.Context(), inv))
		own, why := refusalOf(t, b.Admit(t.Context(), asking(inv)))
		assert.Equal(t, time.Second, own.RetryAfter)
		assert.Equal(t, faas.KindBusy, own.Kind)
		assert.Equal(t, `not within the budget: budget "all": 0s of 1s spent, 1s reserved; the call could need 1s`, why.Error())
		calls := budgets(t, cost.Budget{Name: "calls", Limit: cost.Calls(1), Reserve: true})
		require.NoError(t, calls.Admit(t.Context(), inv))
		own, _ = refusalOf(t, calls.Admit(t.Context(), asking(inv)))
		assert.Equal(t, 31*24*time.Hour, own.RetryAfter, "a call that is admitted counts")
		b.Done(inv, ended(inv, 0))
		require.NoError(t, b.Admit(t.Context(), asking(inv)))
	})
}

func TestACallThatCanNotEverFitSaysSo(t *testing.T) {
	t.Parallel()
	b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(time.Second), Reserve: true}, cost.Budget{Name: "calls", Limit: cost.Calls(9)})
	own, why := refusalOf(t, b.Admit(t.Context(), asking(faas.Invocation{})))
	assert.Zero(t, own.RetryAfter)
	assert.Equal(t, faas.KindDenied, own.Kind)
	assert.Contains(t, why.Error(), "the call could need 1.1s, which is more than the whole limit: give the function a shorter timeout or less memory, or raise the limit")
	zero := budgets(t, cost.Budget{Name: "none", Limit: cost.SlotTime(0)})
	own, why = refusalOf(t, zero.Admit(t.Context(), asking(faas.Invocation{})))
	assert.Zero(t, own.RetryAfter)
	assert.Equal(t, faas.KindDenied, own.Kind)
	assert.Contains(t, why.Error(), "a limit of nothing refuses all calls")
	endless := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(math.MaxInt64), Reserve: true})
	require.NoError(t, endless.Admit(t.Context(), asking(faas.Invocation{Timeout: math.MaxInt64})), "no more than there is")
}

func TestARunawayIsChargedByABudgetThatIsAMeter(t *testing.T) {
	t.Parallel()
	for _, meter := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := budgets(t,
				cost.Budget{Name: "time", Limit: cost.SlotTime(time.Minute), Reserve: true, Slack: -1, Per: cost.Tenant},
				cost.Budget{Name: "calls", Limit: cost.Calls(2)})
			opts := []faas.RouterOption{faas.WithGate(b), faas.WithTimeout(time.Second)}
			want := time.Second
			if meter {
				opts, want = append(opts, faas.WithMeter(b)), 90*time.Second
			}
			f := sleeper(faastest.New(t, opts...), "f")
			_, err := f.Invoke(faas.WithTenant(t.Context(), "acme"), 90*time.Second)
			require.ErrorIs(t, err, faas.ErrTimeout)
			time.Sleep(2 * time.Minute)
			got := balanceOf(t, b, "time", "acme")
			assert.Equal(t, want, got.Spent.Duration())
			assert.Equal(t, uint64(1), balanceOf(t, b, "calls", "").Spent.Calls())
			_, err = f.Invoke(faas.WithTenant(t.Context(), "acme"), 0)
			assert.Equal(t, meter, errors.Is(err, cost.ErrBudget), err)
			assert.Equal(t, want-time.Second, got.Excess.Duration())
		})
	}
}

func TestWhatTakesLongerThanWasReservedIsChargedAllTheSame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := budgets(t, cost.Budget{Name: "all", Limit: cost.SlotTime(10 * time.Second), Reserve: true})
		f := sleeper(faastest.New(t, faas.WithGate(b), faas.WithTimeout(time.Second)), "f", faas.WithInline())
		_, err := f.Invoke(t.Context(), 20*time.Second)
		require.ErrorIs(t, err, faas.ErrTimeout)
		got := balanceOf(t, b, "all", "")
		assert.Equal(t, 20*time.Second, got.Spent.Duration())
		assert.Equal(t, 18900*time.Millisecond, got.Excess.Duration())
		assert.Zero(t, got.Left.Duration())
		assert.Zero(t, got.Reserved.Duration())
	})
}
