// Package tracecontext passes the W3C trace context of a message from the package that reads
// it (a front door or a carrier of jobs) to the packages that use it, for example
// observe/faasotel. Neither has to import the other, and neither has to import OpenTelemetry.
package tracecontext

import "context"

// The names of the two parts of a trace context. HTTP headers, CloudEvents' extension attributes
// and the keys in MCP's _meta all use these names.
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
)

type key struct{}

type values struct{ parent, state string }

// With returns a context with a traceparent and a tracestate, as they were received and without
// any check. If parent is empty, there is no trace context, and With returns ctx.
func With(ctx context.Context, parent, state string) context.Context {
	if parent == "" {
		return ctx
	}
	return context.WithValue(ctx, key{}, values{parent, state})
}

// From returns the values that With has put into ctx. If parent is empty, there are none.
func From(ctx context.Context) (parent, state string) {
	v, _ := ctx.Value(key{}).(values)
	return v.parent, v.state
}
