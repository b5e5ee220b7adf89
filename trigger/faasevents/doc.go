// Package faasevents calls functions with CloudEvents that come over HTTP.
//
//	events := faasevents.Handler(r,
//		faasevents.On(`{"type": ["com.example.order.placed"], "data": {"total": [{"numeric": [">", 100]}]}}`, "review"),
//		faasevents.On(`{"type": [{"prefix": "com.example.order."}]}`, "archive"),
//	)
//	http.ListenAndServe("127.0.0.1:8080", events)
//
// An event arrives in any of the three modes of the HTTP binding of CloudEvents 1.0.2 (binary,
// structured and, in JSON, batched), and github.com/cloudevents/sdk-go decodes it. It calls one
// function: that of the first [On] whose [Pattern] matches the event, in the order in which the
// options were given, as in a switch. An event calls only one function because the sender gets
// only one answer. If it called several and one of them failed, the sender could only send the
// event again, and so call all of them again.
//
// # What a function takes and answers
//
// A function with the input cloudevents.Event gets the whole event; its codec must be JSON,
// which is the default. Any other function gets the event's data: as the bytes of the event if
// its input is []byte, and decoded otherwise. With [WithEvent] on its router, such a function
// gets the event's attributes from [FromContext]. The id of the event is the RequestID of the
// call's [faas.Origin].
//
//	func(ctx context.Context, e cloudevents.Event) (*cloudevents.Event, error) // event in, event out; nil means no reply
//	func(ctx context.Context, o Order) (Review, error)                         // data in, data out
//	func(ctx context.Context, o Order) (struct{}, error)                       // data in, nothing out
//
// If a function returns an event, that event is the reply. Other output becomes the data of a
// reply, unless it is struct{}, empty or null. Such a reply has the event's type with ".reply"
// appended, the source of [WithSource], an id of its own, and the event's subject. A reply has
// the mode of the event: structured for structured, binary for binary. If the function returns
// an event that is not valid, the sender gets a 500, although the function's record says OK.
//
// # Answers
//
//	200  a reply, or a batch of them
//	202  accepted as a job, see [WithJobs]
//	204  done, with no reply
//	400  not a CloudEvent, or data that the function can't read, or an invalid tenant
//	403  denied by a gate; or not from an origin of WithOrigins
//	404  no route for the event, or its function has been removed
//	405  neither POST nor, with WithOrigins, OPTIONS
//	413  larger than WithLimits allows
//	415  a mode or format of CloudEvents that is not supported
//	429  refused for now, for example overloaded or over a budget; Retry-After says when to send again
//	500  the function failed, panicked, or returned an invalid event
//	503  a resource of the function is not available for now, the router is closing, the call was canceled, or the queue of jobs failed
//	504  the function did not answer by its deadline
//
// Every error has a body of application/problem+json (RFC 9457) with a reason. The body shows
// nothing of what happened inside: not the text of a function's error, not a panic. To tell the
// sender more, a function returns the SDK's cehttp.NewResult(422, "no such customer"): the
// sender gets its status (4xx or 5xx) and its text.
//
// Delivery is at least once: a sender may send an event again after 429 and 5xx, and most do. A
// function that must handle each event once has to store the source and the id of the events
// that it has handled.
//
// # Batches
//
// All events of a batch are checked before the first one is delivered: if one is malformed or
// has no route, none is delivered. Then all their functions are called concurrently. If the
// call of one event fails, the batch has failed. The body lists the events that failed. If they
// all have the same status, it is the status of the answer. Otherwise the answer has the status
// of an event that may succeed when it is sent again.
//
// # Patterns
//
// [Compile] describes the language of patterns, and the fields that a pattern can use.
package faasevents
