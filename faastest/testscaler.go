package faastest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproc/faas"
)

// TestScaler checks, in subtests of t, that a [faas.Scaler] keeps the promises that the
// router relies on. Call it from the tests of the package that implements one:
//
//	func TestScalerConforms(t *testing.T) {
//		faastest.TestScaler(t, func() faas.Scaler { return predict.Scaler{Ahead: time.Minute} })
//	}
//
// newScaler returns a new scaler each time, always with the same configuration. The
// subtests run in bubbles of [testing/synctest].
//
// It checks that
//
//   - the answers depend on load and state alone: two scalers give the same answer to the
//     same load and state, and so does one scaler that is called twice, at once or much
//     later;
//   - later calls of Desired do not change a state that it has returned;
//   - many goroutines may call Desired at the same time, also with the same state (run it
//     with -race);
//   - for any load N is not negative and Rule is set: for example no load, a huge one, a
//     clock that was set back, limits that have changed;
//   - Desired does not wait;
//   - [faas.Target.UpTo] promises no more instances than Desired returns for the calls that
//     need them;
//   - calls that wait while there is no instance get one within a minute, on their arrival
//     or on a tick;
//   - the windows of a [faas.Windower] are within its bounds, and always the same;
//   - nothing panics.
//
// It does not check that the numbers are good ones: test the policy with [Drive].
func TestScaler(t *testing.T, newScaler func() faas.Scaler) {
	t.Helper()
	for _, c := range []struct {
		name  string
		check func(scalerCheck)
	}{
		{"gives the same answer to the same load", scalerCheck.pure},
		{"leaves states as they are", scalerCheck.leavesStates},
		{"may be called by many at once", scalerCheck.concurrent},
		{"gives answers that can be applied", scalerCheck.extremes},
		{"does not wait", scalerCheck.noWait},
		{"promises no more by UpTo than it gives", scalerCheck.upto},
		{"starts from zero", scalerCheck.starts},
		{"has windows within the bounds", scalerCheck.windows},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.check(scalerCheck{TB: t, newScaler: newScaler}) })
		})
	}
}

// scalerCheck is one subtest of TestScaler, as meterCheck is of TestMeter.
type scalerCheck struct {
	testing.TB
	newScaler func() faas.Scaler
}

// question is a call of Desired with its answer.
type question struct {
	load   faas.Load
	state  faas.State
	answer faas.Target
}

// ask calls s.Desired. It reports a panic, and then ok is false.
func (c scalerCheck) ask(s faas.Scaler, l faas.Load, state faas.State) (t faas.Target, next faas.State, ok bool) {
	c.Helper()
	defer func() {
		c.Helper()
		if p := recover(); p != nil {
			c.Errorf("Desired(%+v) panicked: %v", l, p)
		}
	}()
	t, next = s.Desired(l, state)
	return t, next, true
}

// scalerWeather generates a varying load (calm, bursts, silence, arrivals, ticks),
// the same each time.
type scalerWeather struct {
	rand *rand.Rand
	load faas.Load
}

func newScalerWeather() *scalerWeather {
	return &scalerWeather{
		rand: rand.New(rand.NewPCG(1, 2)), // the same each time
		load: faas.Load{Now: driveEpoch(), Per: 3, Max: 200},
	}
}

// next returns the next load. The parameter followed is the number of instances that the
// function has, after the policy's answer to the load before was applied.
func (w *scalerWeather) next(followed int) faas.Load {
	l := &w.load
	l.Instances = min(max(followed, l.Min), l.Max)
	l.Ready = l.Instances - w.rand.IntN(1+l.Instances/4)
	calls := 0
	switch w.rand.IntN(8) {
	case 0:
		calls = w.rand.IntN(2000)
	case 1, 2:
	default:
		calls = w.rand.IntN(60)
	}
	l.InFlight = min(calls, l.Ready*l.Per)
	l.Queued = calls - l.InFlight
	l.Peak = calls + w.rand.IntN(10)
	l.Stable += (float64(calls) - l.Stable) / 30
	l.Burst += (float64(calls) - l.Burst) / 3
	l.CPU, l.Latency = w.rand.Float64(), time.Duration(w.rand.IntN(50))*time.Millisecond
	l.Arrival = l.Queued > 0 && w.rand.IntN(2) == 0
	l.Now = l.Now.Add(2 * time.Second)
	if w.rand.IntN(50) == 0 {
		l.Now = l.Now.Add(time.Duration(w.rand.IntN(3600)) * time.Second)
	}
	return *l
}

// scalerQuestions is the number of calls of Desired in a conversation.
const scalerQuestions = 500

// converse calls Desired in a row, each time with the state of the answer before,
// and returns the calls.
func (c scalerCheck) converse(s faas.Scaler) []question {
	c.Helper()
	var (
		asked []question
		state faas.State
		n     int
		w     = newScalerWeather()
	)
	for range scalerQuestions {
		l := w.next(n)
		t, next, ok := c.ask(s, l, state)
		if !ok {
			break
		}
		asked = append(asked, question{load: l, state: state, answer: t})
		n, state = t.N, next
	}
	return asked
}

// pure calls two scalers side by side. It calls the first one twice with the same
// arguments: the second answer differs if the scaler keeps something outside of the State.
// The second scaler finds dependence on the scaler value itself, for example on a random
// seed or the address of a map.
func (c scalerCheck) pure() {
	c.Helper()
	a, b := c.newScaler(), c.newScaler()
	var (
		n      int
		sa, sb faas.State
		w      = newScalerWeather()
	)
	for range scalerQuestions {
		l := w.next(n)
		ta, na, ok := c.ask(a, l, sa)
		again, _, _ := c.ask(a, l, sa)
		tb, nb, okb := c.ask(b, l, sb)
		switch {
		case !ok || !okb:
			return
		case again != ta:
			c.Errorf("asked the same twice, Desired returned %v and then %v", ta, again)
			return
		case tb != ta:
			c.Errorf("two scalers that are made alike and asked the same returned %v and %v", ta, tb)
			return
		}
		n, sa, sb = ta.N, na, nb
	}
}

// leavesStates repeats a whole conversation with its old states, the latest first.
func (c scalerCheck) leavesStates() {
	c.Helper()
	s := c.newScaler()
	asked := c.converse(s)
	for i, q := range slices.Backward(asked) {
		if t, _, ok := c.ask(s, q.load, q.state); ok && t != q.answer {
			c.Errorf("called again with the load and the state of call %d, Desired returned %v, and not %v as before: "+
				"a State must not be changed once it was returned, and nothing may be kept outside of it", i, t, q.answer)
			return
		}
	}
}

// concurrent calls Desired on several goroutines with the same states, as callers do whose
// calls arrive at once. The router holds no lock meanwhile, so the race detector finds a scaler
// that writes to its own fields.
func (c scalerCheck) concurrent() {
	c.Helper()
	s := c.newScaler()
	asked := c.converse(s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i, q := range asked {
				if t, _, ok := c.ask(s, q.load, q.state); !ok || t != q.answer {
					c.Errorf("asked by many at once, Desired returned for call %d %v, and not %v as before", i, t, q.answer)
					return
				}
			}
		})
	}
	wg.Wait()
}

// scalerExtremes returns loads at the limits of their ranges.
func scalerExtremes() []faas.Load {
	const much = math.MaxInt32
	now := driveEpoch()
	return []faas.Load{
		{},
		{Now: now, Per: 1},
		{Now: now, Per: 1, Min: 3, Max: 3},
		{Now: now, Per: 1, Queued: 1, Arrival: true},
		{Now: now, Per: 1, Queued: much, Arrival: true, Max: 1},
		{Now: now.Add(time.Second), Per: 1, Instances: 1, InFlight: 1, Queued: much, Peak: much, Stable: much, Burst: much},
		{Now: now.Add(2 * time.Second), Per: much, Instances: much, Ready: much, InFlight: much, Max: much, CPU: 1, Latency: time.Hour},
		{Now: now.Add(4 * time.Second), Per: 1, Instances: 100, Ready: 0, Max: 10, CPU: 1, Latency: time.Hour},
		{Now: now.Add(-time.Hour), Per: 1, Instances: 1, Ready: 1, Stable: 1e-300, Burst: math.MaxFloat64},
		{Now: now.AddDate(100, 0, 0), Per: 2, Instances: 1, Ready: 1, Min: 5, Max: 8},
		{Now: now, Per: 1, Instances: 1, Ready: 1, Stable: math.MaxFloat64, Burst: 1e-300},
	}
}

// extremes also calls Desired with the loads in each rotation, since a state that comes
// from one extreme may break on the next: for example a clock that goes back an hour.
func (c scalerCheck) extremes() {
	c.Helper()
	s := c.newScaler()
	for _, q := range c.converse(s) {
		c.canBe(q.load, q.answer)
	}
	loads := scalerExtremes()
	for first := range loads { // each of them is once the first load, with a nil state
		var state faas.State
		for i := range loads {
			l := loads[(first+i)%len(loads)]
			t, next, ok := c.ask(s, l, state)
			if !ok || !c.canBe(l, t) {
				return
			}
			state = next
		}
	}
}

// canBe reports whether the router could use an answer, and fails the test if not.
func (c scalerCheck) canBe(l faas.Load, t faas.Target) bool {
	c.Helper()
	switch {
	case t.N < 0:
		c.Errorf("Desired(%+v) returns N %d: it must not be negative", l, t.N)
	case t.Rule == "":
		c.Errorf("Desired(%+v) returns no rule", l)
	default:
		return true
	}
	return false
}

// noWait runs in a bubble, where a scaler that sleeps or waits for a goroutine is found
// however short the wait is.
func (c scalerCheck) noWait() {
	c.Helper()
	s := c.newScaler()
	returnsAtOnce(c.TB, fmt.Sprintf("Desired (%d times)", scalerQuestions), func() { c.converse(s) })
}

// upto checks UpTo in the answers of Desired. After each answer N and UpTo it calls Desired again
// for arrivals that need N + 1 instances, the middle of N and UpTo, and UpTo. Each time Desired
// must return the number that the calls need.
func (c scalerCheck) upto() {
	c.Helper()
	s := c.newScaler()
	for _, q := range c.converse(s) {
		first, state, ok := c.ask(s, q.load, q.state)
		if !ok {
			return
		}
		most := min(first.UpTo, q.load.Max)
		for _, n := range []int{first.N + 1, (first.N + most) / 2, most} {
			l := q.load
			l.Arrival, l.Instances = true, first.N
			l.Queued = n*l.Per - l.InFlight
			if n <= first.N || n > most {
				continue
			}
			if t, _, ok := c.ask(s, l, state); !ok || t.N != n {
				c.Errorf("Desired(%+v) returned %+v. For calls that need %d instances it then returned %+v: "+
					"UpTo must not promise what Desired would not return", q.load, first, n, t)
				return
			}
		}
	}
}

func (c scalerCheck) starts() {
	c.Helper()
	defer func() {
		c.Helper()
		if p := recover(); p != nil {
			c.Errorf("it panicked: %v", p)
		}
	}()
	d := Drive{Scaler: c.newScaler(), Calls: func(time.Duration) int { return 1 }, For: time.Minute, Max: 10}
	if len(d.Run()) == 0 {
		c.Errorf("a call waits for a minute while there is no instance, and gets none")
	}
}

func (c scalerCheck) windows() {
	c.Helper()
	w, ok := c.newScaler().(faas.Windower)
	if !ok {
		return
	}
	stable, burst := w.Windows()
	if burst < time.Second || stable < burst || stable > time.Hour {
		c.Errorf("the windows are %v and %v: they must be between 1s and 1h, and the second not longer than the first", stable, burst)
	}
	again, too := w.Windows()
	if again != stable || too != burst {
		c.Errorf("asked for the windows again, Windows returned %v and %v, and not %v and %v", again, too, stable, burst)
	}
}
