//go:build unix

package admin_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/observe"
)

// discard is the writer of a stream whose reader takes all at once.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

// processorTime is what the process has used, in user mode and in the system.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTenStreams measures what ten streams cost that watch 1,000 functions with 200 calls
// per second: the processor time of the process with them, less what it takes without, as a part of
// one core. A round takes 20 s.
func BenchmarkTenStreams(b *testing.B) {
	rec := observe.NewRecorder()
	r := faas.New(faas.WithMeter(rec), faas.WithRefusals(rec.Refused))
	defer r.Close()
	var fns []*faas.Function[struct{}, struct{}]
	for i := range 1000 {
		fns = append(fns, faas.Register(r, fmt.Sprintf("function-%d", i), func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }))
	}
	api := admin.Handler(r, admin.WithAuthorize(rules.Permit), admin.WithRecorder(rec))
	watch := func(ctx context.Context, viewers int) (used time.Duration, bytes int) {
		ctx, cancel := context.WithTimeout(access.WithPrincipal(ctx, root), 10*time.Second)
		defer cancel()
		start := processorTime(b)
		var readers []*discard
		done := make(chan struct{}, viewers)
		for range viewers {
			d := &discard{header: http.Header{}}
			readers = append(readers, d)
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/v1/events", nil)
			require.NoError(b, err)
			go func() {
				api.ServeHTTP(d, req)
				done <- struct{}{}
			}()
		}
		for ticker := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; {
			select {
			case <-ticker.C:
				_, _ = fns[rand.IntN(len(fns))].Invoke(ctx, struct{}{})
			case <-ctx.Done():
				ticker.Stop()
			}
		}
		for range viewers {
			<-done
		}
		for _, d := range readers {
			bytes += d.bytes
		}
		return processorTime(b) - start, bytes
	}
	for b.Loop() {
		without, _ := watch(b.Context(), 0)
		with, bytes := watch(b.Context(), 10)
		b.ReportMetric(100*(with-without).Seconds()/10, "%core")
		b.ReportMetric(float64(bytes)/100, "B/s/stream")
	}
}
