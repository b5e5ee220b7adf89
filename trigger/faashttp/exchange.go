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
// It is also the context of its call, and contains the values that [Carry] copies for the
// handler. So a request allocates one object instead of three. The handler never gets this
// context itself: the router makes a fresh one, and Carry copies the values into it.
//
// The goroutine that serves the request owns its exchange. Two other goroutines use it while
// the owner waits or runs the handler, and never at the same time: the router's sending
// goroutine calls its stream writer, and the goroutine of the deadline answers a call of
// InvokeFunc whose handler has not returned. Both are done when the router's method returns to
// the owner.
type exchange struct {
	context.Context //nolint:containedctx // of the request

	settings *settings
	w        http.ResponseWriter
	r        *http.Request
	server   *http.Server    // its timeouts apply to this request; nil on HTTP/2, and without net/http's server
	ctx      context.Context //nolint:containedctx // of the call: wraps the exchange and adds the origin and the tenant
	carried  carried
	executed *faas.Resolution // the function and version that the call got, see resolving
	began    time.Duration    // when the request came, counted from settings.made
	wrote    bool             // extendWriteDeadline was called
	bodyRead int              // how many bytes of a too large body were read
	headers  [4]string        // the values that setHeader has set
}

// Value implements context.Context. It returns x.carried for carriedKey, and the value of the
// request's context for any other key.
func (x *exchange) Value(key any) any {
	if _, ok := key.(carriedKey); ok {
		return &x.carried
	}
	return x.Context.Value(key)
}

// deadlines are the methods that net/http's own response writers have. A middleware's writer
// usually has no such methods; [http.ResponseController] finds those of the writer inside it.
// Calling the methods directly, where they exist, saves each request an allocation.
type deadlines interface {
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// setReadDeadline does nothing if the writer has no deadlines, as in tests.
func (x *exchange) setReadDeadline(t time.Time) {
	if d, ok := x.w.(deadlines); ok {
		_ = d.SetReadDeadline(t)
	} else {
		_ = http.NewResponseController(x.w).SetReadDeadline(t)
	}
}

// setWriteDeadline does nothing if the writer has no deadlines.
func (x *exchange) setWriteDeadline(t time.Time) {
	if d, ok := x.w.(deadlines); ok {
		_ = d.SetWriteDeadline(t)
	} else {
		_ = http.NewResponseController(x.w).SetWriteDeadline(t)
	}
}

// canAnswerEarly reports whether a whole answer can reach the client before ServeHTTP returns,
// while the goroutine of ServeHTTP still runs the handler. This holds for net/http's own writer
// on HTTP/1.1. On HTTP/2 the end of the answer is sent only when ServeHTTP returns. A writer
// that wraps another may keep the answer until then, so it does not count. It is recognized by
// its type, because it may have all methods of net/http's writer.
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

// setHeader sets a response header; name must be in canonical form. n is the index in x.headers
// where the value is stored: a slice of that array saves the allocation of [http.Header.Set].
func (x *exchange) setHeader(n int, name, value string) {
	x.headers[n] = value
	x.w.Header()[name] = x.headers[n : n+1 : n+1]
}

// begin makes the exchange of a request. If it returns an error, the exchange is valid too, and
// the caller answers the request with it. o is the origin of the request's calls; its RequestID
// must be set.
//
// The server's WriteTimeout counts from the end of the request's header and may pass while the
// function still has time left. On HTTP/1 a passed deadline matters only at the next write, and
// extendWriteDeadline sets a new one before each write. On HTTP/2 it would reset the stream at
// once, so begin removes it.
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

// resolving returns the context for the call. With it, the router writes to x.executed which
// function and version the call gets. x.executed is a pointer to an object of its own: the
// context refers to it, and a handler that keeps its context must not keep the exchange in
// memory.
func (x *exchange) resolving() context.Context {
	x.executed = &faas.Resolution{}
	return faas.WithResolution(x.ctx, x.executed)
}

// rename gives the request another id: in its context, its origin, and the response header.
func (x *exchange) rename(header, id string) {
	x.carried.ID, x.ctx = id, faas.WithOrigin(x.ctx, faas.Origin{RequestID: id})
	x.w.Header().Set(header, id)
}

// serverBoundsWrite reports whether the write deadline that the server has set still leaves
// about t. The server sets it after the request's header, so this holds if the call took less
// than a second. A deadline of our own would then add nothing but the cost of a timer.
func (x *exchange) serverBoundsWrite(t time.Duration) bool {
	s := x.server
	return s != nil && s.WriteTimeout == t && time.Since(x.settings.made)-x.began < time.Second
}

// extendWriteDeadline gives the client the full write timeout for the next write. Call it
// before each write.
func (x *exchange) extendWriteDeadline() {
	t, first := x.settings.writeTimeout, !x.wrote
	x.wrote = true
	if t <= 0 || first && x.serverBoundsWrite(t) {
		return
	}
	x.setWriteDeadline(time.Now().Add(t))
}

// isHidden reports whether the caller must not learn that the function exists. It runs the
// gates itself: it is needed for calls that fail before the router runs them, for example
// because the body is too large.
func (x *exchange) isHidden(r *faas.Router, name string) bool {
	return !x.settings.forbidden && x.isDenied(r, name)
}

// isDenied reports whether a gate denies the caller this function.
func (x *exchange) isDenied(r *faas.Router, name string) bool {
	return x.before(r, name) == faas.KindDenied
}

// before returns the kind of refusal that any call of this function would get, whatever its
// input is. It is KindNone if the call would not be refused before it asks for a slot.
func (x *exchange) before(r *faas.Router, name string) faas.Kind {
	return faas.EndOf(r.DryRun(x.ctx, name), name).Kind
}

// reply writes a whole answer. An empty contentType leaves the header Content-Type unchanged.
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
	_, _ = x.w.Write(body) // an error means that the client has disconnected
}

// mustJSON encodes v, which must consist of strings and numbers: their encoding can't fail.
func mustJSON(v any) []byte {
	doc, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return doc
}
