package faashttp

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/inproc/faas"
)

// Handler serves a router over HTTP. It may be mounted beside other routes, on "/fn/",
// "/healthz" and "/readyz", and below a prefix with [http.StripPrefix]. It panics if an option
// is impossible; the panic's text says how to correct the option.
//
//	POST   /fn/{name}             calls a function: the body is its input, the answer its output
//	GET    /fn                    lists the functions; so does /fn/
//	GET    /fn/{name}             describes one function
//	GET    /fn/{name}/jobs/{id}   describes a job that a POST has made, with its result
//	DELETE /fn/{name}/jobs/{id}   cancels that job
//	GET    /healthz               200 while the process serves
//	GET    /readyz                200 while calls are admitted, 503 while the router or the [Server] shuts down
//
// A successful call answers 200 with the output. Its Content-Type is application/json, unless
// the handler returns []byte or the function's [faas.Codec] has another media type. The header
// Faas-Executed-Version names the version that ran, also when that version failed. It is set if
// the version has a number or an alias chose the version. The answer to a refused call has no
// such header, because no version ran.
//
// # Streams
//
// A function registered with [faas.RegisterStream] sends each piece of its answer as soon as
// the piece is written. To a client whose Accept header names text/event-stream, each piece is
// sent as an event. An error after the first piece is sent as an event named error, with a
// problem as its data.
//
// In a plain stream an error breaks off the connection, so that the client does not take a part
// of the answer for the whole. Over HTTP/1.0 only the end of the connection marks the end of a
// stream, so the connection is reset. If it can't be reset, for example because it is a Unix
// socket, an HTTP/1.0 client gets the whole stream as one answer once the stream has ended
// without an error.
//
// The data of an event is text. Each line of a piece becomes a line of the data. Which of "\r",
// "\n" and "\r\n" ended the line is lost, and clients read "\n". Bytes that are not UTF-8 are
// sent unchanged and clients replace them by U+FFFD. This also happens to a character that two
// pieces split. Send bytes as base64, or as a plain stream.
//
// # Jobs
//
// A POST with "Prefer: respond-async" (RFC 7240) makes a job instead of a call. The answer is
// 202 once [faas.Router.Send] has accepted the job. It has the header Preference-Applied, and
// the path of the job in the header Location. A GET of that path answers with the job's state
// as JSON. After the job has ended, the document also has one of these fields:
//
//   - result: the output, if the function answers JSON;
//   - resultBase64: the output of any other function;
//   - problem: for a dead job, the problem that a call with that end would be answered with.
//
// DELETE cancels the job. It answers 204, or 409 if the job has ended. The function's options
// say how often the job is tried and how long its result is kept: [faas.WithRetry] and
// [faas.WithRetention]. [WithJobs] makes a job of every call of some functions, with or without
// the Prefer header.
//
//	curl -i -H 'Prefer: respond-async' -d '{"Side": 64}' localhost:9000/fn/resize
//	curl localhost:9000/fn/resize/jobs/0f8fad5b-d9cb-469f-a165-70867728950e
//
// A caller sees and cancels a job if it may call the job's function, has the tenant of the job,
// and is the job's owner, if there is [WithJobOwner]. Any other caller gets 404, as for a job
// that does not exist. So does every caller for a job that did not come over this front. Each
// such request is checked by the gates like a call. For example, a caller whose budget is spent
// gets 429 until the budget allows a call again.
//
// A job's body is decoded when the job runs: a body that is not an input makes the job dead as
// Invalid. If there is no room for a job, the answer is 429, as for a call. The preference is
// ignored, as the RFC allows, for functions that stream, and by [Function] without [WithJobs].
// The function is then called as if the preference were absent.
//
// # Errors
//
// Every error is answered with a problem of RFC 9457. It contains a reason and the id of the
// request, and nothing of what happened inside: no panic, no stack, and no text of a handler's
// error unless that error is a [Problem].
//
//	400 input, body, tenant   403 host, origin   404 not_found, path, job   405 method
//	408 slow   409 settled   413 too_large   415 encoding
//	429 overloaded, queue_timeout, runaways, off, or a gate's reason; with Retry-After
//	500 failed, panicked, exited, output, output_too_large, init_failed
//	503 init, meter_full, closed, canceled, jobs; with Retry-After   504 timed_out   508 depth, cycle
//
// The [faas.Kind] of the refusal, or the outcome of the call, decides the status. [ProblemOf]
// returns the same problem for handlers of your own. A caller that a gate denies a function
// gets the 404 of a function that does not exist (see [WithForbidden]), and does not see the
// function in the list. Both answers are given after the body is read, so that their timing
// does not tell the two cases apart.
//
// # Requests
//
// On a loopback connection a request is served only if its host is known, and if it does not
// come from a page of another site: see [WithHosts] and [WithOrigins].
//
// The client's X-Request-Id is kept if it is 1 to 128 of A–Z a–z 0–9 . _ ~ -, and replaced
// otherwise. Traceparent and Tracestate are passed on if they are well formed. A gate or a
// handler reads them with [FromContext]. The id is also the RequestID of the call's
// [faas.Origin].
//
// A client that disconnects cancels its call. The body is bounded by [faas.WithLimits] and read
// before the call asks for a slot. The answer is written after the call has given its slot
// back.
//
// # Deadlines
//
// The answer comes at the deadline, whether or not the handler has returned. On HTTP/1.1, if
// the ResponseWriter is net/http's own and no stream is asked for, the handler runs on the
// connection's goroutine ([faas.Router.InvokeFunc]), which saves each request a switch between
// goroutines. This has three consequences:
//
//   - The connection of a call that timed out is closed after the answer. ServeHTTP returns only
//     when the handler does. So if the handler ignores the end of its context, the middlewares
//     around this handler, and [http.Server.Shutdown], wait for it.
//   - If the client disconnects and the handler ignores the end of its context, the call ends
//     when the handler returns, and at the deadline at the latest.
//   - If the handler calls runtime.Goexit, the connection ends after the answer.
//
// In all other cases the handler has a goroutine of its own and ServeHTTP returns at the
// deadline. These cases are streams, HTTP/1.0, HTTP/2, and any ResponseWriter that is not
// net/http's own, also one that wraps it.
func Handler(r *faas.Router, opts ...Option) http.Handler {
	return &httpFront{router: r, settings: frontSettings(opts), hasJobs: true}
}

// Function serves one function of a router as [Handler] does, at a path of your choice: a POST
// calls the function, and any other method is answered with 405. It panics if an option is
// impossible; the panic's text says how to correct the option.
//
//	mux.Handle("/v1/resize", faashttp.Function(router, "resize"))
//
// The function is looked up for each call, so it may be registered, removed and replaced at any
// time. While it does not exist, the answer is 404.
func Function(r *faas.Router, name string, opts ...Option) http.Handler {
	f := &httpFront{router: r, settings: frontSettings(opts)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.isAllowed(w, r) && hasMethod(w, r, http.MethodPost) {
			f.invoke(w, r, name)
		}
	})
}

// httpFront is the handler of the plain HTTP dialect.
type httpFront struct {
	settings

	router  *faas.Router
	hasJobs bool // serves /fn/{name}/jobs/{id}, so a POST may be answered with such a path
}

// ServeHTTP serves one request. It tests the path of a call first, and without a mux, because
// nearly all requests are calls.
func (f *httpFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.isAllowed(w, r) {
		return
	}
	name, below := strings.CutPrefix(r.URL.Path, "/fn/")
	switch {
	case below && name != "":
		f.function(w, r, name)
	case below, r.URL.Path == "/fn":
		serveGet(w, r, f.list)
	case r.URL.Path == "/healthz":
		serveGet(w, r, f.health)
	case r.URL.Path == "/readyz":
		serveGet(w, r, f.ready)
	default:
		(&Problem{Status: http.StatusNotFound, Reason: "path", Detail: "There is nothing at this path."}).ServeHTTP(w, r)
	}
}

// isAllowed reports whether the request may be served. If not, isAllowed has answered it.
func (f *httpFront) isAllowed(w http.ResponseWriter, r *http.Request) bool {
	return f.door.allows(w, r, func(p *Problem) { p.ServeHTTP(w, r) })
}

// function serves /fn/{name}.
func (f *httpFront) function(w http.ResponseWriter, r *http.Request, name string) {
	of, id, isJob := jobPath(name)
	switch {
	case isJob:
		f.job(w, r, of, id)
	case r.Method == http.MethodPost:
		f.invoke(w, r, name)
	case hasMethod(w, r, http.MethodGet, http.MethodHead, http.MethodPost):
		f.show(w, r, name)
	}
}

func serveGet(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	if hasMethod(w, r, http.MethodGet, http.MethodHead) {
		serve(w, r)
	}
}

// hasMethod reports whether the request has one of these methods. If not, hasMethod has
// answered 405.
func hasMethod(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	(&Problem{Status: http.StatusMethodNotAllowed, Reason: "method", Detail: "This path is not for this method."}).ServeHTTP(w, r)
	return false
}

// open begins the exchange of a request. It answers a malformed request and returns false.
func (f *httpFront) open(w http.ResponseWriter, r *http.Request) (*exchange, bool) {
	id := requestID(r, "X-Request-Id")
	x, err := f.begin(w, r, faas.Origin{Trigger: "http", Door: doorHTTP, RequestID: id})
	x.setHeader(0, "X-Request-Id", id)
	x.setHeader(1, "X-Content-Type-Options", "nosniff")
	if err != nil {
		x.fail(problemOfRequest(err))
	}
	return x, err == nil
}

// invoke reads the body and calls the function. If there is no such function, it reads the body
// too before it answers. The reason is a function that exists but is hidden from the caller:
// there the same answer comes after the body. If the answer for a missing function came earlier,
// the caller could find out which functions exist.
func (f *httpFront) invoke(w http.ResponseWriter, r *http.Request, name string) {
	x, ok := f.open(w, r)
	if !ok {
		return
	}
	info, err := f.router.Signature(name)
	if err != nil {
		x.discardBody(nil)
		_, err := f.router.Invoke(x.ctx, name, nil) // makes the router count the refusal
		x.fail(f.problemOf(err, name))
		return
	}
	body, err := x.body(info.MaxIn)
	switch {
	case err != nil && x.isHidden(f.router, name):
		x.discardBody(err)
		x.fail(unknown())
	case err != nil:
		x.closeConnection()
		x.fail(problemOfRequest(err))
	case !info.Stream && f.becomesJob(r, name):
		f.accept(x, name, body)
	case acceptsEvents(r), info.Stream && x.canBreakOff():
		f.stream(x, name, body)
	default:
		f.answer(x, info, name, body)
	}
}

// answer calls the function and writes its output. If canAnswerEarly allows it, the handler
// runs on this goroutine, and a timer's goroutine writes the answer if the handler does not
// return in time.
func (f *httpFront) answer(x *exchange, info faas.Signature, name string, body []byte) {
	if info.Stream || !x.canAnswerEarly() {
		out, err := f.router.Invoke(x.resolving(), name, body)
		f.reply(x, info.ContentType, name, out, err)
		return
	}
	kind := info.ContentType // the closure captures this string instead of the whole Signature, so it allocates less
	f.router.InvokeFunc(x.resolving(), name, body, func(out []byte, err error) {
		if err == nil || !isCutShort(err, name) {
			f.reply(x, kind, name, out, err)
			return
		}
		x.closeConnection()
		f.reply(x, kind, name, out, err)
		_ = x.flush()
	})
}

// isCutShort reports whether a call may have ended before its handler returned, or whether the
// handler has ended the connection's goroutine by Goexit. In both cases the answer must be
// flushed here: net/http flushes it when ServeHTTP returns, which is later or never.
func isCutShort(err error, name string) bool {
	end := faas.EndOf(err, name).Outcome
	return end == faas.TimedOut || end == faas.Canceled || end == faas.Exited
}

// reply writes the output of a call, or the problem if err is not nil.
func (f *httpFront) reply(x *exchange, contentType, name string, out []byte, err error) {
	if err != nil {
		x.fail(f.problem(x, err, name))
		return
	}
	x.extendWriteDeadline()
	x.tellVersion()
	x.setHeader(2, "Content-Type", contentType)
	if len(out) > smallAnswer {
		x.w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	}
	_, _ = x.w.Write(out) // an error means that the client has disconnected
}

// smallAnswer is the size in bytes up to which net/http sets the Content-Length of an answer
// itself. It sends a larger answer in chunks, unless the handler has set the length.
const smallAnswer = 2 << 10

// stream calls the function and writes its pieces as they come.
func (f *httpFront) stream(x *exchange, name string, body []byte) {
	s := &streamWriter{x: x, head: func(h http.Header) {
		h.Set("Content-Type", octets)
		x.tellVersion()
	}}
	events := acceptsEvents(x.r)
	if events {
		s.head = func(h http.Header) {
			h.Set("Content-Type", "text/event-stream")
			h.Set("Cache-Control", "no-store")
			x.tellVersion()
		}
		s.frame = func(piece []byte) []byte { return sseEvent("", piece) }
	}
	err := f.router.InvokeStream(x.resolving(), name, body, s)
	switch {
	case err == nil:
		s.start()
	case !s.started:
		x.fail(f.problem(x, err, name))
	case events:
		_ = s.send(sseEvent("error", f.problemOf(err, name).json(x.carried.ID))) // an error of send means that the client has disconnected
	default:
		x.breakOff()
	}
}

// problem is problemOf with two differences. It answers 404 to a caller that a gate would deny:
// the router checks the size and the form of an input before it asks the gates, so a "too
// large" or "invalid" would show that caller that the function exists. And if the call was not
// refused, problem sets the header with the version that ran.
func (f *httpFront) problem(x *exchange, err error, name string) *Problem {
	k := faas.EndOf(err, name).Kind
	if k == faas.KindNone {
		x.tellVersion()
	}
	if (k == faas.KindInvalid || k == faas.KindTooLarge) && x.isHidden(f.router, name) {
		return unknown()
	}
	return f.problemOf(err, name)
}

// tellVersion sets the header that names the version that ran. It must not be called for a
// refused call: no version ran, and the caller may be one that must not learn that the function
// exists.
func (x *exchange) tellVersion() {
	if v := x.executed; v.Alias != "" || v.Version != latest {
		x.setHeader(3, "Faas-Executed-Version", v.Version)
	}
}

func (f *httpFront) list(w http.ResponseWriter, r *http.Request) {
	x, ok := f.open(w, r)
	if !ok {
		return
	}
	list := []functionInfo{}
	for info := range f.router.Functions() {
		if !x.isDenied(f.router, info.Name) {
			list = append(list, describe(info))
		}
	}
	x.show(struct {
		Functions []functionInfo `json:"functions"`
	}{list})
}

func (f *httpFront) show(w http.ResponseWriter, r *http.Request, name string) {
	x, ok := f.open(w, r)
	if !ok {
		return
	}
	info, err := f.router.Info(name)
	if err != nil {
		x.fail(unknown())
		return
	}
	if x.isDenied(f.router, name) {
		x.fail(f.refusalProblem(faas.KindDenied, &faas.Error{Reason: faas.ReasonDenied}))
		return
	}
	x.show(describe(info))
}

// show answers with v as JSON.
func (x *exchange) show(v any) { x.showAs(http.StatusOK, v) }

func (x *exchange) showAs(status int, v any) {
	doc := append(mustJSON(v), '\n')
	x.extendWriteDeadline()
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(doc) // an error means that the client has disconnected
}

// functionInfo is the JSON document of a [faas.Info].
type functionInfo struct {
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
	Limit     int                    `json:"limit,omitempty"` // left out if only the router's capacity bounds it
	Runaways  int                    `json:"runaways"`
	Admitted  uint64                 `json:"admitted"`
	Rejected  map[faas.Reason]uint64 `json:"rejected,omitempty"`
}

func describe(i faas.Info) functionInfo {
	limit := i.Limit
	if limit == math.MaxInt32 {
		limit = 0
	}
	return functionInfo{
		Name: i.Name, Version: i.Version, Labels: i.Labels, In: i.In.String(), Out: i.Out.String(), Stream: i.Stream,
		TimeoutMS: i.Timeout.Milliseconds(), Memory: i.Memory, MaxIn: i.MaxIn, MaxOut: i.MaxOut, InFlight: i.InFlight,
		Queued: i.Queued, Limit: limit, Runaways: i.Runaways, Admitted: i.Admitted, Rejected: i.Rejected,
	}
}

func (f *httpFront) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

func (f *httpFront) ready(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if s := serverOf(r.Context()); s != nil && s.draining.Load() || f.router.Stats().Closing {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("draining\n"))
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}
