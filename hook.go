package faas

import (
	"runtime"
	"strings"

	"github.com/inproc/faas/internal/foreign"
)

// place is where on its stack a goroutine stands when it calls Close or Shutdown.
// A higher one has more that would wait for itself.
type place uint8

const (
	outside   place = iota
	wrapping        // in a middleware, and not in the handler below it: its call is not over
	recording       // in a hook that was given its call's context, after that call was settled
	hooked          // in another hook: its call, init or delivery is not over, and has no context that names it
)

// placeOnStack looks for the frames of hooks in this goroutine's own stack, those
// of any router: a meter of one that closes another must not wait for it, since
// that one's meter may be closing the first. Nothing is noted while hooks run, so
// that only Close and Shutdown pay for the question.
func placeOnStack() (most place) {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(1, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(1, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	frame, more := frames.Next()
	pkg := strings.TrimSuffix(frame.Function, "placeOnStack")
	inHandler := false // the frames so far are a handler's, which is no hook though a middleware called it
	for more {
		frame, more = frames.Next()
		name, ours := strings.CutPrefix(frame.Function, pkg)
		if !ours {
			continue
		}
		at := placeOf(name)
		switch {
		case strings.HasPrefix(name, "(*typedTask[") || strings.HasPrefix(name, "(*streamTask["):
			inHandler = strings.HasSuffix(name, ".run")
		case at == wrapping && inHandler:
			inHandler = false
		default:
			most = max(most, at)
		}
	}
	return most
}

// placeOf knows the functions that call hooks. A hook that is called elsewhere
// has to be added here, and to the test that closes from each of them.
func placeOf(function string) place {
	switch function {
	case "(*callContext).runChain":
		return wrapping
	case "(*callContext).recordTo", "(*callContext).recordOverrunTo", "(*Router).stuck":
		return recording
	case "(*function).ask", "(*function).gateDone", "(*function).nameTenant", "(*function).carry",
		"(*function).reserve", "(*function).unreserve", "(*Router).tellRefusalTo",
		"(*Router).desired", "(*Router).decided", "(*Router).callShutdownHook", "encode", "decode",
		"(*fleet).build", "(*fleet).runCloser", "(*BufferedMeter).deliver":
		return hooked
	}
	return outside
}

// waitsForItself tells whether a Shutdown from there would wait for its own
// caller: self is the call that its context belongs to, or nil.
func (p place) waitsForItself(self *callContext) bool {
	switch p {
	case outside:
		return false
	case wrapping:
		return self == nil
	case recording: // only the hook's own call is settled
		return self == nil || !self.isSettled()
	default:
		return true
	}
}

// guardHook, deferred, keeps a panic of somebody's hook from the call.
func (r *Router) guardHook(kind, function string) {
	if p := recover(); p != nil {
		r.hookPanicked(kind, function, p)
	}
}

func (r *Router) hookPanicked(kind, function string, p any) {
	r.hookPanics.Add(1)
	r.settings.logger.Error("faas: hook panicked", "hook", kind, "function", function, "panic", foreign.Plain(p))
}
