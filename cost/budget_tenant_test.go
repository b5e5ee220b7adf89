package cost_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// At most 4 calls at once and at most 1,200 minutes a week: each tenant gets 20 hours of
// builds a week, four at a time, whatever other tenants do.
func TestSoManyAtOnceAndSoManyMinutesAWeek(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		minutes, err := cost.NewBudgets(cost.Budget{
			Name: "minutes", Limit: cost.SlotTime(1200 * time.Minute), Per: cost.Tenant,
			Calendar: cost.Calendar{Every: cost.Week}, Reserve: true, Slack: -1,
		})
		require.NoError(t, err)
		r := faas.New(faas.WithTenantConcurrency(4), faas.WithGate(minutes), faas.WithMeter(minutes),
			faas.WithTimeout(time.Hour), faas.WithQueueTimeout(24*time.Hour))
		t.Cleanup(func() { assert.NoError(t, r.Close()) })
		var running, most [2]atomic.Int32
		build := faas.Register(r, "build", func(_ context.Context, i int) (int, error) {
			most[i].Store(max(most[i].Load(), running[i].Add(1)))
			time.Sleep(time.Hour - time.Second)
			running[i].Add(-1)
			return 0, nil
		})
		for week := range 2 {
			began := time.Now()
			var ran, refused [2]atomic.Int32
			var all sync.WaitGroup
			for i := range 60 {
				all.Go(func() {
					_, err := build.Invoke(faas.WithTenant(t.Context(), fmt.Sprint(i%2)), i%2)
					if errors.Is(err, cost.ErrBudget) {
						refused[i%2].Add(1)
					} else if assert.NoError(t, err) {
						ran[i%2].Add(1)
					}
				})
			}
			all.Wait()
			for i := range 2 {
				assert.EqualValues(t, 20, ran[i].Load(), "week %d", week)
				assert.EqualValues(t, 10, refused[i].Load(), "week %d", week)
				assert.EqualValues(t, 4, most[i].Load())
			}
			assert.Equal(t, 5*(time.Hour-time.Second), time.Since(began))
			time.Sleep(7 * 24 * time.Hour)
		}
	})
}
