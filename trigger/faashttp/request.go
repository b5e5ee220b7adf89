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

// These errors refuse a request before it reaches the router.
var (
	errTenant   = errors.New("the tenant header is malformed")
	errEncoding = errors.New("the body is encoded")
	errTooLarge = errors.New("the body is too large")
	errSlow     = errors.New("the body did not come in time")
	errBroken   = errors.New("the body could not be read")
)

// first returns the first value of a header, or "". name must be in canonical form, because
// net/http stores the names of a request in that form.
func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Request describes the request that made a call. Its fields come from outside: all are
// validated, and none should be trusted.
type Request struct {
	ID            string // the client's id if it is well formed, otherwise a new one; also the RequestID of the call's Origin
	TraceParent   string // traceparent of the W3C trace context, well formed; or empty
	TraceState    string // tracestate of the W3C trace context; empty without a TraceParent
	ClientContext string // the ClientContext of a Lambda client, JSON; or empty
}

// carried is the part of a request that a front puts into the context of the call.
type carried struct {
	Request

	log *faas.LogTail // nil if the client did not ask for the log
}

// carriedKey is the context key of the *carried.
type carriedKey struct{}

// carriedBy returns the *carried of the context. It returns nil if the call did not come
// through a front of this package.
func carriedBy(ctx context.Context) *carried {
	c, _ := ctx.Value(carriedKey{}).(*carried)
	return c
}

// FromContext returns the request that made a call. ctx is the context of a gate. With [Carry]
// in the router, ctx may also be the context of a handler or of a meter. FromContext returns
// false for a call that did not come through a front of this package.
func FromContext(ctx context.Context) (Request, bool) {
	if c := carriedBy(ctx); c != nil {
		return c.Request, true
	}
	return Request{}, false
}

// Carry passes the [Request] and the [Logs] of a call on to its handler, its meters and its
// nested calls. Give it to the router:
//
//	faas.New(faas.WithContext(faashttp.Carry))
//
// The deliveries of a job that came over a front of this package get a [Request] too. It has
// only the ID of the request that sent the job, unless the router has [Carrier]: then it has
// all fields.
func Carry(caller, fresh context.Context) context.Context {
	if c := carriedBy(caller); c != nil {
		own := *c // a copy, because a pointer to the original would keep the whole exchange in memory
		return context.WithValue(fresh, carriedKey{}, &own)
	}
	inv, _ := faas.FromContext(fresh)
	if inv.Job == uuid.Nil || inv.Origin.RequestID == "" || inv.Origin.Door != doorLambda && inv.Origin.Door != doorHTTP {
		return fresh
	}
	return context.WithValue(fresh, carriedKey{}, &carried{Request: Request{ID: inv.Origin.RequestID}})
}

// The values of Origin.Door for jobs that came over this package.
const (
	doorHTTP   = "http"
	doorLambda = "lambda"
)

// Logs returns a writer for the log of the call that ctx belongs to. A client of the Lambda
// wire that asks for it (X-Amz-Log-Type: Tail) gets the last 4 KiB of this log. In all other
// calls, and in a router without [Carry], the writer discards its input. Many goroutines may
// write to it at once, and a write never fails:
//
//	log := slog.New(slog.NewTextHandler(faashttp.Logs(ctx), nil))
//
// The lines of [faas.Logger] go into the same log, with and without Carry. Use Logs for text
// that is not written with log/slog, and for text that only the client should see.
func Logs(ctx context.Context) io.Writer {
	if c := carriedBy(ctx); c != nil && c.log != nil {
		return c.log
	}
	return io.Discard
}

// requestID returns the first of these headers whose value is a well formed id. If there is
// none, it returns a new id. The names must be in canonical form.
func requestID(r *http.Request, headers ...string) string {
	for _, name := range headers {
		if id := first(r.Header, name); isToken(id, "._~-") {
			return id
		}
	}
	return newID()
}

// newID makes an id in the form of a random UUID (RFC 9562, section 5.4). The id must be unique
// but need not be secret, so math/rand is enough.
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

// isToken reports whether s consists of 1 to 128 ASCII letters, digits or characters of extra.
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

// isTraceParent reports whether s is a traceparent (W3C Trace Context, section 3.2). A
// traceparent of version 00 has exactly four fields. A later version may have more fields after
// these four.
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

// unescape decodes a name or a value of a query. It returns s unchanged if s can't be decoded.
func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// jobID parses the id of a request as the UUID of a job. ok is false if s is not a UUID in its
// usual form, or the nil UUID.
func jobID(s string) (id uuid.UUID, ok bool) {
	id, err := uuid.Parse(s)
	return id, err == nil && id != uuid.Nil && id.String() == strings.ToLower(s)
}

// isJSON reports whether doc is JSON in UTF-8 (RFC 8259, section 8.1). The check of UTF-8 is
// needed: encoding/json accepts other bytes and replaces them, so the function would get an
// input that differs from the body.
func isJSON(doc []byte) bool { return json.Valid(doc) && utf8.Valid(doc) }

// isClientContext reports whether doc is JSON, and its base64 form is not longer than the
// Lambda API allows.
func isClientContext(doc []byte) bool {
	return base64.StdEncoding.EncodedLen(len(doc)) <= 3583 && isJSON(doc)
}

// requestedPath returns the path that the client has sent, and has signed if the request is
// signed. Below [http.StripPrefix], r.URL has only the end of that path, so requestedPath reads
// r.RequestURI. If another handler has rewritten the path, the two do not match; then
// requestedPath returns the rewritten path, and no signature fits it.
func requestedPath(r *http.Request) string {
	path := r.URL.EscapedPath()
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil && strings.HasSuffix(u.EscapedPath(), path) {
		path = u.EscapedPath()
	}
	return cmp.Or(path, "/")
}
