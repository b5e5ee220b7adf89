package faashttp

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/inproc/faas"
)

// exchange is one request and its answer, whatever the dialect.
type exchange struct {
	settings *settings
	w        http.ResponseWriter
	r        *http.Request
	control  *http.ResponseController
	carried  *carried
	ctx      context.Context //nolint:containedctx // of the call; it lives as long as the request
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
// header and would strike while a function rightly takes its time, so it is
// lifted until there is something to write.
func (s *settings) begin(w http.ResponseWriter, r *http.Request, id string) (*exchange, error) {
	x := &exchange{settings: s, w: w, r: r, control: http.NewResponseController(w)}
	_ = x.control.SetWriteDeadline(time.Time{}) // a writer that has no deadlines needs none lifted
	x.carried = &carried{Request: Request{ID: id}}
	if trace := r.Header.Get("Traceparent"); isTraceParent(trace) {
		x.carried.TraceParent = trace
		if state := r.Header.Get("Tracestate"); len(state) <= 512 && isVisible(state) {
			x.carried.TraceState = state
		}
	}
	x.ctx = context.WithValue(r.Context(), carriedKey{}, x.carried)
	if s.tenantHeader == "" || len(r.Header[s.tenantHeader]) == 0 {
		return x, nil
	}
	tenant := r.Header.Get(s.tenantHeader)
	if len(r.Header[s.tenantHeader]) != 1 || !isTenant(tenant) {
		return x, errTenant
	}
	x.ctx = faas.WithTenant(x.ctx, tenant)
	return x, nil
}

// firstRoom is how much memory a client gets for announcing a body: the rest
// is for sending it.
const firstRoom = 64 << 10

// body reads the request's body to its end, before the router hears of the
// call: how slowly it comes is then nobody's slot. It reads no more than
// limit+1 bytes.
func (x *exchange) body(limit int) ([]byte, error) {
	if e := x.r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, errEncoding
	}
	if x.r.ContentLength > int64(limit) {
		x.w.Header().Set("Connection", "close")
		return nil, errTooLarge
	}
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return nil, nil
	}
	if t := x.settings.bodyTime; t > 0 {
		_ = x.control.SetReadDeadline(time.Now().Add(t))
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(x.r.ContentLength, 0), firstRoom)) + bytes.MinRead)
	_, err := buf.ReadFrom(http.MaxBytesReader(x.w, x.r.Body, int64(limit)))
	// From here on the server reads the connection only to see whether the
	// client is still there; a deadline would look as if it had gone.
	_ = x.control.SetReadDeadline(time.Time{})
	return buf.Bytes(), bodyError(err)
}

func bodyError(err error) error {
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlow
	}
	return errBroken
}

// patient gives the client its time for the next thing that is written.
func (x *exchange) patient() {
	if t := x.settings.writeTime; t > 0 {
		_ = x.control.SetWriteDeadline(time.Now().Add(t))
	}
}

// hides tells whether the caller is not to know that there is such a function.
// It asks the gates, which a call that fails before them has not passed.
func (x *exchange) hides(r *faas.Router, name string) bool {
	return !x.settings.forbidden && x.denies(r, name)
}

// denies tells whether a gate keeps the caller from a function.
func (x *exchange) denies(r *faas.Router, name string) bool {
	err := r.DryRun(x.ctx, name)
	if err == nil {
		return false
	}
	end, _ := endingOf(err, name)
	return end == denied
}
