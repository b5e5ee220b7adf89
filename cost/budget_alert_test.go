package cost_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
)

func TestAlertsAreToldOnceAWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []string
		var log bytes.Buffer
		b := budgets(t, cost.Budget{
			Name: "all", Limit: cost.Calls(10), Per: cost.Tenant, Calendar: cost.Calendar{Every: cost.Hour}, WarnAt: []int{100, 50, 55},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Alert: func(a cost.Alert) {
				told = append(told, fmt.Sprintf("%s %d%% %t %s", a.Balance.Account, a.Percent, a.Refused, a.Balance.Spent))
				panic("an alert that panics is nobody's business")
			},
		})
		r := faastest.New(t, faas.WithGate(b))
		f := sleeper(r, "f")
		for range 2 {
			for range 15 {
				_, _ = f.Invoke(faas.WithTenant(t.Context(), "a"), 0)
			}
			_, err := f.Invoke(faas.WithTenant(t.Context(), "b"), 0)
			require.NoError(t, err)
			assert.Equal(t, []string{"a 50% false 5 calls", "a 55% false 6 calls", "a 100% false 10 calls", "a 0% true 10 calls"}, told)
			told = nil
			time.Sleep(time.Hour)
		}
		assert.Zero(t, r.Stats().HookPanics)
		assert.Equal(t, uint64(22), r.Stats().Admitted)
		assert.Contains(t, log.String(), `level=WARN msg="cost: budget has reached a threshold" budget=all account=a percent=50 spent="5 calls"`)
		assert.Contains(t, log.String(), `level=WARN msg="cost: budget refuses calls" budget=all account=a spent="10 calls"`)
		assert.NotContains(t, log.String(), "percent=0")
		assert.Contains(t, log.String(), `the Alert of a budget panicked`)
	})
}

func TestSeveralThresholdsMayBeReachedByOneCall(t *testing.T) {
	t.Parallel()
	var told []int
	b := budgets(t, cost.Budget{
		Name: "all", Limit: cost.SlotTime(time.Second), WarnAt: []int{10, 200, 80}, Soft: true,
		Alert: func(a cost.Alert) { told = append(told, a.Percent) },
	})
	for _, d := range []time.Duration{time.Second - 1, time.Second, 1} {
		require.NoError(t, serve(t, b, faas.Invocation{}, d), "a soft limit refuses nothing")
	}
	assert.Equal(t, []int{10, 80, 200}, told)
}
