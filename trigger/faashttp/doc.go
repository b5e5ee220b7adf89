/*
Package faashttp calls the functions of a [faas.Router] from outside: over HTTP
with JSON, over the wire of the AWS Lambda API, and as Lambda function URLs.

	mux := http.NewServeMux()                        // a server that you have
	mux.Handle("/", yours)
	mux.Handle("/fn/", faashttp.Handler(router))     // POST /fn/{name}: JSON in, JSON out
	mux.Handle("/v1/resize", faashttp.Function(router, "resize")) // one function, at a path of its own
	mux.Handle("/hook", faashttp.FunctionURL(router, "hook"))
	lambda := faashttp.NewLambda(router)
	mux.Handle("/2015-03-31/", lambda)               // aws lambda invoke --endpoint-url …

	s := faashttp.NewServer(router, mux)
	err := s.Run(ctx)                                // until ctx ends; then drains, and runs the jobs that are due

[Handler], [Function], [FunctionURL] and [Lambda] are handlers of net/http and run
in any server; [Server] is a server with time limits that listens on loopback and
drains. Functions registered with [faas.RegisterStream] answer piece by piece
over each of them.

# What a slow client costs

A slow client costs the router nothing. Its body is read to the end, within limits of size
and time, before the call asks for a slot. Its answer is written, within a limit of time,
after the slot is given back. The pieces of a stream wait in memory, bounded by
[faas.WithLimits], and the handler does not wait for them to be sent. A slow client only
occupies a connection and its buffers. If a client disconnects, its call is
canceled; [Handler] says what happens if the function ignores that.

# What a caller learns

A caller learns how the call ended and nothing else; [Handler] lists the reasons. A caller
that may not call a function gets the same answer, byte for byte, as for a function that
does not exist. The two answers may take different times: this package does not hide that.
The Lambda wire is for operators: it returns error texts and stacks, as Lambda does.

This package does not authenticate callers. Put authentication around the handlers
and a [faas.Gate] into the router. Gates get the context of the request, and
[FromContext] reads the [Request] from it. Only the Lambda wire can check signatures
itself ([WithCredentials]).

# Concurrency

All handlers serve any number of requests at once. Input from outside is validated before
it is sent back or logged: names, ids, tenants, trace headers, and the headers of a
function's answer.

# Where things are

The prefix of a file's name is the dialect that it implements: http_*.go the plain HTTP
front, lambda_*.go the wire of Lambda's API, url_*.go function URLs. The other files serve
all three. For example, exchange.go contains one request and its answer, door.go decides
which requests of a browser are let in, server.go runs a server, and server_drain.go drains
it.
*/
package faashttp
