package faas

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// jobRunner runs a router's jobs. The interfaces of this file have what calls and registrations
// need of jobs: so the files of jobs refer to the router, and the router's own files do not refer
// to them.
type jobRunner interface {
	// registered is called for each name that was added or, if added is false, removed.
	registered(name string, added bool)
}

// jobDelivery is the delivery of a job as its call sees it. The methods are called on the call's
// goroutines.
type jobDelivery interface {
	// hasSlot is called when the call has its slot. If it returns false, the handler must not run.
	hasSlot() bool
	// sender returns the call that sent the job, and the depth of the job's calls.
	sender() (call uuid.UUID, depth int)
	// recorded is called with what the call's record says.
	recorded(id uuid.UUID, version string, took time.Duration)
	// ranAway is called when the call ends while its handler runs, and handlerEnded when that
	// handler has returned.
	ranAway()
	handlerEnded()
}

// jobLink is a router's pointer to its jobRunner. The runner is made when it is first needed.
type jobLink struct {
	mu     sync.Mutex                // held while the runner is made
	runner atomic.Pointer[jobRunner] // nil: there is none yet
}

// get returns the runner, or nil.
func (l *jobLink) get() jobRunner {
	if runner := l.runner.Load(); runner != nil {
		return *runner
	}
	return nil
}

// getOr returns the runner, and makes it if there is none. It calls newRunner with l.mu held, so
// that goroutines which need the first runner at the same time make only one.
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

// registered calls the runner's method, if there is a runner.
func (l *jobLink) registered(name string, added bool) {
	if runner := l.get(); runner != nil {
		runner.registered(name, added)
	}
}
