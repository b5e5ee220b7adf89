package faas

import (
	"fmt"
	"time"

	"github.com/inproc/faas/internal/window"
)

// LambdaScaler scales as AWS Lambda does: a call that finds no free instance
// starts one, and an instance goes when it has not been needed for a while. The
// calls themselves are the measure; there is no target and no average.
//
// Growth is bounded: a function gets up to Burst more instances at once, and that
// allowance refills evenly, to Burst again in ten seconds (Lambda scaling
// behavior, https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html).
// How long an idle environment lives AWS doesn't promise; ten minutes is what
// Shahrad et al. took for it (Serverless in the Wild, USENIX ATC 2020).
type LambdaScaler struct {
	Burst     int           // instances per 10 s; 0: 1000
	KeepAlive time.Duration // how long an instance that is not needed is kept, and up to a sixtieth, or a tick, longer; 0: 10 min
}

// lambdaState is never changed once it has been answered.
type lambdaState struct {
	epoch time.Time  // of the first question; the times below count from it
	quota float64    // how many instances may be started
	at    int64      // when that was
	need  window.Max // instances needed, within KeepAlive
}

const lambdaRefill = 10 * time.Second

// Desired implements [Scaler].
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
			return t, m // many may come at the same moment: nothing new, no new state
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

func (p LambdaScaler) begin(l Load) *lambdaState {
	slots := (p.KeepAlive+p.slot()-1)/p.slot() + 1 // the slot that runs, and those that have passed
	return &lambdaState{epoch: l.Now, quota: float64(p.Burst), need: window.NewMax(int(slots))}
}

// slot is what the keep-alive counts in: few enough of them to be remembered.
func (p LambdaScaler) slot() time.Duration { return max(scaleTick, p.KeepAlive/60) }

// refill is a copy of m at the question's time.
func (p LambdaScaler) refill(l Load, m *lambdaState) lambdaState {
	next := *m
	next.at = int64(l.Now.Sub(m.epoch))
	passed := max(0, float64(next.at-m.at)/float64(lambdaRefill))
	next.quota = min(float64(p.Burst), next.quota+passed*float64(p.Burst))
	return next
}

// start takes what is to be started from the quota, and gets what there is.
func (m *lambdaState) start(l Load, t Target) Target {
	t = l.within(t)
	if more := t.N - l.Instances; more > int(m.quota) {
		t = l.within(Target{N: l.Instances + int(m.quota), Rule: "burst quota"})
	}
	m.quota -= float64(min(max(0, t.N-l.Instances), int(m.quota)))
	return t
}

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
