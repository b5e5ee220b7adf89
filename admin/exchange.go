package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas/access"
)

// exchange is one request and its answer.
type exchange struct {
	h      *handler
	e      *endpoint
	w      http.ResponseWriter
	r      *http.Request
	who    access.Principal
	entry  Entry
	denied bool // the authorizer has denied the action of the whole request
}

// errWritten is returned by an endpoint that has written its answer itself.
var errWritten = errors.New("answered")

// serve calls the endpoint. If the endpoint panics, only this request fails.
func (x *exchange) serve() (out any, err error) {
	defer func() {
		if v := recover(); v != nil {
			slog.Error("admin: an endpoint panicked", "verb", x.e.verb, "stack", string(debug.Stack()))
			out, err = nil, problem(http.StatusInternalServerError, "failed", "The request failed; the host's log says why.")
		}
	}()
	if err := x.checkQuery(); err != nil {
		return nil, err
	}
	if x.e.needs != nil {
		if option := x.e.needs(&x.h.settings); option != "" {
			return nil, missing(option)
		}
	}
	return x.e.serve(x)
}

// checkQuery refuses a parameter that the endpoint does not have. Otherwise a misspelled filter
// would select everything.
func (x *exchange) checkQuery() error {
	for name, values := range x.r.URL.Query() {
		known := false
		for _, p := range x.e.query {
			known = known || p.name == name
		}
		if !known {
			return badInput("There is no parameter " + strconv.Quote(clip(name, 40)) + ".")
		}
		if len(values) > 1 && name != "label" && name != "state" {
			return badInput("The parameter " + name + " is given twice.")
		}
	}
	return nil
}

// end writes the answer, and audits the request.
func (x *exchange) end(out any, err error) {
	switch {
	case errors.Is(err, errWritten):
	case err != nil:
		p := problemOf(err)
		p.Detail = clip(p.Detail, 500)
		x.entry.Status = p.Status
		p.write(x.w)
	default:
		x.entry.Status = http.StatusOK
		x.writeJSON(out)
	}
	x.entry.Result = x.result()
	x.entry.Took = time.Since(x.entry.Time)
	x.h.trail.add(x.entry)
	for _, f := range x.h.audit {
		tell(f, x.entry)
	}
}

// result returns the result for the audit. A request for something that does not exist counts
// as refused.
func (x *exchange) result() string {
	switch status := x.entry.Status; {
	case x.denied:
		return ResultDenied
	case status < 400:
		return ResultDone
	case status < 500:
		return ResultRefused
	}
	return ResultFailed
}

func tell(f func(Entry), e Entry) {
	defer func() {
		if recover() != nil {
			slog.Error("admin: the func of WithAudit panicked", "verb", e.Verb)
		}
	}()
	f(e)
}

func (x *exchange) writeJSON(v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the answer is not part of a page, and nosniff makes browsers respect that
	if err := enc.Encode(v); err != nil {
		slog.Error("admin: an answer does not encode", "verb", x.e.verb, "error", err)
		x.entry.Status = http.StatusInternalServerError
		problem(http.StatusInternalServerError, "failed", "The request failed; the host's log says why.").write(x.w)
		return
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	_, _ = x.w.Write(buf.Bytes()) // an error means that the client has gone
}

// The largest bodies, in bytes: of a plain request, and of one that contains an input.
const (
	maxOrder = 64 << 10
	maxInput = 16 << 20
)

// body decodes the request's JSON body into v. An empty body leaves v unchanged.
func (x *exchange) body(v any, most int64) error {
	data, err := x.read(most)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badInput("The body is not as described in /v1/openapi.json: " + clip(err.Error(), 200) + at(data, dec, err) + ".")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badInput("Something follows the JSON of the body.")
	}
	return nil
}

// read reads a body, which must be declared as JSON: a form of a web page can't send that type.
func (x *exchange) read(most int64) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, problem(http.StatusUnsupportedMediaType, "media_type", "Send the header Content-Type: application/json.")
	}
	data, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, most))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, problem(http.StatusRequestEntityTooLarge, "too_large", "The body is larger than "+strconv.FormatInt(most, 10)+" bytes.")
	} else if err != nil {
		return nil, badInput("The body could not be read.")
	}
	return data, nil
}

// at returns in which line of the body an error is.
func at(data []byte, dec *json.Decoder, err error) string {
	offset := dec.InputOffset()
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	line := 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n"))
	return ", in line " + strconv.Itoa(line)
}

// allows asks the authorizer, for the verb of the request. It does not note a denial for the
// audit, since lists and streams just leave out what is denied.
func (x *exchange) allows(right access.Right, function, tenant string) bool {
	return x.ask(Action{Right: right, Function: function, Tenant: tenant})
}

// allowsAll is allows for something that concerns all tenants.
func (x *exchange) allowsAll(right access.Right, function string) bool {
	return x.ask(Action{Right: right, Function: function, AllTenants: true})
}

func (x *exchange) ask(a Action) bool {
	a.Verb = x.e.verb
	return x.h.permits(x.r.Context(), x.who, a)
}

// need asks the authorizer about the action of the whole request, and notes it for the audit.
// If it is denied, the error is that of something absent.
func (x *exchange) need(a Action) error {
	x.entry.Function, x.entry.Tenant = clip(a.Function, 100), clip(a.Tenant, 256)
	if !x.ask(a) {
		x.denied = true
		return absent()
	}
	if x.e.write && !x.h.writes {
		return noWrites()
	}
	return nil
}

// noWrites returns the answer of a host without WithWrites, to a viewer who has the right.
func noWrites() *Problem {
	return problem(http.StatusForbidden, "writes", "This host takes no changes through the API; the option admin.WithWrites would permit them.")
}

// notThere returns the answer for an ID that does not exist. It asks the authorizer, as for an
// existing ID, so that the time of the answer does not tell the two apart.
func (x *exchange) notThere() error {
	_ = x.allowsAll(x.e.right, "")
	return absent()
}

// nameOf splits a function's name, as it is written in a path or a parameter, into the base
// name and the version. version is empty if the qualifier is an alias, which may stand for
// several versions.
func nameOf(name string) (base, version string) {
	base, qualifier, _ := strings.Cut(name, ":")
	if qualifier == "$LATEST" || qualifier != "" && strings.Trim(qualifier, "0123456789") == "" {
		version = qualifier
	}
	return base, version
}

// param returns a query parameter.
func (x *exchange) param(name string) string { return x.r.URL.Query().Get(name) }

// has reports whether a parameter is given. It may be empty.
func (x *exchange) has(name string) bool { return x.r.URL.Query().Has(name) }

// limit returns the parameter limit, from 1 to 1,000, or otherwise if it is not given.
func (x *exchange) limit(otherwise int) (int, error) {
	text := x.param("limit")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 {
		return 0, badInput("The parameter limit is between 1 and 1000.")
	}
	return n, nil
}

// number returns a parameter that is a Count, or 0 if it is not given.
func (x *exchange) number(name string) (Count, error) {
	text := x.param(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, badInput("The parameter " + name + " is an integer, and not negative.")
	}
	return Count(n), nil
}

// time returns a parameter that is a time, or the zero time if it is not given.
func (x *exchange) time(name string) (time.Time, error) {
	text := x.param(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, badInput("The parameter " + name + " is a time such as 2026-01-31T12:00:00Z.")
	}
	return t, nil
}

// flag returns a parameter that is true or false, or false if it is not given.
func (x *exchange) flag(name string) (bool, error) {
	text := x.param(name)
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, badInput("The parameter " + name + " is true or false.")
	}
	return v, nil
}
