package faashttp

import (
	"encoding/base64"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

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

// newURLEvent makes the event of a request. It encodes a body that is not text as base64,
// because JSON strings can contain only UTF-8.
func newURLEvent(x *exchange, body []byte) urlEvent {
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

// headersOf returns the headers with names in lower case. It joins several values of one name
// by commas. It leaves out cookies, which have a field of their own in the event.
func headersOf(r *http.Request) map[string]string {
	all := map[string]string{"host": r.Host}
	for name, values := range r.Header {
		if name != "Cookie" {
			all[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	return all
}

// cookiesOf returns the cookies one by one, undecoded.
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

// paramsOf decodes the query pair by pair. It joins several values of one name by commas.
// Unlike net/url it drops no pair: a name or value that can't be decoded stays unchanged, a
// semicolon is an ordinary character, and a name without "=" has an empty value. AWS does not
// document such pairs. A handler that needs the query as it was sent reads rawQueryString.
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

// isText reports whether a body of that type is put into the event without base64.
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
