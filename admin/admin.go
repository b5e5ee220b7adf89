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
// *faas.Error where [TryHandler] returns one, so that a faulty set-up is found when the
// program starts. See the package for what it needs.
//
// It may be called by many goroutines at once, and outlives the router: then it shows what
// is left. It has nothing to close; a stream ends when its client leaves, and all of them
// end when Router.Shutdown begins.
func Handler(r *faas.Router, opts ...Option) http.Handler {
	h, err := TryHandler(r, opts...)
	if err != nil {
		panic(err)
	}
	return h
}

// TryHandler is like [Handler] but returns an error that Is faas.ErrInput if there is no
// authorizer, the router is nil, or options don't fit together. Its text says what to change.
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

// routes makes the mux. What it does not know goes to "/", also a path with another method:
// that is absent, too.
func (h *handler) routes() {
	h.mux, h.endpoints = http.NewServeMux(), endpoints()
	for _, e := range h.endpoints {
		h.mux.Handle(e.method+" "+e.path, route{h, e})
	}
	h.mux.Handle("/", route{h, &endpoint{serve: func(*exchange) (any, error) { return nil, absent() }}})
}
