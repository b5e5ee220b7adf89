package observe_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"runtime/pprof"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/observe"
)

// These tests are not parallel: a process has one CPU profile at a time.

func TestAProfileTellsWhoUsesTheProcessor(t *testing.T) {
	p := observe.NewProfiler()
	r := faastest.New(t, p)
	spin := faas.Register(r, "spin", func(context.Context, int) (n int, err error) {
		for end := time.Now().Add(time.Millisecond); time.Now().Before(end); {
			n++
		}
		return n, nil
	}, faas.WithVersion(1))
	over := faas.Register(r, "over", spin.Invoke)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			_, _ = over.Invoke(faas.WithTenant(context.Background(), "acme"), 0)
		}
	}()
	var got *observe.CPUProfile
	for got == nil || len(got.Uses) == 0 || got.Uses[0].Function != "spin" { // on a busy machine, this process may get no processor time for a while
		var err error
		got, err = p.Profile(t.Context(), 200*time.Millisecond)
		require.NoError(t, err)
	}
	stop.Store(true)
	<-done
	use := got.Uses[0]
	assert.Equal(t, [2]string{"1", "acme"}, [2]string{use.Version, use.Tenant})
	assert.Positive(t, use.Samples)
	assert.Equal(t, time.Duration(use.Samples)*10*time.Millisecond, use.Time, "the rate is 100 a second")
	assert.LessOrEqual(t, use.Samples, got.Samples)
	assert.GreaterOrEqual(t, got.Duration, 200*time.Millisecond)
	assert.WithinDuration(t, time.Now(), got.Start, time.Hour)
	assert.NotEmpty(t, got.Pprof)
}

func TestAProfileIsRefusedWhileAnotherOneRuns(t *testing.T) {
	require.NoError(t, pprof.StartCPUProfile(&bytes.Buffer{}))
	_, err := observe.NewProfiler().Profile(t.Context(), time.Second)
	pprof.StopCPUProfile()
	require.ErrorIs(t, err, observe.ErrProfiling)
	_, err = observe.NewProfiler().Profile(t.Context(), 0)
	require.Error(t, err)
}

func TestAProfileEndsWithItsContext(t *testing.T) {
	p := observe.NewProfiler()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Profile(ctx, time.Hour)
	require.ErrorIs(t, err, context.Canceled)
	_, err = p.Profile(t.Context(), time.Nanosecond)
	require.NoError(t, err, "the one before has ended")
}

func FuzzAProfileIsReadOrRefused(f *testing.F) {
	f.Add([]byte{0x12, 6, 0x12, 1, 1, 0x12, 1, 5, 0x32, 0})
	f.Add([]byte{0x12, 2, 0x1a, 0})
	f.Add([]byte{0xff})
	f.Fuzz(func(_ *testing.T, data []byte) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(data)
		_ = z.Close()
		_ = observe.ReadProfile(b.Bytes())
	})
}
