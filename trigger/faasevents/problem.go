package faasevents

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// problem is the answer for an error, in the format of RFC 9457.
type problem struct {
	Title      string    `json:"title"`
	Status     int       `json:"status"`
	Detail     string    `json:"detail,omitempty"`
	Reason     string    `json:"reason"`
	Invocation string    `json:"invocation,omitempty"` // the call's ID in the records of the host
	Events     []failure `json:"events,omitempty"`     // the events of a batch that failed

	retryAfter time.Duration // 0 if it is not known
	unread     bool          // the body was not read to its end, so the connection can't be used again
}

// failure is the problem of one event of a batch.
type failure struct {
	Index  int    `json:"index"`
	Source string `json:"source"`
	Event  string `json:"id"`
	Status int    `json:"status"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// defaultRetryAfter is the Retry-After of a 429 or a 503 if the error has no time.
const defaultRetryAfter = time.Second

// mayYetSucceed reports whether the same event may succeed when it is sent again.
func (p *problem) mayYetSucceed() bool {
	return p.Status == http.StatusTooManyRequests || p.Status >= 500
}

// malformed returns the answer to a request that is not a valid event.
func malformed(err error) *problem {
	return &problem{Status: http.StatusBadRequest, Reason: "malformed", Detail: strings.TrimSpace(err.Error())}
}

// tooLarge returns the answer to a request that exceeds WithLimits.
func tooLarge(detail string) *problem {
	return &problem{Status: http.StatusRequestEntityTooLarge, Reason: "too_large", Detail: detail}
}

// writeProblem sets the title of p and sends it. Retry-After is rounded up to whole seconds, so
// that no sender sends again too early.
func writeProblem(w http.ResponseWriter, p *problem) {
	p.Title = http.StatusText(p.Status)
	if p.unread {
		w.Header().Set("Connection", "close")
	}
	if p.Status == http.StatusTooManyRequests || p.retryAfter > 0 {
		after := p.retryAfter
		if after <= 0 {
			after = defaultRetryAfter
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // only the connection can fail here
}

// problemOf returns the answer to an event whose call of function ended with err. EndOf decides
// whether the error is about this call: a refusal that the function got from another function,
// and returned, is the function's own failure.
func problemOf(function string, err error) *problem {
	end := faas.EndOf(err, function)
	if end.Err == nil {
		return problemOfFunction(err)
	}
	p := problemOfRefusal(end.Kind)
	if end.Kind == faas.KindNone {
		p = problemOfOutcome(end.Outcome)
	} else if p.Reason == "" {
		p.Reason = string(end.Err.Reason)
	}
	p.retryAfter = end.Err.RetryAfter
	if p.Status == http.StatusServiceUnavailable {
		p.retryAfter = max(p.retryAfter, defaultRetryAfter)
	}
	if end.Err.ID != uuid.Nil {
		p.Invocation = end.Err.ID.String()
	}
	return p
}

// problemOfSend is problemOf for an event that was not accepted as a job. If the queue failed,
// the answer says only that events can't be accepted now.
func problemOfSend(function string, err error) *problem {
	switch {
	case faas.EndOf(err, function).Kind != faas.KindNone:
		return problemOf(function, err)
	case errors.Is(err, faas.ErrClosed):
		p := problemOfRefusal(faas.KindClosed)
		p.Reason, p.retryAfter = string(faas.ReasonClosed), defaultRetryAfter
		return p
	}
	return &problem{Status: http.StatusServiceUnavailable, Reason: "jobs", Detail: "events can't be accepted now", retryAfter: defaultRetryAfter}
}

// problemOfRefusal returns the problem of a call that was refused. Its status is that of the
// table in the package's documentation. If it has no Reason, problemOf gives it the Reason of
// the call's error.
func problemOfRefusal(kind faas.Kind) *problem {
	switch kind {
	case faas.KindNone:
	case faas.KindNotFound:
		return &problem{Status: http.StatusNotFound, Reason: "no_route", Detail: "the event's function does not exist"}
	case faas.KindDenied:
		return &problem{Status: http.StatusForbidden, Detail: "the call is not permitted"}
	case faas.KindInvalid:
		return &problem{Status: http.StatusBadRequest, Detail: "the event's data is not an input of the function, or the tenant is invalid"}
	case faas.KindTooLarge:
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: "the event is larger than the function takes"}
	case faas.KindBusy:
		return &problem{Status: http.StatusTooManyRequests, Detail: "the call was refused for now"}
	case faas.KindUnavailable:
		return &problem{Status: http.StatusServiceUnavailable, Detail: "a resource that the function needs is not available for now"}
	case faas.KindNesting:
		return &problem{Status: http.StatusInternalServerError, Detail: "the call is part of a loop, or of too long a chain"}
	case faas.KindClosed:
		return &problem{Status: http.StatusServiceUnavailable, Detail: "the functions are being shut down"}
	case faas.KindCanceled:
		return problemOfOutcome(faas.Canceled)
	}
	return problemOfOutcome(faas.Failed)
}

// problemOfOutcome returns the problem of a call that began and did not succeed.
func problemOfOutcome(o faas.Outcome) *problem {
	switch o {
	case faas.TimedOut:
		return &problem{Status: http.StatusGatewayTimeout, Reason: "timeout", Detail: "the function did not answer in time"}
	case faas.Canceled:
		return &problem{Status: http.StatusServiceUnavailable, Reason: "canceled", Detail: "the call was canceled"}
	case faas.OutputInvalid:
		return &problem{Status: http.StatusInternalServerError, Reason: "output", Detail: "the function's answer can't be used"}
	case faas.OK, faas.Failed, faas.Panicked, faas.Exited, faas.InitFailed:
	}
	return &problem{Status: http.StatusInternalServerError, Reason: "failed", Detail: "the function failed"}
}

// problemOfFunction returns the answer to an event whose function returned err. If err is a
// Result of the SDK with a status of 4xx or 5xx, its status and text are for the sender. The
// text of any other error may be secret and is not sent.
func problemOfFunction(err error) *problem {
	var result *cehttp.Result
	if errors.As(err, &result) && result != nil && result.StatusCode >= 400 && result.StatusCode <= 599 {
		return &problem{Status: result.StatusCode, Reason: "failed", Detail: fmt.Errorf(result.Format, result.Args...).Error()}
	}
	return problemOfOutcome(faas.Failed)
}
