package faasotel

import "github.com/inproc/faas"

// Sampler returns what decides which calls have spans.
func (t *Tracer) Sampler() faas.TraceSampler { return sampling{t} }
