// Package tracecontext hands the W3C trace context of a message from the package that reads
// it, a front door or a carrier of jobs, to those that go by it, for example
// observe/faasotel. Neither has to import the other, nor OpenTelemetry.
package tracecontext

import "context"

// The names of a trace context's parts: of headers, of CloudEvents' extension attributes,
// and of the keys in MCP's _meta.
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
)

type key struct{}

type values struct{ parent, state string }

// With returns ctx with a traceparent and a tracestate as they came, which nothing has
// checked. An empty traceparent is none: then it returns ctx.
func With(ctx context.Context, parent, state string) context.Context {
	if parent == "" {
		return ctx
	}
	return context.WithValue(ctx, key{}, values{parent, state})
}

// From returns what With has put into ctx; an empty traceparent says that there is nothing.
func From(ctx context.Context) (parent, state string) {
	v, _ := ctx.Value(key{}).(values)
	return v.parent, v.state
}
