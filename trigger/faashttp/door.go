package faashttp

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// door refuses the requests that a browser sends on behalf of a page of another site. Call
// prepare once before the other methods. After that a door is only read, and may be used
// concurrently.
type door struct {
	names   []string // the names of WithHosts
	origins []string // the names of WithOrigins
	owner   string   // the function that takes WithHosts and WithOrigins, for error texts
	cross   *http.CrossOriginProtection
}

// prepare checks the names and builds the origin check. owner is the function that takes
// [WithHosts] and [WithOrigins]; error texts name it. prepare panics if a name is impossible;
// the panic's text says how to correct it.
func (d *door) prepare(owner string) {
	d.owner, d.cross = owner, http.NewCrossOriginProtection()
	for i, name := range d.names {
		host, port := splitHost(name)
		if !isToken(host, "-._:") || strings.Trim(port, "0123456789") != "" {
			panic(fmt.Errorf("faashttp: WithHosts(%q): not the name of a host; one looks like functions.example.com", name))
		}
		if d.names[i] = name; port == "" {
			d.names[i] = host
		}
	}
	for i, origin := range d.origins {
		d.origins[i] = strings.ToLower(origin)
		if err := d.cross.AddTrustedOrigin(d.origins[i]); err != nil {
			panic(fmt.Errorf("faashttp: WithOrigins(%q): not an origin; one looks like https://app.example.com: %w", origin, err))
		}
	}
}

// allows reports whether a handler must serve the request. It answers a preflight itself, and
// calls refuse for a request that it does not let in.
//
// A request that a [Server] has let in is not checked again. On a connection that is not
// loopback the origin is not checked: there the handler is a part of a service on the network,
// which has its own rule for other sites.
func (d *door) allows(w http.ResponseWriter, r *http.Request, refuse func(p *Problem)) bool {
	ctx := r.Context()
	switch {
	case serverOf(ctx) != nil:
		return true
	case isLoopback(ctx, r):
		return d.checks(w, r, true, refuse)
	}
	return !d.answerCORS(w, r)
}

// checks is like allows, but checks the origin on every connection. It checks the host only if
// loopback is true.
func (d *door) checks(w http.ResponseWriter, r *http.Request, loopback bool, refuse func(p *Problem)) bool {
	switch {
	case loopback && !d.isHost(r.Host):
		refuse(&Problem{Status: http.StatusForbidden, Reason: "host", Detail: fmt.Sprintf(
			"On a loopback connection no request for the host %q is taken: to allow it, give faashttp.WithHosts to %s.", clip(r.Host), d.owner)})
	case saysItsSite(r.Header) && d.cross.Check(r) != nil:
		refuse(&Problem{Status: http.StatusForbidden, Reason: "origin", Detail: fmt.Sprintf(
			"The request comes from the page of another site: to allow it, give faashttp.WithOrigins to %s.", d.owner)})
	default:
		return !d.answerCORS(w, r)
	}
	return false
}

// saysItsSite reports whether a request has a header that names the site of its page. Browsers
// send one with a request to another site. Most requests have none, and skip the origin check.
func saysItsSite(h http.Header) bool { return len(h["Sec-Fetch-Site"]) > 0 || len(h["Origin"]) > 0 }

// isHost reports whether a request for that host may be served on a loopback connection. An
// empty host is allowed: HTTP/1.0 requests may have none, and browsers always send one.
func (d *door) isHost(host string) bool {
	name, _ := splitHost(host)
	if host == "" || strings.EqualFold(name, "localhost") {
		return true
	}
	if a, err := netip.ParseAddr(name); err == nil && a.Unmap().IsLoopback() {
		return true
	}
	return slices.ContainsFunc(d.names, func(known string) bool {
		return strings.EqualFold(known, name) || strings.EqualFold(known, host)
	})
}

// splitHost splits host:port, and removes the brackets of an IPv6 address. The port is empty if
// s has none.
func splitHost(s string) (host, port string) {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), ""
}

// isLoopback reports whether a request came over a loopback connection. It looks at the local
// address of the connection. A request that was built by a test, or by a server other than
// net/http's, has no local address; then the address of its sender is used.
func isLoopback(ctx context.Context, r *http.Request) bool {
	switch local := ctx.Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		return local.IP.IsLoopback()
	case net.Addr:
		return isLoopbackAddr(local.String())
	}
	return isLoopbackAddr(r.RemoteAddr)
}

func isLoopbackAddr(s string) bool {
	a, err := netip.ParseAddrPort(s)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// answerCORS sets the headers that let a page of a site of [WithOrigins] read the answer. If
// the request is a preflight, answerCORS also answers it and returns true.
func (d *door) answerCORS(w http.ResponseWriter, r *http.Request) (preflight bool) {
	if len(d.origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := first(r.Header, "Origin")
	if !slices.Contains(d.origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Location, Preference-Applied, Retry-After, X-Request-Id")
	method := first(r.Header, "Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		return false
	}
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	h["Access-Control-Allow-Methods"] = []string{method}
	if asked := r.Header.Values("Access-Control-Request-Headers"); len(asked) > 0 {
		h["Access-Control-Allow-Headers"] = asked
	}
	if first(r.Header, "Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// serverState is the state of a [Server] that its handlers read. It is in the context of every
// request of the server. Handlers get this type and not the Server, so that they can't depend
// on the rest of it.
type serverState struct{ draining atomic.Bool }

// serverKey is the context key of the *serverState.
type serverKey struct{}

// serverOf returns the state of the [Server] that let the request in, or nil if another server
// received it.
func serverOf(ctx context.Context) *serverState {
	s, _ := ctx.Value(serverKey{}).(*serverState)
	return s
}
