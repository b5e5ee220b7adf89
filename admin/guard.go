package admin

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/inproc/faas/access"
)

// maxTarget is the largest length of path and query together, in bytes.
const maxTarget = 8 << 10

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	if len(r.URL.Path)+len(r.URL.RawQuery) > maxTarget {
		h.turnAway(w, r, problem(http.StatusRequestURITooLong, "too_large", "The path and the query are too long."))
		return
	}
	if p := h.reject(r); p != nil {
		h.turnAway(w, r, p)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// turnAway answers and audits a request that reaches no endpoint.
func (h *handler) turnAway(w http.ResponseWriter, r *http.Request, p *Problem) {
	x := h.begin(w, r, &endpoint{})
	x.denied = p.Status == http.StatusForbidden || p.Status == http.StatusUnauthorized
	x.end(nil, p)
}

// setHeaders sets the headers of every answer. They say that it is data, and must not be
// cached, framed, or interpreted as another media type.
func setHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// reject returns the problem with a request that must not reach an endpoint, or nil.
func (h *handler) reject(r *http.Request) *Problem {
	if h.authorize == nil && !isLocal(r) {
		return problem(http.StatusForbidden, "host", "This host answers requests from its own machine only, to localhost and without a proxy.")
	}
	if len(h.hosts) > 0 && !slices.Contains(h.hosts, hostOf(r)) {
		return problem(http.StatusForbidden, "host", "This host does not have that name.")
	}
	probe := *r
	probe.Method = http.MethodPost // Check lets all GET requests pass, but reading, too, is for pages of this origin only
	if err := h.guard.Check(&probe); err != nil {
		return problem(http.StatusForbidden, "origin", "A page of another origin has sent this request.")
	}
	if h.authorize != nil && access.Caller(r.Context()).Kind == access.Anonymous {
		return problem(http.StatusUnauthorized, "unauthenticated", "The request has no credentials, or none that this host knows.")
	}
	return nil
}

// isLocal reports whether a request comes from this machine: by its address and its Host, and
// without a proxy.
func isLocal(r *http.Request) bool {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(peer)
	return ip != nil && ip.IsLoopback() && isLocalHost(hostOf(r)) && !isForwarded(r.Header)
}

// isLocalHost reports whether a Host, without its port, can only be this machine. Any other
// name is resolved by DNS, and could point anywhere.
func isLocalHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// hostOf returns the Host of a request in lower case, without the port and without the brackets
// of an IPv6 address.
func hostOf(r *http.Request) string {
	host := strings.ToLower(r.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// isForwarded reports whether a header says that a proxy has forwarded the request. Then its
// address is that of the proxy.
func isForwarded(h http.Header) bool {
	for name := range h {
		switch {
		case name == "Forwarded", name == "Via", strings.HasPrefix(name, "X-Forwarded"), strings.HasPrefix(name, "Cf-"),
			name == "X-Real-Ip", name == "True-Client-Ip", name == "X-Client-Ip", name == "X-Original-Host", name == "X-Proxyuser-Ip":
			return true
		}
	}
	return false
}
