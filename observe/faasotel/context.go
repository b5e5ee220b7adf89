package faasotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/tracecontext"
	"github.com/inproc/faas/trigger/faashttp"
)

// incomingOf returns the trace context with which a call comes from outside, or an invalid one.
// It looks, in this order, for a span in ctx, for the request of a front of package faashttp,
// for the message of another front, and in the functions of WithIncoming.
func (t *Tracer) incomingOf(ctx context.Context) trace.SpanContext {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return sc
	}
	if r, ok := faashttp.FromContext(ctx); ok && r.TraceParent != "" {
		return parse(r.TraceParent, r.TraceState)
	}
	if parent, state := tracecontext.From(ctx); parent != "" {
		return parse(parent, state)
	}
	for _, f := range t.incoming {
		if parent, state := f(ctx); parent != "" {
			return parse(parent, state)
		}
	}
	return trace.SpanContext{}
}

// parse reads a W3C trace context. The result is invalid if the text is malformed.
func parse(parent, state string) trace.SpanContext {
	all := propagation.MapCarrier{tracecontext.TraceParent: parent, tracecontext.TraceState: state}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), all))
}

// write returns the headers of a trace context. It is the reverse of parse.
func write(sc trace.SpanContext) (parent, state string) {
	all := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), all)
	return all[tracecontext.TraceParent], all[tracecontext.TraceState]
}

// Carrier carries the trace context of a job's sender to the job's deliveries; pass it to
// faas.WithCarrier. A job that is sent without a trace context has none.
func (t *Tracer) Carrier() faas.Carrier {
	return faas.Carrier{Name: "faasotel", Save: t.save, Restore: restore}
}

// save writes both headers, each on a line.
func (t *Tracer) save(ctx context.Context) ([]byte, error) {
	sc := t.incomingOf(ctx)
	if !sc.IsValid() {
		return nil, nil
	}
	parent, state := write(sc)
	return []byte(parent + "\n" + state), nil
}

func restore(ctx context.Context, saved []byte) (context.Context, error) {
	for i, b := range saved {
		if b != '\n' {
			continue
		}
		parent, state := string(saved[:i]), string(saved[i+1:])
		if sc := parse(parent, state); sc.IsValid() {
			return tracecontext.With(context.WithValue(ctx, savedKey{}, sc), parent, state), nil // tracecontext.With is for faashttp.ToURL
		}
		break
	}
	return nil, errors.New("faasotel: the trace context of a job is malformed")
}
