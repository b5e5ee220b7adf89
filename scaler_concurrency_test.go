package faas_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

// epoch is when the functions of these tests begin.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A burst gets its instances at once, and the tick that comes right after the burst does not
// take them away.
func TestAnArrivalGrowsToWhatTheCallsNeed(t *testing.T) {
	t.Parallel()
	s := faas.ConcurrencyScaler{}
	l := faas.Load{Now: epoch, Queued: 1000, Per: 3, Arrival: true}
	got, state := s.Desired(l, nil)
	require.Equal(t, faas.Target{N: 334, Rule: "arrival", UpTo: 1000}, got)

	l.Instances, l.Ready, l.InFlight, l.Queued = 334, 334, 1000, 0
	again, same := s.Desired(l, state)
	assert.Equal(t, faas.Target{N: 334, Rule: "arrival"}, again)
	assert.Same(t, state, same, "nothing new costs nothing")

	l.Arrival, l.Now, l.Stable, l.Burst = false, epoch.Add(time.Millisecond), 1, 1
	got, _ = s.Desired(l, state)
	assert.Equal(t, faas.Target{N: 334, Rule: "calls in progress"}, got)
}

func TestGrowthWithinATickCountsFromWhereItBegan(t *testing.T) {
	t.Parallel()
	s := faas.ConcurrencyScaler{UpRate: 3}
	l := faas.Load{Now: epoch, Instances: 2, Ready: 2, InFlight: 2, Queued: 100, Per: 1, Arrival: true}
	got, state := s.Desired(l, nil)
	require.Equal(t, faas.Target{N: 6, Rule: "up rate"}, got)

	l.Now, l.Instances, l.Ready = epoch.Add(1999*time.Millisecond), 6, 6
	got, state = s.Desired(l, state)
	require.Equal(t, faas.Target{N: 6, Rule: "up rate"}, got, "it has grown that far already")

	l.Arrival, l.Stable, l.Burst = false, 100, 100
	got, _ = s.Desired(l, state)
	require.Equal(t, faas.Target{N: 6, Rule: "up rate"}, got, "a tick does not double what the arrivals had")

	l.Now = epoch.Add(2 * time.Second)
	got, _ = s.Desired(l, state)
	require.Equal(t, faas.Target{N: 18, Rule: "up rate"}, got)
}

func TestWhatCallsMayGrowToIsWhatTheyWouldBeAnswered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := faas.ConcurrencyScaler{UpRate: rapid.Float64Range(1.5, 50).Draw(t, "rate"), ActivationScale: rapid.IntRange(0, 4).Draw(t, "activation")}
		l := faas.Load{Now: epoch, Per: rapid.IntRange(1, 4).Draw(t, "per"), Max: rapid.IntRange(0, 500).Draw(t, "max"), Arrival: true}
		l.Instances = rapid.IntRange(0, 20).Draw(t, "instances")
		l.Queued = rapid.IntRange(1, 200).Draw(t, "calls")
		first, state := s.Desired(l, nil)
		if first.UpTo <= first.N {
			t.Skip("it has all that it may have")
		}
		n := rapid.IntRange(first.N+1, first.UpTo).Draw(t, "n")
		l.Now = epoch.Add(time.Duration(rapid.IntRange(0, 1999).Draw(t, "ms")) * time.Millisecond)
		l.Instances, l.Queued = first.N, n*l.Per
		next, _ := s.Desired(l, state)
		require.Equal(t, n, next.N)
	})
}

func TestADelayHoldsWhatCallsGrewWithoutAQuestion(t *testing.T) {
	t.Parallel()
	s := faas.ConcurrencyScaler{ScaleDownDelay: time.Minute}
	l := faas.Load{Now: epoch, Queued: 1, Per: 1, Arrival: true}
	got, state := s.Desired(l, nil)
	require.Equal(t, faas.Target{N: 1, Rule: "arrival", UpTo: 1000}, got)
	l = faas.Load{Now: epoch.Add(time.Second), Instances: 40, Ready: 40, Per: 1}
	got, _ = s.Desired(l, state)
	require.Equal(t, 40, got.N, "forty calls came and went")
}

func TestNoIntervalGrowsBeyondTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := faas.ConcurrencyScaler{UpRate: rapid.Float64Range(1.01, 5).Draw(t, "rate")}
		l := faas.Load{Now: epoch, Per: rapid.IntRange(1, 4).Draw(t, "per"), Max: rapid.IntRange(1, 500).Draw(t, "max")}
		var state faas.State
		type moment struct {
			at time.Time
			n  int
		}
		past := []moment{{epoch, 0}}
		for range rapid.IntRange(1, 80).Draw(t, "questions") {
			l.Now = l.Now.Add(time.Duration(rapid.IntRange(0, 1200).Draw(t, "ms")) * time.Millisecond)
			calls := rapid.IntRange(0, 1500).Draw(t, "calls")
			l.InFlight = min(calls, l.Ready*l.Per)
			l.Queued = calls - l.InFlight
			l.Stable = rapid.Float64Range(0, 1500).Draw(t, "stable")
			l.Burst = rapid.Float64Range(0, 1500).Draw(t, "burst")
			l.Arrival = rapid.Bool().Draw(t, "arrival")
			var got faas.Target
			got, state = s.Desired(l, state)
			require.LessOrEqual(t, got.N, l.Max)
			if l.Arrival {
				require.GreaterOrEqual(t, got.N, l.Instances, "an arrival takes nothing away")
			} else {
				need := (calls + l.Per - 1) / l.Per
				require.GreaterOrEqual(t, got.N, min(need, l.Instances, l.Max), "nor does a tick what is used")
			}
			if got.N > l.Instances { // the growth must be within UpRate of a base, which is at most the highest recent number
				least, stood := 0, 0 // stood is the number when the last 2 s began
				for _, m := range past {
					if l.Now.Sub(m.at) <= 2*time.Second {
						least = max(least, m.n)
					} else {
						stood = m.n
					}
				}
				least = max(1, least, stood, l.Instances)
				require.LessOrEqual(t, got.N, int(math.Ceil(float64(least)*s.UpRate)))
			}
			past = append(past, moment{l.Now, got.N})
			l.Instances, l.Ready = got.N, got.N
		}
	})
}

func TestAWishIsNotRaisedByRounding(t *testing.T) {
	t.Parallel()
	for per := 1; per <= 100; per++ {
		for n := 1; n <= 100; n++ {
			calls := float64(n*per*7) / 10 // exactly what n instances should serve
			l := faas.Load{Now: epoch, Stable: calls, Burst: calls, Instances: n, Ready: n, Per: per}
			got, _ := faas.ConcurrencyScaler{}.Desired(l, nil)
			require.Equal(t, n, got.N, "%v calls, %d per instance", calls, per)
		}
	}
}

// afterPeaks calls a scaler at one tick for each peak, with the load l, and returns its last answer.
func afterPeaks(s faas.Scaler, l faas.Load, peaks ...int) (got faas.Target) {
	var state faas.State
	for i, peak := range peaks {
		l.Now, l.Peak = epoch.Add(time.Duration(i)*2*time.Second), peak
		got, state = s.Desired(l, state)
	}
	return got
}

// hundred is the load of a hundred calls, in more instances than they need.
var hundred = faas.Load{Per: 1, Instances: 150, Ready: 150, Stable: 100, Burst: 100}

func TestWhatIsKeptFreeIsBoundedByThePeak(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s    faas.ConcurrencyScaler
		per  int
		peak int
		want faas.Target
	}{
		"no more than the root of it":        {per: 1, peak: 100, want: faas.Target{N: 110, Rule: "peak"}},
		"in whole instances":                 {per: 3, peak: 100, want: faas.Target{N: 37, Rule: "peak"}},
		"nor more than is wished for":        {per: 1, peak: 140, want: faas.Target{N: 143, Rule: "stable window"}},
		"a peak below the average is untold": {per: 1, peak: 0, want: faas.Target{N: 143, Rule: "stable window"}},
		"a utilization that is given stays":  {s: faas.ConcurrencyScaler{Utilization: 0.7}, per: 1, peak: 100, want: faas.Target{N: 143, Rule: "stable window"}},
		"and so does Knative":                {s: faas.ConcurrencyScaler{TickOnly: true}, per: 1, peak: 100, want: faas.Target{N: 143, Rule: "stable window"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := hundred
			l.Per, l.Instances, l.Ready = c.per, l.Instances/c.per, l.Ready/c.per
			assert.Equal(t, c.want, afterPeaks(c.s, l, slices.Repeat([]int{c.peak}, 40)...), "after Knative's first panic")
		})
	}
}

func TestAPeakIsForgottenWithTheStableWindow(t *testing.T) {
	t.Parallel()
	peaks := append([]int{120}, slices.Repeat([]int{100}, 33)...)
	assert.Equal(t, 131, afterPeaks(faas.ConcurrencyScaler{}, hundred, peaks[:31]...).N, "it was a minute ago")
	assert.Equal(t, 110, afterPeaks(faas.ConcurrencyScaler{}, hundred, peaks...).N)
}

func TestWhatHasFewCallsIsKeptAsKnativeDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		peak := rapid.IntRange(0, 7).Draw(t, "peak")
		l := faas.Load{
			Now: epoch, Per: rapid.IntRange(1, 9).Draw(t, "per"), Peak: peak,
			Stable: rapid.Float64Range(0, float64(peak)).Draw(t, "stable"), Instances: 9, Ready: 9,
		}
		got, _ := faas.ConcurrencyScaler{}.Desired(l, nil)
		want, _ := faas.ConcurrencyScaler{Utilization: 0.7}.Desired(l, nil)
		require.Equal(t, want, got)
	})
}

func TestTheActivationScaleIsTheLeastToStartWith(t *testing.T) {
	t.Parallel()
	l := faas.Load{Now: epoch, Queued: 1, Per: 1, Arrival: true}
	for _, tickOnly := range []bool{false, true} {
		got, state := faas.ConcurrencyScaler{ActivationScale: 4, TickOnly: tickOnly}.Desired(l, nil)
		assert.Equal(t, 4, got.N)
		l := faas.Load{Now: epoch.Add(2 * time.Second), Stable: 0.1, Burst: 0.1, Instances: 4, Ready: 4, Per: 1}
		got, _ = faas.ConcurrencyScaler{ActivationScale: 4, TickOnly: tickOnly}.Desired(l, state)
		assert.Equal(t, faas.Target{N: 4, Rule: "activation scale"}, got)
	}
}

func TestTickOnlyIsKnativeAsItIs(t *testing.T) {
	t.Parallel()
	s := faas.ConcurrencyScaler{TickOnly: true}
	l := faas.Load{Now: epoch, Queued: 50, Per: 1, Arrival: true}
	got, state := s.Desired(l, nil)
	require.Equal(t, faas.Target{N: 1, Rule: "activator"}, got)
	l.Instances, l.Ready, l.InFlight, l.Queued = 1, 1, 1, 49
	got, state = s.Desired(l, state)
	require.Equal(t, faas.Target{N: 1, Rule: "between ticks"}, got)
	l.Now, l.Arrival, l.Stable, l.Burst = epoch.Add(2*time.Second), false, 50, 50
	got, _ = s.Desired(l, state)
	require.Equal(t, faas.Target{N: 72, Rule: "panic window"}, got) // 50/0.7, rounded up

	fresh, _ := s.Desired(faas.Load{Now: epoch, Instances: 10, Ready: 10, Per: 1}, nil)
	require.Equal(t, faas.Target{N: 10, Rule: "no scale-down in panic"}, fresh, "its history is not known")
}

func TestADelayHoldsWhatArrivalsGrew(t *testing.T) {
	t.Parallel()
	s := faas.ConcurrencyScaler{ScaleDownDelay: time.Minute}
	steps := faastest.Drive{
		Scaler: s,
		Calls: func(at time.Duration) int {
			if at < 500*time.Millisecond {
				return 40
			}
			return 0
		},
		For: 5 * time.Minute,
	}.Run()
	require.Equal(t, 40, steps[0].To)
	require.Equal(t, "0s: 0 to 40 (arrival)", steps[0].String())
	require.GreaterOrEqual(t, steps[1].At, time.Minute)
	require.Less(t, steps[1].At, 63*time.Second)
}

func TestALoadThatIsNoNumberChangesNothing(t *testing.T) {
	t.Parallel()
	s := faas.ConcurrencyScaler{}
	for _, bad := range []float64{math.NaN(), -1} {
		got, state := s.Desired(faas.Load{Now: epoch, Stable: bad, Instances: 4, Per: 1}, nil)
		assert.Equal(t, faas.Target{N: 4, Rule: "no metric"}, got)
		_, next := s.Desired(faas.Load{Now: epoch, Burst: bad, Instances: 4, Per: 1}, state)
		assert.Same(t, state, next)
	}
}

func TestLimitsAreTheRuleWhereTheyDecide(t *testing.T) {
	t.Parallel()
	s := faas.ConcurrencyScaler{}
	l := faas.Load{Now: epoch, Queued: 10, Per: 1, Min: 2, Max: 5, Arrival: true}
	got, _ := s.Desired(l, nil)
	assert.Equal(t, faas.Target{N: 5, Rule: "maximum"}, got)
	got, _ = s.Desired(faas.Load{Now: epoch, Instances: 2, Min: 2, Max: 5, Per: 1}, nil)
	assert.Equal(t, faas.Target{N: 2, Rule: "minimum"}, got)
}

// hour is an hour of traffic: a slow rise, a burst, a level that holds, silence,
// a single call, silence.
func hour(at time.Duration) int {
	const minute = time.Minute
	switch {
	case at < 10*minute: // a rise from 0 to 60
		return int(at / (10 * time.Second))
	case at >= 12*minute && at < 12*minute+30*time.Second:
		return 600
	case at < 30*minute:
		return 60
	case at >= 45*minute && at < 45*minute+time.Second:
		return 1
	}
	return 0
}

func TestAnHourOfTraffic(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]faas.Scaler{
		"ours":    faas.ConcurrencyScaler{},
		"knative": faas.ConcurrencyScaler{TickOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := faastest.Drive{Scaler: s, Calls: hour, For: time.Hour, Max: 2000}.Run()
			checkHour(t, steps, name == "knative")
		})
	}
}

// at returns how many instances there are at a time.
func at(steps []faastest.ScaleStep, when time.Duration) (n int) {
	for _, s := range steps {
		if s.At <= when {
			n = s.To
		}
	}
	return n
}

func checkHour(t *testing.T, steps []faastest.ScaleStep, tickOnly bool) {
	t.Helper()
	const minute = time.Minute
	rules := map[string]int{}
	for _, s := range steps {
		rules[s.Rule]++
	}
	assert.InDelta(t, 36/0.7, at(steps, 6*minute), 12, "it follows the rise")
	level := 68 // 60 calls and the square root of 60
	if tickOnly {
		level = 86 // 60 calls at a utilization of 70 %
	}
	assert.InDelta(t, level, at(steps, 12*minute-1), 1)
	if tickOnly {
		assert.Less(t, at(steps, 12*minute+time.Second), 600, "the burst waits for ticks")
		assert.Positive(t, rules["panic window"])
		assert.GreaterOrEqual(t, at(steps, 13*minute), 600, "panic does not come down")
	} else {
		assert.Equal(t, 600, at(steps, 12*minute), "the burst is served at once")
	}
	assert.Equal(t, level, at(steps, 30*minute-1), "the burst has been forgotten")
	assert.Zero(t, at(steps, 32*minute), "scaled to zero: window and grace")
	assert.Positive(t, at(steps, 31*minute), "and not before")
	assert.Equal(t, 1, at(steps, 45*minute), "a call starts one")
	assert.Zero(t, at(steps, 47*minute))
	assert.Less(t, len(steps), 250, "it does not flap: %v", steps)
}

func BenchmarkHourOfTraffic(b *testing.B) {
	d := faastest.Drive{Scaler: faas.ConcurrencyScaler{}, Calls: hour, For: time.Hour, Max: 2000}
	for b.Loop() {
		_ = d.Run()
	}
}

// A policy can be called directly with single loads. For a whole load curve, use faastest.Drive.
func ExampleConcurrencyScaler() {
	s := faas.ConcurrencyScaler{Utilization: 0.5, UpRate: 4}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	t, state := s.Desired(faas.Load{Now: now, Arrival: true, Queued: 3, Per: 1}, nil)
	fmt.Println(t.N, t.Rule)

	t, _ = s.Desired(faas.Load{Now: now.Add(2 * time.Second), Instances: 3, Ready: 3, InFlight: 3, Per: 1, Stable: 3, Burst: 3}, state)
	fmt.Println(t.N, t.Rule)
	// Output:
	// 3 arrival
	// 6 panic window
}
