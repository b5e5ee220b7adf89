package faashttp

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/inproc/faas"
)

// exchange is one request and its answer, whatever the dialect. It is the context
// of its call as well, with what is carried to it: one object for all of it, as
// there is one for each request. The call's handler never sees it.
type exchange struct {
	context.Context //nolint:containedctx // the request's

	settings *settings
	w        http.ResponseWriter
	r        *http.Request
	server   *http.Server    // if it sets deadlines for each request; or nil
	ctx      context.Context //nolint:containedctx // of the call: the exchange, or what has its tenant too
	carried  carried
	tenant   string        // or empty
	began    time.Duration // since the settings were made
	wrote    bool          // something is written, or about to be
	bodyRead int           // of a body that was too large
	headers  [3]string     // values of response headers
}

// Value implements context.Context.
func (x *exchange) Value(key any) any {
	if _, ok := key.(carriedKey); ok {
		return &x.carried
	}
	return x.Context.Value(key)
}

// deadlines are what net/http's own writers have. Others are asked by way of a
// [http.ResponseController], which finds them below.
type deadlines interface {
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// A writer that has no deadlines needs none.
func (x *exchange) setReadDeadline(t time.Time) {
	if d, ok := x.w.(deadlines); ok {
		_ = d.SetReadDeadline(t)
	} else {
		_ = http.NewResponseController(x.w).SetReadDeadline(t)
	}
}

func (x *exchange) setWriteDeadline(t time.Time) {
	if d, ok := x.w.(deadlines); ok {
		_ = d.SetWriteDeadline(t)
	} else {
		_ = http.NewResponseController(x.w).SetWriteDeadline(t)
	}
}

func (x *exchange) flush() error { return http.NewResponseController(x.w).Flush() }

// setHeader sets a response header whose name is in its canonical form, n being which
// of headers has its value.
func (x *exchange) setHeader(n int, name, value string) {
	x.headers[n] = value
	x.w.Header()[name] = x.headers[n : n+1 : n+1]
}

// begin opens an exchange. A server's WriteTimeout counts from the request's
// header and passes while a function rightly takes its time. On HTTP/1 that does
// no harm before there is something to write, and then there is a new one; an
// HTTP/2 stream it would end, so there it is lifted.
func (s *settings) begin(w http.ResponseWriter, r *http.Request, id string) (*exchange, error) {
	x := &exchange{Context: r.Context(), settings: s, w: w, r: r, began: time.Since(s.made)}
	x.ctx, x.carried.ID = x, id
	if r.ProtoMajor > 1 {
		x.setWriteDeadline(time.Time{})
	} else {
		x.server, _ = x.Context.Value(http.ServerContextKey).(*http.Server)
	}
	if trace := first(r.Header, "Traceparent"); isTraceParent(trace) {
		x.carried.TraceParent = trace
		if state := first(r.Header, "Tracestate"); len(state) <= 512 && isVisible(state) {
			x.carried.TraceState = state
		}
	}
	if s.tenantHeader == "" || len(r.Header[s.tenantHeader]) == 0 {
		return x, nil
	}
	tenant := first(r.Header, s.tenantHeader)
	if len(r.Header[s.tenantHeader]) != 1 || !isTenant(tenant) {
		return x, errTenant
	}
	x.tenant, x.ctx = tenant, faas.WithTenant(x, tenant)
	return x, nil
}

// detached is ctx for a call that goes on after the request: with its values,
// without its end, and without the request itself, which would be kept as long.
func (x *exchange) detached() context.Context {
	ctx := Carry(x, context.WithoutCancel(x.Context))
	if x.tenant != "" {
		ctx = faas.WithTenant(ctx, x.tenant)
	}
	return ctx
}

// serverBoundsWrite tells whether the deadline that the server set with the request's
// header leaves this time, to the second, as it does where the call was quick.
func (x *exchange) serverBoundsWrite(t time.Duration) bool {
	s := x.server
	return s != nil && s.WriteTimeout == t && time.Since(x.settings.made)-x.began < time.Second
}

// extendWriteDeadline gives the client its time for the next thing that is written.
func (x *exchange) extendWriteDeadline() {
	t, first := x.settings.writeTimeout, !x.wrote
	x.wrote = true
	if t <= 0 || first && x.serverBoundsWrite(t) {
		return
	}
	x.setWriteDeadline(time.Now().Add(t))
}

// isHidden tells whether the caller is not to know that there is such a function.
// It asks the gates, which a call that fails before them has not passed.
func (x *exchange) isHidden(r *faas.Router, name string) bool {
	return !x.settings.forbidden && x.isDenied(r, name)
}

// denies tells whether a gate keeps the caller from a function.
func (x *exchange) isDenied(r *faas.Router, name string) bool {
	return x.before(r, name) == faas.KindDenied
}

// before is the kind of refusal that a call meets whatever its input is.
func (x *exchange) before(r *faas.Router, name string) faas.Kind {
	return faas.EndOf(r.DryRun(x.ctx, name), name).Kind
}

// reply answers all at once.
func (x *exchange) reply(status int, contentType string, body []byte) {
	x.extendWriteDeadline()
	h := x.w.Header()
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a client that has gone needs no answer
}

// mustJSON encodes what is made of strings and numbers, which can't fail.
func mustJSON(v any) []byte {
	doc, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return doc
}
