package faashttp

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Errors of a request that is refused before it reaches the router.
var (
	errTenant   = errors.New("the tenant header is malformed")
	errEncoding = errors.New("the body is encoded")
	errTooLarge = errors.New("the body is too large")
	errSlow     = errors.New("the body did not come in time")
	errBroken   = errors.New("the body could not be read")
)

// first returns the first value of a header; name must be in canonical form, as the
// names in a request that net/http has read are.
func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Request is what a front knows of the request behind a call. It comes from
// outside: all fields are validated, and none is trusted.
type Request struct {
	ID            string // what the client sent for it if that is well formed, otherwise a new one; also the RequestID of the call's Origin
	TraceParent   string // W3C trace context, well formed; or empty
	TraceState    string // of the W3C trace context; empty without a TraceParent
	ClientContext string // JSON that a client of the Lambda wire sent along; or empty
}

// carried is what a front passes along with the context of a call.
type carried struct {
	Request

	log *faas.LogTail // nil: the client did not ask for it
}

// carriedKey is the context key of the *carried.
type carriedKey struct{}

// carriedBy returns what the context carries, or nil for a call from elsewhere.
func carriedBy(ctx context.Context) *carried {
	c, _ := ctx.Value(carriedKey{}).(*carried)
	return c
}

// FromContext returns the request that a call came with. ctx is the context of a
// gate, or, if the router has [Carry], of a handler or meter. It returns false for
// a call that did not come through a front of this package.
func FromContext(ctx context.Context) (Request, bool) {
	if c := carriedBy(ctx); c != nil {
		return c.Request, true
	}
	return Request{}, false
}

// Carry passes the [Request] and the [Logs] of a call on to its handler, its meters
// and its nested calls. Give it to the router:
//
//	faas.New(faas.WithContext(faashttp.Carry))
//
// If a job came over a front of this package, the [Request] of its deliveries has only the ID
// of the request that has sent the job. With [Carrier] it has all fields.
func Carry(caller, fresh context.Context) context.Context {
	if c := carriedBy(caller); c != nil {
		own := *c // a copy: the original is a part of the exchange, which a handler's context would keep in memory
		return context.WithValue(fresh, carriedKey{}, &own)
	}
	inv, _ := faas.FromContext(fresh)
	if inv.Job == uuid.Nil || inv.Origin.RequestID == "" || inv.Origin.Door != doorLambda && inv.Origin.Door != doorHTTP {
		return fresh
	}
	return context.WithValue(fresh, carriedKey{}, &carried{Request: Request{ID: inv.Origin.RequestID}})
}

// The doors from which jobs come.
const (
	doorHTTP   = "http"
	doorLambda = "lambda"
)

// Logs returns the log of the call that ctx belongs to. A client of the Lambda wire
// that asks for it (X-Amz-Log-Type: Tail) gets its last 4 KiB. In all other calls,
// and in a router without [Carry], what is written is discarded. The log may be
// written to by many goroutines at once, and writing never fails:
//
//	log := slog.New(slog.NewTextHandler(faashttp.Logs(ctx), nil))
//
// The lines of [faas.Logger] go there too, with and without Carry; Logs is for text that
// is not of log/slog, and for what only the client is to see.
func Logs(ctx context.Context) io.Writer {
	if c := carriedBy(ctx); c != nil && c.log != nil {
		return c.log
	}
	return io.Discard
}

// requestID returns the first of these headers that is a well formed id, or a new id.
// The names must be in canonical form.
func requestID(r *http.Request, headers ...string) string {
	for _, name := range headers {
		if id := first(r.Header, name); isToken(id, "._~-") {
			return id
		}
	}
	return newID()
}

// newID makes an id in the form of a random UUID (RFC 9562, section 5.4). It must
// be unique but need not be secret, so it does not use crypto/rand.
func newID() string {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var s [36]byte
	hex.Encode(s[:8], b[:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// isToken reports whether s is 1 to 128 letters, digits or characters of extra.
// Such a string is harmless in a header, a log line and a web page.
func isToken(s, extra string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		ok := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte(extra, c) >= 0
		if !ok {
			return false
		}
	}
	return true
}

func isTenant(s string) bool { return isToken(s, "._~:@/+=-") }

// isTraceParent reports whether s is a traceparent (W3C Trace Context, section
// 3.2). Version 00 must match exactly; of a later version the first four fields
// must.
func isTraceParent(s string) bool {
	if len(s) < 55 || len(s) > 256 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, trace, parent, flags := s[:2], s[3:35], s[36:52], s[53:55]
	if !isHex(version) || !isHex(trace) || !isHex(parent) || !isHex(flags) || version == "ff" {
		return false
	}
	if strings.Trim(trace, "0") == "" || strings.Trim(parent, "0") == "" {
		return false
	}
	if version == "00" {
		return len(s) == 55
	}
	return len(s) == 55 || s[55] == '-' && isVisible(s[55:])
}

func isTraceState(s string) bool { return len(s) <= 512 && isVisible(s) }

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// isVisible reports whether s is printable ASCII.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// unescape decodes a name or a value of a query. One that can't be decoded stays as
// it is.
func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// jobID returns the UUID that a request's id is, if it is written as one.
func jobID(s string) (id uuid.UUID, ok bool) {
	id, err := uuid.Parse(s)
	return id, err == nil && id != uuid.Nil && id.String() == strings.ToLower(s)
}

// isJSON reports whether doc is JSON, which must be UTF-8 (RFC 8259, section 8.1).
// Package json accepts other bytes and replaces them, so that the function would
// get something else than was sent.
func isJSON(doc []byte) bool { return json.Valid(doc) && utf8.Valid(doc) }

// isClientContext reports whether doc is JSON that in base64 is not longer than the API
// allows.
func isClientContext(doc []byte) bool {
	return base64.StdEncoding.EncodedLen(len(doc)) <= 3583 && isJSON(doc)
}

// requestedPath returns the path that the client sent, and so perhaps has signed. Below
// [http.StripPrefix] the path that is served is only the end of it. If a handler on
// the way has changed the path in another way, no signature fits, and the path that
// is served is returned.
func requestedPath(r *http.Request) string {
	path := r.URL.EscapedPath()
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil && strings.HasSuffix(u.EscapedPath(), path) {
		path = u.EscapedPath()
	}
	return cmp.Or(path, "/")
}
