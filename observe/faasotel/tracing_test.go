package faasotel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/internal/logtest"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasotel"
	"github.com/inproc/faas/trigger/faashttp"
)

// provider returns a provider that keeps its spans in memory.
func provider(t *testing.T) (*sdktrace.TracerProvider, *tracetest.InMemoryExporter) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept), sdktrace.WithIDGenerator(faasotel.IDGenerator()))
	t.Cleanup(func() { assert.NoError(t, tp.Shutdown(context.Background())) })
	return tp, kept
}

// byName returns the spans of that name, in their order.
func byName(kept *tracetest.InMemoryExporter, name string) (all []tracetest.SpanStub) {
	for _, s := range kept.GetSpans() {
		if s.Name == name {
			all = append(all, s)
		}
	}
	return all
}

func value(s tracetest.SpanStub, key attribute.Key) any {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.AsInterface()
		}
	}
	return nil
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestACallFromHTTPToARetryIsOneLinkedStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tp, kept := provider(t)
		tracing := faasotel.Tracing(tp, nil)
		var log logtest.Text
		logger := log.JSON(slog.LevelInfo)
		r := faastest.New(t, tracing, faas.WithCarrier(tracing.Carrier()), faas.WithContext(faashttp.Carry), faas.WithLogger(logger), faas.WithMeter(observe.Log(logger)))
		var tries atomic.Int32
		notify := faas.Register(r, "notify", func(ctx context.Context, _ string) (string, error) {
			faas.Logger(ctx).Info("notifying")
			if tries.Add(1) == 1 {
				return "", errors.New("busy")
			}
			return "", nil
		})
		var job *faas.Job[string]
		charge := faas.Register(r, "charge", func(ctx context.Context, who string) (string, error) {
			faas.Logger(ctx).Info("charging")
			var err error
			job, err = notify.Send(ctx, who)
			return who, err
		})
		faas.Register(r, "order", func(ctx context.Context, who string) (string, error) { return charge.Invoke(ctx, who) })

		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/fn/order", strings.NewReader(`"gopher"`))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Traceparent", parent)
		request.Header.Set("X-Request-Id", "r-17")
		answer := httptest.NewRecorder()
		faashttp.Handler(r).ServeHTTP(answer, request)
		require.Equal(t, http.StatusOK, answer.Code, answer.Body)
		_, err := job.Wait(t.Context())
		require.NoError(t, err)

		order, charged, deliveries := byName(kept, "order"), byName(kept, "charge"), byName(kept, "notify")
		require.Equal(t, []int{1, 1, 2}, []int{len(order), len(charged), len(deliveries)})
		assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", order[0].SpanContext.TraceID().String())
		assert.Equal(t, "b7ad6b7169203331", order[0].Parent.SpanID().String())
		assert.Equal(t, trace.SpanKindServer, order[0].SpanKind)
		assert.Equal(t, "http", value(order[0], "faas.trigger"))
		assert.Equal(t, order[0].SpanContext.SpanID(), charged[0].Parent.SpanID())
		assert.Equal(t, trace.SpanKindInternal, charged[0].SpanKind)
		for i, d := range deliveries {
			assert.False(t, d.Parent.IsValid())
			assert.Equal(t, trace.SpanKindServer, d.SpanKind)
			require.Len(t, d.Links, 1)
			assert.Equal(t, charged[0].SpanContext.SpanID(), d.Links[0].SpanContext.SpanID())
			assert.Equal(t, charged[0].SpanContext.TraceID(), d.Links[0].SpanContext.TraceID())
			assert.EqualValues(t, i+1, value(d, "inproc.faas.attempt"))
		}
		for _, s := range kept.GetSpans() {
			assert.Equal(t, "r-17", value(s, "inproc.faas.request_id"), s.Name)
		}
		lines := 0
		for line := range strings.Lines(log.String()) {
			var fields map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &fields))
			assert.Equal(t, "r-17", fields["request"], line)
			lines++
		}
		assert.Equal(t, 7, lines, "a line of each call, and three of handlers")
	})
}

func TestADeliveryIsAChildOfItsSenderIfThatIsAskedFor(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	tracing := faasotel.Tracing(tp, nil, faasotel.WithJobParents(), nil)
	r := faastest.New(t, tracing, faas.WithCarrier(tracing.Carrier()))
	f := faas.Register(r, "f", func(context.Context, int) (int, error) { return 0, nil })
	ctx, sender := tp.Tracer("test").Start(t.Context(), "sender")
	job, err := f.Send(ctx, 1)
	require.NoError(t, err)
	_, err = job.Wait(t.Context())
	require.NoError(t, err)
	sender.End()
	got := byName(kept, "f")
	require.Len(t, got, 1)
	assert.Equal(t, sender.SpanContext().SpanID(), got[0].Parent.SpanID())
	assert.Empty(t, got[0].Links)
}

func TestASpanSaysHowItsCallEnded(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		status  codes.Code
		outcome string
		kind    string // the type of the exception; empty: none
	}{
		"fine":    {codes.Unset, "OK", ""},
		"fail":    {codes.Error, "Failed", "*errors.errorString"},
		"panic":   {codes.Error, "Panicked", "*faas.PanicError"},
		"refused": {codes.Error, "refused", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tp, kept := provider(t)
			limit := 1
			if name == "refused" {
				limit = 0
			}
			r := faastest.New(t, faasotel.Tracing(tp, nil, faasotel.WithMessages()), faas.WithConcurrency(limit))
			f := faas.Register(r, "f", func(_ context.Context, what string) (string, error) {
				switch what {
				case "fail":
					return "", errors.New("the cause")
				case "panic":
					panic("the cause")
				}
				return "", nil
			}, faas.WithMemory(1<<20))
			_, _ = f.Invoke(faas.WithTenant(t.Context(), "acme"), name)
			spans := kept.GetSpans()
			require.Len(t, spans, 1)
			s := spans[0]
			assert.Equal(t, want.status, s.Status.Code)
			assert.Equal(t, want.outcome, value(s, "inproc.faas.outcome"))
			assert.Equal(t, []any{"other", "f", "$LATEST", int64(1 << 20), "acme"}, []any{
				value(s, "faas.trigger"), value(s, "faas.name"), value(s, "faas.version"), value(s, "faas.max_memory"), value(s, "inproc.faas.tenant"),
			})
			assert.NotEmpty(t, value(s, "faas.invocation_id"))
			if want.outcome != "refused" {
				assert.Equal(t, false, value(s, "faas.coldstart"))
			}
			if want.kind == "" {
				assert.Empty(t, s.Events)
				return
			}
			require.Len(t, s.Events, 1)
			assert.Equal(t, "faas.invocation.exception", s.Events[0].Name)
			event := tracetest.SpanStub{Attributes: s.Events[0].Attributes}
			assert.Equal(t, want.kind, value(event, "exception.type"))
			assert.Contains(t, value(event, "exception.message"), "the cause")
			assert.Equal(t, name == "panic", value(event, "exception.stacktrace") != nil)
		})
	}
}

func TestTheTextOfAnErrorStaysOutOfSpansUnlessAskedFor(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	f := faas.Register(faastest.New(t, faasotel.Tracing(tp, nil)), "f", func(context.Context, int) (int, error) { return 0, errors.New("secret") })
	_, _ = f.Invoke(t.Context(), 1)
	doc, err := json.Marshal(kept.GetSpans())
	require.NoError(t, err)
	require.NotEmpty(t, doc)
	assert.False(t, bytes.Contains(doc, []byte("secret")))
}

// injected returns the headers that a handler would send with a request of its own.
func injected(ctx context.Context, _ int) (string, error) {
	headers := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, headers)
	return headers["traceparent"], nil
}

func TestACallThatIsNotSampledStillPropagates(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	r := faastest.New(t, faasotel.Tracing(tp, sdktrace.ParentBased(sdktrace.NeverSample())))
	f := faas.Register(r, "f", injected)
	over := faas.Register(r, "over", func(ctx context.Context, n int) ([2]string, error) {
		own, _ := injected(ctx, n)
		below, err := f.Invoke(ctx, n)
		_, mine := tp.Tracer("test", trace.WithInstrumentationVersion("1")).Start(ctx, "of the handler")
		mine.End()
		return [2]string{own, below}, err
	})
	got, err := over.Invoke(t.Context(), 1)
	require.NoError(t, err)
	assert.Regexp(t, "^00-[0-9a-f]{32}-[0-9a-f]{16}-00$", got[0])
	assert.Equal(t, got[0], got[1], "the whole chain has one context")
	assert.Empty(t, byName(kept, "f"))

	outside := trace.ContextWithRemoteSpanContext(t.Context(), spanContext(t, strings.TrimSuffix(parent, "01")+"00"))
	got, err = over.Invoke(outside, 1)
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSuffix(parent, "01")+"00", got[0], "what came is handed on")
	assert.Equal(t, got[0], got[1])
}

func spanContext(t *testing.T, traceparent string) trace.SpanContext {
	t.Helper()
	sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent}))
	require.True(t, sc.IsValid())
	return sc
}

// countingSampler counts its calls, and answers with an attribute.
type countingSampler struct {
	asked atomic.Int32
	id    atomic.Value // a trace.TraceID, from the last call
}

func (s *countingSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.asked.Add(1)
	s.id.Store(p.TraceID)
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Attributes: []attribute.KeyValue{attribute.String("rule", "all")}}
}

func (*countingSampler) Description() string { return "counting" }

func TestTheSamplerIsAskedOnceForEachCall(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]context.Context{
		"alone":             context.Background(),
		"with a tenant":     faas.WithTenant(context.Background(), "acme"),
		"from another span": trace.ContextWithRemoteSpanContext(context.Background(), spanContext(t, parent)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tp, kept := provider(t)
			sampler := &countingSampler{}
			f := faas.Register(faastest.New(t, faasotel.Tracing(tp, sampler)), "f", injected)
			sent, err := f.Invoke(ctx, 1)
			require.NoError(t, err)
			assert.EqualValues(t, 1, sampler.asked.Load())
			spans := byName(kept, "f")
			require.Len(t, spans, 1)
			assert.Equal(t, "all", value(spans[0], "rule"))
			assert.Contains(t, sent, spans[0].SpanContext.SpanID().String(), "the handler's context has the span")
			asked, _ := sampler.id.Load().(trace.TraceID)
			got := spans[0].SpanContext.TraceID()
			assert.Equal(t, asked[8:], got[8:], "samplers elsewhere go by the right half")
		})
	}
}

func TestProbabilitiesAreThoseOfTheSampler(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	r := faastest.New(t, faasotel.Tracing(tp, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.25))))
	leaf := faas.Register(r, "leaf", func(context.Context, int) (int, error) { return 0, nil })
	f := faas.Register(r, "f", leaf.Invoke)
	const calls = 4000
	for n := range calls {
		_, err := f.Invoke(t.Context(), n)
		require.NoError(t, err)
	}
	got := len(byName(kept, "f"))
	assert.InDelta(t, calls/4, got, calls/4*0.2) // 7 standard deviations
	assert.Len(t, byName(kept, "leaf"), got, "a nested call is sampled as the one above")
}

func TestAnExemplarIsATraceThatIsKept(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	for _, sampler := range []sdktrace.Sampler{sdktrace.AlwaysSample(), sdktrace.NeverSample()} {
		kept.Reset()
		rec := observe.NewRecorder(observe.WithExemplar(faasotel.Exemplar))
		f := faas.Register(faastest.New(t, faasotel.Tracing(tp, sampler), faas.WithMeter(rec)), "f", injected)
		_, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		for s := range rec.Snapshot() {
			require.Len(t, s.Exemplars, len(kept.GetSpans()))
			for _, e := range s.Exemplars {
				assert.Equal(t, kept.GetSpans()[0].SpanContext.TraceID().String(), e.Trace)
			}
		}
	}
	assert.Empty(t, faasotel.Exemplar(t.Context()))
}

func TestATraceContextIsFoundWhereItIsSaidToBe(t *testing.T) {
	t.Parallel()
	type key struct{}
	tp, kept := provider(t)
	f := faas.Register(faastest.New(t, faasotel.Tracing(tp, nil, faasotel.WithIncoming(func(ctx context.Context) (string, string) {
		s, _ := ctx.Value(key{}).(string)
		return s, ""
	}))), "f", injected)
	for _, header := range []string{parent, "nonsense", ""} {
		_, err := f.Invoke(context.WithValue(t.Context(), key{}, header), 1)
		require.NoError(t, err)
	}
	spans := byName(kept, "f")
	require.Len(t, spans, 3)
	assert.Equal(t, "b7ad6b7169203331", spans[0].Parent.SpanID().String())
	assert.True(t, spans[0].Parent.IsRemote())
	assert.False(t, spans[1].Parent.IsValid())
	assert.False(t, spans[2].Parent.IsValid())
}

func FuzzCarrierRestoresWhatItSavedAndRefusesTheRest(f *testing.F) {
	f.Add([]byte(parent + "\nvendor=1"))
	f.Add([]byte("\n"))
	f.Add([]byte(parent))
	f.Fuzz(func(t *testing.T, saved []byte) {
		c := faasotel.Tracing(sdktrace.NewTracerProvider(), nil).Carrier()
		ctx, err := c.Restore(t.Context(), saved)
		assert.Equal(t, err == nil, ctx != nil)
	})
}

func TestManyCallsAtOnceKeepTheirSpansApart(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	r := faastest.New(t, faasotel.Tracing(tp, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.5))))
	leaf := faas.Register(r, "leaf", injected)
	f := faas.Register(r, "f", func(ctx context.Context, n int) ([2]string, error) {
		own, _ := injected(ctx, n)
		below, err := leaf.Invoke(ctx, n)
		return [2]string{own, below}, err
	})
	start := make(chan struct{})
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			<-start
			for n := range 200 {
				got, err := f.Invoke(context.Background(), n)
				assert.NoError(t, err)
				assert.Equal(t, got[0][:35], got[1][:35], "one trace")
				assert.Equal(t, got[0][53:], got[1][53:], "one decision")
			}
		}()
	}
	close(start)
	for range 8 {
		<-done
	}
	assert.Len(t, byName(kept, "leaf"), len(byName(kept, "f")))
}
