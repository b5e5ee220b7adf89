package faasotel

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/inproc/faas"
)

// scope is the name of the instrumentation, for both metrics and spans.
const scope = "github.com/inproc/faas/observe/faasotel"

// Tracer makes the spans of calls. It is an option of a router or of a function, made by
// [Tracing]. It may be used concurrently.
type Tracer struct {
	faas.Option

	tracer   trace.Tracer
	sampler  sdktrace.Sampler
	rule     rule // how sampler decides, if that is known
	incoming []func(ctx context.Context) (traceparent, tracestate string)
	parents  bool // WithJobParents: a delivery's span is a child of its sender's span
	messages bool // WithMessages
	early    bool // spans begin with their attributes
	// extra has attributes that the sampler has returned in Sample, until trace is called for
	// the same call. The key is the random part of the call's ID, the value a
	// []attribute.KeyValue. Few samplers return attributes.
	extra sync.Map
	lists sync.Pool // *attributes
}

// TracingOption is an option of [Tracing]. Nil options are ignored.
type TracingOption interface{ applyTracing(*Tracer) }

type tracingOption func(*Tracer)

func (o tracingOption) applyTracing(t *Tracer) { o(t) }

// WithJobParents makes the span of a job's delivery a child of the span in which the job was
// sent. By default the delivery begins a trace of its own, with a link to that span, because a
// job may run days later, and more than once.
func WithJobParents() TracingOption { return tracingOption(func(t *Tracer) { t.parents = true }) }

// WithMessages puts the texts of errors into the exception events of spans. By default they are
// left out, because a handler may have put anything into them.
func WithMessages() TracingOption { return tracingOption(func(t *Tracer) { t.messages = true }) }

// WithAttributesAtStart gives each span, when it begins, the attributes that are known by then.
// It is for span processors that look at a span when it begins, and for a sampler of the
// provider. By default a span gets all its attributes at once when its call ends, which costs
// less.
func WithAttributesAtStart() TracingOption {
	return tracingOption(func(t *Tracer) { t.early = true })
}

// WithIncoming adds a place to look for the W3C trace context of a call from outside. f returns
// the values of the two headers, or an empty traceparent. It gets the caller's context, and
// must not block. It is for your own front doors. It is called only if there is no span in the
// context, and no trace context that a door of the packages faashttp, faasevents or faasmcp has
// read. For example, for a consumer that puts its message into the context:
//
//	faasotel.WithIncoming(func(ctx context.Context) (string, string) {
//		m, _ := ctx.Value(messageKey{}).(*message)
//		return m.Header("traceparent"), m.Header("tracestate")
//	})
func WithIncoming(f func(ctx context.Context) (traceparent, tracestate string)) TracingOption {
	return tracingOption(func(t *Tracer) { t.incoming = append(t.incoming, f) })
}

// Tracing returns an option that makes a span for each sampled call, by a tracer of tp. sampler
// decides once for each call, before its span begins. It gets the caller's context and span,
// the function's name and the kind of the span, but no attributes. It must not block. Nil means
// ParentBased(AlwaysSample).
//
// Some samplers of the SDK decide by the ID alone: AlwaysSample, NeverSample,
// TraceIDRatioBased, and each of them in ParentBased without options. Tracing finds out how
// such a sampler decides, and then decides about most calls without calling it.
//
// tp has a sampler of its own, which is called for each span that begins: leave it at
// AlwaysSample. With [IDGenerator] the trace has the ID that sampler has decided about.
//
// A delivery of a job is sampled as its sender was, if the router has [Tracer.Carrier].
func Tracing(tp trace.TracerProvider, sampler sdktrace.Sampler, opts ...TracingOption) *Tracer {
	if sampler == nil {
		sampler = sdktrace.ParentBased(sdktrace.AlwaysSample())
	}
	t := &Tracer{tracer: tp.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)), sampler: sampler, rule: ruleOf(sampler)}
	for _, o := range opts {
		if o != nil {
			o.applyTracing(t)
		}
	}
	t.Option = faas.WithOptions(faas.WithTracing(t.trace), faas.WithTraceSampler(sampling{t}))
	return t
}

// sampling is the faas.TraceSampler of a Tracer.
type sampling struct{ of *Tracer }

// Sample decides about a call. For a call from outside with a trace context it returns true,
// because such a call needs a faas.Trace in any case, to pass the context on; the decision is
// then made in [Tracer.trace]. Below a call that is not sampled, it decides by that call's
// context.
func (s sampling) Sample(ctx context.Context, function string, random uint64) bool {
	random >>= 2
	if ctx != context.Background() {
		if isInCall(ctx) {
			return s.of.samplesNested(ctx, function, random)
		}
		if s.of.incomingOf(ctx).IsValid() {
			return true
		}
	}
	if s.of.rule.isKnown {
		return s.of.rule.samples(random)
	}
	return s.of.samples(ctx, function, trace.SpanKindServer, traceID(0, random), random)
}

// samplesNested decides about a nested call.
func (t *Tracer) samplesNested(ctx context.Context, function string, random uint64) bool {
	id := traceID(0, random)
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() {
		if t.rule.followsParents {
			return parent.IsSampled()
		}
		id = parent.TraceID()
	}
	return t.samples(ctx, function, trace.SpanKindInternal, id, random)
}

// samples calls the sampler, and keeps the attributes that it returns for [Tracer.trace].
func (t *Tracer) samples(ctx context.Context, function string, kind trace.SpanKind, id trace.TraceID, random uint64) bool {
	result := t.sampler.ShouldSample(sdktrace.SamplingParameters{ParentContext: ctx, TraceID: id, Name: function, Kind: kind})
	if result.Decision == sdktrace.Drop {
		return false
	}
	if len(result.Attributes) > 0 {
		t.extra.Store(random, result.Attributes)
	}
	return true
}

// Untraced returns the values in the context of a call that is not sampled and has no Trace.
// They are made here because most handlers never look for them.
func (sampling) Untraced(id uuid.UUID, key any) any {
	switch key {
	case any(callKey{}):
		return unsampled{}
	case spanKey:
		return &silent{context: unsampledContext(id)}
	}
	return nil
}

// trace begins the trace of a call. If Sample has made the decision, the call is sampled.
func (t *Tracer) trace(ctx context.Context, inv faas.Invocation) faas.Trace {
	s := start{kind: trace.SpanKindServer, id: traceIDOf(inv.ID)}
	if inv.Job != uuid.Nil {
		sender, _ := ctx.Value(savedKey{}).(trace.SpanContext)
		s.deliver(ctx, sender, t.parents)
		return t.ask(&s, &inv)
	}
	if !isInCall(ctx) {
		if s.follow(ctx, t.incomingOf(ctx)); s.known.IsValid() {
			return t.ask(&s, &inv)
		}
	} else {
		s.kind = trace.SpanKindInternal
		s.follow(ctx, trace.SpanContextFromContext(ctx))
	}
	return t.begin(&s, &inv, t.takeExtra(inv.ID))
}

// takeExtra returns the attributes that the sampler has returned in Sample, and removes them
// from extra.
func (t *Tracer) takeExtra(id uuid.UUID) []attribute.KeyValue {
	if t.rule.isKnown { // such a sampler returns no attributes
		return nil
	}
	own, _ := t.extra.LoadAndDelete(randomOf(id))
	extra, _ := own.([]attribute.KeyValue)
	return extra
}

// start is how a span begins.
type start struct {
	kind   trace.SpanKind
	id     trace.TraceID     // of the trace, if the span has no parent
	asked  context.Context   //nolint:containedctx // for the sampler: has the span whose decision may be followed
	ctx    context.Context   //nolint:containedctx // for the span: has its parent
	known  trace.SpanContext // the span context in asked, or invalid
	linked bool              // known becomes a link of the span, and not its parent
}

// follow makes parent the parent of the span, if it is valid.
func (s *start) follow(ctx context.Context, parent trace.SpanContext) {
	if parent.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, parent)
		s.known, s.id = parent, parent.TraceID()
	}
	s.asked, s.ctx = ctx, ctx
}

// deliver makes the sender's span the parent of the span of a delivery, or links it.
func (s *start) deliver(ctx context.Context, sender trace.SpanContext, asParent bool) {
	root, id := ctx, s.id
	s.follow(ctx, sender)
	if sender.IsValid() && !asParent {
		s.ctx, s.id, s.linked = root, id, true
	}
}

// ask calls the sampler, and begins the span if the call is sampled.
func (t *Tracer) ask(s *start, inv *faas.Invocation) faas.Trace {
	p := sdktrace.SamplingParameters{ParentContext: s.asked, TraceID: s.id, Name: inv.Function, Kind: s.kind}
	if s.linked {
		p.TraceID, p.Links = s.known.TraceID(), []trace.Link{{SpanContext: s.known}}
	}
	result := t.sampler.ShouldSample(p)
	if result.Decision == sdktrace.Drop {
		return dropped(s, inv)
	}
	return t.begin(s, inv, result.Attributes)
}

// begin begins the span of a sampled call. It makes as little as it can for the SDK: if one
// call in a hundred is sampled, the mean of the hundred should not show it.
func (t *Tracer) begin(s *start, inv *faas.Invocation, extra []attribute.KeyValue) faas.Trace {
	c := &call{tracer: t, attributes: t.list()}
	c.attributes.describe(inv)
	c.attributes.add(extra...)
	opts := kindOf(s.kind)
	if s.linked {
		opts = append(opts, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: s.known}))
	}
	if t.early {
		opts = append(opts, trace.WithAttributes(c.attributes.all...))
	}
	ctx := s.ctx
	if !s.known.IsValid() || s.linked { // a trace begins
		ctx = &beginning{Context: ctx, id: s.id}
	}
	_, c.span = t.tracer.Start(ctx, inv.Function, opts...)
	if t.early {
		c.attributes.empty()
	}
	return c
}

// The options of spans, by their kind. The slices have no spare capacity, so that append copies
// them.
var (
	asServer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}   //nolint:gochecknoglobals // a constant
	asNested = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindInternal)} //nolint:gochecknoglobals // a constant
)

func kindOf(kind trace.SpanKind) []trace.SpanStartOption {
	if kind == trace.SpanKindServer {
		return asServer
	}
	return asNested
}

// dropped returns the Trace of a call that is not sampled. It passes on the trace context that
// the call came with, or one of its own, marked as not sampled.
func dropped(s *start, inv *faas.Invocation) faas.Trace {
	sc := unsampledContext(inv.ID)
	if s.known.IsValid() && !s.linked {
		sc = s.known.WithTraceFlags(s.known.TraceFlags() &^ trace.FlagsSampled)
	}
	return &passing{silent{context: sc}}
}

// unsampledContext returns the span context of a call that has no span. It is computed from the
// call's ID, and so is the same each time and need not be kept.
func unsampledContext(id uuid.UUID) trace.SpanContext {
	own := traceIDOf(id)
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: own, SpanID: trace.SpanID(own[8:])})
}

// traceIDOf returns the ID of the trace that begins with a call.
func traceIDOf(id uuid.UUID) trace.TraceID {
	return traceID(binary.BigEndian.Uint64(id[:8]), randomOf(id))
}

// randomOf returns the random part of a call's ID.
func randomOf(id uuid.UUID) uint64 { return binary.BigEndian.Uint64(id[8:]) & (1<<62 - 1) }

// traceID returns a trace ID, made of the time and the random part of a call's ID.
func traceID(time, random uint64) trace.TraceID { return idOf(time, rightHalf(random)) }

// rightHalf returns the right half of a trace ID. Samplers use it as a uniformly distributed
// number. The multiplication by an odd factor makes its highest bits depend on all bits of
// random.
func rightHalf(random uint64) uint64 { return (random | 1<<62) * 0x9e3779b97f4a7c15 }

// idOf returns the trace ID with these halves.
func idOf(left, right uint64) (id trace.TraceID) {
	binary.BigEndian.PutUint64(id[:8], left)
	binary.BigEndian.PutUint64(id[8:], right)
	return id
}
