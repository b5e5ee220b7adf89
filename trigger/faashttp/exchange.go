package faashttp

import (
	"bytes"
	"context"
	"errors"
	"io"
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
	came     int             // of a body that was too large
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
		return nil, errTooLarge
	}
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return nil, nil
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(x.r.ContentLength, 0), firstRoom)) + bytes.MinRead)
	if err := x.read(&buf, int64(limit)+1); err != nil {
		return nil, err
	}
	if buf.Len() > limit {
		x.came = buf.Len()
		return nil, errTooLarge
	}
	return buf.Bytes(), nil
}

// read takes the body, or what is left of it, up to n bytes.
func (x *exchange) read(to io.Writer, n int64) error {
	if t := x.settings.bodyTime; t > 0 {
		_ = x.control.SetReadDeadline(time.Now().Add(t))
	}
	_, err := io.Copy(to, io.LimitReader(x.r.Body, n))
	// From here on the server reads the connection only to see whether the
	// client is still there; a deadline would look as if it had gone.
	_ = x.control.SetReadDeadline(time.Time{})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlow
	}
	return errBroken
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
	var rest counted
	limit := int64(unknownLimit - x.came)
	if limit < 0 || x.read(&rest, limit+1) != nil || int64(rest) > limit {
		x.hangUp()
	}
}

// counted is a writer that counts.
type counted int64

func (c *counted) Write(p []byte) (int, error) {
	*c += counted(len(p))
	return len(p), nil
}

// hangUp ends the connection with the answer, since there is more to come on it
// than anybody wants to read.
func (x *exchange) hangUp() { x.w.Header().Set("Connection", "close") }

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
