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

// apiError is an error of the Lambda API: the answer to a call that did not run. A function
// that ran and failed is answered with a functionError. Function URLs use some apiErrors too.
type apiError struct {
	status     int
	kind       string // the X-Amzn-ErrorType header; SDKs choose the type of their error by it
	message    string
	capitalKey bool   // the text has the key "Message" instead of "message"; the API uses both
	reason     string // the reason of a throttle; otherwise empty
	source     string // the value of the key "Type": User, Service, or empty
	retryAfter time.Duration
}

func invalidField(field, value, rule string) *apiError {
	return invalid(fmt.Sprintf("Value %q at '%s' failed to satisfy constraint: %s", clip(value), field, rule))
}

func invalid(why string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "ValidationException", message: "1 validation error detected: " + why}
}

// clip bounds the length of a client's text that is repeated in an answer.
func clip(s string) string { return s[:min(len(s), 200)] }

func invalidParameter(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "InvalidParameterValueException", message: message, source: "User"}
}

func invalidContent(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "InvalidRequestContentException", message: message, source: "User"}
}

func notFound(message string) *apiError {
	return &apiError{status: http.StatusNotFound, kind: "ResourceNotFoundException", capitalKey: true, source: "User", message: message}
}

func conflict(message string) *apiError {
	return &apiError{status: http.StatusConflict, kind: "ResourceConflictException", source: "User", message: message}
}

// stale returns the answer to a change whose RevisionId is not that of the alias.
func stale() *apiError {
	return &apiError{
		status: http.StatusPreconditionFailed, kind: "PreconditionFailedException", source: "User",
		message: "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
	}
}

func requestTooLarge(limit int) *apiError {
	return &apiError{
		status: http.StatusRequestEntityTooLarge, kind: "RequestTooLargeException", source: "User",
		message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit),
	}
}

// serviceError returns the answer for a call that may succeed at another time. Of the errors
// that the API's model allows for Invoke, this is the one that every client retries: SDKs retry
// a status of 500, and Step Functions retries Lambda.ServiceException if it is set up as its
// documentation advises. The model's errors with status 502 and 503 concern networks and file
// systems, which functions here do not have.
func serviceError(message string, after time.Duration) *apiError {
	return &apiError{
		status: http.StatusInternalServerError, kind: "ServiceException", message: message, capitalKey: true,
		source: "Service", retryAfter: max(after, time.Second),
	}
}

func forbidden(kind, message string) *apiError {
	return &apiError{status: http.StatusForbidden, kind: kind, message: message}
}

// refuseAtDoor answers a request that the door refuses. AWS's clients show the text of this
// error.
func (x *exchange) refuseAtDoor(p *Problem) { x.refuse(forbidden("AccessDeniedException", p.Detail)) }

// These are the reasons of a throttle that the API's model defines.
const (
	reservedLimit = "ReservedFunctionConcurrentInvocationLimitExceeded"
	accountLimit  = "ConcurrentInvocationLimitExceeded"
	callerLimit   = "CallerRateLimitExceeded"
)

// throttle returns the answer to a call for which there is no room. Its reason says which limit
// is reached: that of the function if it has its own; otherwise that of the router, in the
// place of the AWS account; or that of a gate.
func throttle(r *faas.Router, name string, reason faas.Reason, after time.Duration) *apiError {
	why := accountLimit
	own := []faas.Reason{faas.ReasonOff, faas.ReasonOverloaded, faas.ReasonQueueTimeout, faas.ReasonRunaways}
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

// bodyError returns the API error for a request whose body or headers can't be used.
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

// refuse answers with an API error.
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
