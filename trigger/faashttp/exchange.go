package faashttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/bounded"
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
	writes   bool          // something is written, or about to be
	came     int           // of a body that was too large
	heads    [3]string     // values of response headers
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

// set sets a response header whose name is in its canonical form, n being which
// of heads has its value.
func (x *exchange) set(n int, name, value string) {
	x.heads[n] = value
	x.w.Header()[name] = x.heads[n : n+1 : n+1]
}

// What is wrong with a request before it reaches the router.
var (
	errTenant   = errors.New("the tenant header is malformed")
	errEncoding = errors.New("the body is encoded")
	errTooLarge = errors.New("the body is too large")
	errSlow     = errors.New("the body did not come in time")
	errBroken   = errors.New("the body could not be read")
)

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

// first is the first value of a header whose name is in its canonical form, as
// those that the server has read are.
func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// outliving is ctx for a call that goes on after the request: with its values,
// without its end, and without the request itself, which would be kept as long.
func (x *exchange) outliving() context.Context {
	ctx := Carry(x, context.WithoutCancel(x.Context))
	if x.tenant != "" {
		ctx = faas.WithTenant(ctx, x.tenant)
	}
	return ctx
}

// firstRoom is how much memory a client gets for announcing a body: the rest
// is for sending it.
const firstRoom = 64 << 10

// body reads the request's body to its end, before the router hears of the
// call: how slowly it comes is then nobody's slot. It reads one byte beyond
// limit at the most.
func (x *exchange) body(limit int) ([]byte, error) {
	if isEncoded(x.r.Header) {
		return nil, errEncoding
	}
	return x.encodedBody(limit)
}

// isEncoded tells whether a body comes in an encoding of its own, such as gzip.
func isEncoded(h http.Header) bool {
	for _, e := range h["Content-Encoding"] {
		if e != "" && !strings.EqualFold(e, "identity") {
			return true
		}
	}
	return false
}

// encodedBody is body, in whatever encoding it comes.
func (x *exchange) encodedBody(limit int) ([]byte, error) {
	if x.r.ContentLength > int64(limit) {
		return nil, errTooLarge
	}
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return nil, nil
	}
	data, more, err := x.read(limit)
	if more {
		x.came = len(data) + 1
		return nil, errTooLarge
	}
	return data, err
}

// read takes the body up to limit, and tells whether there is more. One whose
// announced length costs little is read into just that.
func (x *exchange) read(limit int) (data []byte, more bool, err error) {
	if n := x.r.ContentLength; n >= 0 && n <= firstRoom {
		data = make([]byte, n)
		return data, false, x.timed(func(body io.Reader) error {
			_, err := io.ReadFull(body, data)
			return err
		})
	}
	err = x.timed(func(body io.Reader) (err error) {
		data, more, err = bounded.Read(body, int64(limit))
		return err
	})
	return data, more, err
}

// timed reads the body within its time.
func (x *exchange) timed(read func(body io.Reader) error) error {
	t := x.settings.bodyTime
	own := t > 0 && !x.serverReads(t)
	if own {
		x.setReadDeadline(time.Now().Add(t))
	}
	err := read(x.r.Body)
	if own {
		// From here on the server reads the connection only to see whether the
		// client is still there; a deadline would look as if it had gone. One of
		// its own it lifts itself.
		x.setReadDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlow
	}
	return errBroken
}

// serverReads tells whether the server has set a deadline for the whole request
// that leaves no more than this time: another costs a timer for each request.
func (x *exchange) serverReads(t time.Duration) bool {
	s := x.server
	return s != nil && s.ReadTimeout > 0 && s.ReadTimeout <= t
}

// serverWrites tells whether the deadline that the server set with the request's
// header leaves this time, to the second, as it does where the call was quick.
func (x *exchange) serverWrites(t time.Duration) bool {
	s := x.server
	return s != nil && s.WriteTimeout == t && time.Since(x.settings.made)-x.began < time.Second
}

// unknownLimit is how much is read for a function that is not there: as much
// as by default for one that is.
const unknownLimit = 6 << 20

// swallow takes the body of a call that is answered as if its function were not
// there, and what was wrong with the body does not matter. It is what both
// kinds go through, so that not even the connection tells them apart.
func (x *exchange) swallow(why error) {
	switch {
	case errors.Is(why, errSlow), errors.Is(why, errBroken), x.r.Body == nil:
		return
	case x.r.ContentLength > unknownLimit:
		x.hangUp()
		return
	}
	more := false
	err := x.timed(func(body io.Reader) (err error) {
		more, err = bounded.Skip(body, int64(unknownLimit-x.came))
		return err
	})
	if err != nil || more {
		x.hangUp()
	}
}

// hangUp ends the connection with the answer, since there is more to come on it
// than anybody wants to read.
func (x *exchange) hangUp() { x.w.Header().Set("Connection", "close") }

// patient gives the client its time for the next thing that is written.
func (x *exchange) patient() {
	t, first := x.settings.writeTime, !x.writes
	x.writes = true
	if t <= 0 || first && x.serverWrites(t) {
		return
	}
	x.setWriteDeadline(time.Now().Add(t))
}

// breakOff ends the connection in the middle of an answer, so that half of it is
// not taken for the whole. It panics, as net/http has it.
//
// HTTP/1.1 and 2 say where an answer ends, so that one which ends before is seen
// to be broken. Over HTTP/1.0, which nginx speaks to its upstreams unless it is
// told otherwise, a stream ends with its connection: only a connection that is
// reset instead of closed says that it has not.
func (x *exchange) breakOff() {
	if !x.r.ProtoAtLeast(1, 1) {
		x.reset()
	}
	panic(http.ErrAbortHandler)
}

// reset ends a TCP connection with RST.
func (x *exchange) reset() {
	c, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return
	}
	for {
		below, ok := c.(interface{ NetConn() net.Conn }) // TLS, which would take its leave
		if !ok {
			break
		}
		c = below.NetConn()
	}
	if tcp, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // then Close discards what is not sent, and resets
	}
	_ = c.Close()
}

// breaksOff tells whether a client would notice breakOff: without chunks, over
// what is no TCP, or where the connection is out of reach, it would not. It gets
// a stream as a whole then, with its length.
func (x *exchange) breaksOff() bool {
	if x.r.ProtoAtLeast(1, 1) {
		return true
	}
	_, tcp := x.Context.Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return tcp && canHijack(x.w)
}

func canHijack(w http.ResponseWriter) bool {
	for {
		if _, ok := w.(http.Hijacker); ok {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

// hides tells whether the caller is not to know that there is such a function.
// It asks the gates, which a call that fails before them has not passed.
func (x *exchange) hides(r *faas.Router, name string) bool {
	return !x.settings.forbidden && x.denies(r, name)
}

// denies tells whether a gate keeps the caller from a function.
func (x *exchange) denies(r *faas.Router, name string) bool {
	return x.before(r, name) == faas.KindDenied
}

// before is the kind of refusal that a call meets whatever its input is.
func (x *exchange) before(r *faas.Router, name string) faas.Kind {
	return faas.EndOf(r.DryRun(x.ctx, name), name).Kind
}
