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

// cdf is pairs of a value and the share of what is at most that.
type cdf [][2]float64

// at is the value at a share, between two points along the logarithm. Below the
// first point it is that one's, above the last likewise.
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
		panic(fmt.Sprintf("sim: azure.json: %v", err)) // it is part of the package, and tested
	}
	return d
}

// Azure returns traffic of the shape that Azure's functions had, the same for the
// same arguments: how often each function is called, its mean duration, and how
// irregularly calls come (their inter-arrival times' coefficient of variation, of
// applications without timers) are drawn from the published distributions. What was not
// published is assumed: inter-arrival times are Gamma-distributed, so that where the
// coefficient is above 1 calls come in bursts, and the beginning is any moment of
// traffic that has gone on for long; durations are log-normal around the
// mean (σ 0.75, so that the longest of a few hundred is about eight times the mean),
// up to ten minutes; functions know nothing of each other. The tails end where what
// could be read ends: at a call a day, a mean of two minutes, a coefficient of 10.
// An instance takes 250 ms to be ready. Most functions are called less than once an
// hour: expect a few hundred calls an hour for each, nearly all of them of a few functions.
func Azure(seed uint64, functions int, length time.Duration) Workload {
	d := loadAzure()
	w := Workload{Length: length, ColdStart: 250 * time.Millisecond}
	for i := range functions {
		src := rand.NewPCG(seed, uint64(i)) //nolint:gosec // i is not negative; and the same traffic each time is the point
		w.Calls = append(w.Calls, d.draw(src).calls(src, fmt.Sprintf("f%03d", i), length)...)
	}
	return w
}

// habit is how one function is called.
type habit struct {
	gap, cv float64 // between calls: the mean in seconds, and the coefficient of variation
	mean    float64 // seconds that a call takes
}

func (d azureData) draw(src rand.Source) habit {
	r := rand.New(src) //nolint:gosec // likewise
	return habit{gap: 24 * 3600 / d.Daily.at(r.Float64()), cv: d.CV.at(r.Float64()), mean: d.Duration.at(r.Float64())}
}

// calls are those of one function.
func (h habit) calls(src rand.Source, name string, length time.Duration) []Call {
	const sigma, most = 0.75, 600
	gaps := distuv.Gamma{Alpha: 1 / (h.cv * h.cv), Beta: 1 / (h.cv * h.cv * h.gap), Src: src}
	lasts := distuv.LogNormal{Mu: math.Log(h.mean) - sigma*sigma/2, Sigma: sigma, Src: src}
	var calls []Call
	// Calls in a burst may come closer than the clock can tell apart, and what comes in one
	// moment comes in no order.
	const least = 1e-6
	// A moment falls into a gap as likely as that is long, and anywhere in it: were the first
	// call's time spread over a mean gap, each bursty function would begin with a burst, and
	// rare ones have several times as many calls as they should.
	within := distuv.Gamma{Alpha: gaps.Alpha + 1, Beta: gaps.Beta, Src: src}
	first := rand.New(src).Float64() * within.Rand() //nolint:gosec // likewise
	for at := first; at < length.Seconds(); at += max(least, gaps.Rand()) {
		calls = append(calls, Call{At: inSeconds(at), Function: name, Duration: inSeconds(min(lasts.Rand(), most))})
	}
	return calls
}

func inSeconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
