package main

import (
	"flag"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
)

// plan lists what is measured, and for how long.
type plan struct {
	runs      int
	benchtime time.Duration

	works, latencyWorks, gainWorks []peers.Work
	modes                          []measure.Mode

	latencyTime time.Duration
	gainTime    time.Duration
	lateRounds  int // calls of each of the late callers
	heldRuns    int
	heldCases   []heldCase
}

const callers = 64 // of the measurements of latency, gain and deadline; not multiplied by the processors

var (
	latencyPeers = []string{peers.GoTimeout, peers.AntsObvious, peers.FaasTyped}
	gainPeers    = []string{peers.Direct, peers.GoChan, peers.FaasTyped}
	latePeers    = []string{peers.GoTimeout, peers.AntsObvious, peers.FaasTyped}
)

func fullPlan(runs int, benchtime time.Duration, waiting int) plan {
	return plan{
		runs: runs, benchtime: benchtime,
		works:        peers.Works,
		latencyWorks: works("add", "cpu10us", "wait1ms"),
		gainWorks:    works("add", "cpu1us"),
		modes:        measure.Modes,
		latencyTime:  20 * benchtime, // long enough for several of the scheduler's time slices for each of 64 callers
		gainTime:     4 * benchtime,  // measured as wall time, which is noisier than processor time
		lateRounds:   5,
		heldRuns:     min(runs, 3), // memory hardly varies
		heldCases:    heldCases(waiting),
	}
}

// quickPlan reduces p to the measurements that the targets need. Flags that were set on the
// command line keep their values.
func quickPlan(flags *flag.FlagSet, p plan) plan {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["runs"] {
		p.runs = 3
	}
	if !given["benchtime"] {
		p.benchtime = 25 * time.Millisecond
	}
	p.works, p.gainWorks = works("add"), works("add")
	p.latencyWorks = works("add", "wait1ms")
	p.modes = []measure.Mode{first(), last()}
	p.latencyTime, p.gainTime = 16*p.benchtime, 4*p.benchtime
	p.lateRounds, p.heldRuns = 2, 1
	return p
}

// first and last are the modes that the targets are about: one caller, and the most callers.
func first() measure.Mode { return measure.Modes[0] }
func last() measure.Mode  { return measure.Modes[len(measure.Modes)-1] }

// works returns the works of these names.
func works(names ...string) []peers.Work {
	var picked []peers.Work
	for _, name := range names {
		for _, w := range peers.Works {
			if w.Name == name {
				picked = append(picked, w)
			}
		}
	}
	return picked
}

// measure runs the plan and reports its progress to progress.
func (p plan) measure(progress io.Writer) (*results, error) {
	res := newResults()
	start := time.Now()
	for i := range p.runs {
		for _, step := range []func(*results) error{p.measureRates, p.measureLatency, p.measureGain, p.measureLateness} {
			if err := step(res); err != nil {
				return nil, err
			}
		}
		if i < p.heldRuns {
			if err := p.measureHeld(res); err != nil {
				return nil, err
			}
		}
		fmt.Fprintf(progress, "run %d of %d done after %v\n", i+1, p.runs, time.Since(start).Round(time.Second))
	}
	return res, nil
}

func (p plan) measureRates(res *results) error {
	for _, w := range p.works {
		for _, m := range p.modes {
			for _, peer := range peers.All {
				r, err := throughput(peer, w, m.Callers(), p.benchtime)
				if err != nil {
					return fmt.Errorf("%s, %s, %s: %w", w.Name, m.Name, peer.Name, err)
				}
				c := cell{w.Name, m.Name, peer.Name}
				res.rates[c] = append(res.rates[c], r)
			}
		}
	}
	return nil
}

func throughput(p peers.Peer, w peers.Work, n int, d time.Duration) (measure.Rate, error) {
	inst := p.New(w.Handler, peers.Default)
	defer inst.Close()
	return measure.Throughput(inst.Call, n, d)
}

func (p plan) measureLatency(res *results) error {
	for _, w := range p.latencyWorks {
		for _, name := range latencyPeers {
			samples, err := latency(name, w, p.latencyTime)
			if err != nil {
				return fmt.Errorf("latency of %s, %s: %w", w.Name, name, err)
			}
			c := cell{work: w.Name, peer: name}
			res.latency[c] = append(res.latency[c], distributionOf(samples))
		}
	}
	return nil
}

func latency(name string, w peers.Work, d time.Duration) ([]time.Duration, error) {
	p, err := peers.Find(name)
	if err != nil {
		return nil, err
	}
	inst := p.New(w.Handler, peers.Default)
	defer inst.Close()
	return measure.Latency(inst.Call, callers, d)
}

// measureGain compares the throughput on one processor and on two. It builds each peer anew
// for each number, because a peer may read GOMAXPROCS when it is built.
func (p plan) measureGain(res *results) error {
	if runtime.NumCPU() < 2 {
		return nil // the table says that there is no second processor
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, w := range p.gainWorks {
		for _, name := range gainPeers {
			peer, err := peers.Find(name)
			if err != nil {
				return err
			}
			var g gain
			for i := range g {
				runtime.GOMAXPROCS(i + 1)
				r, err := throughput(peer, w, callers, p.gainTime)
				if err != nil {
					return fmt.Errorf("gain of %s, %s: %w", w.Name, name, err)
				}
				g[i] = r.PerSecond()
			}
			c := cell{work: w.Name, peer: name}
			res.gain[c] = append(res.gain[c], g)
		}
	}
	return nil
}

func (p plan) measureLateness(res *results) error {
	for _, name := range latePeers {
		peer, err := peers.Find(name)
		if err != nil {
			return err
		}
		late, err := measure.Lateness(peer, callers, p.lateRounds)
		if err != nil {
			return err
		}
		res.late[name] = append(res.late[name], distributionOf(late))
	}
	return nil
}

func (p plan) measureHeld(res *results) error {
	for _, c := range p.heldCases {
		h, err := c.measureInChild()
		if err != nil {
			return fmt.Errorf("memory of %s: %w", c, err)
		}
		res.held[c] = append(res.held[c], h)
	}
	return nil
}
