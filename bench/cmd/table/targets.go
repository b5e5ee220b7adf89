package main

import (
	"fmt"
	"math"

	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
)

// target is a performance target of the project, with the measured value.
type target struct {
	what     string
	bound    string
	measured string
	holds    bool
	skipped  string // why there is no verdict
}

func (t target) verdict() string {
	switch {
	case t.skipped != "":
		return t.skipped
	case t.holds:
		return "yes"
	}
	return "**no**"
}

// ratioAtMost compares the exact ratio with the limit, and prints enough digits to show which
// is larger.
func ratioAtMost(what string, got series, limit float64, aim string) target {
	x := got.median()
	return target{
		what: what, bound: fmt.Sprintf("≤ %.2f%s", limit, aim),
		measured: fmt.Sprintf("%.3f", x), holds: x <= limit,
	}
}

// countAtMost rounds to a tenth before it compares, because the rest of the process allocates
// a little too.
func countAtMost(what string, got series, limit float64, unit string) target {
	x := math.Round(got.median()*10) / 10
	return target{
		what: what, bound: fmt.Sprintf("≤ %.0f %s", limit, unit),
		measured: fmt.Sprintf("%.1f", x), holds: x <= limit,
	}
}

// targets returns the targets. They are about the cheapest work, because there the cost of
// the host is the largest part.
func (res *results) targets(p plan) []target {
	var ts []target
	for _, m := range []measure.Mode{first(), last()} {
		ts = append(ts, res.callTargets(m)...)
	}
	for _, w := range p.latencyWorks {
		ts = append(ts, ratioAtMost("p99 of "+w.Name+", 64 callers / "+peers.GoTimeout,
			res.p99(cell{work: w.Name, peer: peers.FaasTyped}).over(res.p99(cell{work: w.Name, peer: peers.GoTimeout})), 2, ""))
	}
	for _, w := range p.gainWorks {
		ts = append(ts, res.gainTarget(w.Name))
	}
	return append(ts, res.heldTargets(p)...)
}

func (res *results) callTargets(m measure.Mode) []target {
	at := func(peer string) cell { return cell{"add", m.Name, peer} }
	cpu := func(peer string) series { return res.cpu(at(peer)) }
	obvious, typed := cpu(peers.AntsObvious), cpu(peers.FaasTyped)
	name := func(what string) string { return what + ", " + callersOf(m) }
	return []target{
		ratioAtMost(name("typed: CPU / "+peers.AntsObvious), typed.over(obvious), .30, ", aim 0.22"),
		ratioAtMost(name("typed: CPU / "+peers.GoChan), typed.over(cpu(peers.GoChan)), 1.1, ""),
		countAtMost(name("typed: allocations"), res.allocs(at(peers.FaasTyped)), 1, "each"),
		countAtMost(name("typed: bytes"), res.bytes(at(peers.FaasTyped)), 256, "B"),
		ratioAtMost(name("cancellable parent: CPU / "+peers.AntsObvious), cpu(peers.FaasCancel).over(obvious), .38, ""),
		countAtMost(name("cancellable parent: allocations"), res.allocs(at(peers.FaasCancel)), 3, "each"),
		ratioAtMost(name("WithInline: CPU / "+peers.AntsObvious), cpu(peers.FaasInline).over(obvious), .08, ""),
		countAtMost(name("WithInline: allocations"), res.allocs(at(peers.FaasInline)), 1, "each"),
		ratioAtMost(name("bytes: CPU / ("+peers.JSON+" + typed)"), cpu(peers.FaasBytes).over(cpu(peers.JSON).plus(typed)), 1.2, ""),
	}
}

// leastGain is the gain that bare calls, which share nothing, must have from a second
// processor. If their gain is smaller, the machine had no free second processor, and the
// gains of the other peers mean nothing.
const leastGain = 1.7

// gainTarget has a lower bound, unlike the other targets.
func (res *results) gainTarget(work string) target {
	const limit = .95
	t := target{
		what:  "gain from 1 to 2 processors, " + work + ", 64 callers / " + peers.GoChan,
		bound: fmt.Sprintf("≥ %.2f", limit),
	}
	ours, theirs := res.gainFactor(cell{work: work, peer: peers.FaasTyped}), res.gainFactor(cell{work: work, peer: peers.GoChan})
	if len(ours) == 0 {
		t.skipped = "needs 2 processors"
		return t
	}
	x := ours.over(theirs).median()
	t.measured, t.holds = fmt.Sprintf("%.3f", x), x >= limit
	if bare := res.gainFactor(cell{work: work, peer: peers.Direct}).median(); bare < leastGain {
		t.skipped = fmt.Sprintf("machine busy: bare calls gain %.2f", bare)
	}
	return t
}

func (res *results) heldTargets(p plan) []target {
	var ts []target
	for i := 0; i+1 < len(p.heldCases); i += 2 { // pairs: the yardstick, then faas
		base, ours := p.heldCases[i], p.heldCases[i+1]
		ts = append(ts, ratioAtMost(fmt.Sprintf("%s: bytes / %s", ours.title(), base.peer),
			res.heldBytes(ours).over(res.heldBytes(base)), 1.15, ""))
	}
	last := p.heldCases[len(p.heldCases)-1]
	return append(ts,
		countAtMost(last.title()+": goroutines", res.heldGoroutines(last), 0, "each"),
		countAtMost(last.title()+": bytes", res.heldBytes(last), 1024, "B each"))
}
