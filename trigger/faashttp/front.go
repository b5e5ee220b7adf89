package faashttp

import (
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/inproc/faas"
)

// Handler serves a router over HTTP. It may be mounted beside other routes,
// and below a prefix with [http.StripPrefix]:
//
//	POST /fn/{name}   calls a function: its input as the body, its output as the answer
//	GET  /fn          the functions
//	GET  /fn/{name}   one of them
//	GET  /healthz     200 while the process serves
//	GET  /readyz      200 while calls are admitted, 503 while the router or the [Server] shuts down
//
// A call answers 200 with the output, which is application/json, or
// application/octet-stream if the handler makes []byte. A function registered
// with [faas.RegisterStream] answers with each piece as it comes. To a client
// that accepts text/event-stream each piece is an event; an error after the
// first one comes as an event named error with a problem as its data. In a plain
// stream it breaks the connection off, so that half an answer is not taken for
// a whole one.
//
// Whatever goes wrong is answered as a problem of RFC 9457, which names a
// reason and the request, and nothing of what goes on inside: no panic, no
// stack, no handler's error unless it is a [Problem].
//
//	400 input, body, tenant   404 not_found   408 slow   413 too_large   415 encoding
//	429 overloaded, queue_timeout, runaways, meter_full, or a gate's reason; with Retry-After
//	500 failed, panicked, exited, output, output_too_large, init_failed
//	503 closed, canceled   504 timed_out
//
// A caller whom a gate denies a function is told that there is none (see
// [WithForbidden]), and does not see it listed; both are answered after the
// body is read, so that neither shows. A denial with a RetryAfter is a limit
// and answers 429.
//
// The client's X-Request-Id is kept if it is 1 to 128 of A–Z a–z 0–9 . _ ~ -,
// and replaced if not; Traceparent and Tracestate are handed on if they are
// well formed. See [FromContext].
//
// When the client leaves, its call is canceled. The body is bounded by
// [faas.WithLimits] and read before the call asks for a slot; the answer is
// written after it has left it.
func Handler(r *faas.Router, opts ...Option) http.Handler {
	f := &front{router: r, settings: frontSettings(opts)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fn/{name}", func(w http.ResponseWriter, r *http.Request) { f.invoke(w, r, r.PathValue("name")) })
	mux.HandleFunc("GET /fn", f.list)
	mux.HandleFunc("GET /fn/{name}", f.show)
	mux.HandleFunc("GET /healthz", f.health)
	mux.HandleFunc("GET /readyz", f.ready)
	f.mux = mux
	return f
}

type front struct {
	settings

	router *faas.Router
	mux    *http.ServeMux
}

// ServeHTTP serves one request. Nearly all of them are calls by a plain name,
// which needs no search through patterns.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, ok := strings.CutPrefix(r.URL.Path, "/fn/"); ok && r.Method == http.MethodPost && isName(name) {
		f.invoke(w, r, name)
		return
	}
	f.mux.ServeHTTP(w, r)
}

func (f *front) open(w http.ResponseWriter, r *http.Request) (*exchange, bool) {
	id := first(r.Header, "X-Request-Id")
	if !isRequestID(id) {
		id = newID()
	}
	x, err := f.begin(w, r, id)
	x.set(0, "X-Request-Id", id)
	x.set(1, "X-Content-Type-Options", "nosniff")
	if err != nil {
		x.fail(problemOfRequest(err))
	}
	return x, err == nil
}

func (f *front) invoke(w http.ResponseWriter, r *http.Request, name string) {
	x, ok := f.open(w, r)
	if !ok {
		return
	}
	info, err := f.router.Signature(name)
	if err != nil {
		x.swallow(nil)
		_, err := f.router.Invoke(x.ctx, name, nil) // which counts it
		x.fail(f.problemOf(err, name))
		return
	}
	body, err := x.body(info.MaxIn)
	switch {
	case err != nil && x.hides(f.router, name):
		x.swallow(err)
		x.fail(unknown())
	case err != nil:
		x.hangUp()
		x.fail(problemOfRequest(err))
	case info.Stream || acceptsEvents(r):
		f.stream(x, name, body)
	default:
		f.answer(x, info, name, body)
	}
}

func (f *front) answer(x *exchange, info faas.Signature, name string, body []byte) {
	out, err := f.router.Invoke(x.ctx, name, body)
	if err != nil {
		x.fail(f.problem(x, err, name))
		return
	}
	x.patient()
	x.set(2, "Content-Type", contentType(info))
	if len(out) > smallAnswer {
		x.w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	}
	_, _ = x.w.Write(out) // a client that has gone needs no answer
}

// smallAnswer is what net/http measures itself; it would send a larger one in
// chunks.
const smallAnswer = 2 << 10

// problem is problemOf, for a caller who may not have passed the gates yet.
func (f *front) problem(x *exchange, err error, name string) *Problem {
	end, _ := endingOf(err, name)
	if (end == badInput || end == inputTooLarge) && x.hides(f.router, name) {
		return unknown()
	}
	return f.problemOf(err, name)
}

func contentType(i faas.Signature) string {
	if i.Stream || i.Out == reflect.TypeFor[[]byte]() {
		return octets
	}
	return "application/json"
}

func (f *front) list(w http.ResponseWriter, r *http.Request) {
	x, ok := f.open(w, r)
	if !ok {
		return
	}
	list := []function{}
	for info := range f.router.Functions() {
		if !x.denies(f.router, info.Name) {
			list = append(list, describe(info))
		}
	}
	x.show(struct {
		Functions []function `json:"functions"`
	}{list})
}

func (f *front) show(w http.ResponseWriter, r *http.Request) {
	x, ok := f.open(w, r)
	if !ok {
		return
	}
	name := r.PathValue("name")
	info, err := f.router.Info(name)
	if err != nil {
		x.fail(unknown())
		return
	}
	if x.denies(f.router, name) {
		x.fail(f.problemOf(&faas.Error{Function: name, Reason: faas.ReasonDenied, Err: faas.ErrDenied}, name))
		return
	}
	x.show(describe(info))
}

func (x *exchange) show(v any) {
	x.patient()
	doc, err := json.Marshal(v)
	if err != nil { // of strings and numbers: it doesn't
		x.fail(&Problem{})
		return
	}
	x.w.Header().Set("Content-Type", "application/json")
	_, _ = x.w.Write(append(doc, '\n')) // a client that has gone needs no answer
}

// function is a [faas.Info] as JSON.
type function struct {
	Name      string                 `json:"name"`
	Version   string                 `json:"version"`
	Labels    map[string]string      `json:"labels,omitempty"`
	In        string                 `json:"in"`
	Out       string                 `json:"out"`
	Stream    bool                   `json:"stream"`
	TimeoutMS int64                  `json:"timeoutMs"`
	Memory    int64                  `json:"memoryBytes"`
	MaxIn     int                    `json:"maxInBytes"`
	MaxOut    int                    `json:"maxOutBytes"`
	InFlight  int                    `json:"inFlight"`
	Queued    int                    `json:"queued"`
	Limit     int                    `json:"limit,omitempty"` // left out: none but the router's
	Runaways  int                    `json:"runaways"`
	Admitted  uint64                 `json:"admitted"`
	Rejected  map[faas.Reason]uint64 `json:"rejected,omitempty"`
}

func describe(i faas.Info) function {
	limit := i.Limit
	if limit == math.MaxInt32 {
		limit = 0
	}
	return function{
		Name: i.Name, Version: i.Version, Labels: i.Labels, In: i.In.String(), Out: i.Out.String(), Stream: i.Stream,
		TimeoutMS: i.Timeout.Milliseconds(), Memory: i.Memory, MaxIn: i.MaxIn, MaxOut: i.MaxOut, InFlight: i.InFlight,
		Queued: i.Queued, Limit: limit, Runaways: i.Runaways, Admitted: i.Admitted, Rejected: i.Rejected,
	}
}

func (f *front) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

func (f *front) ready(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if isDraining(r.Context()) || f.router.Stats().Closing {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("draining\n"))
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}
