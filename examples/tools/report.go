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

// answers counts how the calls of one tool ended, and keeps the longest times.
type answers struct {
	mu                                    sync.Mutex
	calls, ok, timeout, panicked, refused int
	unexpected                            error         // any other error
	slowest                               time.Duration // the slowest answer of the calls that ran
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
		return // the function never ran
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

// watch is a meter for calls that run beyond their deadlines. It records how late they are answered, how many are stuck,
// and by how much their handlers overrun. The router measures how late an answer is. The times of the agents would include
// the way to the router and back, which is long with 200 calls at once and has nothing to do with the deadline.
type watch struct {
	mu       sync.Mutex
	answered map[string]time.Duration // by tool: how late the latest answer was
	late     map[string]int
	overruns int
	overrun  time.Duration
}

// stuck is called once for each call that still runs at the time grace after its deadline.
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

// lateness returns the greatest time by which an answer of the tool was late.
func (w *watch) lateness(tool string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answered[tool]
}

// RecordOverrun is called when the handler of such a call has ended, because its extra time may have to be paid for too. A
// handler that heeds its context can also be late, by the short time that it needs to return. Such overruns are left out.
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
