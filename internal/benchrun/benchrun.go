// Package benchrun divides the work of a benchmark.
package benchrun

import (
	"sync"
	"testing"
)

// Split calls do on as many goroutines at once as callers says (at least 1), and returns when all
// have returned. Each call gets its number, from 0, and its part n of b.N. The time before Split
// does not count.
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
