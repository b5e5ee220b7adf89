package faas

import (
	"fmt"
	"math"
	"time"

	"github.com/inproc/faas/internal/kpa"
	"github.com/inproc/faas/internal/window"
)

// ConcurrencyScaler follows how many calls a function has. It is the default
// policy. The zero value decides by the rules and with the defaults of Knative's
// autoscaler (KPA, https://knative.dev/docs/serving/autoscaling), but for two
// things: it doesn't wait for the tick to grow, and it bounds what it keeps free.
//
// A call that finds no free slot grows the function at once to what its calls
// need, within UpRate. The tick then brings it to what the windows ask for. In
// stable mode these are Stable/(Per × Utilization) instances, at most UpRate times
// and at least one DownRate-th of what is ready. Where Burst asks for
// PanicThreshold times what is ready, panic begins: both windows count, and the
// number does not come down until StableWindow after the last such moment. It
// never comes below what the calls of the moment need.
//
// Without a tick to wait for, what is free saves cold starts and nothing else. Where
// Utilization is 0, the stable window therefore asks for no more than room for the peak,
// the most calls that there were at once within it, and for the root of that again: by so
// much independent calls stray (cf. square-root staffing; Halfin and Whitt, Heavy-Traffic
// Limits for Queues with Many Exponential Servers, Operations Research 29, 1981). Up
// to seven calls at once that changes nothing. A Utilization that is given is kept.
// In hours of Azure's traffic (module sim) it holds 13 % less, for 0.1 % more cold calls.
//
// It scales to zero when the stable window is empty and at least ZeroGrace has passed
// since it last wanted an instance.
//
// A field that is 0 has its default. Impossible values are refused when the
// function is registered.
type ConcurrencyScaler struct {
	Utilization     float64       // how much of an instance's Per is to be used, up to 1; 0: 0.7, or more where the peak is high
	StableWindow    time.Duration // the long window; 0: 60 s
	PanicWindow     float64       // the short window as a share of the long one, a second at the least; 0: 0.1
	PanicThreshold  float64       // the ratio of wish to ready at which panic begins, over 1; 0: 2
	UpRate          float64       // how many times as many instances there may be 2 s later, over 1; 0: 1000
	DownRate        float64       // by what they may be divided from tick to tick, over 1; 0: 2
	ActivationScale int           // the least to start with, whatever the rates; 0: 1
	ScaleDownDelay  time.Duration // how long a wish is held before a lower one counts; 0: not at all
	ZeroGrace       time.Duration // how long the last instance is kept; 0: 30 s, negative: not at all

	// TickOnly is Knative as it is: between ticks nothing grows, and peaks don't count.
	// Only from zero a call starts ActivationScale instances at once, as Knative's activator
	// does; and the first question begins in panic if more than one is ready.
	TickOnly bool
}

// concurrencyState is never changed once it has been answered.
type concurrencyState struct {
	epoch  time.Time // of the first question; the times below count from it
	kpa    kpa.State
	peak   window.Max // of calls at once, within the stable window
	mark   int64      // when the interval began within which UpRate bounds growth
	base   int        // how many instances there were then
	wanted int64      // when more than none was wished for last
	last   int        // what was answered last
}

// Windows returns the two windows.
func (c ConcurrencyScaler) Windows() (stable, burst time.Duration) {
	c = c.withDefaults()
	burst = time.Duration(float64(c.StableWindow) * c.PanicWindow)
	return c.StableWindow, max(burst, shortestWindow)
}

// Desired implements [Scaler].
func (c ConcurrencyScaler) Desired(l Load, s State) (Target, State) {
	bounded := c.Utilization == 0 && !c.TickOnly
	c = c.withDefaults()
	m, _ := s.(*concurrencyState)
	if m == nil {
		m = c.begin(l)
	}
	if l.Arrival {
		return c.arrive(l, m)
	}
	return c.tick(l, m, bounded)
}

// begin is the memory of a function that is seen for the first time. The router
// keeps the windows from its first call on, so that there is nothing to panic
// about but where Knative would.
func (c ConcurrencyScaler) begin(l Load) *concurrencyState {
	ready := 0
	if c.TickOnly {
		ready = l.Ready
	}
	ticks := int(c.StableWindow/scaleTick) + 2 // that which has begun, and the edge that averages round to
	return &concurrencyState{
		epoch: l.Now, kpa: kpa.Start(c.kpa(l), 0, ready), peak: window.NewMax(ticks), base: l.Instances, last: l.Instances,
	}
}

// arrive answers a call that found no free slot. It returns m itself if nothing grows:
// many calls may ask at the same moment, and a new state would make all but one ask again.
func (c ConcurrencyScaler) arrive(l Load, m *concurrencyState) (Target, State) {
	if c.TickOnly && l.Instances > 0 {
		return Target{N: l.Instances, Rule: "between ticks"}, m
	}
	now := m.now(l)
	next := m.interval(l, now)
	t := c.grow(l, next.base, "arrival")
	if c.TickOnly {
		t = Target{N: max(1, c.ActivationScale), Rule: "activator"}
	}
	t = l.within(t)
	if t.N <= l.Instances {
		return Target{N: l.Instances, Rule: t.Rule}, m
	}
	grown := next // here, so that nothing escapes where nothing grows
	grown.wanted, grown.last = now, t.N
	grown.kpa = next.kpa.Hold(c.kpa(l), now, t.N)
	if upto := l.within(Target{N: c.most(next.base)}).N; upto > t.N && !c.TickOnly {
		t.UpTo = upto // all calls of this interval would get the same answer
	}
	return t, &grown
}

// tick corrects in both directions; bounded by the peak, or not.
func (c ConcurrencyScaler) tick(l Load, m *concurrencyState, bounded bool) (Target, State) {
	now := m.now(l)
	next := m.interval(l, now)
	if l.Instances > m.last { // calls have grown it as far as they were allowed to
		next.kpa = next.kpa.Hold(c.kpa(l), now, l.Instances)
	}
	sample := kpa.Sample{Now: now, Ready: l.Ready, Stable: l.Stable, Panic: l.Burst}
	if bounded {
		next.peak = next.peak.With(now/int64(scaleTick), float64(max(l.calls(), l.Peak)))
		sample.Stable = c.bound(l, next.peak.Value())
	}
	var d kpa.Decision
	d, next.kpa = kpa.Decide(c.kpa(l), next.kpa, sample)
	if !d.Valid {
		return Target{N: max(0, l.Instances), Rule: d.Rule}, m
	}
	t := Target{N: d.Desired, Rule: d.Rule}
	if sample.Stable < l.Stable && t.Rule == kpa.Stable {
		t.Rule = "peak"
	}
	if !c.TickOnly {
		t = c.correct(l, next.base, t)
	}
	switch {
	case t.N > 0:
		next.wanted = now
	case l.Instances > 0 && now-next.wanted < int64(c.ZeroGrace):
		t = Target{N: 1, Rule: "scale-to-zero grace"}
	}
	t = l.within(t)
	next.last = t.N
	return t, &next
}

// bound is the stable average, or less where the peak and its root need less than
// that asks for. A peak below the average is one that nobody has told.
func (c ConcurrencyScaler) bound(l Load, peak float64) float64 {
	room := l.need(int(math.Ceil(peak + math.Sqrt(peak))))
	if most := float64(room*max(1, l.Per)) * c.Utilization; peak >= l.Stable && most < l.Stable {
		return most
	}
	return l.Stable
}

// correct keeps what is being used, and growth within the bound that arrivals
// have too.
func (c ConcurrencyScaler) correct(l Load, base int, t Target) Target {
	if limit := max(c.most(base), l.Instances, c.ActivationScale); t.N > limit {
		t = Target{N: limit, Rule: kpa.UpRate}
	}
	if g := c.grow(l, base, "calls in progress"); g.N > t.N {
		return g
	}
	return t
}

// grow is what the calls of the moment need, as far as the rate lets it.
func (c ConcurrencyScaler) grow(l Load, base int, rule string) Target {
	t := Target{N: l.need(l.calls()), Rule: rule}
	if limit := max(c.most(base), l.Instances); t.N > limit {
		t = Target{N: limit, Rule: kpa.UpRate}
	}
	if t.N > 0 && t.N < c.ActivationScale {
		t = Target{N: c.ActivationScale, Rule: kpa.Activation}
	}
	return t
}

// most is how many there may be in an interval that so many began in.
func (c ConcurrencyScaler) most(base int) int {
	return roundUp(c.UpRate * float64(max(1, base)))
}

func (m *concurrencyState) now(l Load) int64 { return int64(l.Now.Sub(m.epoch)) }

// interval is a copy of m, in the interval that now is in. It is a tick long:
// whatever comes within one, all growth of it counts from the same base.
func (m *concurrencyState) interval(l Load, now int64) concurrencyState {
	next := *m
	if now-m.mark >= int64(scaleTick) || now < m.mark {
		next.mark, next.base = now, l.Instances
	}
	return next
}

func (c ConcurrencyScaler) kpa(l Load) kpa.Config {
	// A trifle more than asked for, because 0.7 × 3 comes out below 2.1, and 21
	// calls at that would be the load of eleven.
	const trifle = 1 + 1e-12
	return kpa.Config{
		Target:          float64(max(1, l.Per)) * c.Utilization * trifle,
		PanicThreshold:  c.PanicThreshold,
		UpRate:          c.UpRate,
		DownRate:        c.DownRate,
		StableWindow:    c.StableWindow,
		ScaleDownDelay:  c.ScaleDownDelay,
		Tick:            scaleTick,
		ActivationScale: c.ActivationScale,
		Reachable:       true,
	}
}

func (c ConcurrencyScaler) withDefaults() ConcurrencyScaler {
	c.Utilization = orElse(c.Utilization, 0.7)
	c.StableWindow = orElse(c.StableWindow, time.Minute)
	c.PanicWindow = orElse(c.PanicWindow, 0.1)
	c.PanicThreshold = orElse(c.PanicThreshold, 2)
	c.UpRate = orElse(c.UpRate, 1000)
	c.DownRate = orElse(c.DownRate, 2)
	c.ZeroGrace = orElse(c.ZeroGrace, 30*time.Second)
	return c
}

// orElse is v, or its default if it is zero.
func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// check returns an error for a field out of range. checkScaler checks the windows, as
// for every Windower.
func (c ConcurrencyScaler) check() error {
	c = c.withDefaults()
	for _, f := range []struct {
		name  string
		value float64
		ok    bool
		want  string
	}{
		{"Utilization", c.Utilization, c.Utilization > 0 && c.Utilization <= 1, "above 0 and at most 1"},
		{"PanicWindow", c.PanicWindow, c.PanicWindow > 0 && c.PanicWindow <= 1, "above 0 and at most 1"},
		{"PanicThreshold", c.PanicThreshold, rate(c.PanicThreshold), "above 1"},
		{"UpRate", c.UpRate, rate(c.UpRate), "above 1"},
		{"DownRate", c.DownRate, rate(c.DownRate), "above 1"},
		{"ActivationScale", float64(c.ActivationScale), c.ActivationScale >= 0, "not negative"},
		{"ScaleDownDelay", c.ScaleDownDelay.Seconds(), c.ScaleDownDelay >= 0 && c.ScaleDownDelay <= longestWindow, "not negative, and at most an hour"},
	} {
		if !f.ok {
			return fmt.Errorf("ConcurrencyScaler.%s is %v: it has to be %s, or 0 for its default", f.name, f.value, f.want)
		}
	}
	return nil
}

// rate tells whether f is a factor that changes something; NaN is none.
func rate(f float64) bool { return f > 1 && !math.IsInf(f, 1) }
