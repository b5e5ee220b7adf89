package admin

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// handler is the API of one router.
type handler struct {
	settings

	router    *faas.Router
	started   time.Time
	epoch     string // different after each start of the host
	guard     *http.CrossOriginProtection
	mux       *http.ServeMux
	endpoints []*endpoint
	trail     trail
	live      live
}

// route serves an endpoint of a handler.
type route struct {
	h *handler
	e *endpoint
}

// ServeHTTP serves an endpoint.
func (rt route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := rt.h.begin(w, r, rt.e)
	out, err := x.serve()
	x.end(out, err)
}

func (h *handler) begin(w http.ResponseWriter, r *http.Request, e *endpoint) *exchange {
	x := &exchange{h: h, e: e, w: w, r: r, who: access.Caller(r.Context())}
	if h.authorize == nil {
		x.who = loopbackPrincipal()
	}
	x.entry = Entry{
		Time: time.Now(), Principal: x.who, From: clip(r.RemoteAddr, 100), Verb: e.verb, Right: e.right,
		Method: clip(r.Method, 20), Path: clip(r.URL.Path, 300),
	}
	return x
}

// permits calls the authorizer; it is the only place that does so. If the authorizer panics,
// the action is denied.
func (h *handler) permits(ctx context.Context, p access.Principal, a Action) (yes bool) {
	if h.authorize == nil {
		return h.loopback
	}
	defer func() {
		if recover() != nil {
			slog.Warn("admin: the authorizer panicked, which denies", "verb", a.Verb, "principal", p)
			yes = false
		}
	}()
	return h.authorize(ctx, p, a) == nil
}

// loopbackPrincipal is the principal of all requests under WithInsecureLoopback.
func loopbackPrincipal() access.Principal { return access.Principal{Kind: "local", ID: "loopback"} }

// clip cuts a text that comes from outside to n bytes, for audits and problems.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
