package faashttp

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Lambda serves a router over the wire of the AWS Lambda API, so that AWS's SDKs and command
// line call its functions: set their endpoint to this handler. Make one with [NewLambda]. It
// implements
//
//   - Invoke: RequestResponse, DryRun, and Event;
//   - InvokeWithResponseStream;
//   - ListFunctions, GetFunction, GetFunctionConfiguration, ListVersionsByFunction,
//     GetAccountSettings;
//   - CreateAlias, GetAlias, UpdateAlias, DeleteAlias, ListAliases;
//   - GetFunctionEventInvokeConfig, ListFunctionEventInvokeConfigs,
//
// under the paths that the API documents, and answers every other request with an
// UnknownOperationException. Mount it at "/", or at "/2015-03-31/", "/2016-08-19/",
// "/2019-09-25/" and "/2021-11-15/".
//
// A function may be named in every form that the API accepts, with a version or an alias as its
// qualifier. A call that names another region or account finds no function. The answer of a
// call names the version that ran in X-Amz-Executed-Version. Errors have Lambda's form,
// including upper and lower case of their keys; this also holds for a function's own error, its
// panic and its timeout. A denied call is answered as if the function did not exist (see
// [WithForbidden]). If another attempt may succeed, for example because the function's
// instances can't be made at present, the answer is a ServiceException, which clients retry.
//
// The answer's x-amzn-RequestId is the RequestID of the call's [faas.Origin], and so the id in
// its record and in the logs. It is the x-amzn-RequestId of the request, which a proxy in front
// may set. Without that header it is the amz-sdk-invocation-id, which AWS's SDKs send: all
// attempts of one operation have the same. An id that is not 1 to 128 of A–Z a–z 0–9 . _ ~ - is
// replaced by a new one.
//
// The caller gets the text of a function's error and the stack of its panic, as on Lambda. So
// give this wire only to operators of the functions, and use [Handler] for all other callers.
//
// # Versions and aliases
//
// Versions are those of [faas.WithVersion]. They are compiled into the program, so
// PublishVersion is refused with an InvalidParameterValueException that says so. Aliases are
// those of [faas.Router.SetAlias]: a change of an alias over this wire changes the router's
// alias. If requests are signed, the access key is recorded as the author of the change
// ([faas.WithActor]).
//
//	aws lambda create-alias --function-name resize --name live --function-version 1
//	aws lambda update-alias --function-name resize --name live --routing-config 'AdditionalVersionWeights={2=0.1}'
//	aws lambda update-alias --function-name resize --name live --routing-config '{}'
//
// By the API's rules an alias has at most two versions, and an alias with $LATEST has no second
// one. The weight of the second version is kept to four decimals. It becomes integers, because
// a router's alias has integer weights: 0.1 becomes 10 of 100. Only the program can set an
// alias that breaks these rules. Such an alias is shown with all its further versions in the
// RoutingConfig. A request without a RoutingConfig does not change their weights. An alias that
// is sticky stays sticky.
//
// A router's alias has no main version, but the API's FunctionVersion needs one. It is the
// version that a client has set. If no client has, it is the version with the greatest weight.
// It remains the main version as long as the alias routes calls to it.
//
// A caller that may call a function may also change its aliases. To prevent that, give the
// caller access only to the paths that end in /invocations.
//
// # Events
//
// An invocation of type Event is answered 202 once the router has accepted its job: see
// [faas.Router.Send]. The function's options say how the job runs. Their defaults are Lambda's:
// a function that fails runs again after 60 and after 120 seconds; a call for which there is no
// room is made later, within 6 hours; and a job that is given up goes to faas.WithOnFailure.
// The job's ID is the request's id if that is a UUID. The ids that AWS's clients send and those
// that this wire makes are UUIDs. If another job has that ID already, the request gets a new
// id. The header Faas-Job-Id of the answer always has the job's ID. The router's queue
// (faas.WithJobs) decides whether an accepted event outlives the process: the default queue is
// in memory.
//
// GetFunctionEventInvokeConfig and ListFunctionEventInvokeConfigs return the function's
// options. To put, update or delete such a configuration is refused, because it is set in code.
//
// The gates check a job's delivery without its request. If they need to know the sender, give
// the router a carrier that stores the sender with the job, such as [Carrier] or
// access.Carrier. Functions that answer with a stream do not accept events.
type Lambda struct {
	settings

	router   *faas.Router
	verifier verifier
	closed   atomic.Bool // set by Shutdown: no more events are accepted
	mux      *http.ServeMux
	since    time.Time // when the wire was made; the LastModified of all functions
	mains    mains
}

// NewLambda returns the wire of r. It panics if an option is impossible; the panic's text says
// how to correct the option.
//
// Functions that were written for Lambda's runtime are registered by
//
//	faas.Register(r, name, lambda.NewHandler(h).Invoke) // of aws-lambda-go, for each signature that lambda.Start accepts
//
// A middleware can put on their contexts the values that they read with lambdacontext. The
// examples of the module awstest show both.
func NewLambda(r *faas.Router, opts ...LambdaOption) *Lambda {
	s := lambdaSettings(opts)
	l := &Lambda{
		settings: s, router: r, mux: http.NewServeMux(),
		verifier: verifier{s.address.region, s.secret},
		since:    time.Now(),
	}
	const functions, configs = "/2015-03-31/functions", "/2019-09-25/functions/{name}/event-invoke-config"
	for pattern, serve := range map[string]func(*exchange){
		"POST " + functions + "/{name}/invocations":                        l.invoke,
		"POST /2021-11-15/functions/{name}/response-streaming-invocations": l.invokeStream,
		"GET " + functions:                                l.listFunctions,
		"GET " + functions + "/{$}":                       l.listFunctions,
		"GET " + functions + "/{name}":                    l.getFunction,
		"GET " + functions + "/{name}/configuration":      l.getConfiguration,
		"GET " + functions + "/{name}/versions":           l.listVersions,
		"POST " + functions + "/{name}/versions":          l.publishVersion,
		"GET " + functions + "/{name}/aliases":            l.listAliases,
		"POST " + functions + "/{name}/aliases":           l.createAlias,
		"GET " + functions + "/{name}/aliases/{alias}":    l.getAlias,
		"PUT " + functions + "/{name}/aliases/{alias}":    l.updateAlias,
		"DELETE " + functions + "/{name}/aliases/{alias}": l.deleteAlias,
		"GET " + configs:                                  l.getEventConfig,
		"GET " + configs + "/list":                        l.listEventConfigs,
		"PUT " + configs:                                  l.setInCode,
		"POST " + configs:                                 l.setInCode,
		"DELETE " + configs:                               l.setInCode,
		"GET /2016-08-19/account-settings":                l.getAccount,
		"GET /2016-08-19/account-settings/{$}":            l.getAccount,
		"/":                                               unknownOperation,
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

// open begins the exchange of a request. If the request must not be served, open answers it and
// returns false. All checks that do not need the body are made here, before the body is read.
// The signature of a POST or a PUT covers its body: receive and document check it after they
// have read the body.
func (l *Lambda) open(w http.ResponseWriter, r *http.Request) (*exchange, bool) {
	id := requestID(r, "X-Amzn-Requestid", "Amz-Sdk-Invocation-Id")
	w.Header().Set("X-Amzn-Requestid", id)
	x, err := l.begin(w, r, faas.Origin{Trigger: "other", Door: doorLambda, RequestID: id})
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
	if r.Method == http.MethodPost || r.Method == http.MethodPut { // receive or document verifies the signature with the body
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
