package faastest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

func TestRecorderConforms(t *testing.T) {
	t.Parallel()
	faastest.TestMeter(t, func(*testing.T) (faas.Meter, func() []faas.Execution) {
		rec := &faastest.Recorder{}
		return rec, rec.Executions
	})
}

func TestRecorderKeepsRecordsInOrderAndReturnsCopies(t *testing.T) {
	t.Parallel()
	var rec faastest.Recorder
	for _, name := range []string{"a", "b", "a"} {
		rec.Record(t.Context(), faas.Execution{Function: name})
	}
	rec.RecordOverrun(t.Context(), faas.Overrun{Function: "a"})
	got := rec.Executions()
	require.Len(t, got, 3)
	assert.Equal(t, "b", got[1].Function)
	got[0].Function = "changed"
	rec.Overruns()[0].Function = "changed"
	ofA := rec.By(func(e faas.Execution) bool { return e.Function == "a" })
	assert.Len(t, ofA, 2)
	assert.Equal(t, "a", rec.Overruns()[0].Function)

	rec.Reset()
	assert.Zero(t, rec.Len())
	assert.Empty(t, rec.Overruns())
	assert.Len(t, got, 3)
}

func TestRecorderWaitsForARecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rec faastest.Recorder
		go func() {
			for range 3 {
				time.Sleep(time.Second)
				rec.Record(t.Context(), faas.Execution{})
			}
			time.Sleep(time.Second)
			rec.RecordOverrun(t.Context(), faas.Overrun{})
		}()
		start := time.Now()
		require.NoError(t, rec.Wait(t.Context(), 2))
		assert.Equal(t, 2*time.Second, time.Since(start))
		require.NoError(t, rec.WaitOverruns(t.Context(), 1))
		assert.Equal(t, 4*time.Second, time.Since(start))
		require.NoError(t, rec.Wait(t.Context(), 3), "there already")
	})
}

func TestRecorderWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rec faastest.Recorder
		rec.Record(t.Context(), faas.Execution{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := rec.Wait(ctx, 2)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "1 of 2")
	})
}

func TestRecorderOutlivesABubble(t *testing.T) {
	t.Parallel()
	var rec faastest.Recorder
	synctest.Test(t, func(t *testing.T) {
		rec.Record(t.Context(), faas.Execution{})
		require.NoError(t, rec.Wait(t.Context(), 1))
	})
	rec.Record(t.Context(), faas.Execution{})
	assert.Equal(t, 2, rec.Len())
}
