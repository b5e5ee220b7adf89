package faasevents

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/tracecontext"
)

// caller calls functions with events and makes replies of their outputs. It is
// never changed, so that any number of goroutines may use it.
type caller struct {
	router *faas.Router
	source string // of replies; empty: "/fn/" and the function's name

	becomesJob func(function string) bool
}

// answer is what an event is answered with that did not fail.
type answer struct {
	reply    *cloudevents.Event // nil: there is nothing to reply
	accepted bool               // the event is a job
}

// call calls a function with an event, or has it called later. If the function is removed between Signature and
// Invoke, Invoke answers that it is not found, as it should; if another function
// has its name by then, its codec judges the payload.
func (c caller) call(ctx context.Context, function string, e cloudevents.Event) (answer, *problem) {
	info, err := c.router.Signature(function)
	if err != nil {
		return answer{}, problemOf(function, err)
	}
	payload := e.Data()
	if isEvent(info.In) {
		if payload, err = json.Marshal(e); err != nil {
			return answer{}, malformed(errors.New("the data is not what datacontenttype says"))
		}
	}
	// The event travels on the context as well, for WithEvent to copy.
	ctx = faas.WithOrigin(withTrace(context.WithValue(ctx, eventKey{}, e), e), faas.Origin{Trigger: "pubsub", Door: "cloudevents", RequestID: e.ID()})
	if !info.Stream && c.becomesJob(function) {
		if _, err := c.router.Send(ctx, function, payload); err != nil {
			return answer{}, problemOfSend(function, err)
		}
		return answer{accepted: true}, nil
	}
	out, err := c.router.Invoke(ctx, function, payload)
	if err != nil {
		return answer{}, problemOf(function, err)
	}
	reply, err := replyOf(e, c.sourceOf(function), info.Out, out)
	if err != nil {
		return answer{}, &problem{Status: http.StatusInternalServerError, Reason: "output", Detail: err.Error()}
	}
	return answer{reply: reply}, nil
}

// withTrace returns ctx with the trace context of an event, of CloudEvents' extension for
// distributed tracing. The headers of the request are of the last hop, and the spans of what
// serves that are in ctx already if there are any.
func withTrace(ctx context.Context, e cloudevents.Event) context.Context {
	all := e.Extensions()
	parent, _ := all[tracecontext.TraceParent].(string)
	state, _ := all[tracecontext.TraceState].(string)
	return tracecontext.With(ctx, parent, state)
}

// sourceOf is the source of the replies that are made of a function's output.
func (c caller) sourceOf(function string) string {
	if c.source == "" {
		return "/fn/" + function
	}
	return c.source
}
