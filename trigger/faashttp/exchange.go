package faashttp

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/inproc/faas"
)

// exchange is one request and its answer, in any of the three dialects.
//
// It is also the context of its call, and holds what [Carry] carries to the
// handler, so that a request costs one object instead of three. The handler never
// gets this context itself: the router makes a fresh one, and Carry copies what
// belongs to it.
//
// An exchange belongs to the goroutine that serves the request. Only
// its stream writer is called by another one, the router's sending goroutine, and
// never at the same time.
type exchange struct {
	context.Context //nolint:containedctx // of the request

	settings *settings
	w        http.ResponseWriter
	r        *http.Request
	server   *http.Server    // it sets this request's deadlines; nil on HTTP/2, and without net/http's server
	ctx      context.Context //nolint:containedctx // of the call: a context around the exchange that has the origin, and the tenant
	carried  carried
	executed *faas.Resolution // what the call ran, see resolving
	began    time.Duration    // when the request came, since settings.made
	wrote    bool             // extendWriteDeadline was called
	bodyRead int              // bytes read of a body that was too large
	headers  [4]string        // the values that setHeader has set
}

// Value implements context.Context. It answers for what the front carries, and asks
// the context of the request for all else.
func (x *exchange) Value(key any) any {
	if _, ok := key.(carriedKey); ok {
		return &x.carried
	}
	return x.Context.Value(key)
}

// deadlines are the methods that net/http's own response writers have. A writer of
// a middleware, which wraps one of those, is reached through
// [http.ResponseController]. Calling the methods directly, where they exist, saves
// each request an allocation.
type deadlines interface {
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// setReadDeadline ignores writers without deadlines, such as those of tests.
func (x *exchange) setReadDeadline(t time.Time) {
	if d, ok := x.w.(deadlines); ok {
		_ = d.SetReadDeadline(t)
	} else {
		_ = http.NewResponseController(x.w).SetReadDeadline(t)
	}
}

// setWriteDeadline ignores writers without deadlines too.
func (x *exchange) setWriteDeadline(t time.Time) {
	if d, ok := x.w.(deadlines); ok {
		_ = d.SetWriteDeadline(t)
	} else {
		_ = http.NewResponseController(x.w).SetWriteDeadline(t)
	}
}

// canAnswerEarly reports whether an answer can be complete before ServeHTTP returns, while the
// goroutine that called it is busy. That is so for net/http's own writer on HTTP/1.1. On
// HTTP/2 the end of the answer is only sent when ServeHTTP returns. And nothing is known of a
// writer that wraps another, for example whether it keeps the answer until then. It has a type
// of its own, whatever methods it has.
func (x *exchange) canAnswerEarly() bool {
	if x.server == nil || !x.r.ProtoAtLeast(1, 1) {
		return false
	}
	t := reflect.TypeOf(x.w)
	if t == x.settings.ownWriter.Load() {
		return true
	}
	own := t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "net/http" && t.Elem().Name() == "response"
	if own {
		x.settings.ownWriter.Store(t)
	}
	return own
}

func (x *exchange) flush() error { return http.NewResponseController(x.w).Flush() }

// setHeader sets a response header; name must be in canonical form. n is the
// element of x.headers that holds the value: a slice of that array saves the
// allocation of [http.Header.Set].
func (x *exchange) setHeader(n int, name, value string) {
	x.headers[n] = value
	x.w.Header()[name] = x.headers[n : n+1 : n+1]
}

// begin opens the exchange of a request. Even with an error the exchange is valid,
// to answer with.
//
// The server's WriteTimeout counts from the end of the request's header and may
// pass while the function is still within its own time. On HTTP/1 a passed deadline
// only matters at the next write, and extendWriteDeadline sets a new one before
// that. On HTTP/2 it would reset the stream at once, so begin removes it.
//
// The origin is that of the request's calls; its RequestID is set.
func (s *settings) begin(w http.ResponseWriter, r *http.Request, o faas.Origin) (*exchange, error) {
	x := &exchange{Context: r.Context(), settings: s, w: w, r: r, began: time.Since(s.made)}
	x.ctx, x.carried.ID = faas.WithOrigin(x, o), o.RequestID
	if r.ProtoMajor > 1 {
		x.setWriteDeadline(time.Time{})
	} else {
		x.server, _ = x.Context.Value(http.ServerContextKey).(*http.Server)
	}
	if trace := first(r.Header, "Traceparent"); isTraceParent(trace) {
		x.carried.TraceParent = trace
		if state := first(r.Header, "Tracestate"); isTraceState(state) {
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
	x.ctx = faas.WithTenant(x.ctx, tenant)
	return x, nil
}

// resolving returns the context of the call, which then writes to x.executed what it runs. That
// has an allocation of its own: a handler that keeps its context must not keep the exchange.
func (x *exchange) resolving() context.Context {
	x.executed = &faas.Resolution{}
	return faas.WithResolution(x.ctx, x.executed)
}

// rename gives the request another id.
func (x *exchange) rename(header, id string) {
	x.carried.ID, x.ctx = id, faas.WithOrigin(x.ctx, faas.Origin{RequestID: id})
	x.w.Header().Set(header, id)
}

// serverBoundsWrite reports whether the deadline that the server set at the
// request's header still leaves about t, which is so if the call took less than a
// second. Then a deadline of our own, which costs a timer, adds nothing.
func (x *exchange) serverBoundsWrite(t time.Duration) bool {
	s := x.server
	return s != nil && s.WriteTimeout == t && time.Since(x.settings.made)-x.began < time.Second
}

// extendWriteDeadline gives the client the full write timeout for the next write.
// Call it before each write.
func (x *exchange) extendWriteDeadline() {
	t, first := x.settings.writeTimeout, !x.wrote
	x.wrote = true
	if t <= 0 || first && x.serverBoundsWrite(t) {
		return
	}
	x.setWriteDeadline(time.Now().Add(t))
}

// isHidden reports whether the caller must not learn that the function exists. It
// asks the gates, because a call that fails before them, such as one with a body
// that is too large, has not been judged by them yet.
func (x *exchange) isHidden(r *faas.Router, name string) bool {
	return !x.settings.forbidden && x.isDenied(r, name)
}

// isDenied reports whether a gate keeps the caller from the function.
func (x *exchange) isDenied(r *faas.Router, name string) bool {
	return x.before(r, name) == faas.KindDenied
}

// before returns the kind of the refusal that a call of this function meets
// whatever its input is.
func (x *exchange) before(r *faas.Router, name string) faas.Kind {
	return faas.EndOf(r.DryRun(x.ctx, name), name).Kind
}

// reply writes a whole answer. An empty contentType leaves the header as it is.
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

// mustJSON encodes values of strings and numbers, for which encoding can't fail.
func mustJSON(v any) []byte {
	doc, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return doc
}
