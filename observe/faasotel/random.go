package faasotel

import (
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// random makes an ID.
func random[ID interface {
	trace.TraceID | trace.SpanID
	IsValid() bool
}]() (id ID) {
	for !id.IsValid() {
		for i := range len(id) {
			id[i] = byte(rand.Uint32())
		}
	}
	return id
}
