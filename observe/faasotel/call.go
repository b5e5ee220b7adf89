package faasotel

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/foreign"
)

// call is the faas.Trace of a sampled call.
type call struct {
	tracer *Tracer
	span   trace.Span
	// attributes are the attributes that the span does not have yet. Only begin and End use
	// them: End is called once, after begin, on the goroutine that settles the call.
	attributes *attributes
}

// The keys of values in contexts.
type (
	callKey  struct{} // the value is a *call or unsampled, and the context is that of a call
	savedKey struct{} // the value is a trace.SpanContext, that of a job's sender
)

// spanKey is the key under which package trace stores the span in a context. The package does
// not export it. So it is found with a context of type keyed, which records the key that
// trace.SpanFromContext looks up.
var spanKey = func() any { //nolint:gochecknoglobals // a constant
	var asked keyed
	trace.SpanFromContext(&asked)
	return asked.key
}()

// keyed is a context that notes the key of the last Value call.
type keyed struct {
	key any
}

func (*keyed) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*keyed) Done() <-chan struct{}       { return nil }
func (*keyed) Err() error                  { return nil }
func (k *keyed) Value(key any) any         { k.key = key; return nil }

func isInCall(ctx context.Context) bool { return ctx.Value(callKey{}) != nil }

// Exemplar returns the trace ID of a recorded call, or the empty string if the call is not
// sampled. Pass it to observe.WithExemplar.
func Exemplar(ctx context.Context) string {
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil || !c.span.SpanContext().IsSampled() {
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
	defer c.span.End()
	if e == nil {
		c.attributes.add(outcomeKey.String("refused"))
		c.set()
		c.span.SetStatus(codes.Error, "refused")
		return
	}
	outcome := e.Outcome.String()
	c.attributes.add(outcomeKey.String(outcome), semconv.FaaSColdstart(e.Cold), waitKey.Float64(e.Queued.Seconds()))
	if e.Outcome == faas.OK || e.Outcome == faas.Canceled { // Canceled: its caller canceled the call, so that this is no error
		c.set()
		return
	}
	c.attributes.add(semconv.ErrorTypeKey.String(outcome))
	c.set()
	c.span.SetStatus(codes.Error, outcome)
	c.span.AddEvent("faas.invocation.exception", trace.WithAttributes(c.exception(e.Err)...))
}

// set gives the span its attributes, and puts the list back into the pool. The SDK's span
// copies the attributes. Any other span gets a copy of the list, because it may keep the slice.
func (c *call) set() {
	if _, own := c.span.(sdktrace.ReadOnlySpan); own {
		c.span.SetAttributes(c.attributes.all...)
	} else {
		c.span.SetAttributes(slices.Clone(c.attributes.all)...)
	}
	c.attributes.empty()
	c.tracer.lists.Put(c.attributes)
}

// exception describes the error of a call, or the error's cause if it is a *faas.Error. The
// text of an error comes from foreign code, and a trace must not block, so it has 100 ms.
func (c *call) exception(err error) []attribute.KeyValue {
	if own, ok := err.(*faas.Error); ok && own.Err != nil { //nolint:errorlint // errors.As would call foreign code
		err = own.Err
	}
	all := []attribute.KeyValue{semconv.ExceptionType(fmt.Sprintf("%T", err))}
	if c.tracer.messages {
		text, _ := foreign.TextWithin(err, 100*time.Millisecond)
		all = append(all, semconv.ExceptionMessage(text))
	}
	if p, ok := err.(*faas.PanicError); ok { //nolint:errorlint // errors.As would call foreign code
		all = append(all, semconv.ExceptionStacktrace(string(p.Stack)))
	}
	return all
}
