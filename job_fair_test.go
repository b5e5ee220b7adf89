package faas_test

import (
	"context"
	"math"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// One tenant has a very long line of jobs. A job of another tenant begins when the next slot becomes
// free: it does not wait for that line.
func TestAJobBesideALongLineOfAnotherTenantWaitsForOneServiceTimeAtMost(t *testing.T) {
	t.Parallel()
	const slots, service = 4, 10 * time.Millisecond
	jobs := 100_000
	switch {
	case os.Getenv("FAAS_SOAK") != "":
		jobs = 1_000_000
	case testing.Short() || raceEnabled:
		jobs = 10_000
	}
	synctest.Test(t, func(t *testing.T) {
		r := faas.New(faas.WithJobs(faas.NewMemoryJobs(3*jobs, math.MaxInt64)))
		began := make(chan time.Time, 1)
		f := faas.Register(r, "work", func(ctx context.Context, _ int) (int, error) {
			if inv, _ := faas.FromContext(ctx); inv.Tenant == "one" {
				began <- time.Now()
			}
			time.Sleep(service)
			return 0, nil
		}, faas.WithConcurrency(slots))
		many := faas.WithTenant(t.Context(), "many")
		for i := range jobs {
			_, err := f.Send(many, i)
			require.NoError(t, err)
		}
		one := faas.WithTenant(t.Context(), "one")
		for range 20 { // at different moments of the other tenant's service
			time.Sleep(7 * time.Millisecond)
			sent := time.Now()
			_, err := f.Send(one, 0)
			require.NoError(t, err)
			assert.LessOrEqual(t, (<-began).Sub(sent), service)
		}
		require.NoError(t, r.Close())
		time.Sleep(service) // until the handlers that still run have returned
	})
}
