package faasevents

import (
	"net/http"
	"slices"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas"
)

// Handler receives CloudEvents and calls the functions of r with them; the
// package's documentation says how. It may be mounted at any path, and used
// concurrently. It holds nothing between requests.
//
// A request's context is that of its calls: a sender that hangs up cancels
// them, and a tenant that was said with [faas.WithTenant] by what is in front
// of the handler is theirs. It sets no timeout of its own, since functions have
// theirs; the time to read a body is for the http.Server to bound.
//
// It panics with a [*faas.Error] that names the cure where [TryHandler] returns
// one.
func Handler(r *faas.Router, opts ...Option) http.Handler {
	h, err := TryHandler(r, opts...)
	if err != nil {
		panic(err)
	}
	return h
}

// TryHandler is [Handler] for patterns that come from outside. Its error Is
// [faas.ErrInput] and As a [*PatternError], if that is what is wrong.
func TryHandler(r *faas.Router, opts ...Option) (http.Handler, error) {
	if r == nil {
		return nil, &faas.Error{Op: "handle events", Err: faas.ErrInput}
	}
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return &handler{settings: s, router: r}, nil
}

type handler struct {
	settings

	router *faas.Router
}

func (h *handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case req.Method == http.MethodOptions && h.origins != nil:
		h.grant(w, req)
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", h.allowed())
		writeProblem(w, &problem{Status: http.StatusMethodNotAllowed, Reason: "method", Detail: "events are delivered by POST"})
	case !h.permitted(req):
		writeProblem(w, &problem{Status: http.StatusForbidden, Reason: "origin", Detail: "deliveries have to carry the WebHook-Request-Origin that was granted"})
	default:
		h.deliver(w, req)
	}
}

func (h *handler) deliver(w http.ResponseWriter, req *http.Request) {
	m, p := h.read(w, req)
	if p != nil {
		writeProblem(w, p)
		return
	}
	functions, p := h.routeAll(m)
	if p != nil {
		writeProblem(w, p)
		return
	}
	if m.mode == batched {
		h.deliverBatch(w, req, m.events, functions)
		return
	}
	if functions[0] == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	reply, p := h.call(req.Context(), functions[0], m.events[0])
	switch {
	case p != nil:
		writeProblem(w, p)
	case reply == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		writeReply(w, m.mode, reply)
	}
}

// routeAll finds each event's function; empty means that it is dropped.
func (h *handler) routeAll(m message) ([]string, *problem) {
	functions := make([]string, len(m.events))
	for i, e := range m.events {
		functions[i] = h.route(e)
		if functions[i] == "" && !h.dropUnmatched {
			p := &problem{Status: http.StatusNotFound, Reason: "no_route", Detail: "no route takes the event"}
			return nil, m.at(i, p)
		}
	}
	return functions, nil
}

// route looks at an event once, however many routes there are.
func (h *handler) route(e cloudevents.Event) string {
	asksData := slices.ContainsFunc(h.routes, func(r route) bool { return r.pattern.root.names("data") })
	fields := fieldsOf(e, asksData)
	for _, r := range h.routes {
		if r.pattern.root.match(fields) {
			return r.function
		}
	}
	return ""
}
