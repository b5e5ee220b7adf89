package faasevents

import (
	"context"
	"encoding/json"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas"
)

// eventKey is the context key of the event of a call.
type eventKey struct{}

// WithEvent makes the event available to functions that take an event's data: with it,
// [FromContext] works in their handlers. Without it such a function gets only the data. It is
// an option of a router or of a function. A nested call inherits the event if its function has
// the option too.
func WithEvent() faas.Option {
	return faas.WithContext(func(caller, fresh context.Context) context.Context {
		if e := caller.Value(eventKey{}); e != nil {
			return context.WithValue(fresh, eventKey{}, e)
		}
		return fresh
	})
}

// FromContext returns the event that the call was made for. It returns false in a function
// without [WithEvent], and in a call that was not made for an event. The event's data and
// extensions are shared with other calls and must not be changed.
func FromContext(ctx context.Context) (cloudevents.Event, bool) {
	e, ok := ctx.Value(eventKey{}).(cloudevents.Event)
	return e, ok
}

// Carrier stores the attributes of an event together with the jobs that come from it: the job
// of [WithJobs], and the jobs that the event's handler sends. So [WithEvent] also works in the
// deliveries of these jobs. The event that [FromContext] returns there has no data: the data of the event
// is the input of the function that was called with it. Give Carrier to the router:
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
	e.DataEncoded, e.DataBase64 = nil, false // e is a copy: the event of the context keeps its data
	return json.Marshal(e)
}

func restoreEvent(ctx context.Context, saved []byte) (context.Context, error) {
	var e cloudevents.Event
	if err := json.Unmarshal(saved, &e); err != nil {
		return nil, err
	}
	return context.WithValue(ctx, eventKey{}, e), nil
}
