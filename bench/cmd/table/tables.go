package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
)

// print writes all tables. The writer keeps the first error, and run gets it from Flush.
func (res *results) print(w io.Writer, p plan) {
	fmt.Fprintf(w, "%s %s/%s, GOMAXPROCS %d; medians of %d interleaved runs of %v for each cell. Only the ratios carry over to another machine.\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), p.runs, p.benchtime)
	for _, work := range p.works {
		res.printRates(w, p, work.Name)
	}
	res.printTargets(w, p)
	res.printLatency(w, p)
	res.printGain(w, p)
	res.printLateness(w)
	res.printHeld(w, p)
}

// row writes one line of a table.
func row(w io.Writer, fields ...string) {
	fmt.Fprintf(w, "| %s |\n", strings.Join(fields, " | "))
}

// head writes a title, the names of the columns and the line below them.
func head(w io.Writer, title string, columns ...string) {
	fmt.Fprintf(w, "\n## %s\n\n", title)
	row(w, columns...)
	fmt.Fprintln(w, strings.Repeat("|---", len(columns))+"|")
}

func callersOf(m measure.Mode) string {
	if m.PerProc == 0 {
		return "1 caller"
	}
	return fmt.Sprintf("%d callers", m.Callers())
}

func (res *results) printRates(w io.Writer, p plan, work string) {
	columns := []string{"peer", "class"}
	for _, m := range p.modes {
		columns = append(columns, callersOf(m))
	}
	head(w, fmt.Sprintf("CPU per call: %s (ns, in brackets the ratio to %s, and for faas that to %s)", work, peers.AntsObvious, peers.Floor),
		append(columns, "B/op", "allocs/op")...)
	for _, peer := range peers.All {
		fields := []string{peer.Name, string(peer.Class)}
		for _, m := range p.modes {
			ns := res.cpu(cell{work, m.Name, peer.Name})
			ratios := fmt.Sprintf("%.3f", ns.over(res.cpu(cell{work, m.Name, peers.AntsObvious})).median())
			if peer.Name == peers.FaasTyped || strings.HasPrefix(peer.Name, peers.FaasTyped+"/") {
				ratios += fmt.Sprintf("; %.2f", ns.over(res.cpu(cell{work, m.Name, peers.Floor})).median())
			}
			fields = append(fields, fmt.Sprintf("%.0f (%s)", ns.median(), ratios))
		}
		one := cell{work, first().Name, peer.Name}
		row(w, append(fields,
			fmt.Sprintf("%.0f", res.bytes(one).median()), fmt.Sprintf("%.1f", res.allocs(one).median()))...)
	}
}

func (res *results) printTargets(w io.Writer, p plan) {
	head(w, "Targets", "target", "bound", "measured", "holds")
	for _, t := range res.targets(p) {
		row(w, t.what, t.bound, t.measured, t.verdict())
	}
}

func (res *results) printLatency(w io.Writer, p plan) {
	head(w, fmt.Sprintf("Latency, %d callers that wait for each answer (µs)", callers),
		"work", "peer", "p50", "p99", "p999", "p99 / "+peers.GoTimeout)
	for _, work := range p.latencyWorks {
		base := res.p99(cell{work: work.Name, peer: peers.GoTimeout})
		for _, name := range latencyPeers {
			c := cell{work: work.Name, peer: name}
			ds := res.latency[c]
			row(w, work.Name, name,
				micros(ds, func(d distribution) float64 { return d.p50 }),
				micros(ds, func(d distribution) float64 { return d.p99 }),
				micros(ds, func(d distribution) float64 { return d.p999 }),
				fmt.Sprintf("%.2f", res.p99(c).over(base).median()))
		}
	}
}

func micros(ds []distribution, f func(distribution) float64) string {
	return fmt.Sprintf("%.1f", seriesOf(ds, f).median()/1e3)
}

func (res *results) printGain(w io.Writer, p plan) {
	if len(res.gain) == 0 {
		return // the line of the target says why
	}
	head(w, fmt.Sprintf("Throughput on one processor and on two, %d callers (thousand calls a second)", callers),
		"work", "peer", "1", "2", "gain")
	for _, work := range p.gainWorks {
		for _, name := range gainPeers {
			c := cell{work: work.Name, peer: name}
			on := func(i int) string {
				return fmt.Sprintf("%.0f", seriesOf(res.gain[c], func(g gain) float64 { return g[i] / 1e3 }).median())
			}
			row(w, work.Name, name, on(0), on(1), fmt.Sprintf("%.2f", res.gainFactor(c).median()))
		}
	}
}

func (res *results) printLateness(w io.Writer) {
	head(w, fmt.Sprintf("How late a timed-out caller returns, %d callers, handlers that ignore their context (µs)", callers),
		"peer", "p50", "p99", "max")
	for _, name := range latePeers {
		ds := res.late[name]
		row(w, name,
			micros(ds, func(d distribution) float64 { return d.p50 }),
			micros(ds, func(d distribution) float64 { return d.p99 }),
			micros(ds, func(d distribution) float64 { return d.max }))
	}
}

func (res *results) printHeld(w io.Writer, p plan) {
	head(w, "Memory held (heap and stacks in use; callers included)", "what", "peer", "B each", "goroutines each")
	for _, c := range p.heldCases {
		row(w, c.title(), c.peer,
			fmt.Sprintf("%.0f", res.heldBytes(c).median()), fmt.Sprintf("%.2f", res.heldGoroutines(c).median()))
	}
}

func (c heldCase) title() string {
	switch c.kind {
	case waiting:
		return fmt.Sprintf("%d calls waiting in their handlers", c.n)
	case heeding:
		return fmt.Sprintf("%d calls waiting, for their contexts too", c.n)
	case idle:
		return fmt.Sprintf("%d registered idle functions", c.n)
	}
	return c.String()
}
