package faashttp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/tracecontext"
)

// ToURL returns a destination of jobs ([faas.WithOnSuccess], [faas.WithOnFailure]) that posts
// to a URL. The body of the POST is the envelope as JSON, in the form of AWS Lambda's
// destinations. ToURL panics if the URL or an option is impossible; the panic's text says how
// to correct it. [TryToURL] returns an error instead.
//
//	faas.WithOnFailure(faashttp.ToURL("https://ops.example.com/dead", faashttp.WithHeader("Authorization", "Bearer "+token)))
//
// Any 2xx status means that the envelope has arrived. After 429 or 503 with a Retry-After the
// envelope is sent again after that time, and after a second at least; this does not count as
// an attempt. After 410 the envelope is not sent again. Any other answer is a failed attempt. A
// delivery is a job of its own. By default it may take 30 s and is tried three times, as on
// Lambda; see [faas.Destination.WithTimeout] and [faas.Destination.WithRetry]. If an answer is
// lost, the envelope arrives twice; both copies have the same requestId and condition.
//
// If a trace context is stored with the job, by the Carrier of package faasotel or by
// [Carrier], the request has it in its traceparent and tracestate headers.
//
// # Which addresses it connects to
//
// It connects to public addresses only: not to loopback, private, link-local, shared
// (100.64.0.0/10), multicast and reserved ones. [WithNetworks] allows others. The check is made
// on the address of each connection, after the name is resolved. So a name that resolves to a
// private address is refused, also if an earlier look-up of the name gave a public one. Proxies
// that the environment names are not used, because the proxy would make the connection without
// this check.
//
// A redirect is followed, up to 5 times, if its status is 307 or 308, which keep the method and
// the body, and if it does not lead from https to http. The headers of [WithHeader] and the
// trace context are sent only to the scheme, host and port of the URL.
func ToURL(target string, opts ...DestinationOption) faas.Destination {
	to, err := TryToURL(target, opts...)
	if err != nil {
		panic(err)
	}
	return to
}

// TryToURL is like [ToURL] for a URL that comes from outside of the program: it returns an
// error instead of panicking. The error Is [faas.ErrInput].
func TryToURL(target string, opts ...DestinationOption) (faas.Destination, error) {
	d := &urlDestination{header: http.Header{"Content-Type": {"application/json"}}, address: defaultAddress()}
	for _, o := range opts {
		if o != nil {
			o.applyDestination(d)
		}
	}
	u, err := d.check(target)
	if err != nil {
		return faas.Destination{}, fmt.Errorf("faashttp: ToURL: %w: %w", faas.ErrInput, err)
	}
	d.url = u.String()
	d.client = http.Client{Transport: d.transport(), CheckRedirect: d.follow}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath} // without the query, which may contain a key
	return faas.ToFunc(d.deliver).WithName(shown.String()).WithTimeout(30 * time.Second).WithRetry(faas.Retry{Max: 2}), nil
}

// DestinationOption is an option of [ToURL]. Nil options are ignored.
type DestinationOption interface{ applyDestination(*urlDestination) }

type destinationOption func(*urlDestination)

func (o destinationOption) applyDestination(d *urlDestination) { o(d) }

// WithHeader adds a header to each request of a destination, for example Authorization. A
// header that is given twice is sent twice, but a Content-Type replaces application/json.
func WithHeader(name, value string) DestinationOption {
	return destinationOption(func(d *urlDestination) {
		name := http.CanonicalHeaderKey(name)
		if !isToken(name, "!#$%&'*+-.^_`|~") || !isVisible(value) || isOfTheConnection(name) {
			d.bad("WithHeader(%q): not a header that can be set, or a value with control characters", name)
		}
		if name == "Content-Type" {
			d.header.Del(name)
		}
		d.header.Add(name, value)
	})
}

// isOfTheConnection reports whether net/http sets the header itself.
func isOfTheConnection(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Te", "Upgrade":
		return true
	}
	return false
}

// WithNetworks allows a destination to connect to addresses that are not public. It takes
// addresses and networks, such as "127.0.0.1" or "10.1.0.0/16". Name as few as possible: any
// URL and any redirect can then reach what you name.
func WithNetworks(networks ...string) DestinationOption {
	return destinationOption(func(d *urlDestination) {
		for _, n := range networks {
			p, err := netip.ParsePrefix(n)
			if a, one := netip.ParseAddr(n); one == nil {
				a = a.Unmap().WithZone("")
				p, err = netip.PrefixFrom(a, a.BitLen()), nil
			}
			if err != nil {
				d.bad("WithNetworks(%q): neither an address nor a network; one looks like 10.1.0.0/16", n)
				continue
			}
			d.networks = append(d.networks, p)
		}
	})
}

// urlDestination posts envelopes to a URL. After ToURL has made it, it is only read.
type urlDestination struct {
	url      string
	header   http.Header // Content-Type, and the headers of WithHeader
	networks []netip.Prefix
	address  address
	client   http.Client
	dial     dialFunc // set by tests; nil means the network
	fault    error    // the first error of the options
}

// bad stores the first fault of the options.
func (d *urlDestination) bad(format string, args ...any) {
	if d.fault == nil {
		d.fault = fmt.Errorf(format, args...)
	}
}

// check parses the URL. Its error says what is wrong with the URL or with the options.
func (d *urlDestination) check(target string) (*url.URL, error) {
	if err := cmp.Or(d.fault, d.address.check()); err != nil {
		return nil, err
	}
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return nil, errors.New("the URL can't be parsed") // without err: its text has the URL, which may contain a key
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("the URL needs the scheme https or http, and a host")
	case u.User != nil:
		return nil, errors.New("a URL with a password shows it; use WithHeader with Authorization")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return u, d.mayDial(a)
	}
	return u, nil
}

// deliver posts one envelope.
func (d *urlDestination) deliver(ctx context.Context, e faas.JobEnvelope) error {
	e.RequestContext.FunctionARN = d.address.rehome(e.RequestContext.FunctionARN)
	body, err := json.Marshal(e)
	if err != nil {
		return faas.Permanent(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return faas.Permanent(err)
	}
	req.Header = d.header.Clone()
	if parent, state := traceOf(ctx); parent != "" && len(req.Header["Traceparent"]) == 0 {
		req.Header.Set("Traceparent", parent)
		if state != "" {
			req.Header.Set("Tracestate", state)
		}
	}
	res, err := d.client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	_ = res.Body.Close() // without reading it: a slow body must not make the delivery fail
	return verdict(res, time.Now())
}

// traceOf returns the trace context that is stored with the job, by the carrier of
// observe/faasotel or by [Carrier]. In both cases it is the trace context of the job's sender:
// a delivery is not a call, so it has no span of its own.
func traceOf(ctx context.Context) (parent, state string) {
	parent, state = tracecontext.From(ctx)
	if c := carriedBy(ctx); parent == "" && c != nil {
		parent, state = c.TraceParent, c.TraceState
	}
	if !isTraceParent(parent) {
		return "", ""
	}
	if !isTraceState(state) {
		state = ""
	}
	return parent, state
}

// withoutURL removes the URL from the error of a request: the URL's query may contain a key,
// and the error is stored in the job's record.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// verdict returns nil if the receiver's answer means that the envelope has arrived, and
// otherwise the error for the delivery. The error's type says whether and when to try again.
func verdict(res *http.Response, now time.Time) error {
	if res.StatusCode/100 == 2 {
		return nil
	}
	err := fmt.Errorf("the destination answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	switch res.StatusCode {
	case http.StatusGone:
		return faas.Permanent(err)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if after, ok := parseRetryAfter(res.Header.Get("Retry-After"), now); ok {
			return faas.RetryAfter(max(after, time.Second), err)
		}
	}
	return err
}

// parseRetryAfter reads a Retry-After (RFC 9110, section 10.2.3), which is a number of seconds
// or a date. It returns 0 for a date that has passed, and maxRetryAfter for any longer time.
func parseRetryAfter(s string, now time.Time) (after time.Duration, ok bool) {
	s = strings.Trim(s, " \t")
	if s != "" && strings.Trim(s, "0123456789") == "" {
		s = strings.TrimLeft(s, "0")
		if len(s) > 9 {
			return maxRetryAfter, true
		}
		for _, digit := range s {
			after = 10*after + time.Duration(digit-'0')*time.Second
		}
		return min(after, maxRetryAfter), true
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), maxRetryAfter), true
}

// maxRetryAfter bounds the wait before the next attempt. By default no job waits that long.
const maxRetryAfter = 24 * time.Hour

// maxRedirects is how many redirects in a row are followed.
const maxRedirects = 5

// follow is the CheckRedirect of the client. It returns nil to follow the redirect req.
// net/http has copied all headers of the first request to req; follow removes those that the
// new host must not get.
func (d *urlDestination) follow(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case req.Method != http.MethodPost: // for 301, 302 and 303 net/http changes the method to GET
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("a redirect leads from https to http")
	}
	req.Header.Del("Referer") // net/http has set it to the previous URL, with its query
	if req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		for name := range d.header {
			if name != "Content-Type" {
				req.Header.Del(name)
			}
		}
		req.Header.Del("Traceparent")
		req.Header.Del("Tracestate")
	}
	return nil
}
