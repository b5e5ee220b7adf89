package faas

import (
	"fmt"
	"math"
	"time"
)

// SaturationScaler sets a ceiling for a whole router, so that a process that has
// too much to do serves fewer calls at a time and keeps its pace, instead of all
// of them ever more slowly. It is asked about the router as if that were one
// function: an instance is a slot.
//
// The measure is how long goroutines wait for a processor (Load.Latency). When
// 99 of 100 waited longer than HighLatency, or longer than LowLatency while the
// processors were busier than HighCPU, the ceiling comes down to Backoff of what
// was running: at once, and again at each tick until it helps. When they waited
// less than LowLatency for Calm, it goes up by Step at each tick. In between it
// stays. So processors in full use are not saturation as long as no goroutine waits for
// them; and a process that is kept from its processors, by a quota or a neighbor,
// is saturated though it uses few. (Additive increase and multiplicative
// decrease: Chiu and Jain, Computer Networks and ISDN Systems 17, 1989.)
//
// The ceiling is never below Floor, nor above Load.Max. A field that is 0 has its
// default.
type SaturationScaler struct {
	Floor       int           // 0: 1
	Step        int           // 0: a twentieth of Load.Max
	Backoff     float64       // 0: 0.75
	HighLatency time.Duration // 0: 20 ms, two turns of a goroutine that does not yield
	LowLatency  time.Duration // 0: 2 ms
	HighCPU     float64       // share of the processors; 0: 0.9
	Calm        time.Duration // 0: 6 s
}

// saturationState is never changed once it has been answered.
type saturationState struct {
	busy time.Time // when a goroutine last waited LowLatency or longer
}

// Desired implements [Scaler].
func (p SaturationScaler) Desired(l Load, s State) (Target, State) {
	p = p.withDefaults(l)
	if l.Arrival {
		return Target{N: max(0, l.Instances), Rule: "between ticks"}, s
	}
	m, known := s.(saturationState)
	if !known || l.Latency >= p.LowLatency {
		m.busy = l.Now
	}
	return p.bound(l, p.decide(l, m)), m
}

func (p SaturationScaler) decide(l Load, m saturationState) Target {
	why := fmt.Sprintf("goroutines wait %v, processors %.0f %%", l.Latency.Round(10*time.Microsecond), l.CPU*100)
	switch {
	case l.Latency >= p.HighLatency, l.Latency >= p.LowLatency && l.CPU >= p.HighCPU:
		return Target{N: p.lower(l), Rule: "saturated: " + why}
	case l.Now.Sub(m.busy) >= p.Calm && l.Max > l.Instances:
		return Target{N: l.Instances + min(p.Step, l.Max-l.Instances), Rule: "calm: " + why}
	}
	return Target{N: l.Instances, Rule: "hold: " + why}
}

// lower starts from what runs: a ceiling far above that would have to come down
// many times before it was felt.
func (p SaturationScaler) lower(l Load) int {
	used := max(float64(l.InFlight), l.Burst)
	if !(used < float64(l.Instances)) { // NaN is no use either
		used = float64(l.Instances)
	}
	return int(math.Floor(used * p.Backoff))
}

func (p SaturationScaler) bound(l Load, t Target) Target {
	if t.N < p.Floor {
		t = Target{N: p.Floor, Rule: "floor; " + t.Rule}
	}
	if l.Max > 0 && t.N > l.Max {
		t = Target{N: l.Max, Rule: "maximum; " + t.Rule}
	}
	t.N = max(t.N, l.Min)
	return t
}

func (p SaturationScaler) withDefaults(l Load) SaturationScaler {
	p.Floor = orElse(p.Floor, 1)
	p.Step = orElse(p.Step, max(1, l.Max/20))
	p.Backoff = orElse(p.Backoff, 0.75)
	p.HighLatency = orElse(p.HighLatency, 20*time.Millisecond)
	p.LowLatency = orElse(p.LowLatency, 2*time.Millisecond)
	p.HighCPU = orElse(p.HighCPU, 0.9)
	p.Calm = orElse(p.Calm, 6*time.Second)
	return p
}

func (p SaturationScaler) check() error {
	p = p.withDefaults(Load{})
	for _, f := range []struct {
		name string
		ok   bool
		want string
	}{
		{"Floor", p.Floor >= 1, "1 or more"},
		{"Step", p.Step >= 1, "1 or more"},
		{"Backoff", p.Backoff > 0 && p.Backoff < 1, "above 0 and below 1"},
		{"LowLatency", p.LowLatency > 0, "positive"},
		{"HighLatency", p.HighLatency >= p.LowLatency, "not below LowLatency"},
		{"HighCPU", p.HighCPU > 0 && p.HighCPU <= 1, "above 0 and at most 1"},
		{"Calm", p.Calm > 0, "positive"},
	} {
		if !f.ok {
			return fmt.Errorf("SaturationScaler.%s has to be %s, or 0 for its default", f.name, f.want)
		}
	}
	return nil
}
