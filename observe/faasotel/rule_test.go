package faasotel_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/observe/faasotel"
)

// wrapped is a sampler whose description is that of the sampler inside. Its rule can't be
// known.
type wrapped struct{ sdktrace.Sampler }

// inHandlers returns the contexts of two handlers: of a call that is sampled, and of one that
// is not.
func inHandlers(t *testing.T) (all []context.Context) {
	t.Helper()
	tp, _ := provider(t)
	for _, s := range []sdktrace.Sampler{sdktrace.AlwaysSample(), sdktrace.NeverSample()} {
		_, err := faas.Register(faastest.New(t, faasotel.Tracing(tp, s)), "f", func(ctx context.Context, _ int) (int, error) {
			all = append(all, ctx)
			return 0, nil
		}).Invoke(t.Context(), 1)
		require.NoError(t, err)
	}
	return all
}

func TestCallsAreSampledAsTheSamplerWouldSay(t *testing.T) {
	t.Parallel()
	tp, _ := provider(t)
	contexts := append(inHandlers(t), context.Background(), faas.WithTenant(context.Background(), "acme"))
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom([]sdktrace.Sampler{
			sdktrace.AlwaysSample(), sdktrace.NeverSample(), sdktrace.TraceIDRatioBased(rapid.OneOf(rapid.Float64Range(0, 1), rapid.Just(0.01), rapid.Just(1e-19)).Draw(t, "part")),
		}).Draw(t, "root")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 1:
			s = sdktrace.ParentBased(s)
		case 2:
			s = sdktrace.ParentBased(s, sdktrace.WithLocalParentSampled(sdktrace.NeverSample()), sdktrace.WithLocalParentNotSampled(sdktrace.AlwaysSample()))
		case 3:
			s = sdktrace.AlwaysRecord(s)
		}
		ctx := rapid.SampledFrom(contexts).Draw(t, "context")
		known, asked := faasotel.Tracing(tp, s).Sampler(), faasotel.Tracing(tp, wrapped{s}).Sampler()
		for range 20 {
			random := rapid.Uint64().Draw(t, "random")
			assert.Equal(t, asked.Sample(ctx, "f", random), known.Sample(ctx, "f", random), s.Description())
		}
	})
}

// onlyOnce samples the first call.
type onlyOnce struct {
	sdktrace.Sampler // for its description

	asked *int
}

func (s onlyOnce) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if *s.asked++; *s.asked == 1 {
		return s.Sampler.ShouldSample(p)
	}
	return sdktrace.SamplingResult{Decision: sdktrace.Drop}
}

func TestASamplerThatOnlyDescribesItselfAsOneOfTheSDKIsAsked(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	for name, s := range map[string]func(sdktrace.Sampler) sdktrace.Sampler{
		"alone": func(s sdktrace.Sampler) sdktrace.Sampler { return s }, "as a root": func(s sdktrace.Sampler) sdktrace.Sampler { return sdktrace.ParentBased(s) },
	} {
		kept.Reset()
		asked := 0
		f := faas.Register(faastest.New(t, faasotel.Tracing(tp, s(onlyOnce{sdktrace.TraceIDRatioBased(1), &asked}))), "f", injected)
		for n := range 3 {
			_, err := f.Invoke(t.Context(), n)
			require.NoError(t, err)
		}
		assert.Equal(t, 3, asked, name)
		assert.Len(t, kept.GetSpans(), 1, name)
	}
}

// atStart records the attributes that spans have when they begin.
type atStart struct {
	sdktrace.SpanProcessor

	seen []map[string]bool
}

func (a *atStart) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	keys := map[string]bool{}
	for _, kv := range s.Attributes() {
		keys[string(kv.Key)] = true
	}
	a.seen = append(a.seen, keys)
}

func TestASpanBeginsWithItsAttributesIfThatIsAskedFor(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	seen := &atStart{SpanProcessor: sdktrace.NewSimpleSpanProcessor(kept)}
	tp.RegisterSpanProcessor(seen)
	ends := [2]map[string]any{{}, {}}
	for i, opts := range [][]faasotel.TracingOption{nil, {faasotel.WithAttributesAtStart()}} {
		kept.Reset()
		f := faas.Register(faastest.New(t, faasotel.Tracing(tp, nil, opts...)), "f", injected)
		_, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		for _, kv := range kept.GetSpans()[0].Attributes {
			if kv.Key != "faas.invocation_id" {
				ends[i][string(kv.Key)] = kv.Value.AsInterface()
			}
		}
	}
	require.Len(t, seen.seen, 2)
	assert.Empty(t, seen.seen[0])
	assert.True(t, seen.seen[1]["faas.name"] && seen.seen[1]["faas.trigger"] && seen.seen[1]["faas.invocation_id"], seen.seen[1])
	assert.Equal(t, ends[0], ends[1])
}

// Spans use lists of attributes one after the other. The attributes of one span must not appear
// in another.
func TestASpanHasTheAttributesOfItsOwnCall(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	r := faastest.New(t, faasotel.Tracing(tp, nil))
	f := faas.Register(r, "f", injected)
	for range 20 {
		_, err := f.Invoke(faas.WithTenant(faas.WithOrigin(t.Context(), faas.Origin{Trigger: "http", RequestID: "r-1"}), "acme"), 1)
		require.NoError(t, err)
		_, err = f.Invoke(t.Context(), 1)
		require.NoError(t, err)
	}
	for i, s := range byName(kept, "f") {
		assert.Zero(t, s.DroppedAttributes)
		want := []any{"acme", "r-1", "http"}
		if i%2 == 1 {
			want = []any{nil, nil, "other"}
		}
		assert.Equal(t, want, []any{value(s, "inproc.faas.tenant"), value(s, "inproc.faas.request_id"), value(s, "faas.trigger")})
	}
}

// holder is a provider that is not the SDK's. Its spans keep the slices of attributes that they
// get.
type holder struct {
	trace.TracerProvider
	all *[][]attribute.KeyValue
}

func (h holder) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return holding{h.TracerProvider.Tracer(name, opts...), h.all}
}

type holding struct {
	trace.Tracer
	all *[][]attribute.KeyValue
}

func (h holding) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	_, span := h.Tracer.Start(ctx, name, opts...)
	own := heldSpan{span, h.all}
	return trace.ContextWithSpan(ctx, own), own
}

type heldSpan struct {
	trace.Span
	all *[][]attribute.KeyValue
}

func (s heldSpan) SetAttributes(attributes ...attribute.KeyValue) {
	*s.all = append(*s.all, attributes)
}

func TestASpanOfAnotherKindMayKeepItsAttributes(t *testing.T) {
	t.Parallel()
	tp, _ := provider(t)
	var all [][]attribute.KeyValue
	r := faastest.New(t, faasotel.Tracing(holder{tp, &all}, nil))
	f := faas.Register(r, "f", injected)
	for _, tenant := range []string{"a", "b", "c"} {
		_, err := f.Invoke(faas.WithTenant(t.Context(), tenant), 1)
		require.NoError(t, err)
	}
	var tenants []string
	for _, attributes := range all {
		set := attribute.NewSet(attributes...)
		if v, ok := set.Value("inproc.faas.tenant"); ok {
			tenants = append(tenants, v.AsString())
		}
	}
	assert.Equal(t, []string{"a", "b", "c"}, tenants)
}

// A span that a handler makes is a child of the span in the handler's context.
func TestASpanBelowACallThatIsNotSampledIsNotRecorded(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]context.Context{
		"root": context.Background(), "below a parent": trace.ContextWithRemoteSpanContext(context.Background(), spanContext(t, parent)),
	} {
		kept, own := provider(t)
		sampled := sdktrace.NewTracerProvider(sdktrace.WithSyncer(own), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
		f := faas.Register(faastest.New(t, faasotel.Tracing(kept, sdktrace.NeverSample())), "f", func(ctx context.Context, _ int) (bool, error) {
			_, span := sampled.Tracer("test").Start(ctx, "own")
			defer span.End()
			return span.IsRecording() || trace.SpanFromContext(ctx).IsRecording(), nil
		})
		recording, err := f.Invoke(ctx, 1)
		require.NoError(t, err)
		assert.False(t, recording, name)
		assert.Empty(t, own.GetSpans(), name)
		require.NoError(t, sampled.Shutdown(context.Background()))
	}
}
