package faas

import (
	"fmt"
	"time"

	"github.com/inproc/faas/internal/window"
)

// LambdaScaler scales as AWS Lambda does. A call that finds no free instance starts one,
// and an instance is dropped when it has not been needed for KeepAlive. Only the number of
// calls matters; there is no target utilization and no average.
//
// A quota bounds the growth, as a token bucket does. A function may start up to Burst
// instances at once; the quota refills evenly and is full again after ten seconds (Lambda
// scaling behavior, https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html).
// AWS does not promise how long an idle environment lives; ten minutes is the figure of
// Shahrad et al. (Serverless in the Wild, USENIX ATC 2020).
type LambdaScaler struct {
	Burst     int           // how many instances may be started in 10 s; 0: 1000
	KeepAlive time.Duration // how long an instance that is not needed is kept; in fact up to 1/60 of that, or a tick of 2 s, longer; 0: 10 min
}

// lambdaState does not change once Desired has returned it: goroutines that call Desired at
// the same time share it without a lock.
type lambdaState struct {
	epoch time.Time  // when the policy was first called; the times below are counted from it
	quota float64    // how many instances may be started; a fraction, since it refills evenly
	at    int64      // the time at which quota was right, in nanoseconds
	need  window.Max // the highest number of instances that were needed within KeepAlive
}

// lambdaRefill is how long an empty quota takes to refill.
const lambdaRefill = 10 * time.Second

// Desired implements [Scaler]. When a call arrives, it only grows the function. At a tick it
// also lowers the number, to the highest that was needed within KeepAlive.
func (p LambdaScaler) Desired(l Load, s State) (Target, State) {
	p.Burst, p.KeepAlive = orElse(p.Burst, 1000), orElse(p.KeepAlive, 10*time.Minute)
	m, _ := s.(*lambdaState)
	if m == nil {
		m = p.begin(l)
	}
	need := l.need(l.calls())
	if l.Arrival {
		if l.within(Target{N: need}).N <= l.Instances {
			return Target{N: l.Instances, Rule: "arrival"}, m
		}
		next := p.refill(l, m)
		t := next.start(l, Target{N: need, Rule: "arrival"})
		if t.N <= l.Instances {
			// The quota is used up. All further calls of a burst come here. They get m itself,
			// so that no call allocates; the next growth refills the quota from m.at on.
			return t, m
		}
		next.note(p, need)
		return t, &next
	}
	next := p.refill(l, m)
	next.note(p, max(need, l.need(l.Peak)))
	t := Target{N: int(next.need.Value()), Rule: "keep-alive"}
	if t.N <= need {
		t = Target{N: need, Rule: "calls in progress"}
	}
	return next.start(l, t), &next
}

// begin returns the state for the first call of Desired, with a full quota.
func (p LambdaScaler) begin(l Load) *lambdaState {
	slots := (p.KeepAlive+p.slot()-1)/p.slot() + 1 // the slots of time in KeepAlive, rounded up, and the one that has begun
	return &lambdaState{epoch: l.Now, quota: float64(p.Burst), need: window.NewMax(int(slots))}
}

// slot returns the length of a slot of time. The field need keeps one maximum for each slot. A slot
// is a sixtieth of KeepAlive, for example 10 s for 10 min, so that the state stays small for
// any KeepAlive. It is at least a tick long, since only a tick lowers the number of instances.
func (p LambdaScaler) slot() time.Duration { return max(scaleTick, p.KeepAlive/60) }

// refill returns a copy of m for the time l.Now, with the quota that was refilled since m. If the
// clock was set back, nothing is refilled.
func (p LambdaScaler) refill(l Load, m *lambdaState) lambdaState {
	next := *m
	next.at = int64(l.Now.Sub(m.epoch))
	passed := max(0, float64(next.at-m.at)/float64(lambdaRefill))
	next.quota = min(float64(p.Burst), next.quota+passed*float64(p.Burst))
	return next
}

// start takes from the quota the instances that t would start. It returns t, or as many
// instances as the quota allows. m must be a copy that no other goroutine has.
func (m *lambdaState) start(l Load, t Target) Target {
	t = l.within(t)
	if more := t.N - l.Instances; more > int(m.quota) {
		t = l.within(Target{N: l.Instances + int(m.quota), Rule: "burst quota"})
	}
	m.quota -= float64(min(max(0, t.N-l.Instances), int(m.quota)))
	return t
}

// note records how many instances are needed at the time m.at.
func (m *lambdaState) note(p LambdaScaler, need int) {
	m.need = m.need.With(m.at/int64(p.slot()), float64(need))
}

func (p LambdaScaler) check() error {
	switch {
	case p.Burst < 0:
		return fmt.Errorf("LambdaScaler.Burst is %d: it has to be 1 or more, or 0 for 1000", p.Burst)
	case p.KeepAlive < 0:
		return fmt.Errorf("LambdaScaler.KeepAlive is %v: it has to be positive, or 0 for 10 minutes", p.KeepAlive)
	}
	return nil
}
