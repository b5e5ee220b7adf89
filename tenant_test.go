package faas_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// One tenant has flooded the queue. A tenant with a few calls then waits for at most one call
// of the other tenant, each time.
func TestAQuietTenantWaitsForOneCallOfALoudOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const service = 10 * time.Millisecond
		m := &recorder{}
		f := faas.Register(router(t, faas.WithMeter(m), faas.WithTimeout(time.Hour)), "f", sleepFor, faas.WithConcurrency(1), faas.WithQueue(2000))
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { _, _ = f.Invoke(faas.WithTenant(t.Context(), "loud"), service) })
		}
		synctest.Wait()
		for range 10 {
			time.Sleep(service / 2)
			_, err := f.Invoke(faas.WithTenant(t.Context(), "quiet"), service)
			require.NoError(t, err)
			e := m.last(t)
			assert.Equal(t, "quiet", e.Tenant)
			assert.LessOrEqual(t, e.Queued, service)
		}
		all.Wait()
	})
}

// This holds even if the loud tenant has filled the queue, and makes hundreds of calls more than
// the queue holds, each of which is made again whenever it is refused.
func TestAQuietTenantIsServedThoughALoudOneHasFilledTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const service = 10 * time.Millisecond
		f := faas.Register(router(t), "f", sleepFor, faas.WithConcurrency(2)) // the queue has its default length
		ctx, stop := context.WithCancel(faas.WithTenant(t.Context(), "loud"))
		var all sync.WaitGroup
		for i := range 1100 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Microsecond)
				for ctx.Err() == nil {
					if _, err := f.Invoke(ctx, service); err != nil {
						time.Sleep(service / 2)
					}
				}
			})
		}
		time.Sleep(time.Second)
		assert.Positive(t, f.Info().Rejected[faas.ReasonOverloaded], "the queue is full")
		for range 100 {
			time.Sleep(100*time.Millisecond + 137*time.Microsecond)
			asked := time.Now()
			_, err := f.Invoke(faas.WithTenant(t.Context(), "quiet"), service)
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(asked), 2*service)
		}
		stop()
		all.Wait()
	})
}

func TestAnUrgentCallDisplacesOneOfItsTenantThatIsLess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := faas.Register(router(t), "f", sleepFor, faas.WithConcurrency(1), faas.WithQueue(2))
		invoke := func(ctx context.Context) chan error {
			got := make(chan error, 1)
			go func() { _, err := f.Invoke(ctx, time.Second); got <- err }()
			synctest.Wait()
			return got
		}
		running, first, second := invoke(t.Context()), invoke(t.Context()), invoke(t.Context())
		urgent := invoke(faas.WithPriority(t.Context(), 100))
		require.ErrorIs(t, <-second, faas.ErrOverloaded)
		_, err := f.Invoke(t.Context(), time.Second)
		require.ErrorIs(t, err, faas.ErrOverloaded)
		require.NoError(t, errors.Join(<-running, <-urgent, <-first))
	})
}

func TestADisplacedCallEndsAsAnyRefusal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m, told := &bounded{}, &steps{}
		m.room.Store(10)
		r := router(t, faas.WithGate(gate{name: "gate", steps: told}), faas.WithMeter(m))
		f := faas.Register(r, "f", sleepFor, faas.WithConcurrency(1), faas.WithQueue(2))
		errs := make(chan error, 4)
		for _, tenant := range []string{"a", "a", "a", "b"} {
			go func() { _, err := f.Invoke(faas.WithTenant(t.Context(), tenant), time.Second); errs <- err }()
			synctest.Wait()
		}
		err := <-errs
		require.ErrorIs(t, err, faas.ErrOverloaded)
		end := faas.EndOf(err, "f")
		assert.Equal(t, faas.KindBusy, end.Kind)
		assert.Equal(t, faas.ReasonOverloaded, end.Err.Reason)
		assert.EqualValues(t, 1, m.unreserve.Load())
		assert.Equal(t, "refused gate", told.list()[4], "after four times yes")
		require.NoError(t, errors.Join(<-errs, <-errs, <-errs))
		assert.EqualValues(t, 1, f.Info().Rejected[faas.ReasonOverloaded])
		assert.EqualValues(t, 3, f.Info().Admitted)
	})
}
