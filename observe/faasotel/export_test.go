package faasotel

import "github.com/inproc/faas"

// Sampler returns the sampler that decides which calls have spans.
func (t *Tracer) Sampler() faas.TraceSampler { return sampling{t} }
