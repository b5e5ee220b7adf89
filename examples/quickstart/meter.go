package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/inproc/faas"
	"github.com/inproc/faas/examples/internal/table"
)

// recorder is a faas.Meter: it gets one record of every call, and stores what the table at the end needs. It uses a
// histogram, because its size does not grow with the number of calls. A list of durations would grow.
type recorder struct {
	mu    sync.Mutex // records come from many goroutines
	stats map[string]*stats
}

// stats has the numbers of one function.
type stats struct {
	calls     int
	outcomes  map[faas.Outcome]int
	wait, run *hdrhistogram.Histogram // nanoseconds
	billed    time.Duration
}

func newRecorder() *recorder { return &recorder{stats: make(map[string]*stats)} }

// Record runs before the caller has its answer. So a call that has returned has been counted.
func (r *recorder) Record(_ context.Context, e faas.Execution) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats[e.Function]
	if s == nil {
		s = &stats{outcomes: make(map[faas.Outcome]int), wait: newHistogram(), run: newHistogram()}
		r.stats[e.Function] = s
	}
	s.calls++
	s.outcomes[e.Outcome]++
	observe(s.wait, e.Queued)
	observe(s.run, e.Duration)
	s.billed += billed(e.Duration)
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(time.Hour), 3)
}

func observe(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(int64(d), h.HighestTrackableValue())) // an hour or more counts as an hour
}

// billed rounds each call up to the next millisecond, as AWS Lambda does.
func billed(d time.Duration) time.Duration {
	whole := d.Truncate(time.Millisecond)
	if whole < d {
		whole += time.Millisecond
	}
	return whole
}

// print writes one line for each function, with a column for each outcome that occurred.
func (r *recorder) print(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := slices.Sorted(maps.Keys(r.stats))
	outcomes := r.outcomes()

	titles := []string{"FUNCTION", "CALLS"}
	for _, o := range outcomes {
		titles = append(titles, strings.ToUpper(o.String()))
	}
	t := table.New(append(titles, "WAIT P50", "P99", "RUN P50", "P99", "BILLED")...).Spare("RUN P50", "WAIT P50")
	for _, name := range names {
		s := r.stats[name]
		line := []any{name, s.calls}
		for _, o := range outcomes {
			line = append(line, s.outcomes[o])
		}
		t.Line(append(line, ms(s.wait, 50), ms(s.wait, 99), ms(s.run, 50), ms(s.run, 99), fmt.Sprintf("%.2f s", s.billed.Seconds()))...)
	}
	t.Print(w)
	fmt.Fprintln(w, "(each call billed up to the next millisecond, as on AWS Lambda)")
}

// meanRun returns the mean time that a call ran.
func (r *recorder) meanRun() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum float64
	calls := 0
	for _, s := range r.stats {
		sum += s.run.Mean() * float64(s.calls)
		calls += s.calls
	}
	return time.Duration(sum / float64(max(calls, 1)))
}

// outcomes returns the outcomes that occurred, in the order of their declaration.
func (r *recorder) outcomes() []faas.Outcome {
	seen := make(map[faas.Outcome]bool)
	for _, s := range r.stats {
		for o := range s.outcomes {
			seen[o] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func ms(h *hdrhistogram.Histogram, percentile float64) string {
	return fmt.Sprintf("%.2f ms", float64(h.ValueAtQuantile(percentile))/float64(time.Millisecond))
}
