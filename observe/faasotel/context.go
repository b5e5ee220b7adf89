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

// incomingOf returns the trace context with which a call comes from outside, or an invalid
// one: that of a span in ctx, of the request of a front of package faashttp, of the message
// of another front, or what the funcs of WithIncoming find.
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

// parse reads a W3C trace context. A malformed one is invalid.
func parse(parent, state string) trace.SpanContext {
	all := propagation.MapCarrier{tracecontext.TraceParent: parent, tracecontext.TraceState: state}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), all))
}

// write is the reverse of parse.
func write(sc trace.SpanContext) (parent, state string) {
	all := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), all)
	return all[tracecontext.TraceParent], all[tracecontext.TraceState]
}

// Carrier takes the trace context of the sender along with a job, for faas.WithCarrier. A
// job that is sent without one has none.
func (t *Tracer) Carrier() faas.Carrier {
	return faas.Carrier{Name: "faasotel", Save: t.save, Restore: restore}
}

// save writes both headers, one on each line.
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
			return tracecontext.With(context.WithValue(ctx, savedKey{}, sc), parent, state), nil // With is for faashttp.ToURL
		}
		break
	}
	return nil, errors.New("faasotel: the trace context of a job is malformed")
}
