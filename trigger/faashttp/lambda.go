package faashttp

import (
	"context"
	"net/http"
	"time"

	"github.com/inproc/faas"
)

// Lambda serves a router over the wire of the AWS Lambda API, so that AWS's SDKs
// and command line call its functions: set their endpoint to this handler. Make one
// with [NewLambda]. It answers
//
//   - Invoke: RequestResponse, DryRun, and Event;
//   - InvokeWithResponseStream;
//   - ListFunctions, GetFunction, GetFunctionConfiguration, GetAccountSettings,
//
// and an UnknownOperationException to everything else, under the paths that the API
// documents. Mount it at "/", or at "/2015-03-31/", "/2016-08-19/" and
// "/2021-11-15/".
//
// A function may be named in every form that the API takes. The only version is
// $LATEST; a call that names another qualifier, region or account finds no
// function. Errors have Lambda's form, down to the case of their keys; so have the
// function's own error, its panic and its timeout. A denied call is answered as if
// the function did not exist (see [WithForbidden]). If another attempt may succeed,
// for example because the function's instances can't be made at present, the answer
// is a ServiceException, which clients retry.
//
// The answer's x-amzn-RequestId is the RequestID of the call's [faas.Origin], and so the
// one in its record and in the logs. It is the x-amzn-RequestId of the request, which a
// proxy in front may set, or else the amz-sdk-invocation-id, which AWS's SDKs send: all
// attempts of one operation have the same. An id that is not 1 to 128 of
// A–Z a–z 0–9 . _ ~ - is replaced by a new one.
//
// The caller gets the text of a function's error and the stack of its panic, as on
// Lambda: every caller on this wire is taken for an operator of the functions. Use
// [Handler] for callers that are not.
//
// # Events
//
// An invocation of type Event is answered 202 once the event is in memory. Then its
// function is called. While the router has no room, or the function is unavailable
// or fails to initialize, the call is tried again, after waits that grow to 10 s. A
// function that ran and failed is not called again; its record tells. Events in
// memory are lost if the process ends without [Lambda.Shutdown]: use a durable
// queue for what must not be lost.
type Lambda struct {
	settings

	router   *faas.Router
	verifier verifier
	events   *events
	mux      *http.ServeMux
}

// NewLambda returns the wire of r. Call its Shutdown before the router's (see
// [WithDrainer]). It panics, and names the cure, if an option is impossible.
//
// Functions that were written for Lambda's runtime are registered by
//
//	faas.Register(r, name, lambda.NewHandler(h).Invoke) // of aws-lambda-go, for each signature that lambda.Start takes
//
// A middleware can put on their contexts what they read with lambdacontext. The
// examples of the module awstest show both.
func NewLambda(r *faas.Router, opts ...LambdaOption) *Lambda {
	s := lambdaSettings(opts)
	l := &Lambda{
		settings: s, router: r, mux: http.NewServeMux(),
		verifier: verifier{s.address.region, s.secret},
		events:   newEvents(r, s.events, s.logger),
	}
	list := &listing{router: r, address: s.address, since: time.Now()}
	const functions = "/2015-03-31/functions"
	for pattern, serve := range map[string]func(*exchange){
		"POST " + functions + "/{name}/invocations":                        l.invoke,
		"POST /2021-11-15/functions/{name}/response-streaming-invocations": l.invokeStream,
		"GET " + functions:                           list.listFunctions,
		"GET " + functions + "/{$}":                  list.listFunctions,
		"GET " + functions + "/{name}":               list.getFunction,
		"GET " + functions + "/{name}/configuration": list.getConfiguration,
		"GET /2016-08-19/account-settings":           list.getAccount,
		"GET /2016-08-19/account-settings/{$}":       list.getAccount,
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

// Shutdown takes no more events and waits until the accepted ones are done. If ctx
// ends first, it cancels the rest, and the error says how many were lost. It is
// idempotent.
func (l *Lambda) Shutdown(ctx context.Context) error { return l.events.shutdown(ctx) }

// open begins the exchange of a request, or answers a request that must not get
// further. All checks that need no body are made before one is read. The signature
// of a POST covers its body: receive checks it, after it has read the body.
func (l *Lambda) open(w http.ResponseWriter, r *http.Request) (*exchange, bool) {
	id := requestID(r, "X-Amzn-Requestid", "Amz-Sdk-Invocation-Id")
	w.Header().Set("X-Amzn-Requestid", id)
	x, err := l.begin(w, r, faas.Origin{Trigger: "other", Door: "lambda", RequestID: id})
	if !l.door.allows(w, r, x.refuseAtDoor) {
		return x, false
	}
	if err != nil {
		x.refuse(bodyError(err, 0))
		return x, false
	}
	if l.secret == nil {
		return x, true
	}
	if apiErr := l.verifier.precheck(r); apiErr != nil {
		x.refuse(apiErr)
		return x, false
	}
	if r.Method == http.MethodPost { // receive verifies it, with its body
		return x, true
	}
	if apiErr := l.verifier.verify(r, nil); apiErr != nil {
		x.refuse(apiErr)
		return x, false
	}
	return x, true
}

func unknownOperation(x *exchange) {
	x.refuse(&apiError{status: http.StatusNotFound, kind: "UnknownOperationException", message: "There is no such operation."})
}
