/*
Package faashttp calls the functions of a [faas.Router] from outside: over HTTP
with JSON, over the wire of the AWS Lambda API, and as Lambda function URLs.

	mux := http.NewServeMux()                        // a server that you have
	mux.Handle("/", yours)
	mux.Handle("/fn/", faashttp.Handler(router))     // POST /fn/{name}: JSON in, JSON out
	mux.Handle("/v1/resize", faashttp.Function(router, "resize")) // one, at a path of its own
	mux.Handle("/hook", faashttp.FunctionURL(router, "hook"))
	lambda := faashttp.NewLambda(router)
	mux.Handle("/2015-03-31/", lambda)               // aws lambda invoke --endpoint-url …

	s := faashttp.NewServer(router, mux, faashttp.WithDrainer(lambda.Shutdown))
	err := s.Run(ctx)                                // until ctx ends; drains

[Handler], [Function], [FunctionURL] and [Lambda] are handlers of net/http and run
in any server; [Server] is one that has its time limits set, listens on loopback and
drains. Functions registered with [faas.RegisterStream] answer piece by piece
over each of them.

# What a slow client costs

Nothing of the router's. A body is read to its end, within its limit and its
time, before the call asks for a slot; the answer is written, within its time,
after the slot is given back; a stream's pieces wait in memory, bounded by
[faas.WithLimits], and not in the handler. What a client does hold is a
connection and its buffers.

# What a caller learns

No more than the call's end: see [Handler] for the reasons. Whoever may not call
a function is answered, to the letter, what is answered for one that does not
exist; the time that takes is not evened out. The Lambda wire is for operators,
and tells errors and stacks as Lambda does.

Who calls is not this package's business: put authentication around the handlers
and a [faas.Gate] into the router. Gates see the request's context, with its
[Request]. Only the Lambda wire can check signatures itself ([WithCredentials]).

# Concurrency

All handlers serve any number of requests at once. What comes from outside and
goes back, or into logs, is validated first: names, ids, tenants, traces, and the
headers of a function's answer.
*/
package faashttp
