package faashttp

import (
	"encoding/json"
	"errors"
	"math"
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

// ProblemOf says in HTTP how a call ended, as [Handler] does: err is what the call
// of that function answered, unwrapped ([faas.EndOf] says why). The problem has
// the status, the reason, and when to come back; it answers a request by its
// ServeHTTP. It is nil for a nil error. Of the options only [WithForbidden] plays
// a part. For a handler of your own:
//
//	out, err := resize.Invoke(r.Context(), in)
//	if err != nil {
//		faashttp.ProblemOf(err, "resize").ServeHTTP(w, r)
//		return
//	}
//
// A [Problem] that the function's handler returned comes back itself, and is not
// to be changed.
func ProblemOf(err error, function string, opts ...Option) *Problem {
	if err == nil {
		return nil
	}
	s := frontSettings(opts)
	return s.problemOf(err, function)
}

func (s *settings) problemOf(err error, function string) *Problem {
	switch end := faas.EndOf(err, function); {
	case end.Kind != faas.KindNone:
		return s.refusalProblem(end.Kind, end.Err)
	case end.Outcome == faas.Failed:
		return ownProblem(err)
	default:
		return outcomeProblem(end.Outcome, end.Err)
	}
}

// refusalProblem says what kind of refusal a call met.
func (s *settings) refusalProblem(k faas.Kind, e *faas.Error) *Problem {
	p := &Problem{Reason: string(e.Reason)}
	switch k {
	case faas.KindNotFound:
		return unknown()
	case faas.KindDenied:
		if !s.forbidden {
			return unknown()
		}
		p.Status, p.Detail = http.StatusForbidden, "You may not call this function."
	case faas.KindInvalid:
		p.Status, p.Detail = http.StatusBadRequest, "The body is not an input of this function."
	case faas.KindTooLarge:
		return problemOfRequest(errTooLarge)
	case faas.KindBusy:
		p.Status, p.Detail, p.RetryAfter = http.StatusTooManyRequests, "No room for the call; try again later.", max(e.RetryAfter, time.Second)
	case faas.KindUnavailable:
		p.Status, p.Detail, p.RetryAfter = http.StatusServiceUnavailable, "The function can't be called now; try again later.", max(e.RetryAfter, time.Second)
	case faas.KindNesting:
		p.Status, p.Detail = http.StatusLoopDetected, "The call is part of a loop, or of too long a chain."
	case faas.KindClosed:
		p.Status, p.Detail, p.RetryAfter = http.StatusServiceUnavailable, "The host is shutting down.", time.Second
	case faas.KindCanceled:
		return canceledProblem()
	case faas.KindNone: // no refusal
	}
	return p
}

// outcomeProblem says how an admitted call ended, of which the platform knows.
func outcomeProblem(o faas.Outcome, e *faas.Error) *Problem {
	failed := &Problem{Status: http.StatusInternalServerError, Reason: "failed", Detail: "The function failed."}
	switch o {
	case faas.OK, faas.Failed:
	case faas.Panicked:
		failed.Reason = "panicked"
	case faas.Exited:
		failed.Reason = "exited"
	case faas.TimedOut:
		return &Problem{Status: http.StatusGatewayTimeout, Reason: "timed_out", Detail: "The function did not answer in time."}
	case faas.Canceled:
		return canceledProblem()
	case faas.OutputInvalid:
		failed.Reason, failed.Detail = "output", "The function's answer could not be encoded."
		if isTooLarge(e) {
			failed.Reason, failed.Detail = "output_too_large", "The function's answer is too large."
		}
	case faas.InitFailed:
		failed.Reason, failed.Detail = "init_failed", "The function could not be started."
	}
	return failed
}

// canceledProblem is read by callers whose calls the host has canceled; one that
// has left reads nothing.
func canceledProblem() *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Reason: "canceled", Detail: "The call was canceled.", RetryAfter: time.Second}
}

// ownProblem is the problem that a handler has returned, if its error is one. An
// error whose methods panic is none.
func ownProblem(err error) (p *Problem) {
	p = outcomeProblem(faas.Failed, nil)
	defer func() { _ = recover() }()
	if own, ok := errors.AsType[*Problem](err); ok && own != nil {
		p = own
	}
	return p
}

// isTooLarge tells whether an output is invalid by its size. The error may have
// methods of the output's, which may panic.
func isTooLarge(e *faas.Error) (is bool) {
	defer func() { _ = recover() }()
	return errors.Is(e, faas.ErrTooLarge)
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

// ServeHTTP answers with the problem: its status, Retry-After if there is one, and
// the document of RFC 9457. The request's id in it is that of the response's
// X-Request-Id, and is put there if there is none yet.
func (p *Problem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	id := h.Get("X-Request-Id")
	if id == "" {
		id = requestID(r)
		h.Set("X-Request-Id", id)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	p.write(w, id)
}

func (p *Problem) write(w http.ResponseWriter, id string) {
	doc, h := p.json(id), w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	if p.RetryAfter > 0 {
		retryAfter(h, p.RetryAfter)
	}
	w.WriteHeader(p.status())
	_, _ = w.Write(doc) // a client that has gone needs no answer
}

// retryAfter says when to come back, in whole seconds and at least one.
func retryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
}

// fail answers a problem.
func (x *exchange) fail(p *Problem) {
	x.patient()
	p.write(x.w, x.carried.ID)
}
