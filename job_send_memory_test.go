package faas_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// It is not parallel: it measures the heap of the process.
func TestAJobThatWasSentTakesAtMost400BytesAndItsPayload(t *testing.T) { //nolint:paralleltest // see above
	const payload = 256
	jobs := 100_000
	if os.Getenv("FAAS_SOAK") != "" {
		jobs = 1_000_000
	}
	r := faas.New(faas.WithJobs(faas.NewMemoryJobs(jobs, math.MaxInt64)))
	f := faas.Register(r, "resize", func(_ context.Context, in []byte) ([]byte, error) { return in, nil })
	in := bytes.Repeat([]byte("x"), payload)
	before := heapInUse()
	for range jobs {
		_, err := f.Send(t.Context(), in, faas.WithDelay(time.Hour))
		require.NoError(t, err)
	}
	each := float64(heapInUse()-before)/float64(jobs) - payload
	t.Logf("%.0f bytes for each job", each)
	assert.LessOrEqual(t, each, 400.0)
	require.NoError(t, r.Close())
	runtime.KeepAlive(r)
}
