package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/inproc/faas/examples/internal/table"
	"github.com/inproc/faas/observe"
)

// These are the queries of compare: over all calls since the start, for one function.
const (
	nativeRun  = `faas_call_run_seconds{function=%q}`
	classicRun = `faas_call_run_seconds_bucket{function=%q}`
	quantile99 = `histogram_quantile(0.99, %s)`
)

// compare prints the 99th percentile of the run of each function, from Prometheus and from the recorder. It returns
// an error if they differ by more than 5 % and the width of Prometheus's bucket.
func compare(ctx context.Context, out io.Writer, s *server, rec *observe.Recorder) error {
	time.Sleep(3 * time.Second) // until Prometheus has scraped the last call
	fmt.Fprintln(out, "\nThe 99th percentile of the run, in ms")
	t := table.New("function", "recorder", "Prometheus", "bucket")
	var far error
	for series := range rec.Snapshot() {
		if series.Run.Count() == 0 {
			continue
		}
		want := series.Run.Quantile(0.99).Seconds()
		got, bucket, err := s.p99(ctx, series.Function)
		if err != nil {
			return err
		}
		t.Line(series.Function, milliseconds(want), milliseconds(got), milliseconds(bucket))
		if math.Abs(got-want) > 0.05*want+bucket {
			far = fmt.Errorf("%s: the recorder says %v s, and Prometheus %v s", series.Function, want, got)
		}
	}
	t.Print(out)
	return far
}

func milliseconds(seconds float64) string { return fmt.Sprintf("%.4f", 1000*seconds) }

// p99 queries the 99th percentile of a function, from native buckets if there are any and otherwise from classic
// ones. It also returns the width of the bucket that contains it.
func (s *server) p99(ctx context.Context, function string) (value, bucket float64, err error) {
	answer, err := s.query(ctx, fmt.Sprintf(quantile99, fmt.Sprintf(nativeRun, function)))
	if err == nil && len(answer) == 1 {
		return answer[0].value, answer[0].value * (math.Exp2(1.0/8) - 1), nil
	}
	answer, err = s.query(ctx, fmt.Sprintf(quantile99, fmt.Sprintf(classicRun, function)))
	if err != nil || len(answer) != 1 {
		return 0, 0, fmt.Errorf("%s has no quantile: %w", function, err)
	}
	value = answer[0].value
	buckets, err := s.query(ctx, fmt.Sprintf(classicRun, function))
	from, to := 0.0, math.Inf(1)
	for _, b := range buckets {
		switch bound, _ := strconv.ParseFloat(b.labels["le"], 64); {
		case bound < value:
			from = max(from, bound)
		default:
			to = min(to, bound)
		}
	}
	return value, to - from, err
}
