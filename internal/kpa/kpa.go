// Package kpa has the decision of Knative's pod autoscaler (KPA; package scaling
// of knative/serving) as a pure function, without a clock, metrics or locks. It
// passes test vectors made from Knative's own tests.
//
// The result of a decision is the wish, the wanted number of instances. In stable mode the wish
// is what the average of the stable window needs, limited by an up rate and a down rate
// relative to the number of ready instances. Panic mode begins when the average of the short
// panic window needs a given multiple of the ready instances. In panic mode the wish is the
// higher one of the two windows, and it does not fall. Panic mode ends when its cause has been
// absent for the length of the stable window. With a scale-down delay, the highest wish within
// the delay counts.
package kpa

import (
	"math"
	"time"

	"github.com/inproc/faas/internal/window"
)

// Config holds the parameters. Target, DownRate and UpRate must be positive; there
// are no defaults.
type Config struct {
	Target          float64       // the wanted value of the metric for each instance
	Total           float64       // the highest value of the metric that an instance can serve
	BurstCapacity   float64       // the capacity to keep free for a burst; negative: without limit
	PanicThreshold  float64       // panic begins at this ratio of wish to ready instances
	UpRate          float64       // the wish is at most ready × UpRate
	DownRate        float64       // the wish is at least ready / DownRate
	StableWindow    time.Duration // panic mode lasts this long after its last cause
	ScaleDownDelay  time.Duration // for how long a higher wish still counts; 0: no delay
	Tick            time.Duration // the interval of decisions, which is the delay's resolution
	ActivationScale int           // the lowest wish above 0; for values up to 1 there is no such rule
	Reachable       bool          // false: the function gets no calls, so DownRate and ScaleDownDelay do not apply
}

// Sample is what was measured at one time.
type Sample struct {
	Now           int64   // nanoseconds since an epoch; the slots of the delay are counted from there
	Ready         int     // the number of ready instances
	Stable, Panic float64 // averages of the metric over the two windows
	Missing       bool    // there is no metric
}

// State is the memory between decisions. Make it with [Start]. It is immutable:
// [Decide] returns a new one.
type State struct {
	Panicking bool
	Since     int64 // the last time at which panic mode had a cause
	Floor     int   // in panic mode, the highest wish so far

	delay window.Max
}

// The values of Decision.Rule.
const (
	Stable     = "stable window"
	Panic      = "panic window"
	PanicFloor = "no scale-down in panic"
	UpRate     = "up rate"
	DownRate   = "down rate"
	Activation = "activation scale"
	Delay      = "scale-down delay"
	NoMetric   = "no metric"
)

// Decision is the answer of [Decide].
type Decision struct {
	Valid   bool // false: there was no metric; only Rule is set
	Desired int  // the wanted number of instances
	Excess  int  // free capacity above BurstCapacity; negative if there is too little; -1 if BurstCapacity is negative
	Rule    string
}

// Start returns the state of a scaler that starts with this number of ready instances. With more
// than one, it starts in panic mode. The scaler has no measurements of their load yet,
// and panic mode prevents it from stopping any of them before it has.
func Start(c Config, now int64, ready int) State {
	s := State{Floor: ready}
	if ready > 1 {
		s.Panicking, s.Since = true, now
	}
	if c.ScaleDownDelay > 0 {
		s.delay = window.NewMax(int((c.ScaleDownDelay + c.Tick - 1) / c.Tick))
	}
	return s
}

// Hold returns the state after a wish of n that did not come from Decide. The scale-down
// delay, if there is one, applies to it as to any other wish.
func (s State) Hold(c Config, now int64, n int) State {
	s.delay = s.delay.With(c.slot(now), float64(n))
	return s
}

// Decide returns the number of instances that there should be, and the next state.
// A NaN or a negative value counts as a missing metric. For example, with Target 10 and
// 2 ready instances, averages of 35 over both windows ask for 4 instances; with
// PanicThreshold 2 that is also the cause of panic mode.
func Decide(c Config, s State, in Sample) (Decision, State) {
	if in.Missing || !(in.Stable >= 0) || !(in.Panic >= 0) {
		return Decision{Rule: NoMetric}, s
	}
	ready := max(1, float64(in.Ready)) // with 0, the rates would not allow a first instance
	stable := c.wish(in.Stable, ready, Stable)
	panicked := c.wish(in.Panic, ready, Panic)

	s = s.latch(c, in.Now, math.Ceil(in.Panic/c.Target)/ready >= c.PanicThreshold)
	w := stable
	if s.Panicking {
		w, s = s.ratchet(stable, panicked)
	}
	if c.Reachable && s.delay.Slots() > 0 {
		w, s = s.hold(c, in.Now, w)
	}
	return Decision{Valid: true, Desired: w.n, Excess: c.excess(in), Rule: w.rule}, s
}

// wish is a number of instances and the rule that it comes from.
type wish struct {
	n    int
	rule string
}

// wish returns what one window asks for, within the rates. The order of the rules is
// Knative's: the up rate wins over the down rate, and the activation scale over both. The
// activation scale applies only if the window needs an instance, so that a function can go to zero.
func (c Config) wish(value, ready float64, rule string) wish {
	need := math.Ceil(value / c.Target)
	most := math.Ceil(c.UpRate * ready) // if it were rounded down, a rate of 1.1 could never go from one to two
	least := 0.0
	if c.Reachable {
		least = math.Floor(ready / c.DownRate)
	}
	w := wish{n: toInt(need), rule: rule}
	if need < least {
		w = wish{n: toInt(least), rule: DownRate}
	}
	if max(need, least) > most {
		w = wish{n: toInt(most), rule: UpRate}
	}
	if c.ActivationScale > 1 && need > 0 && c.ActivationScale > w.n {
		w = wish{n: c.ActivationScale, rule: Activation}
	}
	return w
}

// latch begins, extends or ends panic mode; over reports whether there is a cause for it. At the
// end of panic mode the floor is cleared, so that the next panic does not begin with an old one.
func (s State) latch(c Config, now int64, over bool) State {
	switch {
	case over:
		s.Panicking, s.Since = true, now
	case s.Panicking && now > s.Since+int64(c.StableWindow):
		s.Panicking, s.Since, s.Floor = false, 0, 0
	}
	return s
}

// ratchet returns the wish in panic mode: the higher one of the two windows
// (usually, but not always, that of the panic window), and never less than the
// highest so far.
func (s State) ratchet(stable, panicked wish) (wish, State) {
	w := stable
	if panicked.n >= w.n {
		w = panicked
	}
	if w.n < s.Floor {
		return wish{n: s.Floor, rule: PanicFloor}, s
	}
	s.Floor = w.n
	return w, s
}

// hold returns the highest wish within the delay.
func (s State) hold(c Config, now int64, w wish) (wish, State) {
	s = s.Hold(c, now, w.n)
	if held := int(s.delay.Value()); held != w.n {
		w = wish{n: held, rule: Delay}
	}
	return w, s
}

// slot returns the number of the tick that contains the time now. It also rounds down for times
// before the epoch; Go's division would round them towards zero, and merge two slots into one.
func (c Config) slot(now int64) int64 {
	q := now / int64(c.Tick)
	if now%int64(c.Tick) < 0 {
		q--
	}
	return q
}

// excess returns the ready capacity that is neither used nor kept for a burst. In Knative, the
// activator stays in the path of the requests while this is negative. This router has no
// such step; the test vectors check excess only for completeness.
func (c Config) excess(in Sample) int {
	switch {
	case c.BurstCapacity == 0:
		return 0
	case c.BurstCapacity < 0:
		return -1
	}
	return toInt(math.Floor(float64(in.Ready)*c.Total - c.BurstCapacity - in.Panic))
}

// toInt returns f as a number of instances, limited to the range of 32 bits: the
// conversion of a larger float to int is not defined.
func toInt(f float64) int {
	return int(min(max(f, math.MinInt32), math.MaxInt32))
}
