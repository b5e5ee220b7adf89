package faasotel_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasotel"
)

// values returns the counters of one collection, by name, function and trigger.
func values(all map[string]metricdata.Metrics) map[string]int64 {
	got := map[string]int64{}
	for name, m := range all {
		if s, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, p := range s.DataPoints {
				f, _ := p.Attributes.Value("faas.name")
				trigger, _ := p.Attributes.Value("faas.trigger")
				if p.Value != 0 {
					got[strings.Join([]string{name, f.AsString(), trigger.AsString()}, " ")] = p.Value
				}
			}
		}
	}
	return got
}

func TestCallsAreToldByTheirEndAndTrigger(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	for outcome, n := range map[faas.Outcome]int{
		faas.OK: 10, faas.Failed: 3, faas.Panicked: 2, faas.Exited: 1, faas.TimedOut: 5, faas.Canceled: 7, faas.OutputInvalid: 1, faas.InitFailed: 1,
	} {
		for i := range n {
			trigger := "http"
			if i == 0 && outcome == faas.OK {
				trigger = "timer"
			}
			rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Outcome: outcome, Origin: faas.Origin{Trigger: trigger}, Cold: i == 0 && outcome == faas.OK})
		}
	}
	rec.Refused(t.Context(), faas.Refusal{Invocation: faas.Invocation{Function: "g", Version: "1"}})
	assert.Equal(t, map[string]int64{
		"faas.invocations f http": 9, "faas.invocations f timer": 1, "faas.errors f http": 8, "faas.timeouts f http": 5, "faas.coldstarts f timer": 1,
	}, values(produced(t, faasotel.Producer(nil, rec))))
}

func TestAFunctionWithoutCallsHasCountersOfZero(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	r := faastest.New(t, faas.WithMeter(rec))
	faas.Register(r, "idle", func(context.Context, int) (int, error) { return 0, nil })
	errs, ok := produced(t, faasotel.Producer(r, rec))["faas.errors"].Data.(metricdata.Sum[int64])
	require.True(t, ok)
	require.Len(t, errs.DataPoints, 1)
	assert.Equal(t, new(attribute.NewSet(attribute.String("faas.name", "idle"), attribute.String("faas.version", "$LATEST"), attribute.String("faas.trigger", "other"))),
		&errs.DataPoints[0].Attributes)
}

func TestCumulativeStartsWithTheRecorderAndDeltaWithTheLastCollection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := observe.NewRecorder()
		start := time.Now()
		cumulative, delta := faasotel.Producer(nil, rec), faasotel.Producer(nil, rec, faasotel.WithDelta())
		for round := range int64(3) {
			time.Sleep(time.Minute)
			for range round + 1 {
				rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Duration: 20 * time.Millisecond})
			}
			whole, part := produced(t, cumulative), produced(t, delta)
			assert.Equal(t, (round+1)*(round+2)/2, values(whole)["faas.invocations f other"])
			assert.Equal(t, round+1, values(part)["faas.invocations f other"])
			h, ok := whole["faas.invoke_duration"].Data.(metricdata.Histogram[float64])
			require.True(t, ok)
			assert.Equal(t, metricdata.CumulativeTemporality, h.Temporality)
			assert.Equal(t, start, h.DataPoints[0].StartTime)
			d, ok := part["faas.invoke_duration"].Data.(metricdata.Histogram[float64])
			require.True(t, ok)
			assert.Equal(t, metricdata.DeltaTemporality, d.Temporality)
			assert.Equal(t, start.Add(time.Duration(round)*time.Minute), d.DataPoints[0].StartTime)
			assert.Equal(t, time.Now(), d.DataPoints[0].Time)
			assert.EqualValues(t, round+1, d.DataPoints[0].BucketCounts[2])
			assert.InDelta(t, 0.02*float64(round+1), d.DataPoints[0].Sum, 1e-9)
		}
	})
}

func TestHistogramsKeepEachDurationWithinABucket(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rec := observe.NewRecorder()
		durations := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(math.Exp2(rapid.Float64Range(0, 50).Draw(t, "log₂")))
		}), 1, 50).Draw(rt, "durations")
		for _, d := range durations {
			rec.Record(context.Background(), faas.Execution{Function: "f", Version: "1", Duration: d})
		}
		scopes, err := faasotel.Producer(nil, rec, faasotel.WithExponential()).Produce(context.Background())
		require.NoError(rt, err)
		h, ok := scopes[0].Metrics[0].Data.(metricdata.ExponentialHistogram[float64])
		require.True(rt, ok)
		p := h.DataPoints[0]
		assert.LessOrEqual(rt, len(p.PositiveBucket.Counts), 160)
		left := p.ZeroCount
		for _, n := range p.PositiveBucket.Counts {
			left += n
		}
		assert.Equal(rt, uint64(len(durations)), left)
		base := math.Exp2(math.Exp2(float64(-p.Scale)))
		for _, d := range durations { // its bucket or a neighboring one is not empty
			i := int(math.Ceil(math.Log2(d.Seconds())*math.Exp2(float64(p.Scale)))) - 1 - int(p.PositiveBucket.Offset)
			var near uint64
			for j := i - 1; j <= i+1; j++ {
				if j >= 0 && j < len(p.PositiveBucket.Counts) {
					near += p.PositiveBucket.Counts[j]
				}
			}
			assert.NotZero(rt, near, "%v, base %v", d, base)
		}
	})
}

func TestExemplarsNameTheTraceOfACall(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder(observe.WithExemplar(func(context.Context) string { return strings.Repeat("ab", 16) }))
	rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Start: time.Now(), Duration: time.Second})
	h, ok := produced(t, faasotel.Producer(nil, rec))["faas.invoke_duration"].Data.(metricdata.Histogram[float64])
	require.True(t, ok)
	require.Len(t, h.DataPoints[0].Exemplars, 1)
	assert.Len(t, h.DataPoints[0].Exemplars[0].TraceID, 16)
	assert.InDelta(t, 1, h.DataPoints[0].Exemplars[0].Value, 0)
}
