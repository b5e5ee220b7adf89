package faasevents

import (
	"net/http"
	"slices"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas"
)

// Handler receives CloudEvents and calls the functions of r with them, as the package's
// documentation describes. It may be mounted at any path, and used concurrently. It stores
// nothing between requests.
//
// The calls run with the request's context. If the sender disconnects, they are canceled. If a
// handler in front of this one has set a tenant with [faas.WithTenant], the calls have that
// tenant. Handler sets no timeout, because functions have theirs; the http.Server must bound
// the time to read a body.
//
// It panics with a [*faas.Error] in the cases in which [TryHandler] returns an error. The
// error's text says how to correct it.
func Handler(r *faas.Router, opts ...Option) http.Handler {
	h, err := TryHandler(r, opts...)
	if err != nil {
		panic(err)
	}
	return h
}

// TryHandler is like [Handler] but returns an error instead of panicking, for
// patterns that come from outside, for example from a file. Its error Is
// [faas.ErrInput] and, if a pattern is wrong, As a [*PatternError].
func TryHandler(r *faas.Router, opts ...Option) (http.Handler, error) {
	if r == nil {
		return nil, &faas.Error{Op: "handle events", Err: faas.ErrInput}
	}
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return &handler{settings: s, caller: caller{router: r, source: s.source, becomesJob: s.becomesJob}}, nil
}

// handler is the http.Handler that Handler returns. It is not changed after TryHandler, so that requests use
// it without a lock.
type handler struct {
	settings
	caller
}

// ServeHTTP answers the handshake, refuses requests that are not deliveries, and delivers the
// rest.
func (h *handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case req.Method == http.MethodOptions && h.origins != nil:
		h.grant(w, req)
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", h.allowed())
		writeProblem(w, &problem{Status: http.StatusMethodNotAllowed, Reason: "method", Detail: "events must be sent by POST"})
	case !h.permitted(req):
		writeProblem(w, &problem{Status: http.StatusForbidden, Reason: "origin", Detail: "a delivery must have the header WebHook-Request-Origin with an origin that was granted"})
	default:
		h.deliver(w, req)
	}
}

// deliver decodes and routes all events of a request before it calls a function, so that a
// batch with one bad event calls none.
func (h *handler) deliver(w http.ResponseWriter, req *http.Request) {
	m, p := h.read(req)
	var functions []string
	if p == nil {
		functions, p = h.routeAll(m)
	}
	if p != nil {
		writeProblem(w, p)
		return
	}
	// From here on functions run. An error from here on is about an event, and not about the
	// request.
	if m.mode == batched {
		h.deliverBatch(w, req, m.events, functions)
		return
	}
	var a answer
	if functions[0] != "" {
		a, p = h.call(req.Context(), functions[0], m.events[0])
	}
	if p != nil {
		writeProblem(w, p)
		return
	}
	writeAnswer(w, m.mode, a)
}

// routeAll returns the function of each event. An empty name means that the event is dropped
// ([WithUnmatchedDropped]).
func (h *handler) routeAll(m message) ([]string, *problem) {
	functions := make([]string, len(m.events))
	for i, e := range m.events {
		functions[i] = h.route(e)
		if functions[i] == "" && !h.dropUnmatched {
			p := &problem{Status: http.StatusNotFound, Reason: "no_route", Detail: "no pattern matches the event"}
			return nil, m.at(i, p)
		}
	}
	return functions, nil
}

// route returns the function of the first pattern that matches e, or "". It makes the fields of
// the event once for all patterns.
func (h *handler) route(e cloudevents.Event) string {
	asksData := slices.ContainsFunc(h.routes, func(r route) bool { return r.pattern.fields.Names("data") })
	fields := fieldsOf(e, asksData)
	for _, r := range h.routes {
		if r.pattern.fields.Match(fields) {
			return r.function
		}
	}
	return ""
}
