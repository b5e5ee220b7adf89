package faas

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Runaway is a handler that still runs although its call has ended, see [WithRunaways].
type Runaway struct {
	Invocation

	Over     time.Duration // how long ago the call ended
	Replaced bool          // the handler's slot was given to another call
}

// Runaways describes the handlers that still run although their calls have ended. The handler
// whose call ended first comes first. Runaways delays no call. It may be called concurrently.
func (r *Router) Runaways() []Runaway {
	var all []Runaway
	now := r.clock.now()
	// No list of runaways is kept. list copies the list of all workers, under workerPool.mu; runsAway needs no lock.
	for _, w := range r.workers.list() {
		if c := w.runsAway(); c != nil {
			all = append(all, Runaway{Invocation: c.invocation(), Over: time.Duration(now - w.since), Replaced: w.replaced})
		}
	}
	slices.SortFunc(all, func(a, b Runaway) int { return int(min(1, max(-1, b.Over-a.Over))) })
	return all
}

// runsAway returns the call whose handler still runs on w although the call has ended, or nil. If
// the result is not nil, since and replaced may be read: both were written before tell was set,
// once in the life of w.
func (w *worker) runsAway() *callContext {
	if w.tell.Load() == nil {
		return nil
	}
	return w.call.Load() // nil if the handler has returned meanwhile
}

// maxStacks is how many bytes of stacks RunawayStack reads at most.
const maxStacks = 64 << 20

// RunawayStack returns the current stack of the goroutine of a runaway's handler, as the Go runtime
// prints it, down to the frame that called the handler. id is the ID of the runaway's call. ok is
// false if there is no such runaway, or if its goroutine was not found in the first 64 MiB of all
// stacks. RunawayStack stops all goroutines while their stacks are written: with ten thousand
// goroutines for about a tenth of a second.
func (r *Router) RunawayStack(id uuid.UUID) (stack []byte, ok bool) {
	for _, w := range r.workers.list() {
		if c := w.runsAway(); c != nil && c.id == id {
			return stackOf(allStacks(), w, c)
		}
	}
	return nil, false
}

// allStacks returns the stacks of all goroutines.
func allStacks() []byte {
	for size := 256 << 10; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size >= maxStacks {
			return buf[:n]
		}
	}
}

// stackOf finds the goroutine that runs exec of w for c. The runtime prints the arguments of each
// frame, and stackOf looks for the addresses of w and c in them. The runtime may print a wrong
// value for an argument that its function no longer needs. It prints the right values here: exec
// still needs c, and loop still needs w. This way a call need not record its goroutine anywhere.
func stackOf(all []byte, w *worker, c *callContext) ([]byte, bool) {
	address := regexp.MustCompile(fmt.Sprintf(`faas\.\(\*worker\)\.(exec|loop)\(.*(%p|%p)\b`, w, c))
	for one := range bytes.SplitSeq(all, []byte("\n\n")) {
		above, _, runs := bytes.Cut(one, []byte("faas.(*worker).exec("))
		if runs && address.Match(one) {
			return bytes.Clone(one[:1+bytes.LastIndexByte(above, '\n')]), true
		}
	}
	return nil, false
}
