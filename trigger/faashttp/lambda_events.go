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

// accept serves an invocation of type Event: it answers 202 once the router's queue has the
// event's job. If Send refuses the job, the caller gets that refusal at once: a delivery of the
// job would be refused for the same reason.
func (l *Lambda) accept(x *exchange, c invocation) {
	if apiErr := l.cannotAccept(c); apiErr != nil {
		if err := l.router.DryRun(x.ctx, c.call()); err != nil { // the caller may not know of the function: answer as for an unknown one
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

// cannotAccept returns the reason why this wire does not accept the event, or nil.
func (l *Lambda) cannotAccept(c invocation) *apiError {
	switch {
	case len(c.body) > maxEvent:
		return requestTooLarge(maxEvent)
	case c.info.Stream:
		return invalidParameter("A function that answers with a stream can't be invoked as an event.")
	case l.closed.Load():
		return serviceError("The host is shutting down.", time.Second)
	case l.isFull():
		return throttle(l.router, c.info.Name, faas.ReasonOverloaded, 0)
	}
	return nil
}

// isFull reports whether the router has as many unsettled jobs as [WithEventQueue] allows.
func (l *Lambda) isFull() bool {
	if l.events < 0 {
		return false
	}
	jobs := l.router.Stats().Jobs
	return jobs.Waiting()+jobs.Running >= l.events
}

// send sends the job of an event. The job's ID is the request's id if that is a UUID. The
// client chooses that id, so another job may have it already: that of an earlier attempt, or of
// another client. An answer about the ID would show that such a job exists. So send gives the
// request a new id and tries again.
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

// eventRefusal returns the answer to an event that Send did not accept. If the queue has
// failed, the router has not refused the event, and its job may even be stored.
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

// Shutdown makes the wire refuse further events. It need not be called, because the router's
// own Shutdown also refuses them. The router's Shutdown then runs the jobs that are due, and
// its error names the jobs that are left (see [faas.JobsLeft]). This Shutdown does not wait for
// jobs. It is idempotent, and its error is always nil.
func (l *Lambda) Shutdown(context.Context) error {
	l.closed.Store(true)
	return nil
}
