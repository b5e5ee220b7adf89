package faasotel

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// IDGenerator makes the IDs of traces and spans for a provider, see sdktrace.WithIDGenerator. A
// trace that begins with a call gets the ID that the sampler has decided about. So samplers of
// other processes that decide by the ID come to the same decision. All other IDs are random.
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

// beginning is the context in which a trace begins, and has the trace's ID. One is made for
// each sampled call. It costs half as much as a context.WithValue.
type beginning struct {
	context.Context //nolint:containedctx // it is itself a context

	id trace.TraceID
}

// idKey is the key of a *trace.TraceID, the ID of a trace that begins.
type idKey struct{}

// Value implements [context.Context].
func (b *beginning) Value(key any) any {
	if _, ok := key.(idKey); ok {
		return &b.id
	}
	return b.Context.Value(key)
}
