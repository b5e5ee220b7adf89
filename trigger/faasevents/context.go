package faasevents

import (
	"context"
	"encoding/json"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas"
)

// eventKey is the key of the event on the context of a call.
type eventKey struct{}

// WithEvent makes the event available to functions that take an event's data:
// with it, [FromContext] works in their handlers. Without it such a function gets
// the data and nothing else of the event. It is an option of a router or of a
// function. Nested calls inherit the event if their functions have the option
// too.
func WithEvent() faas.Option {
	return faas.WithContext(func(caller, fresh context.Context) context.Context {
		if e := caller.Value(eventKey{}); e != nil {
			return context.WithValue(fresh, eventKey{}, e)
		}
		return fresh
	})
}

// FromContext returns the event that the call was made for. It returns false in
// a function without [WithEvent], and in a call that no event has led to. The
// event's data and extensions are shared with other calls and must not be
// changed.
func FromContext(ctx context.Context) (cloudevents.Event, bool) {
	e, ok := ctx.Value(eventKey{}).(cloudevents.Event)
	return e, ok
}

// Carrier takes the attributes of the event behind a job along with it: so [WithEvent] also works in
// the deliveries of jobs, of [WithJobs] and of handlers that send some. The event that
// [FromContext] returns there has no data, which is the input of the function that was called with
// it. Give it to the router:
//
//	faas.New(faasevents.WithEvent(), faas.WithCarrier(faasevents.Carrier()))
func Carrier() faas.Carrier {
	return faas.Carrier{Name: "faasevents", Save: saveEvent, Restore: restoreEvent}
}

func saveEvent(ctx context.Context) ([]byte, error) {
	e, ok := FromContext(ctx)
	if !ok {
		return nil, nil
	}
	e.DataEncoded, e.DataBase64 = nil, false // e is a copy, and its attributes are not changed
	return json.Marshal(e)
}

func restoreEvent(ctx context.Context, saved []byte) (context.Context, error) {
	var e cloudevents.Event
	if err := json.Unmarshal(saved, &e); err != nil {
		return nil, err
	}
	return context.WithValue(ctx, eventKey{}, e), nil
}
