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

// ToURL is a destination of jobs ([faas.WithOnSuccess], [faas.WithOnFailure]) at a URL: it
// gets the envelope, which is that of AWS Lambda's destinations, as the JSON body of a
// POST. It panics, and names the cure, if the URL or an option is impossible; [TryToURL]
// returns that as an error.
//
//	faas.WithOnFailure(faashttp.ToURL("https://ops.example.com/dead", faashttp.WithHeader("Authorization", "Bearer "+token)))
//
// Any 2xx status says that the envelope has arrived. 429 and 503 with a Retry-After are no
// attempt: the envelope is sent again after that time, and after a second at least. 410
// says that it must not be sent again. All else is a failed attempt. A delivery is a job of
// its own, which by default may take 30 s and is tried three times, as Lambda tries; see
// [faas.Destination.WithTimeout] and [faas.Destination.WithRetry]. An answer that is lost
// makes an envelope arrive twice: its requestId and condition tell that it is the same.
//
// If a trace context has traveled with the job, by the Carrier of package faasotel or by
// [Carrier], the request has it in its traceparent and tracestate headers.
//
// # Which addresses it connects to
//
// It connects to public addresses only, unless [WithNetworks] names others: not to
// loopback, private, link-local, shared (100.64.0.0/10), multicast and reserved ones. What
// is judged is the address of each connection, after names are resolved: a name with
// a private address, or with another answer at the next look-up, gets no further.
// Proxies that the environment names are not used, since these would connect for it.
//
// A redirect is followed, up to 5 times, if its status is 307 or 308, which keep method
// and body, and if it does not lead from https to http. The headers of [WithHeader] and the
// trace context go to the scheme, host and port of the URL alone.
func ToURL(target string, opts ...DestinationOption) faas.Destination {
	to, err := TryToURL(target, opts...)
	if err != nil {
		panic(err)
	}
	return to
}

// TryToURL is [ToURL] for a URL from outside of the program. The error Is [faas.ErrInput].
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
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath} // a query may have a key
	return faas.ToFunc(d.deliver).WithName(shown.String()).WithTimeout(30 * time.Second).WithRetry(faas.Retry{Max: 2}), nil
}

// DestinationOption is an option of [ToURL]. Nil options are ignored.
type DestinationOption interface{ applyDestination(*urlDestination) }

type destinationOption func(*urlDestination)

func (o destinationOption) applyDestination(d *urlDestination) { o(d) }

// WithHeader adds a header to each request of a destination, for example Authorization.
// One that is given twice is sent twice; a Content-Type takes the place of
// application/json.
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

// WithNetworks names addresses and networks, such as "10.1.0.0/16" or "127.0.0.1", to
// which a destination may connect although they are not public. Name no more than it
// needs: what is named there is reached by whatever URL and redirect leads to it.
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

// urlDestination posts envelopes to a URL. It is read only once it is made.
type urlDestination struct {
	url      string
	header   http.Header // its own and those of WithHeader
	networks []netip.Prefix
	address  address
	client   http.Client
	dial     dialFunc // of tests; nil: the network
	fault    error    // the first of the options
}

// bad notes the first fault of the options.
func (d *urlDestination) bad(format string, args ...any) {
	if d.fault == nil {
		d.fault = fmt.Errorf(format, args...)
	}
}

// check returns the URL, or what is wrong with it or with the options.
func (d *urlDestination) check(target string) (*url.URL, error) {
	if err := cmp.Or(d.fault, d.address.check()); err != nil {
		return nil, err
	}
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return nil, errors.New("the URL can't be parsed") // the error has the URL, and that a key perhaps
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
	_ = res.Body.Close() // unread: a receiver that sends it slowly must not make the delivery fail
	return verdict(res, time.Now())
}

// traceOf returns the trace context that has traveled with the job, by the carrier of
// observe/faasotel or by [Carrier]. Both are of the sender: a delivery is no call and has no
// span of its own.
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

// withoutURL returns the error of a request without the URL, since a query may have a key
// and the error stands in the job's record.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// verdict says what a receiver's answer means for the delivery.
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

// parseRetryAfter reads a Retry-After (RFC 9110, section 10.2.3): seconds, or a date. A
// time that has passed is 0; none is longer than maxRetryAfter.
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

// maxRetryAfter is longer than any job waits by default.
const maxRetryAfter = 24 * time.Hour

// maxRedirects is how many redirects are followed in a row.
const maxRedirects = 5

// follow decides about a redirect. net/http has copied all headers of the first request.
func (d *urlDestination) follow(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case req.Method != http.MethodPost: // of 301, 302 and 303 it makes a GET
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("a redirect leads from https to http")
	}
	req.Header.Del("Referer") // it would have the query
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
