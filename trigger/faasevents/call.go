package faasevents

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas"
)

// caller calls functions with events and makes replies of their outputs. It is
// never changed, so that any number of goroutines may use it.
type caller struct {
	router *faas.Router
	source string // of replies; empty: "/fn/" and the function's name
}

// call calls a function with an event and returns its reply, which is nil if
// there is nothing to reply. If the function is removed between Signature and
// Invoke, Invoke answers that it is not found, as it should; if another function
// has its name by then, its codec judges the payload.
func (c caller) call(ctx context.Context, function string, e cloudevents.Event) (*cloudevents.Event, *problem) {
	info, err := c.router.Signature(function)
	if err != nil {
		return nil, problemOf(function, err)
	}
	payload := e.Data()
	if isEvent(info.In) {
		if payload, err = json.Marshal(e); err != nil {
			return nil, malformed(errors.New("the data is not what datacontenttype says"))
		}
	}
	// The event travels on the context as well, for WithEvent to copy.
	ctx = faas.WithOrigin(context.WithValue(ctx, eventKey{}, e), faas.Origin{Trigger: "pubsub", Door: "cloudevents", RequestID: e.ID()})
	out, err := c.router.Invoke(ctx, function, payload)
	if err != nil {
		return nil, problemOf(function, err)
	}
	reply, err := replyOf(e, c.sourceOf(function), info.Out, out)
	if err != nil {
		return nil, &problem{Status: http.StatusInternalServerError, Reason: "output", Detail: err.Error()}
	}
	return reply, nil
}

// sourceOf is the source of the replies that are made of a function's output.
func (c caller) sourceOf(function string) string {
	if c.source == "" {
		return "/fn/" + function
	}
	return c.source
}
