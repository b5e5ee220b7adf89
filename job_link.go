package faas

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// jobRunner runs a router's jobs. What a call and a registration need of it stands here as
// interfaces: so the files of jobs use the router, and its own files know none of them.
type jobRunner interface {
	// registered is told of each name that was added or removed.
	registered(name string, added bool)
}

// jobDelivery is the delivery of a job, as the call that it makes knows it. Its methods are
// called on the goroutines of that call.
type jobDelivery interface {
	// hasSlot is called when the call has its slot. If it is false, the call must not run.
	hasSlot() bool
	// sender returns the call that sent the job, and how deep the job's calls are.
	sender() (call uuid.UUID, depth int)
	// recorded is called with what the call's record says.
	recorded(id uuid.UUID, version string, took time.Duration)
	// ranAway and handlerEnded are called when the handler outlives the call, and when it
	// returns then.
	ranAway()
	handlerEnded()
}

// jobLink is a router's link to its jobRunner, which is made when it is first needed.
type jobLink struct {
	mu     sync.Mutex                // is held while the runner is made
	runner atomic.Pointer[jobRunner] // nil: the router has no jobs
}

// get returns the runner, or nil.
func (l *jobLink) get() jobRunner {
	if runner := l.runner.Load(); runner != nil {
		return *runner
	}
	return nil
}

// getOr is get, and makes the runner if there is none. newRunner is called with l.mu held: of
// two goroutines that need the first runner one makes it.
func (l *jobLink) getOr(newRunner func() jobRunner) jobRunner {
	l.mu.Lock()
	defer l.mu.Unlock()
	if runner := l.get(); runner != nil {
		return runner
	}
	runner := newRunner()
	l.runner.Store(&runner)
	return runner
}

// registered tells the runner, if there is one.
func (l *jobLink) registered(name string, added bool) {
	if runner := l.get(); runner != nil {
		runner.registered(name, added)
	}
}
