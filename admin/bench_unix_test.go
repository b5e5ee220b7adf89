//go:build unix

package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/observe"
)

// processorTime returns the processor time that the process has used, in user mode and in the
// kernel.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// crowd is a host with 1,000 functions, and a server of its API.
type crowd struct {
	functions []*faas.Function[struct{}, struct{}]
	server    *httptest.Server
}

func newCrowd(b *testing.B) *crowd {
	b.Helper()
	rec := observe.NewRecorder()
	r := faas.New(faas.WithMeter(rec), faas.WithRefusals(rec.Refused))
	b.Cleanup(func() { require.NoError(b, r.Close()) })
	c := &crowd{}
	for i := range 1000 {
		c.functions = append(c.functions, faas.Register(r, fmt.Sprintf("function-%d", i), func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }))
	}
	api := admin.Handler(r, admin.WithAuthorize(rules.Permit), admin.WithRecorder(rec))
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(w, r.WithContext(access.WithPrincipal(r.Context(), root)))
	}))
	b.Cleanup(c.server.Close)
	return c
}

// read reads a stream until ctx ends. It sends the size of the first frame to sizes, and then
// the size of all that follows.
func (c *crowd) read(ctx context.Context, b *testing.B, sizes chan<- int64) {
	b.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.URL+"/v1/events", nil)
	if err != nil {
		b.Error(err)
		return
	}
	res, err := c.server.Client().Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "data: ") {
			sizes <- int64(len(line))
			break
		}
	}
	n, _ := io.Copy(io.Discard, lines)
	sizes <- n
}

// call makes 200 calls a second for the time d.
func (c *crowd) call(ctx context.Context, d time.Duration) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-ticker.C {
		_, _ = c.functions[rand.IntN(len(c.functions))].Invoke(ctx, struct{}{})
	}
}

// BenchmarkTenStreams measures the cost of ten streams that watch 1,000 functions with 200
// calls a second, over connections. The first value is the processor time of the process,
// readers included, minus what it uses without streams, as a part of one core. first-ms is the
// time for the first, full frames of all ten, in milliseconds. A round takes 20 s, and the
// medians of the rounds are reported.
func BenchmarkTenStreams(b *testing.B) {
	const viewers, span = 10, 10 * time.Second
	c := newCrowd(b)
	c.call(b.Context(), time.Second)
	var steady, first, size []float64
	for b.Loop() {
		start := processorTime(b)
		c.call(b.Context(), span)
		without := processorTime(b) - start

		ctx, leave := context.WithCancel(b.Context())
		sizes := make(chan int64, 2*viewers)
		start = processorTime(b)
		for range viewers {
			go c.read(ctx, b, sizes)
		}
		for range viewers {
			<-sizes
		}
		first = append(first, (processorTime(b)-start).Seconds()*1000)
		start = processorTime(b)
		c.call(b.Context(), span)
		steady = append(steady, 100*(processorTime(b)-start-without).Seconds()/span.Seconds())
		leave()
		sum := int64(0)
		for range viewers {
			sum += <-sizes
		}
		size = append(size, float64(sum)/viewers/span.Seconds())
	}
	for unit, all := range map[string][]float64{"%core": steady, "first-ms": first, "B/s/stream": size} {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], unit)
	}
}
