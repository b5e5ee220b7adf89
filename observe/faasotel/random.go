package faasotel

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// IDGenerator makes the IDs of traces and spans for a provider, see sdktrace.WithIDGenerator.
// A trace that begins with a call has the ID that the sampler was asked about; so samplers
// of other processes, which go by the ID, decide alike. All else is random.
func IDGenerator() sdktrace.IDGenerator { return ids{} }

type ids struct{}

func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if id, ok := ctx.Value(idKey{}).(*trace.TraceID); ok {
		return *id, randomSpan()
	}
	return idOf(rand.Uint64(), max(rand.Uint64(), 1)), randomSpan() // zero is invalid
}

func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return randomSpan() }

func randomSpan() (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], max(rand.Uint64(), 1)) // zero is invalid
	return id
}

// beginning is the context in which a trace begins: it has the ID. It is made for each
// sampled call, and costs half of a context.WithValue.
type beginning struct {
	context.Context //nolint:containedctx // it is a context

	id trace.TraceID
}

// idKey is the key of a *trace.TraceID: of a trace that begins.
type idKey struct{}

// Value implements [context.Context].
func (b *beginning) Value(key any) any {
	if _, ok := key.(idKey); ok {
		return &b.id
	}
	return b.Context.Value(key)
}
