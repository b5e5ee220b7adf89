package main

import (
	"time"

	"github.com/inproc/faas/bench/measure"
)

// cell identifies a measurement. mode is empty if the measurement has none.
type cell struct{ work, mode, peer string }

// results has the measurements of each cell, one for each run and in the order of the runs,
// so that measurements of the same run can be compared.
type results struct {
	rates   map[cell][]measure.Rate
	latency map[cell][]distribution
	gain    map[cell][]gain
	late    map[string][]distribution
	held    map[heldCase][]measure.Held
}

func newResults() *results {
	return &results{
		rates:   map[cell][]measure.Rate{},
		latency: map[cell][]distribution{},
		gain:    map[cell][]gain{},
		late:    map[string][]distribution{},
		held:    map[heldCase][]measure.Held{},
	}
}

// distribution holds quantiles of many samples, in ns.
type distribution struct{ p50, p99, p999, max float64 }

func distributionOf(sorted []time.Duration) distribution {
	q := func(at float64) float64 { return float64(measure.Quantile(sorted, at)) }
	return distribution{q(.5), q(.99), q(.999), q(1)}
}

// gain is the throughput on one processor and on two.
type gain [2]float64

func (g gain) factor() float64 { return g[1] / g[0] }

// series are the values of one quantity, one for each run.
type series []float64

func seriesOf[T any](xs []T, f func(T) float64) series {
	s := make(series, len(xs))
	for i, x := range xs {
		s[i] = f(x)
	}
	return s
}

func (s series) median() float64 { return measure.Median(s) }

// over divides s by the other series, run by run: the load of the machine during a run
// affects both in the same way.
func (s series) over(by series) series {
	return s.with(by, func(a, b float64) float64 { return a / b })
}

// plus adds two series, run by run.
func (s series) plus(t series) series { return s.with(t, func(a, b float64) float64 { return a + b }) }

func (s series) with(t series, f func(a, b float64) float64) series {
	r := make(series, min(len(s), len(t)))
	for i := range r {
		r[i] = f(s[i], t[i])
	}
	return r
}

func (res *results) cpu(c cell) series {
	return seriesOf(res.rates[c], func(r measure.Rate) float64 { return r.CPU })
}

func (res *results) bytes(c cell) series {
	return seriesOf(res.rates[c], func(r measure.Rate) float64 { return r.Bytes })
}

func (res *results) allocs(c cell) series {
	return seriesOf(res.rates[c], func(r measure.Rate) float64 { return r.Allocs })
}

func (res *results) p99(c cell) series {
	return seriesOf(res.latency[c], func(d distribution) float64 { return d.p99 })
}

func (res *results) gainFactor(c cell) series {
	return seriesOf(res.gain[c], gain.factor)
}

func (res *results) heldBytes(c heldCase) series {
	return seriesOf(res.held[c], func(h measure.Held) float64 { return h.Bytes })
}

func (res *results) heldGoroutines(c heldCase) series {
	return seriesOf(res.held[c], func(h measure.Held) float64 { return h.Goroutines })
}
