package faas_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
)

// process models a router whose calls become slower, the more of them run.
type process struct {
	load  faas.Load
	state faas.State
}

func (p *process) tick(s faas.Scaler, cpu float64, latency time.Duration) faas.Target {
	p.load.Now = p.load.Now.Add(2 * time.Second)
	p.load.CPU, p.load.Latency = cpu, latency
	var got faas.Target
	got, p.state = s.Desired(p.load, p.state)
	p.load.Instances, p.load.Ready = got.N, got.N
	p.load.InFlight = min(p.load.InFlight, got.N)
	return got
}

func TestACeilingComesDownFromWhatRunsAndGoesUpWhenItIsCalm(t *testing.T) {
	t.Parallel()
	s := faas.SaturationScaler{Floor: 10}
	p := &process{load: faas.Load{Now: epoch, Instances: 1000, Ready: 1000, InFlight: 80, Per: 1, Max: 1000}}
	const ms = time.Millisecond
	for i, c := range []struct {
		cpu     float64
		latency time.Duration
		want    int
		why     string
	}{
		{0.99, 1 * ms, 1000, "hold: "}, // the processors are in full use, but no goroutine waits
		{0.99, 5 * ms, 60, "saturated: goroutines wait 5ms, processors 99 %"},
		{0.3, 25 * ms, 45, "saturated: "}, // the process is kept from its processors
		{0.5, 5 * ms, 45, "hold: "},       // neither saturated nor calm
		{0.99, 25 * ms, 33, "saturated: "},
		{0.5, 1 * ms, 33, "hold: "},
		{0.5, 1 * ms, 33, "hold: "},
		{0.5, 1 * ms, 83, "calm: goroutines wait 1ms, processors 50 %"},
		{0.5, 1 * ms, 133, "calm: "},
		{0.5, 3 * ms, 133, "hold: "}, // and the time of calm begins anew
		{0.5, 1 * ms, 133, "hold: "},
	} {
		got := p.tick(s, c.cpu, c.latency)
		require.Equal(t, c.want, got.N, "tick %d: %v", i, got)
		require.Contains(t, got.Rule, c.why, "tick %d", i)
	}
}

func TestACeilingStaysBetweenFloorAndMaximum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := faas.SaturationScaler{Floor: rapid.IntRange(1, 50).Draw(t, "floor"), Step: rapid.IntRange(0, 100).Draw(t, "step")}
		most := rapid.IntRange(50, 500).Draw(t, "max")
		p := &process{load: faas.Load{Now: epoch, Instances: most, Per: 1, Max: most}}
		for range rapid.IntRange(1, 50).Draw(t, "ticks") {
			p.load.InFlight = rapid.IntRange(0, p.load.Instances).Draw(t, "running")
			p.load.Burst = rapid.Float64Range(0, 500).Draw(t, "burst")
			before := p.load.Instances
			latency := time.Duration(rapid.IntRange(0, 40).Draw(t, "ms")) * time.Millisecond
			got := p.tick(s, rapid.Float64Range(0, 1).Draw(t, "cpu"), latency)
			require.GreaterOrEqual(t, got.N, s.Floor)
			require.LessOrEqual(t, got.N, most)
			if latency >= 20*time.Millisecond {
				require.LessOrEqual(t, got.N, max(s.Floor, before*3/4+1))
			}
		}
	})
}

func TestACeilingStaysAboutWhereCallsBeginToWait(t *testing.T) {
	t.Parallel()
	s := faas.SaturationScaler{}
	p := &process{load: faas.Load{Now: epoch, Instances: 1000, Per: 1, Max: 1000}}
	const bears = 200 // each further call makes all goroutines wait 0.1 ms longer
	late := 0
	for i := range 1000 {
		p.load.InFlight = p.load.Instances // there are always enough calls
		over := max(0, p.load.InFlight-bears)
		p.tick(s, 1, time.Duration(over)*100*time.Microsecond)
		if i >= 100 {
			assert.GreaterOrEqual(t, p.load.Instances, bears*3/4, "tick %d", i)
			assert.LessOrEqual(t, p.load.Instances, bears+20+50, "tick %d: one step beyond where somebody waits 2 ms", i)
			if p.load.Instances > bears+20 {
				late++
			}
		}
	}
	assert.Positive(t, late, "it tries for more")
	assert.Less(t, late, 225, "and mostly does not have it")
}

func TestAnArrivalDoesNotMoveTheCeiling(t *testing.T) {
	t.Parallel()
	got, state := faas.SaturationScaler{}.Desired(faas.Load{Now: epoch, Instances: 7, Queued: 100, Arrival: true, CPU: 1, Latency: time.Second}, nil)
	assert.Equal(t, faas.Target{N: 7, Rule: "between ticks"}, got)
	assert.Nil(t, state)
}
