package faashttp

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/inproc/faas"
)

// apiError is an error of the Lambda API. Which of them write their message with a
// capitalKey is part of the wire.
type apiError struct {
	status     int
	kind       string // goes into X-Amzn-ErrorType, where SDKs look
	message    string
	capitalKey bool
	reason     string // of a throttle
	source     string // User or Service; some have neither
	retryAfter time.Duration
}

func invalidField(field, value, rule string) *apiError {
	return &apiError{
		status: http.StatusBadRequest, kind: "ValidationException",
		message: fmt.Sprintf("1 validation error detected: Value %q at '%s' failed to satisfy constraint: %s", clip(value), field, rule),
	}
}

// clip keeps an answer from growing with what was asked.
func clip(s string) string { return s[:min(len(s), 200)] }

func invalidParameter(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "InvalidParameterValueException", message: message, source: "User"}
}

func invalidContent(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "InvalidRequestContentException", message: message, source: "User"}
}

func requestTooLarge(limit int) *apiError {
	return &apiError{
		status: http.StatusRequestEntityTooLarge, kind: "RequestTooLargeException", source: "User",
		message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit),
	}
}

// serviceError is what may work another time. Of the errors that the API's model
// gives Invoke it is the one that all clients try again: the SDKs retry a status of
// 500, and Step Functions retries Lambda.ServiceException where it is set up as its
// documentation advises. The model's errors of 502 and 503 are about networks and
// file systems that functions here have none of.
func serviceError(message string, after time.Duration) *apiError {
	return &apiError{
		status: http.StatusInternalServerError, kind: "ServiceException", message: message, capitalKey: true,
		source: "Service", retryAfter: max(after, time.Second),
	}
}

func forbidden(kind, message string) *apiError {
	return &apiError{status: http.StatusForbidden, kind: kind, message: message}
}

// refuseAtDoor answers what the door keeps out, where AWS's clients look.
func (x *exchange) refuseAtDoor(p *Problem) { x.refuse(forbidden("AccessDeniedException", p.Detail)) }

// Throttles, by the names that the API's model gives them.
const (
	reservedLimit = "ReservedFunctionConcurrentInvocationLimitExceeded"
	accountLimit  = "ConcurrentInvocationLimitExceeded"
	callerLimit   = "CallerRateLimitExceeded"
)

// throttle is a refusal for want of room: the function's own, if it has a
// limit, or the router's, which stands for the account; or a gate's.
func throttle(r *faas.Router, name string, reason faas.Reason, after time.Duration) *apiError {
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
	return &apiError{
		status: http.StatusTooManyRequests, kind: "TooManyRequestsException", message: "Rate Exceeded.",
		reason: why, source: "User", retryAfter: max(after, time.Second),
	}
}

func bodyError(err error, limit int) *apiError {
	switch {
	case errors.Is(err, errTooLarge):
		return requestTooLarge(limit)
	case errors.Is(err, errEncoding):
		return &apiError{status: http.StatusUnsupportedMediaType, kind: "UnsupportedMediaTypeException", message: "Bodies are taken without Content-Encoding.", source: "User"}
	case errors.Is(err, errTenant):
		return invalidParameter("The tenant header is malformed.")
	}
	return invalidContent("Could not read the request body.")
}

// refuse answers a fault.
func (x *exchange) refuse(apiErr *apiError) {
	doc := struct {
		Capital string `json:"Message,omitempty"`
		Message string `json:"message,omitempty"`
		Reason  string `json:",omitempty"`
		Type    string `json:",omitempty"`
	}{Message: apiErr.message, Reason: apiErr.reason, Type: apiErr.source}
	if apiErr.capitalKey {
		doc.Capital, doc.Message = doc.Message, ""
	}
	h := x.w.Header()
	h.Set("X-Amzn-ErrorType", apiErr.kind)
	if apiErr.retryAfter > 0 {
		retryAfter(h, apiErr.retryAfter)
	}
	x.reply(apiErr.status, "application/json", mustJSON(doc))
}
