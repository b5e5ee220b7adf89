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
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/examples/internal/table"
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

func printAnswers(w io.Writer, stats map[string]*answers, late func(tool string) time.Duration) {
	t := table.New("TOOL    ", "CALLS", "OK", "TIMEOUT", "PANIC", "REFUSED", "SLOWEST", "LATE", "REFUSED IN")
	for _, name := range toolNames {
		a := stats[name]
		t.Line(name, a.calls, a.ok, a.timeout, a.panicked, a.refused, ms(a.slowest), ifAny(a.timeout, late(name)), ifAny(a.refused, a.slowestRefusal))
	}
	t.Print(w)
}

func ifAny(n int, d time.Duration) string {
	if n == 0 {
		return "-"
	}
	return ms(d)
}

func printStatus(w io.Writer, router *faas.Router) {
	t := table.New("TOOL    ", "ADMITTED", "REFUSED", "IN FLIGHT", "QUEUED", "STUCK")
	for info := range router.Functions() {
		t.Line(info.Name, info.Admitted, refusals(info), info.InFlight, info.Queued, info.Runaways)
	}
	t.Print(w)
}

func refusals(info faas.Info) uint64 {
	var sum uint64
	for _, n := range info.Rejected {
		sum += n
	}
	return sum
}

// watch is a meter that hears of calls that outlive their deadlines: when they are answered all the same, while they are
// stuck, and when they have ended. How late an answer is, it has from the router: what agents measure also has their own
// way to and from it, of 200 calls at once, and that is not the deadline's.
type watch struct {
	mu       sync.Mutex
	answered map[string]time.Duration // past the deadline, at most
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

// Record is called before the caller has its answer.
func (w *watch) Record(_ context.Context, e faas.Execution) {
	if e.Outcome != faas.TimedOut {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answered == nil {
		w.answered = make(map[string]time.Duration)
	}
	w.answered[e.Function] = max(w.answered[e.Function], e.Duration-timeout)
}

// lateness is by how much the answers of a tool were late, at most.
func (w *watch) lateness(tool string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answered[tool]
}

// RecordOverrun is called when such a call has ended after all: its time may have to be paid for, too. One that heeds its
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

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
