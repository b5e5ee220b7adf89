// Package kpa is the decision of Knative's pod autoscaler (KPA; package scaling
// of knative/serving) as a pure function: no clock, no metrics, nothing to lock.
// It passes the vectors that were made of Knative's own tests.
//
// In stable mode the wish is what the stable window's average needs, within a
// rate up and a rate down of what is ready. Where the short panic window needs a
// multiple of what is ready, panic begins: the wish is the higher of the two
// windows', and does not come down until a stable window has passed without that.
// A delay, if there is one, holds a wish for so long before a lower one counts.
package kpa

import (
	"math"
	"time"

	"github.com/inproc/faas/internal/window"
)

// Config says how to decide. Target, DownRate and UpRate are positive; there are
// no defaults.
type Config struct {
	Target          float64       // of the metric, on each instance
	Total           float64       // what an instance can take at most
	BurstCapacity   float64       // what is to be free for a burst; negative: without limit
	PanicThreshold  float64       // panic begins at this ratio of wish to ready
	UpRate          float64       // at most this many times what is ready
	DownRate        float64       // at least what is ready divided by this
	StableWindow    time.Duration // panic lasts that long after its last cause
	ScaleDownDelay  time.Duration // 0: none
	Tick            time.Duration // how often it is asked: what the delay counts in
	ActivationScale int           // the least that is wished for, if anything is; up to 1: no such rule
	Reachable       bool          // no: nobody can call it, so that rate and delay do not hold a wish up
}

// Sample is what was seen at a moment.
type Sample struct {
	Now           int64 // nanoseconds since an epoch that slots of the delay begin at
	Ready         int
	Stable, Panic float64 // averages of the metric over the two windows
	Missing       bool    // there is no metric
}

// State is the memory between decisions. Make it with [Start]. It is a value:
// [Decide] answers another.
type State struct {
	Panicking bool
	Since     int64 // when panic was last caused
	Floor     int   // what panic does not go below

	delay window.Max
}

// The rules that may decide.
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

// Decision is the answer.
type Decision struct {
	Valid   bool // no: there was nothing to decide on; the rest is zero
	Desired int
	Excess  int // burst capacity beyond what is asked for; -1 where that is without limit
	Rule    string
}

// Start is the state of a scaler that begins when so many are ready. More than
// one start in panic: who begins to watch what has been running knows nothing of
// its load, and should not take any of it away before he does.
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

// Hold is s after a wish that did not come from Decide: the delay, if there is
// one, holds it as well.
func (s State) Hold(c Config, now int64, n int) State {
	s.delay = s.delay.With(c.slot(now), float64(n))
	return s
}

// Decide answers how many instances there should be, and the next state. What is
// no number, or below zero, is no metric.
func Decide(c Config, s State, in Sample) (Decision, State) {
	if in.Missing || !(in.Stable >= 0) || !(in.Panic >= 0) {
		return Decision{Rule: NoMetric}, s
	}
	ready := max(1, float64(in.Ready)) // from none, the rates count as from one
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

// wish is a number and the rule that made it.
type wish struct {
	n    int
	rule string
}

// wish is what one window asks for, within the rates.
func (c Config) wish(value, ready float64, rule string) wish {
	need := math.Ceil(value / c.Target)
	most := math.Ceil(c.UpRate * ready) // rounded up, or a rate of 1.1 would never leave one
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

// latch begins panic, extends it, or ends it.
func (s State) latch(c Config, now int64, over bool) State {
	switch {
	case over:
		s.Panicking, s.Since = true, now
	case s.Panicking && now > s.Since+int64(c.StableWindow):
		s.Panicking, s.Since, s.Floor = false, 0, 0
	}
	return s
}

// ratchet is the wish in panic: the higher one, as there may be cases where the
// stable window asks for more, and never below the highest so far.
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

// hold is the highest wish within the delay.
func (s State) hold(c Config, now int64, w wish) (wish, State) {
	s = s.Hold(c, now, w.n)
	if held := int(s.delay.Value()); held != w.n {
		w = wish{n: held, rule: Delay}
	}
	return w, s
}

func (c Config) slot(now int64) int64 {
	q := now / int64(c.Tick)
	if now%int64(c.Tick) < 0 {
		q--
	}
	return q
}

func (c Config) excess(in Sample) int {
	switch {
	case c.BurstCapacity == 0:
		return 0
	case c.BurstCapacity < 0:
		return -1
	}
	return toInt(math.Floor(float64(in.Ready)*c.Total - c.BurstCapacity - in.Panic))
}

// toInt is f as a count of instances: 32 bits are enough for any, and do not wrap.
func toInt(f float64) int {
	return int(min(max(f, math.MinInt32), math.MaxInt32))
}
