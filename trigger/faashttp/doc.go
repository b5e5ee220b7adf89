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

	s := faashttp.NewServer(router, mux)
	err := s.Run(ctx)                                // until ctx ends; drains, jobs that are due included

[Handler], [Function], [FunctionURL] and [Lambda] are handlers of net/http and run
in any server; [Server] is one that has its time limits set, listens on loopback and
drains. Functions registered with [faas.RegisterStream] answer piece by piece
over each of them.

# What a slow client costs

A slow client costs the router nothing. Its body is read to the end, within its
limit and its time, before the call asks for a slot. Its answer is written, within
its time, after the slot is given back. The pieces of a stream wait in memory,
bounded by [faas.WithLimits], and the handler does not wait for them to be sent.
What a slow client does hold is a connection and its buffers.

# What a caller learns

A caller learns how the call ended and no more; [Handler] lists the reasons. A
caller that may not call a function gets the same answer, byte for byte, as for a
function that does not exist. The time which the answer takes is not evened out.
The Lambda wire is for operators: it returns error texts and stacks, as Lambda does.

This package does not authenticate callers. Put authentication around the handlers
and a [faas.Gate] into the router. Gates see the context of the request, and the
[Request] in it. Only the Lambda wire can check signatures itself ([WithCredentials]).

# Concurrency

All handlers serve any number of requests at once. Whatever comes from outside and
goes back, or into logs, is validated first: names, ids, tenants, trace headers, and
the headers of a function's answer.

# Where things are

Files are named after the dialect that they speak: http_*.go the plain HTTP front,
lambda_*.go the wire of Lambda's API, url_*.go function URLs. The other files serve
all three: exchange.go holds one request and its answer, door.go decides what a
browser may send, server.go runs a server and drains it.
*/
package faashttp
