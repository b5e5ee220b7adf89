package faasotel_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasotel"
)

// receiver receives metrics and spans by OTLP over HTTP.
type receiver struct {
	block chan struct{} // not nil: answers wait until it is closed

	mu      sync.Mutex // guards what follows
	spans   int
	metrics map[string]int64 // by name: the last sum over the points of a counter, or the last count of a histogram
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.block != nil {
		<-c.block
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err == nil {
		err = c.take(r.URL.Path, data)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (c *receiver) take(path string, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if path == "/v1/traces" {
		var m tracepb.ExportTraceServiceRequest
		err := proto.Unmarshal(data, &m)
		for _, resource := range m.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.spans += len(scope.Spans)
			}
		}
		return err
	}
	var m metricspb.ExportMetricsServiceRequest
	err := proto.Unmarshal(data, &m)
	c.metrics = map[string]int64{}
	for _, resource := range m.ResourceMetrics {
		for _, scope := range resource.ScopeMetrics {
			for _, one := range scope.Metrics {
				for _, p := range one.GetSum().GetDataPoints() {
					c.metrics[one.Name] += p.GetAsInt()
				}
				for _, p := range one.GetHistogram().GetDataPoints() {
					c.metrics[one.Name] += int64(p.GetCount())
				}
			}
		}
	}
	return err
}

// exported makes a router that exports to the receiver only at Shutdown.
func exported(t *testing.T, c *receiver) *faas.Router {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	ctx := context.Background()
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(server.URL+"/v1/traces"))
	require.NoError(t, err)
	metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(server.URL+"/v1/metrics"))
	require.NoError(t, err)
	rec := observe.NewRecorder(observe.WithExemplar(faasotel.Exemplar))
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans, sdktrace.WithBatchTimeout(time.Hour)))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(time.Hour),
		sdkmetric.WithProducer(faasotel.Producer(nil, rec)))))
	t.Cleanup(func() {
		assert.NoError(t, tp.Shutdown(ctx))
		assert.NoError(t, mp.Shutdown(ctx))
	})
	return faas.New(faasotel.Tracing(tp, nil), faas.WithMeter(rec), faasotel.FlushAtShutdown(tp, nil, mp))
}

func TestShutdownSendsAllSpansAndMetrics(t *testing.T) {
	c := &receiver{}
	r := exported(t, c)
	f := faas.Register(r, "f", func(context.Context, int) (int, error) { return 0, nil })
	const calls = 1000
	for n := range calls {
		_, err := f.Invoke(t.Context(), n)
		require.NoError(t, err)
	}
	require.NoError(t, r.Shutdown(t.Context()))
	c.mu.Lock()
	defer c.mu.Unlock()
	assert.Equal(t, calls, c.spans)
	assert.EqualValues(t, calls, c.metrics["faas.invocations"])
	assert.EqualValues(t, calls, c.metrics["faas.invoke_duration"])
}

func TestAFlushEndsWithShutdownsContext(t *testing.T) {
	c := &receiver{block: make(chan struct{})}
	r := exported(t, c)
	t.Cleanup(func() { close(c.block) })
	f := faas.Register(r, "f", func(context.Context, int) (int, error) { return 0, nil })
	_, err := f.Invoke(t.Context(), 1)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.Shutdown(ctx), context.DeadlineExceeded)
}
