package sim_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/sim"
)

func TestATraceIsReadAndWritten(t *testing.T) {
	t.Parallel()
	w, err := sim.ReadTrace(strings.NewReader("arrival,function,duration\n1.5, resize,0.25\n0,mail,1e-9\n"))
	require.NoError(t, err)
	assert.Equal(t, sim.Workload{Calls: []sim.Call{
		{At: 1500 * time.Millisecond, Function: "resize", Duration: 250 * time.Millisecond},
		{Function: "mail", Duration: 1},
	}}, w)
	var out bytes.Buffer
	require.NoError(t, w.WriteTrace(&out))
	again, err := sim.ReadTrace(&out)
	require.NoError(t, err)
	assert.Equal(t, w, again)
}

func TestABadTraceNamesItsLine(t *testing.T) {
	t.Parallel()
	for in, says := range map[string]string{
		"0,f,1\n-1,f,1\n":  `line 2: bad call: the arrival is "-1"`,
		"0,f,NaN\n":        `line 1: bad call: the duration is "NaN"`,
		"0,f,1e12\n":       `line 1: bad call: the duration is "1e12"`,
		"0,,1\n":           "line 1: bad call: the function has no name",
		"0,f\n":            "line 1: bad call: it has 2 fields; it has to have 3",
		"0,f,1\n\"0,f,1\n": "line 2",
		"x,f,1\n":          `the arrival is "x"; it has to be seconds`,
	} {
		_, err := sim.ReadTrace(strings.NewReader(in))
		var bad *sim.TraceError
		require.ErrorAs(t, err, &bad, in)
		assert.ErrorContains(t, err, says, in)
		if strings.Contains(says, "bad call") {
			assert.ErrorIs(t, err, sim.ErrTrace)
		}
	}
}

func FuzzReadTrace(f *testing.F) {
	for _, s := range []string{"arrival,function,duration\n1.5,resize,0.25\n", "0,f,1\n-1,f,1\n", "\"0\n", "1e300,f,2", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := sim.ReadTrace(strings.NewReader(s))
		if err != nil {
			var bad *sim.TraceError
			require.ErrorAs(t, err, &bad)
			require.Positive(t, bad.Line)
			return
		}
		var out bytes.Buffer
		require.NoError(t, w.WriteTrace(&out))
		again, err := sim.ReadTrace(&out)
		require.NoError(t, err)
		require.Len(t, again.Calls, len(w.Calls))
		for i, c := range w.Calls {
			require.InDelta(t, float64(c.At), float64(again.Calls[i].At), 1+math.Abs(float64(c.At))*1e-12)
			require.GreaterOrEqual(t, c.Duration, time.Duration(0))
		}
	})
}

// rates returns the number of calls of each function, and their mean durations.
func rates(w sim.Workload) (calls map[string]int, mean map[string]float64) {
	calls, mean = map[string]int{}, map[string]float64{}
	for _, c := range w.Calls {
		calls[c.Function]++
		mean[c.Function] += c.Duration.Seconds()
	}
	for f, n := range calls {
		mean[f] /= float64(n)
	}
	return calls, mean
}

func TestTheTrafficHasAzuresShape(t *testing.T) {
	t.Parallel()
	const functions = 2000
	w := sim.Azure(1, functions, 24*time.Hour/10) // a tenth of a day
	calls, mean := rates(w)
	share := func(atMost int) float64 { // the share of functions that are called at most so often
		n := functions - len(calls)
		for _, c := range calls {
			if c <= atMost {
				n++
			}
		}
		return float64(n) / functions
	}
	// The published shares of functions by their calls in a day.
	assert.InDelta(t, 0.837, share(28), 0.03)
	assert.InDelta(t, 0.93, share(144), 0.02)
	assert.InDelta(t, 0.969, share(1000), 0.015)

	var ds []float64
	for _, d := range mean {
		ds = append(ds, d)
	}
	slices.Sort(ds)
	assert.InDelta(t, 1, ds[len(ds)*517/1000], 0.35, "51.7 %% take a second at most")
	assert.InDelta(t, 10, ds[len(ds)*84/100], 4)

	busiest := slices.Sorted(func(yield func(int) bool) {
		for _, n := range calls {
			if !yield(-n) {
				return
			}
		}
	})
	top := 0
	for _, n := range busiest[:functions*3/100] {
		top -= n
	}
	assert.Greater(t, float64(top)/float64(len(w.Calls)), 0.85, "3 %% of the functions have most calls; in the whole data set, 97 %% of them")
}

// On average over many functions, a function has as many calls in an hour as its rate says, even if
// its calls are rare and irregular: a call is no more likely at the beginning of the traffic than at
// any other time. The traffic is the same each time. The largest deviation, a tenth, is that of rare
// bursts.
func TestAFunctionIsCalledAsOftenAsItsRateSays(t *testing.T) {
	t.Parallel()
	const hour, functions = time.Hour, 4000
	for _, cv := range []float64{0.1, 0.5, 1, 2, 4} {
		for _, perHour := range []float64{0.25, 1, 20} {
			n := 0
			for i := range uint64(functions) {
				n += len(sim.Calls(rand.NewPCG(i, 9), hour.Seconds()/perHour, cv, hour))
			}
			assert.InEpsilon(t, perHour*functions, n, 0.2, "%v calls an hour, coefficient %v", perHour, cv)
		}
	}
}

func TestAWorkloadThatCantBeIsRefused(t *testing.T) {
	t.Parallel()
	for _, w := range []sim.Workload{
		{Calls: []sim.Call{{At: -1, Function: "f"}}},
		{Calls: []sim.Call{{Duration: -1, Function: "f"}}},
		{Length: -1},
		{ColdStart: math.MaxInt64},
	} {
		_, err := sim.Sorted(w)
		assert.ErrorContains(t, err, "negative")
	}
}
