package faas

import (
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/inproc/faas/internal/foreign"
)

// hookGuard counts and logs the panics of a router's hooks. It does not refer to calls, so that
// each type that calls a hook can have a hookGuard.
type hookGuard struct {
	log        *slog.Logger
	hookPanics atomic.Uint64
}

// guardHook is deferred around each call of a hook: a meter, a gate, a scaler and the
// like. It recovers a panic of the hook, so that the call and the router continue. The
// panic is counted in Stats and logged. guardHook can't stop a Goexit: work that has to be
// done after a hook must be deferred. guardCall does the same for a hook that is called
// about one call. No hook may be called with a lock of the router held: a hook may block, or
// call the router.
func (g *hookGuard) guardHook(kind, function string) {
	if p := recover(); p != nil {
		g.hookPanicked(kind, function, p)
	}
}

// hookPanicked counts and logs a panic that was recovered from a hook. call holds the ids of
// the call that the hook was about, if there is one.
func (g *hookGuard) hookPanicked(kind, function string, p any, call ...any) {
	g.hookPanics.Add(1)
	g.log.Error("faas: hook panicked", append([]any{"hook", kind, "function", function, "panic", foreign.Plain(p)}, call...)...)
}

// place is from where a goroutine calls Close or Shutdown. A hook that waited for the
// end of its own call would wait for ever, so Close and Shutdown must find out whether a hook
// calls them. The higher the place, the more things wait for this goroutine.
type place uint8

const (
	outside   place = iota // not in a hook; a handler is not a hook
	wrapping               // in a middleware, outside its handler: the middleware's call is not over
	recording              // in a hook that was given its call's context, after that call was settled
	hooked                 // in another hook: its call, init or delivery is not over, and no context leads to it
)

// placeOnStack looks in the stack of this goroutine for functions that call hooks, and
// returns the highest place. It looks at the stack, because to record the begin and end of
// each hook would cost every call; this way only Close and Shutdown pay. It compares the
// names of functions as the runtime has them, since a frame has no other identity: so the
// names in placeOf must be those of the functions.
//
// Frames of all routers count. For example, a meter of router A closes B, and a meter
// of B closes A. If each waited for the other, both would wait for ever.
func placeOnStack() (most place) {
	inHandler := false // the next frame of runChain called this handler, so the code found is not in the middleware
	inLoop := false    // the next frame of walk called the body of a loop over jobs, so the code found is not in walk's hook
	for name := range framesOnStack() {
		at := placeOf(name)
		switch {
		case strings.HasPrefix(name, "(*typedTask[") || strings.HasPrefix(name, "(*streamTask["):
			inHandler = strings.HasSuffix(name, ".run")
		case at == wrapping && inHandler:
			inHandler = false
		case name == "(*jobListing).give":
			inLoop = true
		case name == "(*guardedJobs).walk" && inLoop:
			inLoop = false
		default:
			most = max(most, at)
		}
	}
	return most
}

// isOnStack reports whether the function of this package with this name is in the stack of this
// goroutine.
func isOnStack(function string) bool {
	for name := range framesOnStack() {
		if name == function {
			return true
		}
	}
	return false
}

// framesOnStack yields the names of this package's functions in the stack of this goroutine, without
// the package's path, the innermost first.
func framesOnStack() iter.Seq[string] {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(1, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(1, pcs)
	}
	return func(yield func(string) bool) {
		frames := runtime.CallersFrames(pcs[:n])
		frame, more := frames.Next()
		pkg := strings.TrimSuffix(frame.Function, "framesOnStack")
		for more {
			frame, more = frames.Next()
			if name, ours := strings.CutPrefix(frame.Function, pkg); ours && !yield(name) {
				return
			}
		}
	}
}

// placeOf returns the place of a function that calls hooks. A new function that calls a hook must
// be added here, and to the test that closes a router from each hook.
func placeOf(function string) place {
	switch function {
	case "(*callContext).runChain":
		return wrapping
	case "(*callContext).recordTo", "(*callContext).recordOverrunTo", "(*callContext).captureTo", "(*Router).stuck":
		return recording
	case "(*function).consultGates", "(*function).gateDone", "(*function).nameTenant", "(*function).carry",
		"target.askTrace", "target.isSampled", "(*callContext).endTrace", "(*function).reserve", "(*function).unreserve", "(*hookGuard).tellRefusalTo",
		"(*hookGuard).desired", "(*reporter).decided", "(*Router).callShutdownHook", "encode", "decode",
		"(*Router).saveBy", "(*Router).restoreBy", "(*delivery).upgrade", "(*delivery).runFunc", "(*delivery).failedItems", "(*delivery).callPick",
		"(*guardedJobs).put", "(*guardedJobs).lease", "(*guardedJobs).begin", "(*guardedJobs).extend", "(*guardedJobs).settle",
		"(*guardedJobs).get", "(*guardedJobs).swap", "(*guardedJobs).watch", "(*guardedJobs).count", "(*guardedJobs).walk",
		"(*function).runInit", "(*function).runCloser", "(*BufferedMeter).deliver":
		return hooked
	}
	return outside
}
