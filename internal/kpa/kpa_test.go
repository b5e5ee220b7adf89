package kpa_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/kpa"
)

func config() kpa.Config {
	return kpa.Config{
		Target: 1, Total: 1, PanicThreshold: 2, UpRate: 10, DownRate: 2,
		StableWindow: time.Minute, Tick: 2 * time.Second, Reachable: true,
	}
}

func at(s float64) int64 { return int64(s * 1e9) }

func TestTheRuleThatDecidedIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule string
		with func(*kpa.Config)
		in   kpa.Sample
		want int
	}{
		{kpa.Stable, nil, kpa.Sample{Ready: 10, Stable: 8, Panic: 8}, 8},
		{kpa.Panic, nil, kpa.Sample{Ready: 10, Stable: 8, Panic: 20}, 20},
		{kpa.UpRate, nil, kpa.Sample{Ready: 1, Stable: 11, Panic: 0}, 10},
		{kpa.DownRate, nil, kpa.Sample{Ready: 10, Stable: 1, Panic: 1}, 5},
		{kpa.Activation, func(c *kpa.Config) { c.ActivationScale = 3 }, kpa.Sample{Stable: 1}, 3},
		{kpa.Stable, func(c *kpa.Config) { c.ActivationScale = 3 }, kpa.Sample{}, 0},
		{kpa.Stable, func(c *kpa.Config) { c.Reachable = false }, kpa.Sample{Ready: 10, Stable: 1}, 1},
		{kpa.NoMetric, nil, kpa.Sample{Ready: 10, Stable: 1, Missing: true}, 0},
		{kpa.NoMetric, nil, kpa.Sample{Ready: 10, Stable: math.NaN()}, 0},
		{kpa.NoMetric, nil, kpa.Sample{Ready: 10, Panic: -1}, 0},
		{kpa.UpRate, nil, kpa.Sample{Ready: math.MaxInt32, Stable: math.Inf(1)}, math.MaxInt32},
	} {
		cfg := config()
		if c.with != nil {
			c.with(&cfg)
		}
		got, _ := kpa.Decide(cfg, kpa.Start(cfg, 0, 0), c.in)
		assert.Equal(t, c.rule, got.Rule)
		assert.Equal(t, c.want, got.Desired, c.rule)
		assert.Equal(t, c.rule != kpa.NoMetric, got.Valid)
	}
}

func TestPanicEndsWhenAStableWindowHasPassedSinceItsLastCause(t *testing.T) {
	t.Parallel()
	cfg := config()
	s := kpa.Start(cfg, 0, 1)
	var got kpa.Decision
	for _, step := range []struct {
		at   float64
		load float64
		want int
		rule string
	}{
		{0, 16, 16, kpa.Panic},
		{30, 2, 16, kpa.PanicFloor},
		{59, 24, 24, kpa.Panic}, // panic mode has a new cause
		{119, 1, 24, kpa.PanicFloor},
		{119.5, 1, 4, kpa.DownRate},
	} {
		got, s = kpa.Decide(cfg, s, kpa.Sample{Now: at(step.at), Ready: 8, Stable: step.load, Panic: step.load})
		require.Equal(t, step.want, got.Desired, "%v", step)
		require.Equal(t, step.rule, got.Rule, "%v", step)
	}
	require.False(t, s.Panicking)
}

func TestADelayHoldsWhatWasWished(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.ScaleDownDelay = 10 * time.Second
	cfg.PanicThreshold = 100
	s := kpa.Start(cfg, 0, 1)
	s = s.Hold(cfg, at(1), 7) // a wish that did not come from Decide
	for _, step := range []struct {
		at   float64
		want int
		rule string
	}{{2, 7, kpa.Delay}, {8, 7, kpa.Delay}, {10, 1, kpa.Stable}} {
		var got kpa.Decision
		got, s = kpa.Decide(cfg, s, kpa.Sample{Now: at(step.at), Ready: 1, Stable: 1})
		require.Equal(t, step.want, got.Desired, "%v", step)
		require.Equal(t, step.rule, got.Rule, "%v", step)
	}
}

// For any samples, a wish is within the rates, or panic mode or the delay holds it; and Decide
// does not change the state that it gets.
func TestAWishIsWithinTheRatesOrHeld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := config()
		cfg.Target = rapid.Float64Range(0.1, 100).Draw(t, "target")
		cfg.UpRate = rapid.Float64Range(1.01, 20).Draw(t, "up")
		cfg.DownRate = rapid.Float64Range(1.01, 20).Draw(t, "down")
		cfg.ScaleDownDelay = time.Duration(rapid.IntRange(0, 20).Draw(t, "delay")) * time.Second
		s := kpa.Start(cfg, 0, rapid.IntRange(0, 3).Draw(t, "at first"))
		now, highest := int64(0), s.Floor
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now += rapid.Int64Range(-1e9, 40e9).Draw(t, "later")
			in := kpa.Sample{
				Now: now, Ready: rapid.IntRange(0, 50).Draw(t, "ready"),
				Stable: rapid.Float64Range(0, 1000).Draw(t, "stable"),
				Panic:  rapid.Float64Range(0, 1000).Draw(t, "panic"),
			}
			got, next := kpa.Decide(cfg, s, in)
			again, _ := kpa.Decide(cfg, s, in)
			require.Equal(t, got, again)
			require.True(t, got.Valid)

			ready := max(1, float64(in.Ready))
			highest = max(highest, got.Desired)
			require.LessOrEqual(t, got.Desired, max(highest, int(math.Ceil(ready*cfg.UpRate))))
			if got.Rule != kpa.PanicFloor && got.Rule != kpa.Delay {
				require.LessOrEqual(t, got.Desired, int(math.Ceil(ready*cfg.UpRate)))
			}
			require.GreaterOrEqual(t, got.Desired, int(math.Floor(ready/cfg.DownRate)))
			if s.Panicking && next.Panicking {
				require.GreaterOrEqual(t, next.Floor, s.Floor)
				require.GreaterOrEqual(t, got.Desired, next.Floor)
			}
			s = next
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	cfg := config()
	s := kpa.Start(cfg, 0, 1)
	now := int64(0)
	for b.Loop() {
		now += 2e9
		_, s = kpa.Decide(cfg, s, kpa.Sample{Now: now, Ready: 5, Stable: 4, Panic: 6})
	}
}
