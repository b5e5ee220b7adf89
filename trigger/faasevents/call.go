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

// caller calls functions with events and makes replies of their outputs. It is never changed,
// so any number of goroutines may use it.
type caller struct {
	router *faas.Router
	source string // the source of replies; empty means "/fn/" and the function's name

	becomesJob func(function string) bool
}

// answer is the answer to an event that did not fail.
type answer struct {
	reply    *cloudevents.Event // nil if there is no reply
	accepted bool               // the event was accepted as a job
}

// call calls a function with an event, or sends the call as a job. The function may be replaced
// between Signature and Invoke. If it was removed, Invoke returns the error for that. If
// another function has its name by then, that function's codec decodes the payload or refuses
// it.
func (c caller) call(ctx context.Context, function string, e cloudevents.Event) (answer, *problem) {
	info, err := c.router.Signature(function)
	if err != nil {
		return answer{}, problemOf(function, err)
	}
	payload := e.Data()
	if isEvent(info.In) {
		if payload, err = json.Marshal(e); err != nil {
			return answer{}, malformed(errors.New("the data is not of the type that datacontenttype names"))
		}
	}
	// The context has the event too, so that WithEvent can copy it to the handler's context.
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

// withTrace returns ctx with the trace context of the event, from CloudEvents' extension for
// distributed tracing. It ignores the request's trace headers, which belong to the last hop. A
// span of the server that serves this hop is in ctx already, if there is one.
func withTrace(ctx context.Context, e cloudevents.Event) context.Context {
	all := e.Extensions()
	parent, _ := all[tracecontext.TraceParent].(string)
	state, _ := all[tracecontext.TraceState].(string)
	return tracecontext.With(ctx, parent, state)
}

// sourceOf returns the source of the replies that are made of a function's output.
func (c caller) sourceOf(function string) string {
	if c.source == "" {
		return "/fn/" + function
	}
	return c.source
}
