package faasotel

import (
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/inproc/faas"
)

// silent is a span that records nothing. It only has a context, for the calls below it.
type silent struct {
	noop.Span

	context trace.SpanContext
}

// SpanContext implements [trace.Span].
func (s *silent) SpanContext() trace.SpanContext { return s.context }

// passing is the faas.Trace of a call that is not sampled, but has a trace context to pass on:
// it came with one, or it is a delivery of a job.
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

// unsampled is the value of callKey in the context of a call that is not sampled.
type unsampled struct{}
