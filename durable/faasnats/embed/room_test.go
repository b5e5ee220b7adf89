package embed_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// storedBytes asks the server how many bytes the records and the objects of a queue take.
func storedBytes(t *testing.T, q *embed.Queue) (bytes int) {
	t.Helper()
	js, err := jetstream.New(dial(t, q, &line{}))
	require.NoError(t, err)
	for _, name := range []string{"FAAS", "OBJ_FAAS_objects"} {
		stream, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		bytes += int(stream.CachedInfo().State.Bytes)
	}
	return bytes
}

// anyJob returns a job of any size, of one of many functions. Each new function makes the queue look
// at the stream, and so ask how full it is.
func anyJob(r *rand.Rand) faas.JobRecord {
	rec := benchJob(fmt.Sprint("f", r.IntN(12)))
	rec.Tenant, rec.NewID = "t", r.IntN(2) == 0
	switch r.IntN(4) {
	case 0:
		rec.Payload = make([]byte, r.IntN(100<<10))
	case 1:
		rec.Labels = map[string]string{"label": string(make([]byte, r.IntN(4<<10)))}
	case 2:
		rec.UniqueKey, rec.UniqueFor = uuid.NewString(), time.Hour
	}
	return rec
}

// Some of the Puts are given up before the server has answered. The server stores them all the same.
func TestPutsAtOnceLeaveTheLastTenthOfTheStoreFree(t *testing.T) {
	for _, most := range []int{1 << 20, 4 << 20} {
		q, err := embed.Open(t.TempDir(), faasnats.WithMaxStore(int64(most)), faasnats.WithInline(32<<10))
		require.NoError(t, err)
		var all sync.WaitGroup
		var accepted, lost atomic.Int64
		for seed := range uint64(32) {
			all.Go(func() {
				r := rand.New(rand.NewPCG(seed, 5))
				for refusals := 0; refusals < 3; {
					ctx, cancel := context.WithCancel(t.Context())
					if r.IntN(4) == 0 {
						time.AfterFunc(time.Duration(r.IntN(2000))*time.Microsecond, cancel)
					}
					_, err := q.Put(ctx, anyJob(r))
					cancel()
					switch {
					case err == nil:
						accepted.Add(1)
					case errors.Is(err, faas.ErrOverloaded):
						refusals++
					case errors.Is(err, context.Canceled):
						lost.Add(1)
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()

		bytes := storedBytes(t, q)
		t.Logf("%d accepted, %d given up, %d of %d bytes", accepted.Load(), lost.Load(), bytes, most)
		require.LessOrEqual(t, bytes, most/10*9)
		require.NoError(t, q.Close())
	}
}
