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
	Replaced bool          // its slot was given to another call
}

// Runaways describes the handlers that still run although their calls have ended, the one
// whose call ended first in front. It holds up no call.
func (r *Router) Runaways() []Runaway {
	var all []Runaway
	now := r.clock.now()
	for _, w := range r.workers.list() {
		if c := w.runsAway(); c != nil {
			all = append(all, Runaway{Invocation: c.invocation(), Over: time.Duration(now - w.since), Replaced: w.replaced})
		}
	}
	slices.SortFunc(all, func(a, b Runaway) int { return int(min(1, max(-1, b.Over-a.Over))) })
	return all
}

// runsAway returns the call whose handler outlives it on w, or nil. If it is not nil, since
// and replaced can be read: both were written before tell was set, once for the life of w.
func (w *worker) runsAway() *callContext {
	if w.tell.Load() == nil {
		return nil
	}
	return w.call.Load() // nil if the handler has returned meanwhile
}

// maxStacks is how many bytes of stacks RunawayStack looks through.
const maxStacks = 64 << 20

// RunawayStack returns the stack of the goroutine of a runaway's handler at this moment, as the Go
// runtime prints it, down to the call of the handler; false: there is no such runaway, or
// its goroutine was not found among the first 64 MiB of stacks. It stops all goroutines while it writes
// down their stacks: with ten thousand of them for about a tenth of a second.
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

// stackOf finds the goroutine that runs exec of w for c, by their addresses, which the runtime
// prints as arguments of the worker's frames. An argument that is not in use any more may
// print as something else; c of exec and w of loop are in use. So no call pays for being found.
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
