package faasotel

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/foreign"
)

// Attributes of spans for which the convention has no name.
const (
	outcomeKey = attribute.Key("inproc.faas.outcome") // as a faas.Outcome is written, or "refused"
	tenantKey  = attribute.Key("inproc.faas.tenant")
	requestKey = attribute.Key("inproc.faas.request_id")
	jobKey     = attribute.Key("inproc.faas.job")
	attemptKey = attribute.Key("inproc.faas.attempt")
	waitKey    = attribute.Key("inproc.faas.wait") // seconds
)

// call is the faas.Trace of a call. One without a tracer only hands its context on.
type call struct {
	tracer *Tracer // nil: the call is not sampled
	span   trace.Span
}

// Keys of contexts.
type (
	callKey  struct{} // *call, or unsampled: the context is that of a call
	savedKey struct{} // trace.SpanContext: of the sender of a job
	idKey    struct{} // trace.TraceID: of a trace that begins
)

// unsampled stands for a call without a Trace.
var unsampled = &call{} //nolint:gochecknoglobals // a constant

// spanKey is the key by which package trace finds the span of a context. It is found by
// asking that package for a span.
var spanKey = func() any { //nolint:gochecknoglobals // a constant
	var asked keyed
	trace.SpanFromContext(&asked)
	return asked.key
}()

// keyed notes the key that it is asked for.
type keyed struct {
	key any
}

func (*keyed) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*keyed) Done() <-chan struct{}       { return nil }
func (*keyed) Err() error                  { return nil }
func (k *keyed) Value(key any) any         { k.key = key; return nil }

// spanOf is a span that records nothing, and has that context.
func spanOf(sc trace.SpanContext) trace.Span {
	return trace.SpanFromContext(trace.ContextWithSpanContext(context.Background(), sc))
}

func isInCall(ctx context.Context) bool { return ctx.Value(callKey{}) != nil }

// Exemplar returns the ID of the trace of a recorded call, or the empty string if it is not
// sampled. It is to be given to observe.WithExemplar.
func Exemplar(ctx context.Context) string {
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil || c.tracer == nil || !c.span.SpanContext().IsSampled() {
		return ""
	}
	return c.span.SpanContext().TraceID().String()
}

// Value implements [faas.Trace].
func (c *call) Value(key any) any {
	switch key {
	case spanKey:
		return c.span
	case any(callKey{}):
		return c
	}
	return nil
}

// End implements [faas.Trace].
func (c *call) End(e *faas.Execution) {
	if c.tracer == nil {
		return
	}
	defer c.span.End()
	if e == nil {
		c.span.SetAttributes(outcomeKey.String("refused"))
		c.span.SetStatus(codes.Error, "refused")
		return
	}
	c.span.SetAttributes(outcomeKey.String(e.Outcome.String()), semconv.FaaSColdstart(e.Cold), waitKey.Float64(e.Queued.Seconds()))
	if e.Outcome == faas.OK || e.Outcome == faas.Canceled { // by its caller, who knows
		return
	}
	c.span.SetAttributes(semconv.ErrorTypeKey.String(e.Outcome.String()))
	c.span.SetStatus(codes.Error, e.Outcome.String())
	c.span.AddEvent("faas.invocation.exception", trace.WithAttributes(c.exception(e.Err)...))
}

// exception describes the error of a call, or its cause if the error is the router's. Its
// text is foreign code, and a trace must not block, so it has 100 ms.
func (c *call) exception(err error) []attribute.KeyValue {
	if own, ok := err.(*faas.Error); ok && own.Err != nil { //nolint:errorlint // to unwrap another one would be foreign code
		err = own.Err
	}
	all := []attribute.KeyValue{semconv.ExceptionType(fmt.Sprintf("%T", err))}
	if c.tracer.messages {
		text, _ := foreign.TextWithin(err, 100*time.Millisecond)
		all = append(all, semconv.ExceptionMessage(text))
	}
	if p, ok := err.(*faas.PanicError); ok { //nolint:errorlint // to unwrap it would be foreign code
		all = append(all, semconv.ExceptionStacktrace(string(p.Stack)))
	}
	return all
}

// triggerOf is faas.trigger of a call. The convention has five; what is none of them is
// "other".
func triggerOf(inv *faas.Invocation) attribute.KeyValue {
	switch inv.Origin.Trigger {
	case "datasource", "http", "pubsub", "timer":
		return semconv.FaaSTriggerKey.String(inv.Origin.Trigger)
	}
	return semconv.FaaSTriggerOther
}

// attributesOf are those with which a span begins.
func attributesOf(inv *faas.Invocation) []attribute.KeyValue {
	all := []attribute.KeyValue{triggerOf(inv), semconv.FaaSInvocationID(inv.ID.String()), semconv.FaaSName(inv.Function), semconv.FaaSVersion(inv.Version)}
	if inv.Memory > 0 {
		all = append(all, semconv.FaaSMaxMemory(int(inv.Memory)))
	}
	if inv.Tenant != "" {
		all = append(all, tenantKey.String(inv.Tenant))
	}
	if inv.Origin.RequestID != "" {
		all = append(all, requestKey.String(inv.Origin.RequestID))
	}
	if inv.Job != uuid.Nil {
		all = append(all, jobKey.String(inv.Job.String()), attemptKey.Int(inv.Attempt))
	}
	return all
}
