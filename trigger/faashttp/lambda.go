package faashttp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/inproc/faas"
)

// Lambda serves a router over the wire of the AWS Lambda API, so that AWS's SDKs
// and command line call its functions: point their endpoint here. Make one with
// [NewLambda]. It answers
//
//   - Invoke: RequestResponse, DryRun, and Event;
//   - InvokeWithResponseStream;
//   - ListFunctions, GetFunction, GetFunctionConfiguration, GetAccountSettings,
//
// and an UnknownOperationException to all else, under the paths that the API
// documents; it is mounted at "/" or on "/2015-03-31/", "/2016-08-19/" and
// "/2021-11-15/".
//
// A function is named in any form the API takes. The only version is $LATEST;
// another qualifier, region or account names nothing. Errors, and how a function's
// own error, panic, timeout and end are told, are Lambda's, down to the case of
// the keys. A denied call is answered as an unknown function (see
// [WithForbidden]). What may work another time, such as a call of a function whose
// instances can't be made now, is a ServiceException, which clients try again.
//
// The text of a function's error and the stack of its panic go to the caller, as
// they do on Lambda: whoever may call over this wire is taken for its operator.
// Where he is not, use [Handler].
//
// # Events
//
// An InvocationType of Event is answered 202 once the event is in memory, and
// from there it goes to the router. While the router has no room it is tried
// again; a function that fails is not called again, and has its record. Events in
// memory are lost when the process ends without [Lambda.Shutdown]: what must not
// be lost needs a queue that is durable.
type Lambda struct {
	settings

	router *faas.Router
	events *events
	since  time.Time
	mux    *http.ServeMux
}

// NewLambda returns the wire of r. Its Shutdown is to be called before the
// router's (see [WithDrainer]). It panics, and names the cure, if an option is
// impossible.
//
// Functions that were written for Lambda's runtime are registered by
//
//	faas.Register(r, name, lambda.NewHandler(h).Invoke) // of aws-lambda-go, for each signature that lambda.Start takes
//
// and a middleware puts on their contexts what they ask lambdacontext for: the
// examples of the module awstest show both.
func NewLambda(r *faas.Router, opts ...LambdaOption) *Lambda {
	s := lambdaSettings(opts)
	l := &Lambda{settings: s, router: r, events: newEvents(r, s.events, s.logger), since: time.Now(), mux: http.NewServeMux()}
	const functions = "/2015-03-31/functions"
	for pattern, serve := range map[string]func(*exchange){
		"POST " + functions + "/{name}/invocations":                        l.invoke,
		"POST /2021-11-15/functions/{name}/response-streaming-invocations": l.invokeStream,
		"GET " + functions:                           l.listFunctions,
		"GET " + functions + "/{$}":                  l.listFunctions,
		"GET " + functions + "/{name}":               l.getFunction,
		"GET " + functions + "/{name}/configuration": l.getConfiguration,
		"GET /2016-08-19/account-settings":           l.getAccount,
		"GET /2016-08-19/account-settings/{$}":       l.getAccount,
		"/":                                          unknownOperation,
	} {
		l.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if x, ok := l.open(w, r); ok {
				serve(x)
			}
		})
	}
	return l
}

// ServeHTTP serves one request.
func (l *Lambda) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.mux.ServeHTTP(w, r) }

// Shutdown takes no more events and waits until those it has are done. When ctx
// ends first it gives them up, and says how many. It is idempotent.
func (l *Lambda) Shutdown(ctx context.Context) error { return l.events.shutdown(ctx) }

// open begins an exchange, or refuses it: everything that needs no body to be
// seen through is seen through before one is read.
func (l *Lambda) open(w http.ResponseWriter, r *http.Request) (*exchange, bool) {
	id := newID()
	w.Header().Set("X-Amzn-Requestid", id)
	x, err := l.begin(w, r, id)
	if !l.door.opens(w, r, x.keepOut) {
		return x, false
	}
	if err != nil {
		x.refuse(bodyFault(err, 0))
		return x, false
	}
	if l.secret == nil {
		return x, true
	}
	if f := l.precheck(r); f != nil {
		x.refuse(f)
		return x, false
	}
	if r.Method == http.MethodPost { // with its body
		return x, true
	}
	if f := l.verify(r, nil); f != nil {
		x.refuse(f)
		return x, false
	}
	return x, true
}

func unknownOperation(x *exchange) {
	x.refuse(&fault{status: http.StatusNotFound, kind: "UnknownOperationException", message: "There is no such operation."})
}

// call is a call over the Lambda wire, checked.
type call struct {
	target

	info faas.Signature
	body []byte
}

// receive reads and checks what all invocations have in common.
func (l *Lambda) receive(x *exchange) (c call, f *fault) {
	t, f := targetOf(x.r)
	known := false
	if f == nil && l.isHere(t) {
		info, err := l.router.Signature(t.name)
		c.info, known = info, err == nil
	}
	limit := l.limit(known, c.info)
	body, err := x.body(limit)
	if l.secret != nil { // before a word about functions
		if err != nil {
			x.hangUp()
			return c, bodyFault(err, limit)
		}
		if forged := l.verify(x.r, body); forged != nil {
			return c, forged
		}
	}
	switch {
	case f != nil:
		return c, f
	case !known || err != nil && x.hides(l.router, t.name):
		x.swallow(err)
		return c, l.noFunction(t)
	case err != nil:
		x.hangUp()
		return c, bodyFault(err, limit)
	}
	c.target, c.body = t, body
	return c, l.inspect(x, &c)
}

// limit is how much of a body is read. Where requests are signed it does not
// depend on a small function's limit, which would tell whoever can't sign that
// there is one; the router enforces it then.
func (l *Lambda) limit(known bool, info faas.Signature) int {
	switch {
	case !known:
		return unknownLimit
	case l.secret != nil:
		return max(unknownLimit, info.MaxIn)
	}
	return info.MaxIn
}

// inspect checks what goes with the body, and the body.
func (l *Lambda) inspect(x *exchange, c *call) *fault {
	f := x.clientContext()
	switch {
	case f != nil:
	case len(c.body) == 0: // Lambda hands an empty object to the handler
		c.body = []byte("{}")
	case !isJSON(c.body):
		f = badContent("Could not parse request body into json: " + syntaxError(c.body))
	}
	if f != nil && x.hides(l.router, c.name) {
		return l.noFunction(c.target)
	}
	return f
}

// isJSON tells whether doc is JSON, which is UTF-8 (RFC 8259, section 8.1):
// package json would replace other bytes, and the function get something else than
// was sent.
func isJSON(doc []byte) bool { return json.Valid(doc) && utf8.Valid(doc) }

// syntaxError says why doc is not JSON.
func syntaxError(doc []byte) string {
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		return err.Error()
	}
	return "invalid UTF-8"
}

// targetOf reads which function is meant.
func targetOf(r *http.Request) (target, *fault) {
	name := r.PathValue("name")
	t, ok := parseTarget(name)
	if !ok {
		return t, invalid("functionName", name, "Member must be a function name, a partial ARN or an ARN")
	}
	if !r.URL.Query().Has("Qualifier") {
		return t, nil
	}
	q := r.URL.Query().Get("Qualifier")
	switch {
	case !isQualifier(q):
		return t, invalid("qualifier", q, "Member must be a version or an alias")
	case t.qualifier != "" && t.qualifier != q:
		return t, badParameter("The qualifier of the function name is not the one of the query.")
	}
	t.qualifier = q
	return t, nil
}

// clientContext takes what Lambda calls so: JSON, in base64, of bounded size.
func (x *exchange) clientContext() *fault {
	const header, limit = "X-Amz-Client-Context", 3583
	encoded := x.r.Header.Get(header)
	if encoded == "" {
		return nil
	}
	doc, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(encoded) > limit || !isJSON(doc) {
		return badContent("The client context must be JSON in base64, of at most 3583 bytes.")
	}
	x.carried.ClientContext = string(doc)
	return nil
}

func (l *Lambda) invoke(x *exchange) {
	c, f := l.receive(x)
	if f != nil {
		x.refuse(f)
		return
	}
	switch kind := x.r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		l.answer(x, c)
	case "Event":
		l.accept(x, c)
	case "DryRun":
		l.dryRun(x, c)
	default:
		x.refuse(invalid("invocationType", kind, "Member must satisfy enum value set: [Event, RequestResponse, DryRun]"))
	}
}

func (l *Lambda) dryRun(x *exchange, c call) {
	if err := l.router.DryRun(x.ctx, c.name); err != nil {
		x.refuse(l.refusal(x, err, c))
		return
	}
	x.reply(http.StatusNoContent, "", nil)
}

// refusal is faultOf for what can only be one.
func (l *Lambda) refusal(x *exchange, err error, c call) *fault {
	if f := l.faultOf(x, err, c.target, c.info); f != nil {
		return f
	}
	return serviceFault("The call could not be made.", time.Second)
}

// startLog makes the log of a call whose client wants to read it.
func (x *exchange) startLog() {
	if x.r.Header.Get("X-Amz-Log-Type") == "Tail" {
		x.carried.tail = &tail{}
		_, _ = x.carried.tail.Write([]byte("START RequestId: " + x.carried.ID + " Version: " + latest + "\n"))
	}
}

// endLog is the log in base64, or empty if nobody wants it.
func (x *exchange) endLog() string {
	if x.carried.tail == nil {
		return ""
	}
	_, _ = x.carried.tail.Write([]byte("END RequestId: " + x.carried.ID + "\n"))
	return x.carried.tail.base64()
}

func (l *Lambda) answer(x *exchange, c call) {
	x.startLog()
	out, err := l.router.Invoke(x.ctx, c.name, c.body)
	h, kind := x.w.Header(), c.info.ContentType
	if err != nil {
		if f := l.faultOf(x, err, c.target, c.info); f != nil {
			x.refuse(f)
			return
		}
		h.Set("X-Amz-Function-Error", "Unhandled")
		out, kind = failureOf(err, c.info, x.carried.ID), "application/json"
	} else if len(out) == 0 && !c.info.Stream {
		out = []byte("null")
	}
	h.Set("X-Amz-Executed-Version", latest)
	if log := x.endLog(); log != "" {
		h.Set("X-Amz-Log-Result", log)
	}
	x.reply(http.StatusOK, kind, out)
}
