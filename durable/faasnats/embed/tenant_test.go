package embed_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
)

func TestATenantTakesNoMoreThanHalfWhileJobsOfOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := embed.Open(t.TempDir(), faasnats.WithMaxStore(4<<20))
		require.NoError(t, err)
		defer q.Close()
		put := func(tenant string) error {
			rec := smallJob(0, "f")
			rec.ID, rec.Tenant, rec.Payload = uuid.New(), tenant, make([]byte, 100<<10)
			_, err := q.Put(t.Context(), rec)
			return err
		}
		require.NoError(t, put("quiet"))
		loud := 0
		for put("loud") == nil {
			loud++
		}
		require.ErrorIs(t, put("loud"), faas.ErrOverloaded)
		require.InDelta(t, 18, loud, 1, "half of nine tenths")
		require.NoError(t, put("quiet"))
		require.NoError(t, put("third"))

		for range loud + 3 {
			lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
			require.NoError(t, err)
			next := lease.Record
			next.State, next.KeepUntil, next.Payload = faas.JobSucceeded, time.Now().Add(time.Second), nil
			require.NoError(t, q.Settle(t.Context(), lease, next))
		}
		time.Sleep(time.Minute)
		alone := 0
		for put("loud") == nil {
			alone++
		}
		require.InDelta(t, 36, alone, 2, "nothing of others waits: it may have all")
	})
}
