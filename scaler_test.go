package faas_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

func TestEveryScalerConforms(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]faas.Scaler{
		"concurrency":            faas.ConcurrencyScaler{},
		"concurrency, on ticks":  faas.ConcurrencyScaler{TickOnly: true, ScaleDownDelay: time.Minute, ActivationScale: 3},
		"concurrency, no grace":  faas.ConcurrencyScaler{ZeroGrace: -1, StableWindow: 6 * time.Second, UpRate: 1.5, ScaleDownDelay: time.Hour},
		"concurrency, a pointer": &faas.ConcurrencyScaler{Utilization: 1},
		"fixed":                  faas.FixedScaler{N: 3},
		"lambda":                 faas.LambdaScaler{},
		"lambda, slow":           faas.LambdaScaler{Burst: 1, KeepAlive: time.Second},
		"saturation":             faas.SaturationScaler{},
		"saturation, of a floor": faas.SaturationScaler{Floor: 20, Step: 1, Calm: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.NoError(t, faas.CheckScaler(s))
			faastest.TestScaler(t, func() faas.Scaler { return s })
		})
	}
}

// windows is a policy with windows that are not allowed.
type windows struct {
	faas.FixedScaler
	stable, burst time.Duration
}

func (w windows) Windows() (stable, burst time.Duration) { return w.stable, w.burst }

func TestAnImpossibleScalerIsRefusedWithTheCure(t *testing.T) {
	t.Parallel()
	one := faas.FixedScaler{N: 1}
	for _, c := range []struct {
		scaler faas.Scaler
		says   string
	}{
		{nil, "nil"},
		{faas.ConcurrencyScaler{Utilization: 1.5}, "Utilization is 1.5: it has to be above 0 and at most 1, or 0 for its default"},
		{faas.ConcurrencyScaler{Utilization: math.NaN()}, "Utilization"},
		{faas.ConcurrencyScaler{PanicWindow: -1}, "PanicWindow"},
		{faas.ConcurrencyScaler{PanicThreshold: 1}, "PanicThreshold is 1: it has to be above 1"},
		{faas.ConcurrencyScaler{UpRate: 0.5}, "UpRate"},
		{faas.ConcurrencyScaler{UpRate: math.Inf(1)}, "UpRate"},
		{faas.ConcurrencyScaler{DownRate: -2}, "DownRate"},
		{faas.ConcurrencyScaler{ActivationScale: -1}, "ActivationScale"},
		{faas.ConcurrencyScaler{ScaleDownDelay: -1}, "ScaleDownDelay"},
		{faas.ConcurrencyScaler{StableWindow: 2 * time.Hour}, "between 1s and 1h"},
		{faas.ConcurrencyScaler{StableWindow: -1}, "between 1s and 1h"},
		{faas.ConcurrencyScaler{StableWindow: time.Millisecond}, "between 1s and 1h"},
		{&faas.ConcurrencyScaler{Utilization: 2}, "Utilization"},
		{faas.FixedScaler{}, "FixedScaler.N is 0: it has to be 1 or more"},
		{faas.LambdaScaler{Burst: -1}, "LambdaScaler.Burst"},
		{faas.LambdaScaler{KeepAlive: -1}, "LambdaScaler.KeepAlive"},
		{faas.SaturationScaler{Floor: -1}, "SaturationScaler.Floor"},
		{faas.SaturationScaler{Step: -1}, "SaturationScaler.Step"},
		{faas.SaturationScaler{Backoff: 1}, "SaturationScaler.Backoff"},
		{faas.SaturationScaler{HighLatency: time.Microsecond}, "SaturationScaler.HighLatency has to be not below LowLatency"},
		{faas.SaturationScaler{LowLatency: -1}, "SaturationScaler.LowLatency"},
		{faas.SaturationScaler{HighCPU: 2}, "SaturationScaler.HighCPU"},
		{faas.SaturationScaler{Calm: -1}, "SaturationScaler.Calm"},
		{windows{one, time.Minute, 0}, "between 1s and 1h"},
		{windows{one, time.Second, time.Minute}, "not longer"},
		{windows{one, 2 * time.Hour, time.Minute}, "1h"},
	} {
		assert.ErrorContains(t, faas.CheckScaler(c.scaler), c.says, "%+v", c.scaler)
	}
	assert.NoError(t, faas.CheckScaler(windows{one, time.Minute, time.Second}))
}

func BenchmarkDesired(b *testing.B) {
	load := faas.Load{Now: time.Now(), Stable: 8, Burst: 9, Instances: 12, Ready: 12, InFlight: 8, Per: 1, Max: 100}
	for name, s := range map[string]faas.Scaler{
		"concurrency": faas.ConcurrencyScaler{},
		"delayed":     faas.ConcurrencyScaler{ScaleDownDelay: 5 * time.Minute},
		"lambda":      faas.LambdaScaler{},
		"saturation":  faas.SaturationScaler{},
	} {
		b.Run(name+"/tick", func(b *testing.B) {
			b.ReportAllocs()
			l, state := load, faas.State(nil)
			for b.Loop() {
				l.Now = l.Now.Add(2 * time.Second)
				_, state = s.Desired(l, state)
			}
		})
		b.Run(name+"/arrival", func(b *testing.B) { // an arrival at which the rate or the maximum prevents growth
			b.ReportAllocs()
			l, state := load, faas.State(nil)
			l.Max, l.InFlight, l.Queued, l.Arrival = 12, 12, 100, true
			_, state = s.Desired(load, state)
			for b.Loop() {
				_, state = s.Desired(l, state)
			}
		})
	}
}
