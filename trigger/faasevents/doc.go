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
// github.com/cloudevents/sdk-go, and calls one function: that of the first [On]
// with a [Pattern] that matches it. The order in which they were given is the
// whole rule, as in a switch. An event calls one function because it has one
// answer. If it called several and one of them failed, the sender could only send
// the event again, to all of them.
//
// # What a function takes and answers
//
// A function with the input cloudevents.Event takes the event; its codec has to be
// JSON, as the default is. Any other function takes the event's data: []byte
// as it came, other types decoded. With [WithEvent] on its router, such a function
// can ask [FromContext] for the event's attributes. The id of the event is the RequestID
// of the call's [faas.Origin].
//
//	func(ctx context.Context, e cloudevents.Event) (*cloudevents.Event, error) // event in, event out; nil answers nothing
//	func(ctx context.Context, o Order) (Review, error)                         // data in, data out
//	func(ctx context.Context, o Order) (struct{}, error)                       // data in, nothing out
//
// If a function answers an event, that event is the reply. Other output becomes the
// data of a reply, unless it is struct{}, empty or null. Such a reply has the
// event's type with ".reply" at its end, the source of [WithSource], an id of its
// own, and the event's subject. A reply has the mode of the event: structured for
// structured, binary for binary. If the answer is no valid event, the sender gets
// a 500, though the function's record says OK.
//
// # Answers
//
//	200  a reply, or a batch of them
//	202  accepted as a job, see [WithJobs]
//	204  done, and nothing to reply
//	400  not a CloudEvent, or data that the function can't read, or a tenant that is none
//	403  denied by a gate; or not from an origin of WithOrigins
//	404  no route for the event, or its function is gone
//	405  neither POST nor, with WithOrigins, OPTIONS
//	413  larger than WithLimits allows
//	415  no mode of CloudEvents that is known here
//	429  refused for now: overloaded, over a budget; Retry-After says when to come again
//	500  the function failed, panicked, or answered what is no event
//	503  what the function needs is not available for now, the router is closing, or the call was canceled; no queue for jobs
//	504  the function did not answer by its deadline
//
// Every error has a body of application/problem+json (RFC 9457) with a reason. It
// shows nothing from inside: not the text of a function's error, not a panic. A
// function that wants to tell the sender more returns the SDK's
// cehttp.NewResult(422, "no such customer"): its status (4xx or 5xx) and its text
// are passed on.
//
// Delivery is at least once: a sender may send an event again after 429 and 5xx,
// and most do. A function that must not work twice remembers the source and the id
// of the events that it has handled.
//
// # Batches
//
// All events of a batch are checked before the first one is delivered: if one is
// malformed or has no route, none is delivered. Then their functions are called at
// once. If one of the events fails, the batch has failed. The body lists the events
// that failed. The status is theirs; where they differ, it is the status of one
// that may succeed when it is sent again.
//
// # Patterns
//
// [Compile] describes the language of patterns, and which fields an event has
// for them.
package faasevents
