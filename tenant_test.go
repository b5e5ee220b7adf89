package faas_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// A tenant with a few calls beside one that has flooded the queue waits for one
// call of the other's at most, each time.
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
