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

// TestScaler checks that a [faas.Scaler] keeps to what the router relies on, in
// subtests of t. Call it from the tests of the package that implements one:
//
//	func TestScalerConforms(t *testing.T) {
//		faastest.TestScaler(t, func() faas.Scaler { return predict.Scaler{Ahead: time.Minute} })
//	}
//
// newScaler returns a new one each time; all are made alike. The subtests run in
// bubbles of [testing/synctest].
//
// It checks that
//
//   - the answers are a function of load and state alone: two scalers that are
//     asked the same answer the same, and so does one that is asked again, at
//     once or much later;
//   - a state that was answered is not changed by the questions that follow;
//   - many goroutines may ask at once, also about the same state (run it with
//     -race);
//   - N is never negative, on no load that may come: nothing at all, very much,
//     a clock that was set back, a function whose limits have changed; and a
//     rule is always given;
//   - Desired does not wait;
//   - what [faas.Target.UpTo] lets calls have without a question is what they would
//     be answered if they asked;
//   - calls that wait where there is no instance get one, when they come or on a
//     tick within a minute;
//   - the windows of a [faas.Windower] are within its bounds, and always the same;
//   - nothing panics.
//
// What is a good number is for the tests of the policy itself: see [Drive].
func TestScaler(t *testing.T, newScaler func() faas.Scaler) {
	t.Helper()
	for _, c := range []struct {
		name  string
		check func(scalerCheck)
	}{
		{"answers the same to the same", scalerCheck.pure},
		{"leaves states as they are", scalerCheck.leavesStates},
		{"may be asked by many at once", scalerCheck.concurrent},
		{"answers numbers that can be", scalerCheck.extremes},
		{"does not wait", scalerCheck.noWait},
		{"lets calls have what it would answer them", scalerCheck.upto},
		{"starts from zero", scalerCheck.starts},
		{"asks for windows that can be", scalerCheck.windows},
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

// question is a question, and what was answered.
type question struct {
	load   faas.Load
	state  faas.State
	answer faas.Target
}

// ask asks s, and reports a panic, in which case ok is false.
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

// scalerWeather is a load that comes and goes, the same each time: calm, bursts,
// silence, arrivals and ticks.
type scalerWeather struct {
	rand *rand.Rand
	load faas.Load
}

func newScalerWeather() *scalerWeather {
	return &scalerWeather{
		rand: rand.New(rand.NewPCG(1, 2)), //nolint:gosec // the same each time
		load: faas.Load{Now: driveEpoch(), Per: 3, Max: 200},
	}
}

// next is the next question, where the last answer has been followed.
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

// scalerQuestions is how many are asked in a row.
const scalerQuestions = 500

// converse asks in a row, and returns what was asked and answered.
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
			c.Errorf("asked the same twice, it answered %v and %v", ta, again)
			return
		case tb != ta:
			c.Errorf("two that are made alike and asked alike answered %v and %v", ta, tb)
			return
		}
		n, sa, sb = ta.N, na, nb
	}
}

// leavesStates asks all of it once more when it is long past, the latest first.
func (c scalerCheck) leavesStates() {
	c.Helper()
	s := c.newScaler()
	asked := c.converse(s)
	for i, q := range slices.Backward(asked) {
		if t, _, ok := c.ask(s, q.load, q.state); ok && t != q.answer {
			c.Errorf("asked again with question %d and the state of that time, it answered %v, and not %v as before: "+
				"a state that has been answered must not be changed, nor anything be kept elsewhere", i, t, q.answer)
			return
		}
	}
}

func (c scalerCheck) concurrent() {
	c.Helper()
	s := c.newScaler()
	asked := c.converse(s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i, q := range asked {
				if t, _, ok := c.ask(s, q.load, q.state); !ok || t != q.answer {
					c.Errorf("asked by many at once, it answered question %d by %v, and not by %v as before", i, t, q.answer)
					return
				}
			}
		})
	}
	wg.Wait()
}

// scalerExtremes are loads at the ends of what may come.
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

func (c scalerCheck) extremes() {
	c.Helper()
	s := c.newScaler()
	for _, q := range c.converse(s) {
		c.canBe(q.load, q.answer)
	}
	loads := scalerExtremes()
	for first := range loads { // each of them may be what a state begins with
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

func (c scalerCheck) canBe(l faas.Load, t faas.Target) bool {
	c.Helper()
	switch {
	case t.N < 0:
		c.Errorf("Desired(%+v) is %d: it must not be negative", l, t.N)
	case t.Rule == "":
		c.Errorf("Desired(%+v) gives no rule", l)
	default:
		return true
	}
	return false
}

func (c scalerCheck) noWait() {
	c.Helper()
	s := c.newScaler()
	returnsAtOnce(c.TB, fmt.Sprintf("Desired (%d times)", scalerQuestions), func() { c.converse(s) })
}

// upto asks for calls that have grown the function as far as they may, half as far,
// and by one.
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
				c.Errorf("it answered Desired(%+v) by %+v, and then to calls that need %d instances %+v: "+
					"UpTo must not promise what it would not answer", q.load, first, n, t)
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
		c.Errorf("a call waits for a minute where there is no instance, and gets none")
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
		c.Errorf("windows of %v and %v: between 1s and 1h, and the second not longer than the first", stable, burst)
	}
	again, too := w.Windows()
	if again != stable || too != burst {
		c.Errorf("asked for the windows again, it answered %v and %v, and not %v and %v", again, too, stable, burst)
	}
}
