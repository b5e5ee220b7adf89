package faashttp

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/inproc/faas"
)

// Problem is an error that a handler returns to choose what the HTTP front
// answers; any other error of a handler is a 500 that says no more than that
// the function failed. The answer is an application/problem+json of RFC 9457.
type Problem struct { //nolint:errname // it is the noun of RFC 9457
	Status     int           // 400 to 599; any other is 500
	Reason     string        // one word for programs; empty: "failed"
	Detail     string        // for the caller to read; he sees all of it
	RetryAfter time.Duration // when another try may succeed; 0: not known
	Err        error         // the cause, for records and logs; the caller never sees it
}

// Error is the detail, or what the status means.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return http.StatusText(p.status())
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

func (p *Problem) status() int {
	if p.Status < 400 || p.Status > 599 {
		return http.StatusInternalServerError
	}
	return p.Status
}

// problemOf says in HTTP how a call ended.
func (s *settings) problemOf(err error, function string) *Problem {
	end, e := endingOf(err, function)
	switch end {
	case notFound:
		return unknown()
	case denied:
		if !s.forbidden {
			return unknown()
		}
		return &Problem{Status: http.StatusForbidden, Reason: string(e.Reason), Detail: "You may not call this function."}
	case badInput:
		return &Problem{Status: http.StatusBadRequest, Reason: "input", Detail: "The body is not an input of this function."}
	case inputTooLarge:
		return problemOfRequest(errTooLarge)
	case overloaded:
		return &Problem{Status: http.StatusTooManyRequests, Reason: string(e.Reason), Detail: "No room for the call; try again later.", RetryAfter: max(e.RetryAfter, 1)}
	case closed:
		return &Problem{Status: http.StatusServiceUnavailable, Reason: "closed", Detail: "The host is shutting down.", RetryAfter: 1}
	case failed:
		if own, ok := errors.AsType[*Problem](err); ok {
			return own
		}
	default:
	}
	return outcomeProblem(end)
}

func outcomeProblem(end ending) *Problem {
	switch end {
	case timedOut:
		return &Problem{Status: http.StatusGatewayTimeout, Reason: "timed_out", Detail: "The function did not answer in time."}
	case canceled:
		return &Problem{Status: http.StatusServiceUnavailable, Reason: "canceled", Detail: "The call was canceled."}
	case panicked:
		return &Problem{Reason: "panicked", Detail: "The function failed."}
	case exited:
		return &Problem{Reason: "exited", Detail: "The function failed."}
	case outputInvalid:
		return &Problem{Reason: "output", Detail: "The function's answer could not be encoded."}
	case outputTooLarge:
		return &Problem{Reason: "output_too_large", Detail: "The function's answer is too large."}
	case initFailed:
		return &Problem{Reason: "init_failed", Detail: "The function could not be started."}
	default:
		return &Problem{Detail: "The function failed."}
	}
}

// unknown is the answer to who may not know, word for word, and to who asks
// for what is not there.
func unknown() *Problem {
	return &Problem{Status: http.StatusNotFound, Reason: string(faas.ReasonNotFound), Detail: "There is no such function."}
}

func problemOfRequest(err error) *Problem {
	switch {
	case errors.Is(err, errTooLarge):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Reason: "too_large", Detail: "The body is larger than the function takes."}
	case errors.Is(err, errEncoding):
		return &Problem{Status: http.StatusUnsupportedMediaType, Reason: "encoding", Detail: "Bodies are taken without Content-Encoding."}
	case errors.Is(err, errSlow):
		return &Problem{Status: http.StatusRequestTimeout, Reason: "slow", Detail: "The body did not come in time."}
	case errors.Is(err, errTenant):
		return &Problem{Status: http.StatusBadRequest, Reason: "tenant", Detail: "The tenant header is malformed."}
	}
	return &Problem{Status: http.StatusBadRequest, Reason: "body", Detail: "The body could not be read."}
}

// json is the document of RFC 9457; type is left out, which means about:blank.
func (p *Problem) json(id string) []byte {
	reason := p.Reason
	if reason == "" {
		reason = "failed"
	}
	doc, _ := json.Marshal(struct { // strings and a number: it can't fail
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		Reason    string `json:"reason"`
		RequestID string `json:"requestId"`
	}{http.StatusText(p.status()), p.status(), p.Detail, reason, id})
	return doc
}

// fail answers a problem.
func (x *exchange) fail(p *Problem) {
	x.patient()
	doc := p.json(x.carried.ID)
	h := x.w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	if p.RetryAfter > 0 {
		retryAfter(h, p.RetryAfter)
	}
	x.w.WriteHeader(p.status())
	_, _ = x.w.Write(doc) // a client that has gone needs no answer
}
