package embed_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestALongListIsWholeAndLeavesNoConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		start := time.Now()
		const jobs = 700 // more than one batch
		for n := range jobs {
			rec := smallJob(0, "f")
			rec.ID, rec.Accepted = uuid.New(), start.Add(-time.Duration(n)*time.Second) // in another order than the stream's
			_, err := q.Put(t.Context(), rec)
			require.NoError(t, err)
		}
		var last time.Time
		n := 0
		for rec, err := range q.List(t.Context(), faas.JobFilter{Function: "f"}) {
			require.NoError(t, err)
			require.True(t, rec.Accepted.After(last))
			last = rec.Accepted
			n++
		}
		require.Equal(t, jobs, n)
		js, err := jetstream.New(dial(t, q, &line{}))
		require.NoError(t, err)
		stream, err := js.Stream(t.Context(), "FAAS")
		require.NoError(t, err)
		require.Equal(t, 1, stream.CachedInfo().State.Consumers, "that of the function's bucket")
	})
}
