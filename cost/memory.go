package cost

import "math"

// Sizes in bytes.
const (
	mib       = 1 << 20
	maxMemory = math.MaxInt64
)

// sizing is how a provider rounds declared memory.
type sizing struct {
	minimum, step, maximum int64   // bytes; step ≥ 1; maximum 0 means none
	sizes                  []int64 // if set, used instead of those three: the sizes sold, ascending, multiples of step
}

// most returns the largest memory that is sold, or 0 if there is no bound.
func (s sizing) most() int64 {
	if n := len(s.sizes); n > 0 {
		return s.sizes[n-1]
	}
	return s.maximum
}

// steps returns how many steps of memory are billed, and false if the provider sells no such
// memory because it is too large.
func (s sizing) steps(memory int64) (int64, bool) {
	for _, size := range s.sizes {
		if memory <= size {
			return size / s.step, true
		}
	}
	if len(s.sizes) > 0 || s.maximum > 0 && memory > s.maximum {
		return 0, false
	}
	memory = max(memory, s.minimum, 0)
	steps := memory / s.step
	if memory%s.step != 0 {
		steps++
	}
	return steps, true
}

// share is one line of a table from memory to processors.
type share struct {
	memory int64 // bytes: up to this much …
	milli  int64 // … has so many thousandths of a vCPU
}

// shareOf returns the thousandths of a vCPU that come with the memory, and false if the table
// ends below that memory.
func shareOf(table []share, memory int64) (int64, bool) {
	for _, s := range table {
		if memory <= s.memory {
			return s.milli, true
		}
	}
	return 0, false
}
