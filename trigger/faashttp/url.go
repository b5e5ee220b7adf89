package faashttp

import (
	"encoding/base64"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/inproc/faas"
)

// FunctionURL serves one function as an AWS Lambda function URL does: every
// request, whatever its method and path, becomes an event of payload format 2.0
// (that of API Gateway's HTTP APIs as well), and the function's answer becomes
// the response. A handler written for these runs as it is, with the types of
// aws-lambda-go/events or its own. What it asks lambdacontext for, a middleware puts
// on its context; the examples of the module awstest have one.
//
// An answer that is an object with a statusCode is a structured one: its headers,
// cookies, body, and isBase64Encoded, make the response. The keys are these to the
// letter; a status is a number or the text of one. Any other answer is the body of
// a 200, as JSON: so is that of a Go struct whose field StatusCode has no tag. A function that streams answers with its
// pieces as they come; see [StreamHead] for its status and headers.
//
// What goes wrong is answered as Lambda does, and says nothing of what went on
// inside: 502 for a function that fails, 429 for want of room, 503 for what may work
// another time, 413 for an event over the function's limit, 400 for a tenant that is
// none, and 403 where a gate denies the call or the function is gone. An answer whose
// status, header or cookie is not one is a 502 as well. [WithHosts] and [WithOrigins] hold here too.
//
// Mount it where the function is to be, below a prefix with [http.StripPrefix].
func FunctionURL(r *faas.Router, name string, opts ...Option) http.Handler {
	return &functionURL{settings: frontSettings(opts), router: r, name: name}
}

type functionURL struct {
	settings

	router *faas.Router
	name   string
}

// ServeHTTP serves one request.
func (u *functionURL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newID()
	w.Header().Set("X-Amzn-Requestid", id)
	x, err := u.begin(w, r, id)
	if !u.door.opens(w, r, x.keepOut) {
		return
	}
	if err != nil {
		x.refuse(bodyFault(err, 0))
		return
	}
	info, unknown := u.router.Signature(u.name)
	if unknown != nil {
		info.MaxIn = unknownLimit
	}
	body, err := x.encodedBody(info.MaxIn)
	switch {
	case unknown != nil, err != nil && x.hides(u.router, u.name):
		x.reply(noAccess(x))
	case err != nil:
		x.hangUp()
		x.refuse(bodyFault(err, info.MaxIn))
	case info.Stream:
		u.stream(x, info, mustJSON(x.event(body)))
	default:
		u.answer(x, info, mustJSON(x.event(body)))
	}
}

func (u *functionURL) answer(x *exchange, info faas.Signature, event []byte) {
	out, err := u.router.Invoke(x.ctx, u.name, event)
	if err != nil {
		u.fail(x, info, err)
		return
	}
	a, ok := parseAnswer(out)
	if !ok {
		x.badGateway()
		return
	}
	a.head(x.w.Header())
	x.reply(a.status, "", a.body)
}

// fail answers an error before anything else is said.
func (u *functionURL) fail(x *exchange, info faas.Signature, err error) {
	end := faas.EndOf(err, u.name)
	switch end.Kind {
	case faas.KindNone:
		if end.Outcome == faas.Canceled {
			x.unavailable(time.Second)
			return
		}
		x.badGateway()
	case faas.KindNotFound, faas.KindDenied:
		x.reply(noAccess(x))
	case faas.KindInvalid, faas.KindTooLarge:
		u.badInput(x, end, info)
	case faas.KindNesting: // its loops are the function's own affair
		x.badGateway()
	case faas.KindBusy:
		x.refuse(throttle(u.router, u.name, end.Err.Reason, end.Err.RetryAfter))
	case faas.KindUnavailable, faas.KindClosed, faas.KindCanceled:
		x.unavailable(end.Err.RetryAfter)
	}
}

// badInput answers for an event that the function can't take. What it makes of one
// that is not too large is its own affair; the tenant is not.
func (u *functionURL) badInput(x *exchange, end faas.End, info faas.Signature) {
	before := x.before(u.router, u.name)
	switch {
	case before == faas.KindDenied && !u.forbidden:
		x.reply(noAccess(x))
	case end.Kind == faas.KindTooLarge:
		x.refuse(tooLargeFor(info.MaxIn))
	case before == faas.KindInvalid, end.Err.Reason != faas.ReasonInput:
		x.refuse(badParameter("The invocation is not valid."))
	default:
		x.badGateway()
	}
}

// unavailable is Lambda's answer for what may work another time.
func (x *exchange) unavailable(after time.Duration) {
	retryAfter(x.w.Header(), after)
	x.reply(http.StatusServiceUnavailable, "text/plain", []byte("Service Unavailable"))
}

// badGateway is Lambda's answer for a function that failed.
func (x *exchange) badGateway() {
	x.reply(http.StatusBadGateway, "text/plain", []byte("Internal Server Error"))
}

// noAccess is what an unknown URL answers.
func noAccess(x *exchange) (status int, contentType string, body []byte) {
	x.w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
	return http.StatusForbidden, "application/json", []byte(`{"Message":null}`)
}

// urlEvent is an event of payload format 2.0.
type urlEvent struct {
	Version  string            `json:"version"`
	RouteKey string            `json:"routeKey"`
	Path     string            `json:"rawPath"`
	Query    string            `json:"rawQueryString"`
	Cookies  []string          `json:"cookies,omitempty"`
	Headers  map[string]string `json:"headers"`
	Params   map[string]string `json:"queryStringParameters,omitempty"`
	Context  urlContext        `json:"requestContext"`
	Body     string            `json:"body,omitempty"`
	IsBase64 bool              `json:"isBase64Encoded"`
}

type urlContext struct {
	AccountID string  `json:"accountId"`
	APIID     string  `json:"apiId"`
	Domain    string  `json:"domainName"`
	Prefix    string  `json:"domainPrefix"`
	HTTP      urlHTTP `json:"http"`
	RequestID string  `json:"requestId"`
	RouteKey  string  `json:"routeKey"`
	Stage     string  `json:"stage"`
	Time      string  `json:"time"`
	Epoch     int64   `json:"timeEpoch"`
}

type urlHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// event is the request as the handler sees it.
func (x *exchange) event(body []byte) urlEvent {
	r, now := x.r, time.Now().UTC()
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	prefix, _, _ := strings.Cut(r.Host, ".")
	e := urlEvent{
		Version: "2.0", RouteKey: "$default", Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Headers: headersOf(r), Cookies: cookiesOf(r), Params: paramsOf(r),
		Context: urlContext{
			AccountID: "anonymous", APIID: prefix, Domain: r.Host, Prefix: prefix,
			HTTP:      urlHTTP{Method: r.Method, Path: r.URL.EscapedPath(), Protocol: r.Proto, SourceIP: ip, UserAgent: r.UserAgent()},
			RequestID: x.carried.ID, RouteKey: "$default", Stage: "$default",
			Time: now.Format("02/Jan/2006:15:04:05 -0700"), Epoch: now.UnixMilli(),
		},
	}
	if e.IsBase64 = isEncoded(r.Header) || !isText(r.Header.Get("Content-Type")) || !utf8.Valid(body); e.IsBase64 && len(body) > 0 {
		e.Body = base64.StdEncoding.EncodeToString(body)
	} else {
		e.Body, e.IsBase64 = string(body), false
	}
	return e
}

// headersOf has names in lower case, and values that came apart joined. Cookies
// have a place of their own.
func headersOf(r *http.Request) map[string]string {
	all := map[string]string{"host": r.Host}
	for name, values := range r.Header {
		if name != "Cookie" {
			all[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	return all
}

func cookiesOf(r *http.Request) (all []string) {
	for _, line := range r.Header["Cookie"] {
		for cookie := range strings.SplitSeq(line, ";") {
			if cookie = strings.TrimSpace(cookie); cookie != "" {
				all = append(all, cookie)
			}
		}
	}
	return all
}

// paramsOf decodes a query pair by pair, and loses none: where net/url drops a pair
// that is malformed, or has a semicolon in it, AWS hands it on. A name or value
// that can't be decoded stays as it came, and a name alone has an empty value.
func paramsOf(r *http.Request) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if before, twice := all[name]; twice {
			value = before + "," + value
		}
		all[name] = value
	}
	return all
}

// isText tells whether a body of that type is handed on as it is.
func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case contentType == "":
		return true
	case err != nil:
		return false
	}
	return strings.HasPrefix(kind, "text/") || kind == "application/json" || kind == "application/xml" ||
		kind == "application/javascript" || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}
