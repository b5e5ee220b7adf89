package faas

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Scaler decides how many instances a function has. It is pure policy: a
// function of what it is told, so that an hour of traffic is tested in a loop
// ([TestScaler] of faastest checks an implementation). The router keeps the
// windows and the clock, and acts on the answer within the function's limits.
//
// It is asked in two situations. When a call finds every slot of its function
// taken, it is asked on that caller's goroutine and [Load.Arrival] is true: what
// it adds then is there at once. A burst of calls need not ask for each of them:
// see [Target.UpTo]. And every two seconds while the function has
// calls, instances above its minimum, or a window that is not yet empty.
//
//   - Desired may be called by many goroutines at once, and must not block.
//   - It answers the state that the next question for this function brings
//     back. It changes nothing that s refers to: where two questions cross, one
//     answer is dropped and asked for again.
//   - A negative N, and a panic, change nothing; the panic is counted.
type Scaler interface {
	Desired(l Load, s State) (Target, State)
}

// State is a policy's memory of one function: what it answered last, nil at
// first. To everybody else it is opaque.
type State any

// Target is a policy's answer.
type Target struct {
	N    int    // how many instances there should be
	Rule string // which rule decided, in a few words; it is shown in the Decision
	Rest bool   // without calls the answer stays this: there is no need to ask again before one comes

	// UpTo lets calls that find no free slot grow the function without a question,
	// each to what is needed with it, as far as this and the function's limits,
	// until the next answer. It is for policies that would answer them just that;
	// their state does not learn of it, but Load.Instances and Load.Peak do. Up to
	// N, as 0 is, each call is asked about.
	UpTo int
}

// Load is what a policy is told about a function. A policy answers the zero Load
// too, without a panic; TestScaler of package faastest asks it.
type Load struct {
	Now time.Time

	// Stable and Burst are the time-weighted averages of the function's
	// concurrency, running and waiting calls together, over a long and a short
	// window (60 s and 6 s, or what the policy asks for, see [Windower]).
	// Where the function has been at work for less than a window, they are
	// over that time, but not over less than a second.
	Stable, Burst float64

	Instances int // there should be, as last decided
	Ready     int // those that can serve
	InFlight  int // calls that run
	Queued    int // calls that wait; on arrival, the one that has come is among them
	Peak      int // the most there were of both together since the last tick
	Per       int // calls that one instance serves at once; at least 1 but in the zero Load: don't divide by it unlooked
	Min, Max  int // the function's limits, Max 0 for none; the answer is brought within them

	Arrival bool // a call has come and found no free slot

	// What the process says about itself: the share of the processors in use,
	// 0 to 1, and how long 99 of 100 goroutines at most waited for one, both
	// since the question before. Zero where nobody has asked for the policy
	// to steer the router's capacity.
	CPU     float64
	Latency time.Duration
}

// Windower is for a [Scaler] that wants other windows than 60 s and 6 s. It is
// asked once, when the function is registered; each is at least a second and
// at most an hour, and the burst window is not longer than the stable one.
type Windower interface {
	Windows() (stable, burst time.Duration)
}

// scaleTick is how often a scaler is asked while there is something to decide.
const scaleTick = 2 * time.Second

// calls is how many there are, running and waiting.
func (l Load) calls() int { return max(0, l.InFlight) + max(0, l.Queued) }

// need is how many instances that many calls take.
func (l Load) need(calls int) int {
	per := max(1, l.Per)
	return calls/per + min(1, calls%per) // rounded up; calls+per may overflow
}

// within brings a target within the function's limits. Where they change it, they
// are the rule.
func (l Load) within(t Target) Target {
	switch {
	case l.Max > 0 && t.N > l.Max:
		return Target{N: l.Max, Rule: "maximum"}
	case t.N < l.Min:
		return Target{N: l.Min, Rule: "minimum"}
	}
	return t
}

// roundUp returns f instances, rounded up; a float that is no int must not wrap.
func roundUp(f float64) int { return int(min(math.Ceil(f), math.MaxInt32)) }

// The limits of what a Windower may ask for.
const (
	shortestWindow = time.Second
	longestWindow  = time.Hour
)

// checkScaler tells why a policy can't be used, with the cure.
func checkScaler(s Scaler) error {
	if s == nil {
		return errors.New("the scaler is nil")
	}
	if s, ok := s.(interface{ check() error }); ok {
		if err := s.check(); err != nil {
			return err
		}
	}
	if w, ok := s.(Windower); ok {
		stable, burst := w.Windows()
		if burst < shortestWindow || stable < burst || stable > longestWindow {
			return fmt.Errorf("%T asks for windows of %v and %v: between %v and %v, and the second not longer than the first",
				s, stable, burst, shortestWindow, longestWindow)
		}
	}
	return nil
}
