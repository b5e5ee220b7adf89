package faashttp

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
)

// What is wrong with a request before it reaches the router.
var (
	errTenant   = errors.New("the tenant header is malformed")
	errEncoding = errors.New("the body is encoded")
	errTooLarge = errors.New("the body is too large")
	errSlow     = errors.New("the body did not come in time")
	errBroken   = errors.New("the body could not be read")
)

// first is the first value of a header whose name is in its canonical form, as
// those that the server has read are.
func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Request is what a front knows of the request behind a call. It comes from
// outside: all fields are validated, none is trusted.
type Request struct {
	ID            string // of the request; the client's X-Request-Id where it is well formed, otherwise new
	TraceParent   string // W3C trace context, well formed; or empty
	TraceState    string // goes with it
	ClientContext string // JSON, of a call over the Lambda wire; or empty
}

// carried is what goes with the context of a call.
type carried struct {
	Request

	log *logTail // nil: nobody asked for the log
}

type carriedKey struct{}

func carriedBy(ctx context.Context) *carried {
	c, _ := ctx.Value(carriedKey{}).(*carried)
	return c
}

// FromContext returns the request that a call came with: with the context of
// a gate, and, where the router has [Carry], of a handler or meter. It is false
// for a call that came from elsewhere.
func FromContext(ctx context.Context) (Request, bool) {
	if c := carriedBy(ctx); c != nil {
		return c.Request, true
	}
	return Request{}, false
}

// Carry lets the [Request] and the [Logs] of a call through to its handler, its
// meters and its nested calls. Give it to the router:
//
//	faas.New(faas.WithContext(faashttp.Carry))
func Carry(caller, fresh context.Context) context.Context {
	if c := carriedBy(caller); c != nil {
		own := *c // the front's is a part of all it knows of the request, which is not to live as long as a handler likes
		return context.WithValue(fresh, carriedKey{}, &own)
	}
	return fresh
}

// Logs returns the log of the call that ctx belongs to. Its last 4 KiB go to a
// client of the Lambda wire who asks for them (X-Amz-Log-Type: Tail); nobody
// else gets them, and without [Carry] nothing does. It may be written to by
// many goroutines at once, and never fails:
//
//	log := slog.New(slog.NewTextHandler(faashttp.Logs(ctx), nil))
func Logs(ctx context.Context) io.Writer {
	if c := carriedBy(ctx); c != nil && c.log != nil {
		return c.log
	}
	return io.Discard
}

// requestID is the client's own id of a request if it is one, or a new one.
func requestID(r *http.Request) string {
	if id := first(r.Header, "X-Request-Id"); isToken(id, "._~-") {
		return id
	}
	return newID()
}

// newID makes an id in the form of a random UUID (RFC 9562, section 5.4). It is
// to be unique, not secret.
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

// isToken tells whether s is 1 to 128 letters, digits or extra characters:
// what can stand in a header, a log line and a page without harm.
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

// isTraceParent tells whether s is a traceparent of W3C Trace Context, section
// 3.2: version 00 to the letter, a later one by its first four fields.
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

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// isVisible tells whether s is printable ASCII.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}
