package faasotel

import (
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/inproc/faas"
)

// silent is a span that records nothing, and has a context to hand on.
type silent struct {
	noop.Span

	context trace.SpanContext
}

// SpanContext implements [trace.Span].
func (s *silent) SpanContext() trace.SpanContext { return s.context }

// passing is the faas.Trace of a call that is not sampled and came with a trace context, or
// is a delivery of a job: it hands a context on.
type passing struct{ span silent }

// Value implements [faas.Trace].
func (p *passing) Value(key any) any {
	switch key {
	case spanKey:
		return &p.span
	case any(callKey{}):
		return unsampled{}
	}
	return nil
}

// End implements [faas.Trace].
func (*passing) End(*faas.Execution) {}

// unsampled stands for a call that is not sampled.
type unsampled struct{}
