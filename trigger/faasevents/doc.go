// Package faasevents calls functions with CloudEvents that come over HTTP.
//
//	events := faasevents.Handler(r,
//		faasevents.On(`{"type": ["com.example.order.placed"], "data": {"total": [{"numeric": [">", 100]}]}}`, "review"),
//		faasevents.On(`{"type": [{"prefix": "com.example.order."}]}`, "archive"),
//	)
//	http.ListenAndServe("127.0.0.1:8080", events)
//
// An event arrives in any of the three modes of the HTTP binding of
// CloudEvents 1.0.2 (binary, structured and, in JSON, batched), is read by
// github.com/cloudevents/sdk-go, and calls one function: that of the first
// [On] whose [Pattern] matches it, in the order in which they were given. The
// order is the whole rule, as in a switch. One event calls one function because
// it has one answer: if it called several and one failed, the sender could only
// send it again to all.
//
// # What a function takes and answers
//
// A function whose input is a cloudevents.Event takes the event; its codec has
// to be JSON, as the default is. Any other takes the event's data: []byte as it
// came, other types decoded. With [WithEvent] on its router, [FromContext]
// tells such a function the event's attributes.
//
//	func(ctx context.Context, e cloudevents.Event) (*cloudevents.Event, error) // event in, event out; nil answers nothing
//	func(ctx context.Context, o Order) (Review, error)                         // data in, data out
//	func(ctx context.Context, o Order) (struct{}, error)                       // data in, nothing out
//
// An event that is answered is the reply, as it is. Other output becomes the
// data of a reply, unless it is struct{}, empty or null: the reply is of the
// event's type with ".reply" at its end, of the source that [WithSource] says,
// has an id of its own and the event's subject. A reply comes in the mode in
// which the event came. A function whose answer is no valid event has failed
// for the sender, who gets a 500, though its record says OK.
//
// # Answers
//
//	200  a reply, or a batch of them
//	204  done, and nothing to reply
//	400  not a CloudEvent, or data that the function can't read, or a tenant that is none
//	403  denied by a gate; or not from an origin of WithOrigins
//	404  no route for the event, or its function is gone
//	405  neither POST nor, with WithOrigins, OPTIONS
//	413  larger than WithLimits allows
//	415  no mode of CloudEvents that is known here
//	429  refused for now: overloaded, over a budget; Retry-After says when to come again
//	500  the function failed, panicked, or answered what is no event
//	503  what the function needs is not there for now, the router is closing, or the call was canceled
//	504  the function did not answer by its deadline
//
// Every error has a body of application/problem+json (RFC 9457) with a reason,
// and none of what is inside: no text of a function's error, no panic. A
// function that wants to say more returns the SDK's own
// cehttp.NewResult(422, "no such customer"), whose status (4xx or 5xx) and text
// are passed on.
//
// Delivery is at least once: what the sender may try again (429, 5xx), it will.
// A function that must not work twice remembers the event's source and id.
//
// # Batches
//
// A batch is looked through before any of its events is delivered: if one is
// malformed or has no route, none is. Then all are called at once. If one
// fails, the batch has failed: the body lists the events that did, and the
// status is theirs; where they differ, that of one that may succeed when it is
// sent again.
//
// # Patterns
//
// [Compile] has the language, and how events are seen by it.
package faasevents
