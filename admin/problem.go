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

// Problem is an answer that is no success: a document of RFC 9457, with the media type
// application/problem+json. It is the error that a client of the API decodes.
type Problem struct { //nolint:errname // it is the noun of RFC 9457
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Reason is one word for programs: absent, unauthenticated, option, input, writes,
	// origin, host, busy, stale, conflict, media_type, too_large, method, closed, failed.
	Reason string `json:"reason"`
	// Option is the option of Handler without which there is no such part of the API.
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

// absent is the answer for what there is not, and for what the viewer may not know of. Both
// are made here, so that they are equal byte for byte.
func absent() *Problem {
	return problem(http.StatusNotFound, "absent", "There is no such thing, or you may not see it.")
}

// missing is the answer for a part of the API that the host has not given.
func missing(option string) *Problem {
	p := problem(http.StatusNotFound, "option", "The host does not show this; admin."+option+" would.")
	p.Option = option
	return p
}

func badInput(detail string) *Problem { return problem(http.StatusBadRequest, "input", detail) }

// problemOf translates the error of an endpoint. Texts of errors that are not the platform's
// stay here: they may hold anything.
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

// platformProblem translates the errors of the router's own methods.
func platformProblem(err error) *Problem {
	var e *faas.Error
	if !errors.As(err, &e) {
		return problem(http.StatusInternalServerError, "failed", "It failed; the host's log may say why.")
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
	return problem(http.StatusInternalServerError, "failed", "It failed; the host's log may say why.")
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
	_, _ = w.Write(doc) // a client that has gone needs no answer
}
