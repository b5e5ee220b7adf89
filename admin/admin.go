package admin

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Handler returns the API of a router, for paths that begin with /v1/. It panics with an
// *faas.Error where [TryHandler] returns one, so that a faulty set-up is found when the program
// starts. For its requirements see the package documentation.
//
// The handler may be called by many goroutines at once. It may be used after the router is
// closed, and then shows the router's last state. It need not be closed. A stream ends when its
// client leaves, and all streams end when Router.Shutdown begins.
func Handler(r *faas.Router, opts ...Option) http.Handler {
	h, err := TryHandler(r, opts...)
	if err != nil {
		panic(err)
	}
	return h
}

// TryHandler is like [Handler], but returns an error that Is faas.ErrInput if the router is
// nil, there is no authorizer, or options don't fit together. The error's text says what to
// change.
func TryHandler(r *faas.Router, opts ...Option) (http.Handler, error) {
	h := &handler{router: r, started: time.Now(), epoch: uuid.NewString(), guard: http.NewCrossOriginProtection()}
	for _, o := range opts {
		if o != nil {
			o.applyHandler(&h.settings)
		}
	}
	fault := h.check()
	if r == nil {
		fault = "the router is nil"
	}
	for _, origin := range h.origins {
		if err := h.guard.AddTrustedOrigin(origin); err != nil {
			fault = fmt.Sprintf("WithTrustedOrigin: %v", err)
		}
	}
	if fault != "" {
		return nil, &faas.Error{Op: "admin handler", Err: fmt.Errorf("%w: %s", faas.ErrInput, fault)}
	}
	if h.name == "" {
		h.name, _ = os.Hostname() // "" if the machine has none
	}
	h.routes()
	return h, nil
}

// routes fills the mux. Any other path, and a known path with another method, goes to "/",
// which answers that it is absent.
func (h *handler) routes() {
	h.mux, h.endpoints = http.NewServeMux(), endpoints()
	for _, e := range h.endpoints {
		h.mux.Handle(e.method+" "+e.path, route{h, e})
	}
	h.mux.Handle("/", route{h, &endpoint{serve: func(*exchange) (any, error) { return nil, absent() }}})
}
