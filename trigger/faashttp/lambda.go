package faashttp

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Lambda serves a router over the wire of the AWS Lambda API, so that AWS's SDKs
// and command line call its functions: set their endpoint to this handler. Make one
// with [NewLambda]. It answers
//
//   - Invoke: RequestResponse, DryRun, and Event;
//   - InvokeWithResponseStream;
//   - ListFunctions, GetFunction, GetFunctionConfiguration, ListVersionsByFunction,
//     GetAccountSettings;
//   - CreateAlias, GetAlias, UpdateAlias, DeleteAlias, ListAliases;
//   - GetFunctionEventInvokeConfig, ListFunctionEventInvokeConfigs,
//
// and an UnknownOperationException to everything else, under the paths that the API
// documents. Mount it at "/", or at "/2015-03-31/", "/2016-08-19/", "/2019-09-25/" and
// "/2021-11-15/".
//
// A function may be named in every form that the API takes, with a version or an alias
// as its qualifier; a call that names another region or account finds no function. The
// answer of a call says in X-Amz-Executed-Version which version ran. Errors have Lambda's form, down to the case of their keys; so have the
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
// # Versions and aliases
//
// Versions are those of [faas.WithVersion]: they are compiled into the program, so
// PublishVersion is refused with an InvalidParameterValueException that says so. Aliases
// are the router's own ([faas.Router.SetAlias]), and an operation on one here is an
// operation there. Where requests are signed, the access key is the alias's By.
//
//	aws lambda create-alias --function-name resize --name live --function-version 1
//	aws lambda update-alias --function-name resize --name live --routing-config 'AdditionalVersionWeights={2=0.1}'
//	aws lambda update-alias --function-name resize --name live --routing-config '{}'
//
// By the API's rules an alias has at most two versions, and $LATEST only alone. The part
// of the second is kept to four decimals: an alias has integer weights, and 0.1 becomes
// 10 of 100. Other aliases can be set only by the program. They are told as they are,
// with all further versions in the RoutingConfig, and a request that names no
// RoutingConfig leaves their parts as they are. An alias stays sticky.
//
// A router's alias has no main version, and FunctionVersion is one: the one that a client
// has set, or else the one with most of the calls. It stays the same as long as the alias
// routes calls to it.
//
// A caller that may call a function may also move its aliases. To keep that to fewer
// callers, give the others only the paths that end in invocations.
//
// # Events
//
// An invocation of type Event is answered 202 once the router has accepted its job: see
// [faas.Router.Send]. What becomes of it is decided by the function's options, whose
// defaults are Lambda's: a function that fails runs again after 60 and after 120 seconds, a
// call for which there is no room is made later, within 6 hours, and what is given up goes to
// faas.WithOnFailure. The job's ID is the request's id if that is a UUID, as those of
// AWS's clients are and those that this wire makes; the header Faas-Job-Id has it in any case. An id
// that is taken by another job is replaced. How long an accepted event lives is up to the
// router's queue (faas.WithJobs): the default one is in memory.
//
// GetFunctionEventInvokeConfig and ListFunctionEventInvokeConfigs tell what the options
// say. To put, update or delete that is refused, since it is set in code.
//
// A delivery is judged by the gates without the request: give the router what takes along
// who has sent it, as [Carrier] and access.Carrier do. Functions that answer with a stream
// take no events.
type Lambda struct {
	settings

	router   *faas.Router
	verifier verifier
	closed   atomic.Bool // Shutdown was called: no more events
	mux      *http.ServeMux
	since    time.Time // when the wire was made, which all functions give as LastModified
	mains    mains
}

// NewLambda returns the wire of r. It panics, and names the cure, if an option is impossible.
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

// open begins the exchange of a request, or answers a request that must not get
// further. All checks that need no body are made before one is read. The signature
// of a POST or a PUT covers its body: what reads the body checks it.
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
	if r.Method == http.MethodPost || r.Method == http.MethodPut { // receive or document verifies it, with its body
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
