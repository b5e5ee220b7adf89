package faas_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/kpa"
	"github.com/inproc/faas/internal/window"
)

// The vectors were taken from the tests of knative/serving and replayed against
// its code; the file names the commit. A field of a vector that this test does not know makes it
// fail, so that no vector passes without being understood.
func TestKnativeVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/kpa-vectors.json")
	require.NoError(t, err)
	var file struct {
		Schema    int               `json:"schema"`
		Source    json.RawMessage   `json:"source"`
		Semantics json.RawMessage   `json:"semantics"`
		Vectors   []json.RawMessage `json:"vectors"`
	}
	decodeStrictly(t, data, &file)
	require.Equal(t, 1, file.Schema)
	require.NotEmpty(t, file.Vectors)
	for _, raw := range file.Vectors {
		var head struct{ ID, Kind string }
		require.NoError(t, json.Unmarshal(raw, &head))
		t.Run(head.ID, func(t *testing.T) {
			switch head.Kind {
			case "scale":
				decoded[scaleVector](t, raw).run(t)
				decoded[scaleVector](t, raw).runThroughPolicy(t)
			case "window_average":
				decoded[averageVector](t, raw).run(t)
			case "window_max":
				decoded[maxVector](t, raw).run(t)
			default:
				t.Fatalf("unknown kind %q", head.Kind)
			}
		})
	}
}

func decodeStrictly(t *testing.T, data []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(into))
}

func decoded[T any](t *testing.T, raw json.RawMessage) T {
	t.Helper()
	var v T
	decodeStrictly(t, raw, &v)
	return v
}

// seconds is a time in a vector, counted from an epoch that is a whole minute.
type seconds float64

func (s seconds) ns() int64               { return int64(math.Round(float64(s) * 1e9)) }
func (s seconds) duration() time.Duration { return time.Duration(s.ns()) }

type vectorHead struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Origin  string `json:"origin"`
	Comment string `json:"comment"`
}

type scaleVector struct {
	vectorHead

	Config          scaleConfig `json:"config"`
	ReadyAtCreation int         `json:"ready_at_creation"`
	AtCreation      *struct {
		MaxPanicScale int  `json:"max_panic_scale"`
		Panicking     bool `json:"panicking"`
	} `json:"expect_at_creation"`
	Preset *struct {
		MaxPanicScale int     `json:"max_panic_scale"`
		PanicSince    seconds `json:"panic_since_s"`
	} `json:"preset"`
	Tolerance float64     `json:"ebc_tolerance"`
	Steps     []scaleStep `json:"steps"`
}

type scaleConfig struct {
	Metric              string  `json:"metric"`
	TargetValue         float64 `json:"target_value"`
	TotalValue          float64 `json:"total_value"`
	TargetBurstCapacity float64 `json:"target_burst_capacity"`
	PanicThreshold      float64 `json:"panic_threshold"`
	MaxScaleUpRate      float64 `json:"max_scale_up_rate"`
	MaxScaleDownRate    float64 `json:"max_scale_down_rate"`
	StableWindow        seconds `json:"stable_window_s"`
	ScaleDownDelay      seconds `json:"scale_down_delay_s"`
	Tick                seconds `json:"tick_s"`
	ActivationScale     int     `json:"activation_scale"`
	Reachable           bool    `json:"reachable"`
}

type scaleStep struct {
	At          seconds         `json:"t_s"`
	Ready       int             `json:"ready"`
	Stable      float64         `json:"stable"`
	Panic       float64         `json:"panic"`
	MetricError bool            `json:"metric_error"`
	ConfigPatch json.RawMessage `json:"config_patch"`
	Expect      struct {
		Valid      bool     `json:"valid"`
		Desired    int      `json:"desired"`
		Excess     float64  `json:"ebc"`
		Panicking  bool     `json:"panicking"`
		PanicSince *seconds `json:"panic_since_s"`
	} `json:"expect"`
}

func (c scaleConfig) kpa(t *testing.T) kpa.Config {
	t.Helper()
	require.Contains(t, []string{"concurrency", "rps"}, c.Metric, "the sums are the same for both")
	return kpa.Config{
		Target: c.TargetValue, Total: c.TotalValue, BurstCapacity: c.TargetBurstCapacity,
		PanicThreshold: c.PanicThreshold, UpRate: c.MaxScaleUpRate, DownRate: c.MaxScaleDownRate,
		StableWindow: c.StableWindow.duration(), ScaleDownDelay: c.ScaleDownDelay.duration(), Tick: c.Tick.duration(),
		ActivationScale: c.ActivationScale, Reachable: c.Reachable,
	}
}

func (v scaleVector) run(t *testing.T) {
	t.Helper()
	s := kpa.Start(v.Config.kpa(t), 0, v.ReadyAtCreation)
	if want := v.AtCreation; want != nil {
		assert.Equal(t, want.MaxPanicScale, s.Floor)
		assert.Equal(t, want.Panicking, s.Panicking)
	}
	if p := v.Preset; p != nil {
		s.Panicking, s.Since, s.Floor = true, p.PanicSince.ns(), p.MaxPanicScale
	}
	for i, step := range v.Steps {
		if step.ConfigPatch != nil {
			decodeStrictly(t, step.ConfigPatch, &v.Config)
		}
		var got kpa.Decision
		got, s = kpa.Decide(v.Config.kpa(t), s, kpa.Sample{
			Now: step.At.ns(), Ready: step.Ready,
			Stable: step.Stable, Panic: step.Panic, Missing: step.MetricError,
		})
		want := step.Expect
		assert.Equal(t, want.Valid, got.Valid, "step %d", i)
		assert.Equal(t, want.Desired, got.Desired, "step %d: %s", i, got.Rule)
		assert.InDelta(t, want.Excess, got.Excess, v.Tolerance, "step %d", i)
		assert.Equal(t, want.Panicking, s.Panicking, "step %d", i)
		if want.PanicSince != nil {
			assert.Equal(t, want.PanicSince.ns(), s.Since, "step %d", i)
		}
	}
}

// runThroughPolicy gives the public policy the same load, as far as that is possible. That policy
// only has concurrency as a metric, always has its figures, and is always reachable.
func (v scaleVector) runThroughPolicy(t *testing.T) {
	t.Helper()
	if v.Preset != nil || v.Config.policy() == nil {
		return
	}
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	created := faas.Load{Now: epoch, Arrival: true, Instances: max(1, v.ReadyAtCreation), Ready: v.ReadyAtCreation, Per: v.Config.per()}
	_, s := v.Config.policy().Desired(created, nil)
	for i, step := range v.Steps {
		if step.ConfigPatch != nil {
			decodeStrictly(t, step.ConfigPatch, &v.Config)
		}
		p := v.Config.policy()
		if p == nil || step.MetricError {
			return
		}
		var got faas.Target
		got, s = p.Desired(faas.Load{
			Now: epoch.Add(step.At.duration()), Instances: step.Ready, Ready: step.Ready, Per: v.Config.per(),
			Stable: step.Stable, Burst: step.Panic,
		}, s)
		assert.Equal(t, step.Expect.Desired, got.N, "step %d of the policy: %s", i, got.Rule)
	}
}

// per returns how many calls an instance may have; the utilization makes up the rest of the target.
func (c scaleConfig) per() int { return int(math.Ceil(c.TargetValue)) }

// policy returns the public policy with this configuration, or nil if there is none.
func (c scaleConfig) policy() faas.Scaler {
	if c.Metric != "concurrency" || !c.Reachable || c.Tick != 2 {
		return nil
	}
	p := faas.ConcurrencyScaler{
		Utilization: c.TargetValue / float64(c.per()), StableWindow: c.StableWindow.duration(), PanicThreshold: c.PanicThreshold,
		UpRate: c.MaxScaleUpRate, DownRate: c.MaxScaleDownRate, ActivationScale: c.ActivationScale,
		ScaleDownDelay: c.ScaleDownDelay.duration(), ZeroGrace: -1, TickOnly: true,
	}
	if c.StableWindow == 0 || faas.CheckScaler(p) != nil {
		return nil // a zero would mean the default
	}
	return p
}

type averageVector struct {
	vectorHead

	Algorithm   string   `json:"algorithm"`
	Window      seconds  `json:"window_s"`
	Granularity seconds  `json:"granularity_s"`
	Smoothing   *float64 `json:"smoothing_coefficient"`
	Tolerance   float64  `json:"tolerance"`
	Ops         []struct {
		Op    string  `json:"op"`
		At    seconds `json:"t_s"`
		Value float64 `json:"v"`
		Want  float64 `json:"want"`
	} `json:"ops"`
}

func (v averageVector) run(t *testing.T) {
	t.Helper()
	b := window.NewBuckets(v.Window.duration(), v.Granularity.duration())
	if v.Smoothing != nil {
		assert.InDelta(t, *v.Smoothing, b.Smoothing(), 1e-12)
	}
	average, ok := map[string]func(int64) float64{"linear": b.Average, "weighted_exponential": b.Weighted}[v.Algorithm]
	require.True(t, ok, "unknown algorithm %q", v.Algorithm)
	for i, op := range v.Ops {
		switch op.Op {
		case "record":
			b.Add(op.At.ns(), op.Value)
		case "average":
			assert.InDelta(t, op.Want, average(op.At.ns()), v.Tolerance, "op %d", i)
		default:
			t.Fatalf("unknown op %q", op.Op)
		}
	}
}

type maxVector struct {
	vectorHead

	Slots int `json:"slots"`
	Cases []struct {
		Name    string    `json:"name"`
		Indices []int64   `json:"indices"`
		Values  []float64 `json:"values"`
		Want    []float64 `json:"want"`
	} `json:"cases"`
}

func (v maxVector) run(t *testing.T) {
	t.Helper()
	for _, c := range v.Cases {
		require.Len(t, c.Values, len(c.Indices))
		require.Len(t, c.Want, len(c.Indices))
		m := window.NewMax(v.Slots)
		for i, slot := range c.Indices {
			m = m.With(slot, c.Values[i])
			assert.InDelta(t, c.Want[i], m.Value(), 0, "%s: step %d", c.Name, i)
		}
	}
}
