package faashttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/inproc/faas"
)

// maxEvent is Lambda's limit for the payload of an asynchronous invocation.
const maxEvent = 1 << 20

// accept serves an invocation of type Event: 202 once the router's queue has its job. A
// refusal is told while the caller listens: what Send refuses, no delivery would pass.
func (l *Lambda) accept(x *exchange, c invocation) {
	if apiErr := l.cannotAccept(c); apiErr != nil {
		if err := l.router.DryRun(x.ctx, c.call()); err != nil { // which a caller must not tell from that of an unknown function
			apiErr = l.refusal(x, err, c)
		}
		x.refuse(apiErr)
		return
	}
	job, err := l.send(x, c)
	if err != nil {
		x.refuse(l.eventRefusal(x, err, c))
		return
	}
	x.w.Header().Set("Faas-Job-Id", job.ID().String())
	x.reply(http.StatusAccepted, "", nil)
}

// cannotAccept returns why the wire takes no such event, or nil.
func (l *Lambda) cannotAccept(c invocation) *apiError {
	switch {
	case len(c.body) > maxEvent:
		return requestTooLarge(maxEvent)
	case c.info.Stream:
		return invalidParameter("A function that answers with a stream takes no events.")
	case l.closed.Load():
		return serviceError("The host is shutting down.", time.Second)
	case l.isFull():
		return throttle(l.router, c.info.Name, faas.ReasonOverloaded, 0)
	}
	return nil
}

// isFull reports whether the router has as many jobs as [WithEventQueue] allows.
func (l *Lambda) isFull() bool {
	if l.events < 0 {
		return false
	}
	jobs := l.router.Stats().Jobs
	return jobs.Waiting()+jobs.Running >= l.events
}

// send sends the job of an event. Its ID is the request's, if that is a UUID. The ID may be
// taken, since it is the client's choice: by another attempt of the same client or by the job of
// a stranger, which that must not notice. Then the request gets a new one.
func (l *Lambda) send(x *exchange, c invocation) (*faas.Job[[]byte], error) {
	for {
		var opts []faas.SendOption
		if id, ok := jobID(x.carried.ID); ok {
			opts = append(opts, faas.WithJobID(id))
		}
		job, err := l.router.Send(x.ctx, c.call(), c.body, opts...)
		if err != nil || !job.Duplicate() {
			return job, err
		}
		x.rename("X-Amzn-Requestid", newID())
	}
}

// eventRefusal is the answer to an event that was not accepted. A failure of the queue is
// not a refusal of the router: the event may have been accepted all the same.
func (l *Lambda) eventRefusal(x *exchange, err error, c invocation) *apiError {
	if end := faas.EndOf(err, c.call()); end.Kind == faas.KindNone {
		if errors.Is(err, faas.ErrClosed) {
			return serviceError("The host is shutting down.", time.Second)
		}
		l.logger.Error("faashttp: the queue of jobs has failed", "function", c.call(), "request", x.carried.ID, "error", err)
		return serviceError("The event could not be stored.", time.Second)
	}
	return l.refusal(x, err, c)
}

// Shutdown takes no more events from here on. It need not be called: the router's own
// Shutdown does the same, runs those jobs that are due, and says what is left (see
// [faas.JobsLeft]). This one waits for none of them. It is idempotent, and its error is nil.
func (l *Lambda) Shutdown(context.Context) error {
	l.closed.Store(true)
	return nil
}
