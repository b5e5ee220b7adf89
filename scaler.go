package faas

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Scaler decides how many instances a function has. It is a pure policy: its answer
// depends only on its arguments. So a test can run an hour of traffic in a loop
// (TestScaler of package faastest checks an implementation). The router keeps the
// windows and the clock, and applies the answer within the function's limits.
//
// The router calls Desired in two situations:
//
//   - When a call finds every slot of its function taken. Then Desired is called on the
//     caller's goroutine, [Load.Arrival] is true, and the instances that it adds can be
//     used at once. In a burst of calls Desired need not be called for each: see [Target.UpTo].
//   - Every two seconds, while the function has calls, more instances than its
//     minimum, or a window that is not yet empty.
//
// The contract:
//
//   - Many goroutines may call Desired at once, and it must not block.
//   - The State that it returns is passed to the next Desired for this function. Desired
//     must not change what s refers to: if two goroutines call it at once, the router drops
//     one of the two answers, and that goroutine calls it again.
//   - A negative N, or a panic, changes nothing; the panic is counted.
type Scaler interface {
	Desired(l Load, s State) (Target, State)
}

// State is a policy's memory of one function: what Desired returned last, or nil at first.
// The router only stores it and passes it back.
type State any

// Target is a policy's answer.
type Target struct {
	N    int    // how many instances there should be
	Rule string // which rule decided, in a few words; it is shown in the Decision
	Rest bool   // without calls the answer would stay the same: don't ask again until a call comes

	// UpTo lets a burst of calls grow the function up to this many instances without
	// another Desired for each call. Until the next answer, a call that finds no free slot
	// grows the function to the number that its calls then need, up to UpTo and the
	// function's limits. UpTo is for policies whose answer would be that number. The State does
	// not show such growth; Load.Instances and Load.Peak show it. If UpTo ≤ N, as with the zero
	// value, Desired is called for every such call.
	UpTo int
}

// Load is a function's load, as a policy gets it. A policy must also accept the zero Load;
// TestScaler of package faastest checks that.
type Load struct {
	Now time.Time

	// Stable and Burst are the time-weighted averages of the function's
	// concurrency, running and waiting calls together, over a long and a short
	// window (60 s and 6 s, or the lengths that the policy returns from [Windower]).
	// If the function has had calls for less time than a window is long, they are averages over
	// that time, but at least over a second.
	Stable, Burst float64

	Instances int // how many there should be, as last decided
	Ready     int // how many of them can serve calls
	InFlight  int // calls that run
	Queued    int // calls that wait; on arrival, the new call is one of them
	Peak      int // the maximum of InFlight + Queued since the last tick
	Per       int // calls that one instance serves at once; 0 only in the zero Load: check before you divide
	Min, Max  int // the function's limits, Max 0 for none; the router applies them to the answer

	Arrival bool // a call has arrived and found no free slot

	// CPU is the share of the processors in use, 0 to 1. Latency is the 99th
	// percentile of how long goroutines that could run waited for a processor. Both
	// are measured since the previous call of Desired. They are zero unless the policy is the
	// policy of WithCapacityScaler.
	CPU     float64
	Latency time.Duration
}

// Windower is for a [Scaler] that needs windows other than 60 s and 6 s. Windows is
// called once, when the function is registered. Each window is at least a second and
// at most an hour long, and the burst window is not longer than the stable one.
type Windower interface {
	Windows() (stable, burst time.Duration)
}

// scaleTick is how often a scaler is asked while there is something to decide.
const scaleTick = 2 * time.Second

// calls returns the number of calls, running and waiting.
func (l Load) calls() int { return max(0, l.InFlight) + max(0, l.Queued) }

// need returns how many instances are needed for this number of calls.
func (l Load) need(calls int) int {
	per := max(1, l.Per)
	return calls/per + min(1, calls%per) // rounded up; calls+per may overflow
}

// within applies the function's limits to a target. If they change it, Rule names the limit.
func (l Load) within(t Target) Target {
	switch {
	case l.Max > 0 && t.N > l.Max:
		return Target{N: l.Max, Rule: "maximum"}
	case t.N < l.Min:
		return Target{N: l.Min, Rule: "minimum"}
	}
	return t
}

// roundUp returns f rounded up to an int. A larger f than an int can hold must not wrap around.
func roundUp(f float64) int { return int(min(math.Ceil(f), math.MaxInt32)) }

// The limits of the windows that a Windower may return.
const (
	shortestWindow = time.Second
	longestWindow  = time.Hour
)

// checkScaler returns an error if a policy can't be used; its text says what to change.
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
			return fmt.Errorf("%T returns windows of %v and %v: each must be between %v and %v, and the second not longer than the first",
				s, stable, burst, shortestWindow, longestWindow)
		}
	}
	return nil
}

// desired calls Desired of a policy. If it panics or returns a negative number, ok is false, and
// nothing changes. No lock may be held.
func (g *hookGuard) desired(p Scaler, function string, l Load, s State) (t Target, next State, ok bool) {
	defer g.guardHook("scaler", function)
	t, next = p.Desired(l, s)
	return t, next, t.N >= 0
}
