package faasevents

import (
	"context"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas"
)

type eventKey struct{}

// WithEvent lets functions that take an event's data know the event: with it,
// [FromContext] works in their handlers. Without it nothing of the event but
// its data reaches them. It is an option of a router or of a function. Nested
// calls inherit the event, if their functions have the option too.
func WithEvent() faas.Option {
	return faas.WithContext(func(caller, fresh context.Context) context.Context {
		if e := caller.Value(eventKey{}); e != nil {
			return context.WithValue(fresh, eventKey{}, e)
		}
		return fresh
	})
}

// FromContext returns the event that the call was made for, in a function with
// [WithEvent]; it is false elsewhere. What the event refers to, its data and
// extensions, is shared and not to be changed.
func FromContext(ctx context.Context) (cloudevents.Event, bool) {
	e, ok := ctx.Value(eventKey{}).(cloudevents.Event)
	return e, ok
}
