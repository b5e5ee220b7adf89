package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faasmcp"
)

// answers counts how the calls of one tool were answered, and remembers the slowest answers.
type answers struct {
	mu                                    sync.Mutex
	calls, ok, timeout, panicked, refused int
	unexpected                            error         // any other
	slowest                               time.Duration // of the calls that ran
	slowestRefusal                        time.Duration
}

func (a *answers) add(err error, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	var failure *toolError
	outcome := ""
	switch {
	case err == nil:
		a.ok++
	case errors.As(err, &failure):
		outcome = failure.Outcome
	default:
		a.unexpected = err
	}
	switch outcome {
	case "":
	case faasmcp.Refused:
		a.refused++
		a.slowestRefusal = max(a.slowestRefusal, took)
		return // it never ran
	case faas.TimedOut.String():
		a.timeout++
	case faas.Panicked.String():
		a.panicked++
	default:
		a.unexpected = err
	}
	a.slowest = max(a.slowest, took)
}

func printAnswers(w io.Writer, stats map[string]*answers) {
	t := newTable(w)
	defer t.Flush()
	fmt.Fprintf(t, "%-8s\tCALLS\tOK\tTIMEOUT\tPANIC\tREFUSED\tSLOWEST ANSWER\tPAST DEADLINE\tSLOWEST REFUSAL\t\n", "TOOL")
	for _, name := range toolNames {
		a := stats[name]
		fmt.Fprintf(t, "%-8s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t\n", name,
			a.calls, a.ok, a.timeout, a.panicked, a.refused, ms(a.slowest), past(a.slowest), ifAny(a.refused, a.slowestRefusal))
	}
}

// past tells by how much the deadline was missed, if it was.
func past(took time.Duration) string {
	if took < timeout {
		return "-"
	}
	return ms(took - timeout)
}

func ifAny(n int, d time.Duration) string {
	if n == 0 {
		return "-"
	}
	return ms(d)
}

func printStatus(w io.Writer, router *faas.Router) {
	t := newTable(w)
	defer t.Flush()
	fmt.Fprintf(t, "%-8s\tADMITTED\tREFUSED\tIN FLIGHT\tQUEUED\tSTUCK\t\n", "TOOL")
	for info := range router.Functions() {
		fmt.Fprintf(t, "%-8s\t%d\t%d\t%d\t%d\t%d\t\n", info.Name, info.Admitted, refusals(info), info.InFlight, info.Queued, info.Runaways)
	}
}

func refusals(info faas.Info) uint64 {
	var sum uint64
	for _, n := range info.Rejected {
		sum += n
	}
	return sum
}

// watch hears of calls that outlive their deadlines, twice: while they are stuck, and when they have ended. It is a meter
// with no interest in calls that keep their time.
type watch struct {
	mu       sync.Mutex
	late     map[string]int
	overruns int
	overrun  time.Duration
}

// stuck is called once for each call that still runs a while after its deadline.
func (w *watch) stuck(_ context.Context, inv faas.Invocation, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.late == nil {
		w.late = make(map[string]int)
	}
	w.late[inv.Function]++
}

func (w *watch) Record(context.Context, faas.Execution) {}

// RecordOverrun is called when such a call has ended after all: someone may have to pay for that, too. One that heeds its
// context can be late as well, by the moment that it takes to return, which is not worth a line here.
func (w *watch) RecordOverrun(_ context.Context, o faas.Overrun) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.Duration < grace {
		return
	}
	w.overruns++
	w.overrun += o.Duration
}

func (w *watch) overran() (n int, sum time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.overruns, w.overrun
}

func (w *watch) print(out io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, name := range slices.Sorted(maps.Keys(w.late)) {
		list = append(list, fmt.Sprintf("%d of %s", w.late[name], name))
	}
	fmt.Fprintf(out, "\nReported as stuck %s after their deadlines: %s.\n", grace, strings.Join(list, ", "))
}

// newTable aligns numbers on the right; names are padded, which puts them on the left.
func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
