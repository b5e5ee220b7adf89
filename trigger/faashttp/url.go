package faashttp

import (
	"errors"
	"net/http"
	"time"

	"github.com/inproc/faas"
)

// FunctionURL serves one function as an AWS Lambda function URL does. Every request, whatever
// its method and path, becomes an event of payload format 2.0, which API Gateway's HTTP APIs
// use as well. The function's output becomes the response. A handler that was written for
// function URLs runs unchanged, with the types of aws-lambda-go/events or its own. A middleware
// can put on its context the values that it reads with lambdacontext; the examples of the
// module awstest have one.
//
// An output that is a JSON object with the key statusCode is a structured response: its
// headers, cookies, body and isBase64Encoded make the response. The keys are case-sensitive.
// The status is a number or its text. Any other output is sent as JSON in the body of a 200.
// This includes a Go struct whose field StatusCode has no JSON tag. A streaming function sends
// its pieces as they are written; [StreamHead] sets its status and headers.
//
// Errors are answered as on Lambda, and do not show what happened inside: 502 if the function
// fails, 429 if there is no room for the call, 503 if another attempt may succeed, 413 if the
// event is larger than the function's limit, 400 if the tenant is not valid, and 403 if a gate
// denies the call or the function does not exist. The answer is 502, too, if a structured
// response has an invalid status, header or cookie. [WithHosts] and [WithOrigins] apply here as
// well.
//
// The answer's x-amzn-RequestId, the event's requestId and the RequestID of the call's
// [faas.Origin] are the same id. A proxy in front may choose it by that header in the request.
// An id that is not 1 to 128 of A–Z a–z 0–9 . _ ~ - is replaced by a new one.
//
// Mount it at the path of your choice. With [http.StripPrefix] the path in the event begins
// after the prefix.
func FunctionURL(r *faas.Router, name string, opts ...Option) http.Handler {
	return &functionURL{settings: frontSettings(opts), router: r, name: name}
}

// functionURL is the handler of a function URL.
type functionURL struct {
	settings

	router *faas.Router
	name   string
}

// ServeHTTP serves one request.
func (u *functionURL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID(r, "X-Amzn-Requestid")
	w.Header().Set("X-Amzn-Requestid", id)
	x, err := u.begin(w, r, faas.Origin{Trigger: "http", Door: "url", RequestID: id})
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

// answer calls the function and writes its response.
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

// stream calls a streaming function and writes its pieces as they come.
func (u *functionURL) stream(x *exchange, info faas.Signature, event []byte) {
	s := &urlStreamWriter{x: x, whole: !x.canBreakOff()}
	err := u.router.InvokeStream(x.ctx, u.name, event, s)
	if err == nil && !s.started {
		_, err = s.Write(nil) // sends the head of a stream without pieces
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

// fail answers a call that was refused or did not succeed. Nothing of the answer may be written
// yet.
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
	case faas.KindNesting: // for the caller, a function that calls itself too often has failed
		x.badGateway()
	case faas.KindBusy:
		x.refuse(throttle(u.router, u.name, end.Err.Reason, end.Err.RetryAfter))
	case faas.KindUnavailable, faas.KindClosed, faas.KindCanceled:
		x.unavailable(end.Err.RetryAfter)
	}
}

// badInput answers a call whose input was refused. If the function can't decode the event, the
// function has failed, because the form of an event is its concern: the answer is 502. The
// answer is 4xx if the event is too large, or if the call would be invalid with any event, for
// example because of its tenant.
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

// unavailable writes Lambda's answer to a call that may succeed later.
func (x *exchange) unavailable(after time.Duration) {
	retryAfter(x.w.Header(), after)
	x.reply(http.StatusServiceUnavailable, "text/plain", []byte("Service Unavailable"))
}

// badGateway writes Lambda's answer to a call whose function has failed.
func (x *exchange) badGateway() {
	x.reply(http.StatusBadGateway, "text/plain", []byte("Internal Server Error"))
}

// noAccess returns Lambda's answer for a function URL that does not exist.
func noAccess(x *exchange) (status int, contentType string, body []byte) {
	x.w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
	return http.StatusForbidden, "application/json", []byte(`{"Message":null}`)
}
