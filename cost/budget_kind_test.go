package cost_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
)

// The test checks the errors in the form in which a router gives them to front doors.
func TestABudgetsRefusalSaysWhetherToWaitAndHowLong(t *testing.T) {
	x86 := preset(t, "aws-lambda-x86")
	hour := cost.Calendar{Every: cost.Hour}
	const minutes = 60 * time.Minute // virtual time begins at the start of an hour
	for _, tt := range []struct {
		name   string
		budget cost.Budget
		before []time.Duration // calls that have ended
		flying time.Duration   // one call that has not ended
		kind   faas.Kind
		after  time.Duration
	}{
		{"spent", cost.Budget{Limit: cost.SlotTime(20 * time.Second)}, []time.Duration{9 * time.Second, 9 * time.Second, 2 * time.Second}, 0, faas.KindBusy, minutes - 20*time.Second},
		{"spent but for less than the worst case", cost.Budget{Limit: cost.SlotTime(20 * time.Second), Reserve: true, Slack: -1}, []time.Duration{9 * time.Second, 2 * time.Second}, 0, faas.KindBusy, minutes - 11*time.Second},
		{"calls that are spent", cost.Budget{Limit: cost.Calls(2)}, []time.Duration{time.Second, time.Second}, 0, faas.KindBusy, minutes - 2*time.Second},
		{"only reserved", cost.Budget{Limit: cost.SlotTime(15 * time.Second), Reserve: true, Slack: -1}, nil, 5 * time.Second, faas.KindBusy, time.Second},
		{"the worst case is over the whole limit", cost.Budget{Limit: cost.SlotTime(9 * time.Second), Reserve: true, Slack: -1}, nil, 0, faas.KindDenied, 0},
		{"a limit of nothing", cost.Budget{Limit: cost.Calls(0)}, nil, 0, faas.KindDenied, 0},
		{"a soft limit and no price", cost.Budget{Limit: cost.Spend(money(t, "1 USD"), x86), Soft: true, WarnAt: []int{80}}, nil, 0, faas.KindDenied, 0},
		{"no price", cost.Budget{Limit: cost.Spend(money(t, "1 USD"), x86)}, nil, 0, faas.KindDenied, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tt.budget.Name, tt.budget.Calendar = "b", hour
				memory := int64(128 * mib)
				if tt.kind == faas.KindDenied {
					memory = 1 << 40 // more than any book sells
				}
				refusedWith(t, budgets(t, tt.budget), memory, tt.before, tt.flying, tt.kind, tt.after)
			})
		})
	}
}

func refusedWith(t *testing.T, b *cost.Budgets, memory int64, before []time.Duration, flying time.Duration, kind faas.Kind, after time.Duration) {
	t.Helper()
	r := faastest.New(t, faas.WithGate(b), faas.WithTimeout(10*time.Second))
	f := sleeper(r, "f", faas.WithMemory(memory))
	for _, d := range before {
		_, err := f.Invoke(t.Context(), d)
		require.NoError(t, err)
	}
	if flying > 0 {
		go func() { _, _ = f.Invoke(context.WithoutCancel(t.Context()), flying) }()
		synctest.Wait()
	}
	_, err := f.Invoke(t.Context(), 0)
	end := faas.EndOf(err, "f")
	require.NotNil(t, end.Err, "%v", err)
	assert.Equal(t, kind, end.Kind)
	assert.Equal(t, after, end.Err.RetryAfter)
	assert.Equal(t, cost.ReasonBudget, end.Err.Reason)
	require.ErrorIs(t, err, cost.ErrBudget)
	time.Sleep(flying)
	synctest.Wait()
	if flying > 0 {
		_, err = f.Invoke(t.Context(), 0)
		require.NoError(t, err, "what was reserved came free")
	}
}

func TestAGateThatIsNotBoundDenies(t *testing.T) {
	t.Parallel()
	b := budgets(t, hourly("f", cost.SlotTime(time.Minute), cost.Degrade{To: 1}))
	own, _ := refusalOf(t, b.Admit(t.Context(), asking(faas.Invocation{Function: "f"})))
	assert.Equal(t, faas.KindDenied, own.Kind)
}

func TestOfSeveralBudgetsTheLongestRefusalCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		never := cost.Budget{Name: "never", Limit: cost.SlotTime(time.Millisecond), Reserve: true, Where: map[cost.Dimension]string{cost.Function: "g"}}
		b := budgets(t, cost.Budget{Name: "calls", Limit: cost.Calls(1)}, never)
		require.NoError(t, serve(t, b, faas.Invocation{Function: "f"}, 0))
		own, _ := refusalOf(t, b.Admit(t.Context(), asking(faas.Invocation{Function: "f"})))
		assert.Equal(t, faas.KindBusy, own.Kind)
		own, _ = refusalOf(t, b.Admit(t.Context(), asking(faas.Invocation{Function: "g"})))
		assert.Equal(t, faas.KindDenied, own.Kind, "waiting for the calls is of no use to it")
		assert.Zero(t, own.RetryAfter)
	})
}
