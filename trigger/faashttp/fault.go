package faashttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/inproc/faas"
)

// fault is an error of the Lambda API. Which of them write their message with a
// capital is part of the wire.
type fault struct {
	status     int
	kind       string // goes into X-Amzn-ErrorType, where SDKs look
	message    string
	capital    bool
	reason     string // of a throttle
	culprit    string // User or Service; some have neither
	retryAfter time.Duration
}

func (s *settings) noFunction(t target) *fault {
	q := t.qualifier
	if q == "" {
		q = latest
	}
	return &fault{
		status: http.StatusNotFound, kind: "ResourceNotFoundException", capital: true, culprit: "User",
		message: "Function not found: " + s.arn(t.name, q),
	}
}

func invalid(field, value, rule string) *fault {
	return &fault{
		status: http.StatusBadRequest, kind: "ValidationException",
		message: fmt.Sprintf("1 validation error detected: Value %q at '%s' failed to satisfy constraint: %s", clip(value), field, rule),
	}
}

// clip keeps an answer from growing with what was asked.
func clip(s string) string { return s[:min(len(s), 200)] }

func badParameter(message string) *fault {
	return &fault{status: http.StatusBadRequest, kind: "InvalidParameterValueException", message: message, culprit: "User"}
}

func badContent(message string) *fault {
	return &fault{status: http.StatusBadRequest, kind: "InvalidRequestContentException", message: message, culprit: "User"}
}

func tooLargeFor(limit int) *fault {
	return &fault{
		status: http.StatusRequestEntityTooLarge, kind: "RequestTooLargeException", culprit: "User",
		message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit),
	}
}

// serviceFault is what may work another time. Of the errors that the API's model
// gives Invoke it is the one that all clients try again: the SDKs retry a status of
// 500, and Step Functions retries Lambda.ServiceException where it is set up as its
// documentation advises. The model's errors of 502 and 503 are about networks and
// file systems that functions here have none of.
func serviceFault(message string, after time.Duration) *fault {
	return &fault{
		status: http.StatusInternalServerError, kind: "ServiceException", message: message, capital: true,
		culprit: "Service", retryAfter: max(after, time.Second),
	}
}

func forbidden(kind, message string) *fault {
	return &fault{status: http.StatusForbidden, kind: kind, message: message}
}

// keepOut answers what the door keeps out, where AWS's clients look.
func (x *exchange) keepOut(p *Problem) { x.refuse(forbidden("AccessDeniedException", p.Detail)) }

// Throttles, by the names that the API's model gives them.
const (
	reservedLimit = "ReservedFunctionConcurrentInvocationLimitExceeded"
	accountLimit  = "ConcurrentInvocationLimitExceeded"
	callerLimit   = "CallerRateLimitExceeded"
)

// throttle is a refusal for want of room: the function's own, if it has a
// limit, or the router's, which stands for the account; or a gate's.
func throttle(r *faas.Router, name string, reason faas.Reason, after time.Duration) *fault {
	why := accountLimit
	own := []faas.Reason{faas.ReasonOverloaded, faas.ReasonQueueTimeout, faas.ReasonRunaways}
	switch {
	case slices.Contains(own, reason):
		if info, err := r.Info(name); err == nil && info.Limit < math.MaxInt32 {
			why = reservedLimit
		}
	default:
		why = callerLimit
	}
	return &fault{
		status: http.StatusTooManyRequests, kind: "TooManyRequestsException", message: "Rate Exceeded.",
		reason: why, culprit: "User", retryAfter: max(after, time.Second),
	}
}

// faultOf says why a call was refused or cut off; nil for an end that the
// function has brought about.
func (l *Lambda) faultOf(x *exchange, err error, t target, info faas.Signature) *fault {
	end := faas.EndOf(err, t.name)
	switch end.Kind {
	case faas.KindNone:
		if end.Outcome == faas.Canceled {
			return serviceFault("The call was canceled.", time.Second)
		}
	case faas.KindNotFound:
		return l.noFunction(t)
	case faas.KindDenied:
		return l.denial(t)
	case faas.KindInvalid, faas.KindTooLarge:
		return l.badInput(x, end, t, info)
	case faas.KindBusy:
		return throttle(l.router, t.name, end.Err.Reason, end.Err.RetryAfter)
	case faas.KindUnavailable:
		return serviceFault("The function can't be called now.", end.Err.RetryAfter)
	case faas.KindNesting:
		return &fault{
			status: http.StatusBadRequest, kind: "RecursiveInvocationException", capital: true, culprit: "User",
			message: "The invocation is part of a loop, or of too long a chain.",
		}
	case faas.KindClosed:
		return serviceFault("The host is shutting down.", time.Second)
	case faas.KindCanceled:
		return serviceFault("The call was canceled.", time.Second)
	}
	return nil
}

// denial is told as an unknown function, unless callers may know.
func (l *Lambda) denial(t target) *fault {
	if !l.forbidden {
		return l.noFunction(t)
	}
	return &fault{
		status: http.StatusForbidden, kind: "AccessDeniedException", capital: true, culprit: "User",
		message: "User is not authorized to perform: lambda:InvokeFunction on resource: " + l.arn(t.name, ""),
	}
}

// badInput is nil for JSON that is no input of the function: on Lambda the
// function's runtime finds that out, so that it is an error of the function.
// What does not depend on the input, such as a tenant that is none, is not.
func (l *Lambda) badInput(x *exchange, end faas.End, t target, info faas.Signature) *fault {
	before := x.before(l.router, t.name)
	switch {
	case before == faas.KindDenied && !l.forbidden:
		return l.noFunction(t)
	case end.Kind == faas.KindTooLarge:
		return tooLargeFor(info.MaxIn)
	case before == faas.KindInvalid, end.Err.Reason != faas.ReasonInput:
		return badParameter("The invocation is not valid.")
	}
	return nil
}

func bodyFault(err error, limit int) *fault {
	switch {
	case errors.Is(err, errTooLarge):
		return tooLargeFor(limit)
	case errors.Is(err, errEncoding):
		return &fault{status: http.StatusUnsupportedMediaType, kind: "UnsupportedMediaTypeException", message: "Bodies are taken without Content-Encoding.", culprit: "User"}
	case errors.Is(err, errTenant):
		return badParameter("The tenant header is malformed.")
	}
	return badContent("Could not read the request body.")
}

// refuse answers a fault.
func (x *exchange) refuse(f *fault) {
	doc := struct {
		Capital string `json:"Message,omitempty"`
		Message string `json:"message,omitempty"`
		Reason  string `json:",omitempty"`
		Type    string `json:",omitempty"`
	}{Message: f.message, Reason: f.reason, Type: f.culprit}
	if f.capital {
		doc.Capital, doc.Message = doc.Message, ""
	}
	h := x.w.Header()
	h.Set("X-Amzn-ErrorType", f.kind)
	if f.retryAfter > 0 {
		retryAfter(h, f.retryAfter)
	}
	x.reply(f.status, "application/json", mustJSON(doc))
}

// reply answers all at once.
func (x *exchange) reply(status int, contentType string, body []byte) {
	x.patient()
	h := x.w.Header()
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a client that has gone needs no answer
}

// mustJSON encodes what is made of strings and numbers, which can't fail.
func mustJSON(v any) []byte {
	doc, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return doc
}
