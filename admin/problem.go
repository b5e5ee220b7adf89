package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/inproc/faas"
)

// Problem is an error answer: a document of RFC 9457, with the media type
// application/problem+json. Clients of the API decode it as an error.
type Problem struct { //nolint:errname // it is the noun of RFC 9457
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Reason is one word, for programs: absent, unauthenticated, option, input, writes, origin,
	// host, busy, stale, conflict, media_type, too_large, method, closed or failed.
	Reason string `json:"reason"`
	// Option is the option of Handler that this part of the API needs and the host has not set.
	Option string `json:"option,omitempty"`

	retryAfter time.Duration
}

// Error returns the detail, or the title if there is none.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

func problem(status int, reason, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Reason: reason, Detail: detail}
}

// absent returns the answer for something that does not exist, and for something that the
// viewer may not know of. Both answers are made here, so that they are the same byte for byte.
func absent() *Problem {
	return problem(http.StatusNotFound, "absent", "There is no such thing, or you may not see it.")
}

// missing returns the answer for a part of the API whose option the host has not set.
func missing(option string) *Problem {
	p := problem(http.StatusNotFound, "option", "The host does not show this; the option admin."+option+" would show it.")
	p.Option = option
	return p
}

func badInput(detail string) *Problem { return problem(http.StatusBadRequest, "input", detail) }

// problemOf returns the answer for an error of an endpoint. It does not pass on the text of an
// error that is not the platform's, since that may contain anything.
func problemOf(err error) *Problem {
	var own *Problem
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, faas.ErrNotFound), errors.Is(err, faas.ErrForgotten):
		return absent()
	case errors.Is(err, faas.ErrStale), errors.Is(err, faas.ErrRevision):
		return problem(http.StatusConflict, "stale", "It has been changed since you read it; read it again.")
	case errors.Is(err, faas.ErrSettled):
		return problem(http.StatusConflict, "conflict", "The job has ended.")
	case errors.Is(err, faas.ErrClosed):
		return problem(http.StatusServiceUnavailable, "closed", "The host is shutting down.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusServiceUnavailable, "busy", "It took too long.")
	}
	return platformProblem(err)
}

// platformProblem returns the answer for an error of the router's own methods.
func platformProblem(err error) *Problem {
	var e *faas.Error
	if !errors.As(err, &e) {
		return problem(http.StatusInternalServerError, "failed", "The request failed; the host's log may say why.")
	}
	switch {
	case errors.Is(e, faas.ErrDenied):
		return absent()
	case errors.Is(e, faas.ErrOverloaded):
		p := problem(http.StatusTooManyRequests, "busy", "There is no room at present.")
		p.retryAfter = max(e.RetryAfter, time.Second)
		return p
	case errors.Is(e, faas.ErrTooLarge):
		return problem(http.StatusRequestEntityTooLarge, "too_large", "The input is larger than the function takes.")
	case errors.Is(e, faas.ErrInput), errors.Is(e, faas.ErrName), errors.Is(e, faas.ErrType):
		return badInput(e.Error())
	}
	return problem(http.StatusInternalServerError, "failed", "The request failed; the host's log may say why.")
}

func (p *Problem) write(w http.ResponseWriter) {
	doc, err := json.Marshal(p)
	if err != nil {
		doc = []byte(`{}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(doc) // an error means that the client has gone
}
