package faashttp

import (
	"errors"
	"net/http"
	"time"

	"github.com/inproc/faas"
)

// stream serves a streaming function.
func (u *functionURL) stream(x *exchange, info faas.Signature, event []byte) {
	s := &urlStreamWriter{x: x, whole: !x.canBreakOff()}
	err := u.router.InvokeStream(x.ctx, u.name, event, s)
	if err == nil && !s.started {
		_, err = s.Write(nil) // the head of a stream that has no piece
	}
	switch {
	case errors.Is(err, errStreamHead):
		x.badGateway()
	case err != nil && (s.whole || !s.started):
		u.fail(x, info, err)
	case err != nil:
		x.breakOff()
	case s.whole:
		s.response.head(x.w.Header())
		x.reply(s.response.status, "", s.response.body)
	}
}

// FunctionURL serves one function as an AWS Lambda function URL does: every
// request, whatever its method and path, becomes an event of payload format 2.0
// (that of API Gateway's HTTP APIs as well), and the function's answer becomes
// the response. A handler written for these runs as it is, with the types of
// aws-lambda-go/events or its own. What it asks lambdacontext for, a middleware puts
// on its context; the examples of the module awstest have one.
//
// An answer that is an object with a statusCode is a structured one: its headers,
// cookies, body, and isBase64Encoded, make the response. The keys are these to the
// letter; a status is a number or the text of one. Any other answer is the body of
// a 200, as JSON: so is that of a Go struct whose field StatusCode has no tag. A function that streams answers with its
// pieces as they come; see [StreamHead] for its status and headers.
//
// What goes wrong is answered as Lambda does, and says nothing of what went on
// inside: 502 for a function that fails, 429 for want of room, 503 for what may work
// another time, 413 for an event over the function's limit, 400 for a tenant that is
// none, and 403 where a gate denies the call or the function is gone. An answer whose
// status, header or cookie is not one is a 502 as well. [WithHosts] and [WithOrigins] hold here too.
//
// Mount it where the function is to be, below a prefix with [http.StripPrefix].
func FunctionURL(r *faas.Router, name string, opts ...Option) http.Handler {
	return &functionURL{settings: frontSettings(opts), router: r, name: name}
}

type functionURL struct {
	settings

	router *faas.Router
	name   string
}

// ServeHTTP serves one request.
func (u *functionURL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newID()
	w.Header().Set("X-Amzn-Requestid", id)
	x, err := u.begin(w, r, id)
	if !u.door.allows(w, r, x.refuseAtDoor) {
		return
	}
	if err != nil {
		x.refuse(bodyError(err, 0))
		return
	}
	info, unknown := u.router.Signature(u.name)
	if unknown != nil {
		info.MaxIn = unknownLimit
	}
	body, err := x.rawBody(info.MaxIn)
	switch {
	case unknown != nil, err != nil && x.isHidden(u.router, u.name):
		x.reply(noAccess(x))
	case err != nil:
		x.closeConnection()
		x.refuse(bodyError(err, info.MaxIn))
	case info.Stream:
		u.stream(x, info, mustJSON(newURLEvent(x, body)))
	default:
		u.answer(x, info, mustJSON(newURLEvent(x, body)))
	}
}

func (u *functionURL) answer(x *exchange, info faas.Signature, event []byte) {
	out, err := u.router.Invoke(x.ctx, u.name, event)
	if err != nil {
		u.fail(x, info, err)
		return
	}
	a, ok := parseURLResponse(out)
	if !ok {
		x.badGateway()
		return
	}
	a.head(x.w.Header())
	x.reply(a.status, "", a.body)
}

// fail answers an error before anything else is said.
func (u *functionURL) fail(x *exchange, info faas.Signature, err error) {
	end := faas.EndOf(err, u.name)
	switch end.Kind {
	case faas.KindNone:
		if end.Outcome == faas.Canceled {
			x.unavailable(time.Second)
			return
		}
		x.badGateway()
	case faas.KindNotFound, faas.KindDenied:
		x.reply(noAccess(x))
	case faas.KindInvalid, faas.KindTooLarge:
		u.badInput(x, end, info)
	case faas.KindNesting: // its loops are the function's own affair
		x.badGateway()
	case faas.KindBusy:
		x.refuse(throttle(u.router, u.name, end.Err.Reason, end.Err.RetryAfter))
	case faas.KindUnavailable, faas.KindClosed, faas.KindCanceled:
		x.unavailable(end.Err.RetryAfter)
	}
}

// badInput answers for an event that the function can't take. What it makes of one
// that is not too large is its own affair; the tenant is not.
func (u *functionURL) badInput(x *exchange, end faas.End, info faas.Signature) {
	before := x.before(u.router, u.name)
	switch {
	case before == faas.KindDenied && !u.forbidden:
		x.reply(noAccess(x))
	case end.Kind == faas.KindTooLarge:
		x.refuse(requestTooLarge(info.MaxIn))
	case before == faas.KindInvalid, end.Err.Reason != faas.ReasonInput:
		x.refuse(invalidParameter("The invocation is not valid."))
	default:
		x.badGateway()
	}
}

// unavailable is Lambda's answer for what may work another time.
func (x *exchange) unavailable(after time.Duration) {
	retryAfter(x.w.Header(), after)
	x.reply(http.StatusServiceUnavailable, "text/plain", []byte("Service Unavailable"))
}

// badGateway is Lambda's answer for a function that failed.
func (x *exchange) badGateway() {
	x.reply(http.StatusBadGateway, "text/plain", []byte("Internal Server Error"))
}

// noAccess is what an unknown URL answers.
func noAccess(x *exchange) (status int, contentType string, body []byte) {
	x.w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
	return http.StatusForbidden, "application/json", []byte(`{"Message":null}`)
}
