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

	"github.com/inproc/faas"
	"github.com/inproc/faas/examples/internal/table"
)

// fate is what became of a webhook.
type fate int

const (
	delivered fate = iota // before SIGTERM
	drained               // delivered after it
	panicked
	timedOut
	overloaded // refused: no slot, and no place in the queue
	closed     // refused: it came after SIGTERM, or still waited when the time to drain was over
	canceled   // still under way when the time to drain was over
	failed     // anything else
	fates      // how many there are
)

var titles = [fates]string{"delivered", "drained", "panicked", "timed out", "overloaded", "closed", "canceled", "failed"}

// tally counts fates by endpoint.
type tally struct {
	mu       sync.Mutex
	draining bool
	counts   map[string]*[fates]int
}

func newTally() *tally { return &tally{counts: make(map[string]*[fates]int)} }

func (t *tally) add(endpoint string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts[endpoint] == nil {
		t.counts[endpoint] = new([fates]int)
	}
	t.counts[endpoint][t.fate(err)]++
}

// fate reads an answer: errors.Is and errors.As tell the platform's errors from each other and from the handler's own.
func (t *tally) fate(err error) fate {
	var panicErr *faas.PanicError
	switch {
	case err == nil && t.draining:
		return drained
	case err == nil:
		return delivered
	case errors.As(err, &panicErr):
		return panicked
	case errors.Is(err, faas.ErrTimeout):
		return timedOut
	case errors.Is(err, faas.ErrOverloaded):
		return overloaded
	case errors.Is(err, faas.ErrClosed):
		return closed
	case errors.Is(err, context.Canceled):
		return canceled
	}
	return failed
}

// startDrain has deliveries counted as drained from now on, and returns how many there were before.
func (t *tally) startDrain() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	n := 0
	for _, c := range t.counts {
		n += c[delivered]
	}
	return n
}

// printTable writes a line per endpoint and their sum. Every webhook is in exactly one column; columns that would be all
// zero are left out.
func (s *service) printTable(w io.Writer) {
	t := s.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	var total [fates]int
	for _, c := range t.counts {
		for f, n := range c {
			total[f] += n
		}
	}
	columns := []string{"ENDPOINT", "WEBHOOKS"}
	for f, title := range titles {
		if total[f] > 0 {
			columns = append(columns, strings.ToUpper(title))
		}
	}
	lines := table.New(columns...)
	for _, name := range slices.Sorted(maps.Keys(t.counts)) {
		lines.Line(lineOf(name, *t.counts[name], total)...)
	}
	lines.Line(lineOf("all", total, total)...)
	fmt.Fprintln(w)
	lines.Print(w)
}

func lineOf(name string, counts, total [fates]int) []any {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	line := []any{name, sum}
	for f, n := range counts {
		if total[f] > 0 {
			line = append(line, n)
		}
	}
	return line
}
