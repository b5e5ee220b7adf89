package faasevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// problem is an answer that is an error, by RFC 9457.
type problem struct {
	Title      string    `json:"title"`
	Status     int       `json:"status"`
	Detail     string    `json:"detail,omitempty"`
	Reason     string    `json:"reason"`
	Invocation string    `json:"invocation,omitempty"` // for those who look it up in their logs
	Events     []failure `json:"events,omitempty"`     // of a batch

	retryAfter time.Duration
}

// failure is one of the problems of a batch.
type failure struct {
	Index  int    `json:"index"`
	Source string `json:"source"`
	Event  string `json:"id"`
	Status int    `json:"status"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// defaultRetryAfter is told to senders where the platform does not know: the
// protocol asks for a number.
const defaultRetryAfter = time.Second

func (p *problem) mayYetSucceed() bool {
	return p.Status == http.StatusTooManyRequests || p.Status >= 500
}

func writeProblem(w http.ResponseWriter, p *problem) {
	p.Title = http.StatusText(p.Status)
	if p.Status == http.StatusTooManyRequests || p.retryAfter > 0 {
		after := p.retryAfter
		if after <= 0 {
			after = defaultRetryAfter
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // what fails here is the connection
}

// problemOf tells the sender what became of a call. An error of the platform is
// known by its type, unwrapped, and by the function's name: what a function
// returns is its own, also when it got it from another function.
func problemOf(function string, err error) *problem {
	e, ok := err.(*faas.Error) //nolint:errorlint // see above
	if !ok || e.Function != function {
		return problemOfFunction(err)
	}
	p := &problem{retryAfter: e.RetryAfter}
	if e.ID != uuid.Nil {
		p.Invocation = e.ID.String()
	}
	p.Status, p.Reason, p.Detail = classify(e)
	if p.Status == http.StatusServiceUnavailable {
		p.retryAfter = max(p.retryAfter, defaultRetryAfter)
	}
	return p
}

// classify is the table of the package's documentation.
func classify(e *faas.Error) (status int, reason, detail string) {
	reason = string(e.Reason)
	switch {
	case errors.Is(e, faas.ErrNotFound), errors.Is(e, faas.ErrName):
		return http.StatusNotFound, "no_route", "the function that takes the event is not there"
	case e.Reason == faas.ReasonInput:
		return http.StatusBadRequest, reason, "the function can't read the event's data"
	case e.Reason == faas.ReasonTooLarge:
		return http.StatusRequestEntityTooLarge, reason, "the event is larger than the function takes"
	case e.Reason == faas.ReasonClosed:
		return http.StatusServiceUnavailable, reason, "the functions are being shut down"
	case e.Reason == faas.ReasonQueueCanceled, e.Reason == "" && isCanceled(e):
		return http.StatusServiceUnavailable, "canceled", "the call was canceled"
	case e.Reason == faas.ReasonDepth, e.Reason == faas.ReasonCycle:
		return http.StatusInternalServerError, reason, "the call would not end"
	case e.Reason == faas.ReasonDenied && e.RetryAfter == 0:
		return http.StatusForbidden, reason, "the call is not permitted"
	case e.Reason != "":
		return http.StatusTooManyRequests, reason, "the call was refused for now"
	case errors.Is(e, faas.ErrTimeout):
		return http.StatusGatewayTimeout, "timeout", "the function did not answer in time"
	case errors.Is(e, faas.ErrOutput), errors.Is(e, faas.ErrTooLarge):
		return http.StatusInternalServerError, "output", "the function's answer can't be used"
	}
	return http.StatusInternalServerError, "failed", "the function failed"
}

func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, faas.ErrTimeout)
}

// problemOfFunction passes on what a function says on purpose, by the SDK's
// type, and nothing else.
func problemOfFunction(err error) *problem {
	var result *cehttp.Result
	if errors.As(err, &result) && result != nil && result.StatusCode >= 400 && result.StatusCode <= 599 {
		return &problem{Status: result.StatusCode, Reason: "failed", Detail: fmt.Errorf(result.Format, result.Args...).Error()}
	}
	return &problem{Status: http.StatusInternalServerError, Reason: "failed", Detail: "the function failed"}
}
