package faas

import (
	"fmt"
	"math"
	"time"
)

// SaturationScaler sets the capacity of a whole router ([WithCapacityScaler]). With it, an
// overloaded process serves fewer calls at a time, each at its normal pace. Without it, the
// process would serve all of them more and more slowly. The policy gets the Load of the router
// as if the router were one function; an instance stands for a slot.
//
// It measures how long goroutines wait for a processor (Load.Latency). The process is
// saturated if Latency exceeds HighLatency, or if it exceeds LowLatency while the processors
// are busier than HighCPU. Then the capacity falls to Backoff times the number of running
// calls, and falls again at each tick until the waits are shorter. If goroutines have waited
// less than LowLatency for the time of Calm, the capacity rises by Step at each tick. Otherwise
// it stays. Two examples: processors in full use are not saturation as long as no goroutine waits
// for them. And a process that uses little processor time is saturated if a quota or another
// process keeps it from running. (Additive increase and multiplicative decrease:
// Chiu and Jain, Computer Networks and ISDN Systems 17, 1989.)
//
// The capacity is never below Floor and never above Load.Max. A field that is 0 has its
// default.
type SaturationScaler struct {
	Floor       int           // the lowest capacity, in calls; 0: 1
	Step        int           // by how many calls the capacity rises; 0: a twentieth of Load.Max
	Backoff     float64       // the factor by which it falls, between 0 and 1; 0: 0.75
	HighLatency time.Duration // 0: 20 ms, which is two time slices of a goroutine that does not yield
	LowLatency  time.Duration // not above HighLatency; 0: 2 ms
	HighCPU     float64       // a share of the processors, up to 1; 0: 0.9
	Calm        time.Duration // 0: 6 s
}

// saturationState is a plain value: it refers to nothing that Desired could change.
type saturationState struct {
	busy time.Time // when a goroutine last waited LowLatency or longer
}

// Desired implements [Scaler]. Only ticks change the capacity: between them there is no new
// measurement, and a call that finds no slot gives no information about the processors.
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

// decide returns the capacity before Floor and Max are applied. The measurements are part of
// the rule, since they explain the Decision to an operator.
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

// lower returns the lower capacity. It multiplies the number of running calls by Backoff, and not
// the present capacity. For example, if 10 calls run and the capacity is 1,000, the capacity would
// have to fall 17 times by a factor of 0.75 before it limited a call.
func (p SaturationScaler) lower(l Load) int {
	used := max(float64(l.InFlight), l.Burst)
	if !(used < float64(l.Instances)) { // not >=, so that a NaN is replaced, too
		used = float64(l.Instances)
	}
	return int(math.Floor(used * p.Backoff))
}

// bound applies Floor, Max and Min. Min is applied last, so it wins if Max is below it.
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
