package faashttp

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/inproc/faas"
)

// Handler serves a router over HTTP. It may be mounted beside other routes, on
// "/fn/", "/healthz" and "/readyz", and below a prefix with [http.StripPrefix]. It
// panics, and names the cure, if an option is impossible.
//
//	POST   /fn/{name}             calls a function: its input is the body, its output the answer
//	GET    /fn                    lists the functions; /fn/ does too
//	GET    /fn/{name}             describes one of them
//	GET    /fn/{name}/jobs/{id}   describes a job that a POST has made, with its result
//	DELETE /fn/{name}/jobs/{id}   cancels it
//	GET    /healthz               200 while the process serves
//	GET    /readyz                200 while calls are admitted, 503 while the router or the [Server] shuts down
//
// A call answers 200 with the output. Its Content-Type is application/json, unless
// the handler returns []byte or has a [faas.Codec] that says otherwise. The header
// Faas-Executed-Version says which version has run, or has failed, if that has a number or
// was chosen by an alias. A refused call has run none.
//
// # Streams
//
// A function registered with [faas.RegisterStream] answers with each piece as it
// comes. A client that accepts text/event-stream gets each piece as an event; an
// error after the first piece comes as an event named error with a
// problem as its data.
//
// In a plain stream an error breaks off the connection, so that a part of an answer
// is not taken for the whole. Over HTTP/1.0, where only the end of the connection
// ends a stream, the connection is reset. If it can't be reset, because it is a
// Unix socket for example, an HTTP/1.0 client gets the stream as one answer after
// it has ended well.
//
// The data of an event is text. Each line of a piece becomes a line of the data;
// whether it ended in "\r", "\n" or "\r\n" is lost, and clients read "\n". Bytes
// that are not UTF-8 are sent as they are and clients replace them by U+FFFD, also
// where two pieces split a character: send bytes as base64, or as a plain stream.
//
// # Jobs
//
// A POST with "Prefer: respond-async" (RFC 7240) is answered with 202 once the call is
// accepted as a job ([faas.Router.Send]), with Preference-Applied, and with the path of the job
// as the Location. There GET answers its state as JSON, and when it has ended the result:
// of a function that answers JSON in the field result, of any other in resultBase64; of a
// job that is dead in the field problem what a call that ended so would be answered.
// DELETE cancels it: 204, or 409 if it has ended. How often it is tried and how long its result
// is kept is up to the function's options: [faas.WithRetry], [faas.WithRetention]. [WithJobs] has all
// calls of some functions be jobs, whatever their senders prefer.
//
//	curl -i -H 'Prefer: respond-async' -d '{"Side": 64}' localhost:9000/fn/resize
//	curl localhost:9000/fn/resize/jobs/0f8fad5b-d9cb-469f-a165-70867728950e
//
// A job is told to, and canceled for, callers that may call its function, for the tenant
// of the job, and that are its owner if there is [WithJobOwner]. To others it does not exist; nor
// do jobs that came from elsewhere. The gates are asked each time as for a call, so that a
// caller whose budget is spent is told later.
//
// A body is decoded when the job runs: one that is not an input makes it dead as Invalid.
// If there is no room for a job the answer is 429, as for a call. For streams, and by
// [Function] without [WithJobs], the preference is ignored, as the RFC allows: the call is made and
// answered.
//
// # Errors
//
// Every error is answered with a problem of RFC 9457. It names a reason and the id
// of the request, and nothing of what happened inside: no panic, no stack, and no
// error of a handler unless that is a [Problem].
//
//	400 input, body, tenant   403 host, origin   404 not_found, path, job   405 method
//	408 slow   409 settled   413 too_large   415 encoding
//	429 overloaded, queue_timeout, runaways, off, or a gate's reason; with Retry-After
//	500 failed, panicked, exited, output, output_too_large, init_failed
//	503 init, meter_full, closed, canceled, jobs; with Retry-After   504 timed_out   508 depth, cycle
//
// The status follows from the [faas.Kind] of the refusal, or from the outcome of
// the call; [ProblemOf] returns the same for handlers of your own. A caller that a
// gate denies a function is told that the function does not exist (see
// [WithForbidden]), and does not see it in the list. Both answers are given after
// the body is read, so that they can't be told apart by when they come.
//
// # Requests
//
// On a loopback connection a request is served only if its host is known, and if it
// does not come from a page of another site: see [WithHosts] and [WithOrigins].
//
// The client's X-Request-Id is kept if it is 1 to 128 of A–Z a–z 0–9 . _ ~ -, and
// replaced otherwise. Traceparent and Tracestate are passed on if they are well
// formed. See [FromContext]. The id is also the RequestID of the call's [faas.Origin].
//
// When the client leaves, its call is canceled. The body is bounded by
// [faas.WithLimits] and read before the call asks for a slot; the answer is written
// after the call has given its slot back.
//
// # Deadlines
//
// The answer comes at the deadline, whether or not the handler has returned. On HTTP/1.1,
// if the ResponseWriter is net/http's own and no stream is asked for, the handler runs on the
// connection's goroutine ([faas.Router.InvokeFunc]), which saves a hand-over for each request.
// Three things follow for handlers that do not heed their context. The connection of a call that
// timed out is closed after the answer, and ServeHTTP returns when the handler does: so
// middlewares around this handler, and [http.Server.Shutdown], wait for that. If the client
// leaves, such a call ends when its handler returns, at the deadline at the latest. And a
// runtime.Goexit of a handler costs the connection, after the answer.
//
// For any other ResponseWriter, also one that wraps net/http's, for streams, and on HTTP/1.0
// and HTTP/2, the handler has a goroutine of its own, and ServeHTTP returns at the deadline.
func Handler(r *faas.Router, opts ...Option) http.Handler {
	return &httpFront{router: r, settings: frontSettings(opts), hasJobs: true}
}

// Function serves one function of a router as [Handler] does, at a path of your
// choice: a POST calls it, and any other method is answered with 405. It panics,
// and names the cure, if an option is impossible.
//
//	mux.Handle("/v1/resize", faashttp.Function(router, "resize"))
//
// The function is looked up for each call, so that it may be registered later,
// removed and replaced. While it does not exist, the answer is 404.
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
	hasJobs bool // it serves the paths of jobs, and so may answer with one
}

// ServeHTTP serves one request. Nearly all requests are calls, so their path is
// tested first, and without a mux.
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

// isAllowed reports whether the request may be served, and answers it otherwise.
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

// hasMethod reports whether the request has one of these methods, and answers 405
// otherwise.
func hasMethod(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	(&Problem{Status: http.StatusMethodNotAllowed, Reason: "method", Detail: "This path is not for this method."}).ServeHTTP(w, r)
	return false
}

// open begins the exchange of a request, and answers a request that is malformed.
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

// invoke reads the body and calls the function. For an unknown function it reads
// the body too, as it does for one that the caller must not know of.
func (f *httpFront) invoke(w http.ResponseWriter, r *http.Request, name string) {
	x, ok := f.open(w, r)
	if !ok {
		return
	}
	info, err := f.router.Signature(name)
	if err != nil {
		x.discardBody(nil)
		_, err := f.router.Invoke(x.ctx, name, nil) // so that the router counts the refusal
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

// answer calls the function and writes its output. Where it can, the handler runs on this
// goroutine, and a timer writes the answer if the handler does not return in time.
func (f *httpFront) answer(x *exchange, info faas.Signature, name string, body []byte) {
	if info.Stream || !x.canAnswerEarly() {
		out, err := f.router.Invoke(x.resolving(), name, body)
		f.reply(x, info.ContentType, name, out, err)
		return
	}
	kind := info.ContentType // alone: the func is allocated with all that it names
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

// isCutShort reports whether a call may have ended before its handler, which holds the
// connection then, or has ended the connection's goroutine. The answer is flushed, since
// net/http does that later, or not at all.
func isCutShort(err error, name string) bool {
	end := faas.EndOf(err, name).Outcome
	return end == faas.TimedOut || end == faas.Canceled || end == faas.Exited
}

// reply writes the output of a call, or the problem.
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
	_, _ = x.w.Write(out) // a client that has gone needs no answer
}

// smallAnswer is the size up to which net/http counts the length of an answer
// itself. It would send a larger one in chunks unless the length is set.
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
		_ = s.send(sseEvent("error", f.problemOf(err, name).json(x.carried.ID))) // an error means that the client has gone
	default:
		x.breakOff()
	}
}

// problem is problemOf, but tells a caller that a gate would deny that there is no such
// function: the router checks the size and the form of an input before it asks the gates,
// and such a check must not show that the function exists. If the call was not refused,
// problem also sets the header with the version that ran.
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

// tellVersion sets the header that says which version has run. It is not for refused calls, which
// have run none: their caller may be one that must not learn that the function exists.
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
	_, _ = x.w.Write(doc) // a client that has gone needs no answer
}

// functionInfo is a [faas.Info] as JSON.
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
