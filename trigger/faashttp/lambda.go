package faashttp

import (
	"context"
	"net/http"
	"time"

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

	router   *faas.Router
	verifier verifier
	events   *events
	mux      *http.ServeMux
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
	l := &Lambda{settings: s, router: r,
		verifier: verifier{s.address.region, s.secret},
		events:   newEvents(r, s.events, s.logger), mux: http.NewServeMux()}
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

// Shutdown takes no more events and waits until those it has are done. When ctx
// ends first it gives them up, and says how many. It is idempotent.
func (l *Lambda) Shutdown(ctx context.Context) error { return l.events.shutdown(ctx) }

// open begins an exchange, or refuses it: everything that needs no body to be
// seen through is seen through before one is read.
func (l *Lambda) open(w http.ResponseWriter, r *http.Request) (*exchange, bool) {
	id := newID()
	w.Header().Set("X-Amzn-Requestid", id)
	x, err := l.begin(w, r, id)
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
	if r.Method == http.MethodPost { // with its body
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
