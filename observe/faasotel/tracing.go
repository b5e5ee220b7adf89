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

// scope is the name of the instrumentation.
const scope = "github.com/inproc/faas/observe/faasotel"

// Tracer makes spans of calls. It is an option of a router or of a function; [Tracing]
// makes it. It may be used concurrently.
type Tracer struct {
	faas.Option

	tracer   trace.Tracer
	sampler  sdktrace.Sampler
	rule     rule // what is known of sampler
	incoming []func(ctx context.Context) (traceparent, tracestate string)
	parents  bool // a delivery is a child of its sender's span
	messages bool
	early    bool // spans begin with their attributes
	// extra has, by the random part of a call's ID, what the sampler has added to a call
	// between Sample and trace, which follow each other: []attribute.KeyValue. Few samplers add
	// something.
	extra sync.Map
	lists sync.Pool // *attributes
}

// TracingOption is an option of [Tracing]. Nil options are ignored.
type TracingOption interface{ applyTracing(*Tracer) }

type tracingOption func(*Tracer)

func (o tracingOption) applyTracing(t *Tracer) { o(t) }

// WithJobParents makes the span of a job's delivery a child of the span that sent the job.
// By default it begins a trace of its own with a link to that span, since a job may run
// days later, and more than once.
func WithJobParents() TracingOption { return tracingOption(func(t *Tracer) { t.parents = true }) }

// WithMessages puts the texts of errors into the exception events of spans. By default
// they are left out, since a handler may have put anything into them.
func WithMessages() TracingOption { return tracingOption(func(t *Tracer) { t.messages = true }) }

// WithAttributesAtStart has each span begin with the attributes that are known by then, for
// processors that look at a span when it begins, and for a sampler of the provider. By
// default a span gets all of its attributes at once, when its call ends, which costs less.
func WithAttributesAtStart() TracingOption {
	return tracingOption(func(t *Tracer) { t.early = true })
}

// WithIncoming adds where the W3C trace context of a call from outside may be found: f
// returns the values of its headers, or an empty traceparent. ctx is the caller's. It is
// for front doors of your own. A span in the context, and what the doors of packages
// faashttp, faasevents and faasmcp have read, are looked for first. f must not block. For a
// consumer that puts its message into the context:
//
//	faasotel.WithIncoming(func(ctx context.Context) (string, string) {
//		m, _ := ctx.Value(messageKey{}).(*message)
//		return m.Header("traceparent"), m.Header("tracestate")
//	})
func WithIncoming(f func(ctx context.Context) (traceparent, tracestate string)) TracingOption {
	return tracingOption(func(t *Tracer) { t.incoming = append(t.incoming, f) })
}

// Tracing returns an option that makes a span, by a tracer of tp, for each call that the
// sampler samples. sampler is asked once for each call, before a span is begun: with the
// caller's context and span, the function's name and the kind of the span, and without
// attributes. It must not block. Nil stands for ParentBased(AlwaysSample). About those of the
// SDK that decide by the ID alone (AlwaysSample, NeverSample, TraceIDRatioBased, and each of
// them in ParentBased without options) Tracing finds out here how they decide, and most
// calls are decided without asking.
//
// tp has a sampler of its own, which is asked for each span that is begun: leave it at
// AlwaysSample. With [IDGenerator] the trace has the ID that sampler was asked about.
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

// Sample decides about a call. One that comes from outside with a trace context has to hand
// it on and needs a faas.Trace in any case: about these [Tracer.trace] decides. Below a
// call that is not sampled the context of that one answers.
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

// samples asks the sampler, and keeps what it adds for [Tracer.trace].
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

// Untraced says of a call without a Trace that it is not sampled. Most handlers never ask,
// so that the answer is made when one does.
func (sampling) Untraced(id uuid.UUID, key any) any {
	switch key {
	case any(callKey{}):
		return unsampled{}
	case spanKey:
		return &silent{context: unsampledContext(id)}
	}
	return nil
}

// trace begins the trace of a call. Where Sample has decided, it has said yes.
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

// takeExtra returns what the sampler has added to a call about which Sample has asked it.
func (t *Tracer) takeExtra(id uuid.UUID) []attribute.KeyValue {
	if t.rule.isKnown { // then it adds nothing
		return nil
	}
	own, _ := t.extra.LoadAndDelete(randomOf(id))
	extra, _ := own.([]attribute.KeyValue)
	return extra
}

// start is how a span begins.
type start struct {
	kind   trace.SpanKind
	id     trace.TraceID     // of the trace, if it has no parent
	asked  context.Context   //nolint:containedctx // with the span whose decision is followed
	ctx    context.Context   //nolint:containedctx // with the parent of the span
	known  trace.SpanContext // that asked has, or invalid
	linked bool              // known is linked, and not the parent
}

// follow makes parent the parent, if it is valid.
func (s *start) follow(ctx context.Context, parent trace.SpanContext) {
	if parent.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, parent)
		s.known, s.id = parent, parent.TraceID()
	}
	s.asked, s.ctx = ctx, ctx
}

// deliver makes the sender the parent of a delivery, or links it.
func (s *start) deliver(ctx context.Context, sender trace.SpanContext, asParent bool) {
	root, id := ctx, s.id
	s.follow(ctx, sender)
	if sender.IsValid() && !asParent {
		s.ctx, s.id, s.linked = root, id, true
	}
}

// ask asks the sampler, and begins the span if it says so.
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

// begin begins the span. What it makes for the SDK alone is as little as can be: one call of
// a hundred that is sampled should not be felt in the mean of the hundred.
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

// The options of spans by their kind. Neither has room for an append in place.
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

// dropped hands on the trace context that a call came with, or one of its own, as not
// sampled.
func dropped(s *start, inv *faas.Invocation) faas.Trace {
	sc := unsampledContext(inv.ID)
	if s.known.IsValid() && !s.linked {
		sc = s.known.WithTraceFlags(s.known.TraceFlags() &^ trace.FlagsSampled)
	}
	return &passing{silent{context: sc}}
}

// unsampledContext is the context of a call that has no span. It is the same whenever it is
// asked for, so that it need not be kept.
func unsampledContext(id uuid.UUID) trace.SpanContext {
	own := traceIDOf(id)
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: own, SpanID: trace.SpanID(own[8:])})
}

// traceIDOf makes the ID of a trace from that of its first call.
func traceIDOf(id uuid.UUID) trace.TraceID {
	return traceID(binary.BigEndian.Uint64(id[:8]), randomOf(id))
}

// randomOf is the random part of a call's ID.
func randomOf(id uuid.UUID) uint64 { return binary.BigEndian.Uint64(id[8:]) & (1<<62 - 1) }

// traceID makes an ID from the time and the random part of a call's.
func traceID(time, random uint64) trace.TraceID { return idOf(time, rightHalf(random)) }

// rightHalf is that of an ID. Samplers take it for a uniform number; times an odd factor,
// its highest bits depend on all.
func rightHalf(random uint64) uint64 { return (random | 1<<62) * 0x9e3779b97f4a7c15 }

// idOf makes an ID from its halves.
func idOf(left, right uint64) (id trace.TraceID) {
	binary.BigEndian.PutUint64(id[:8], left)
	binary.BigEndian.PutUint64(id[8:], right)
	return id
}
