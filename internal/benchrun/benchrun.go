// Package benchrun divides the work of a benchmark.
package benchrun

import (
	"sync"
	"testing"
)

// Split calls do on so many goroutines at once, callers ≥ 1, each with its number from 0 and
// its part of b.N, and returns when all have returned. The time before it does not count.
func Split(b *testing.B, callers int, do func(caller, n int)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for c := range callers {
		n := b.N / callers
		if c == 0 {
			n += b.N % callers
		}
		wg.Go(func() { do(c, n) })
	}
	wg.Wait()
}
