package sim

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// azureJSON has distributions read off the figures that were published with the
// traces of Azure Functions (two weeks of July 2019; Shahrad et al., Serverless in
// the Wild, USENIX ATC 2020; Azure/AzurePublicDataset, CC-BY), to 0.01 or 0.02.
//
//go:embed azure.json
var azureJSON []byte

// cdf is a cumulative distribution: pairs of a value and the share of the
// population that is at most that value.
type cdf [][2]float64

// at returns the value that the given share of the population does not exceed. Between two
// points it interpolates the logarithm of the value; below the first and above the last it
// returns that point's value.
func (c cdf) at(share float64) float64 {
	for i, p := range c {
		switch {
		case share > p[1]:
			continue
		case i == 0:
			return p[0]
		}
		q := c[i-1]
		part := (share - q[1]) / (p[1] - q[1])
		return math.Exp(math.Log(q[0]) + part*(math.Log(p[0])-math.Log(q[0])))
	}
	return c[len(c)-1][0]
}

type azureData struct {
	Daily    cdf `json:"daily_invocations_cdf"`
	Duration cdf `json:"average_duration_seconds_cdf"`
	CV       cdf `json:"inter_arrival_cv_cdf"`
}

func loadAzure() (d azureData) {
	if err := json.Unmarshal(azureJSON, &d); err != nil {
		panic(fmt.Sprintf("sim: azure.json: %v", err)) // the file is embedded, and tests read it
	}
	return d
}

// Azure returns generated traffic with the statistics of Azure Functions. Equal
// arguments give equal traffic.
//
// Three properties of each function are drawn from the published distributions: its
// calls a day, its mean duration, and the coefficient of variation of the times
// between its calls (of applications without timers). The tails end where the
// figures end: at a call a day, a mean of two minutes, a coefficient of 10.
//
// The rest is assumed. The times between calls are Gamma-distributed, so that calls
// come in bursts if the coefficient is above 1. The traffic begins at a random moment
// of a process that has run for long. Durations are log-normal around the mean
// (σ 0.75, so that the longest of a few hundred is about eight times the mean), up to
// ten minutes. Functions are independent of each other. An instance takes 250 ms to
// be ready.
//
// Most functions are called less than once an hour. Expect a few hundred calls an
// hour for each function on average, nearly all of them of a few functions.
func Azure(seed uint64, functions int, length time.Duration) Workload {
	d := loadAzure()
	w := Workload{Length: length, ColdStart: 250 * time.Millisecond}
	for i := range functions {
		src := rand.NewPCG(seed, uint64(i))
		w.Calls = append(w.Calls, d.draw(src).calls(src, fmt.Sprintf("f%03d", i), length)...)
	}
	return w
}

// habit describes the calls of one function.
type habit struct {
	gap, cv float64 // between calls: the mean in seconds, and the coefficient of variation
	mean    float64 // seconds that a call takes
}

func (d azureData) draw(src rand.Source) habit {
	r := rand.New(src)
	return habit{gap: 24 * 3600 / d.Daily.at(r.Float64()), cv: d.CV.at(r.Float64()), mean: d.Duration.at(r.Float64())}
}

// calls returns the calls of one function.
func (h habit) calls(src rand.Source, name string, length time.Duration) []Call {
	const sigma, most = 0.75, 600
	gaps := distuv.Gamma{Alpha: 1 / (h.cv * h.cv), Beta: 1 / (h.cv * h.cv * h.gap), Src: src}
	lasts := distuv.LogNormal{Mu: math.Log(h.mean) - sigma*sigma/2, Sigma: sigma, Src: src}
	var calls []Call
	// In a burst two calls may get the same nanosecond, and then their order would be
	// random. So gaps are at least a microsecond.
	const least = 1e-6
	// The traffic begins at a random moment, which falls into a gap with a probability
	// proportional to the gap's length: the gap around it has a Gamma distribution with
	// 1 more of shape. If the first call came within a gap of mean length instead, each
	// bursty function would begin with a burst, and rarely called functions would have
	// several times as many calls as they should.
	within := distuv.Gamma{Alpha: gaps.Alpha + 1, Beta: gaps.Beta, Src: src}
	first := rand.New(src).Float64() * within.Rand()
	for at := first; at < length.Seconds(); at += max(least, gaps.Rand()) {
		calls = append(calls, Call{At: inSeconds(at), Function: name, Duration: inSeconds(min(lasts.Rand(), most))})
	}
	return calls
}

func inSeconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
