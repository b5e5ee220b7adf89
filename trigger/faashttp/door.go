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

// door decides about requests that a browser may have sent for a page that has
// no business here. ready is to be called before anything else, once.
type door struct {
	names   []string // of WithHosts
	origins []string // of WithOrigins
	owner   string   // whom to give an option that is missing
	cross   *http.CrossOriginProtection
}

// ready checks the names, and panics with the cure.
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

// allows tells whether a handler has to serve a request. It answers a preflight,
// and has refuse answer what is kept out. What a [Server] has let in is not asked
// again. Of what comes over a network no origin is asked: there the service that
// the handler is a part of has a rule of its own.
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

// admits is opens for a connection whose requests are asked for their origin;
// loopback tells whether they are asked for their host too.
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

// saysItsSite tells whether a request says what page it is from. Most say nothing,
// and are not looked at any further.
func saysItsSite(h http.Header) bool { return len(h["Sec-Fetch-Site"]) > 0 || len(h["Origin"]) > 0 }

// isHost tells whether a request for that host can be meant for a loopback
// connection. A request that names no host, as HTTP/1.0 allows, is no browser's.
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

// splitHost parts a host from its port, if it has one, and from the brackets of
// an address.
func splitHost(s string) (host, port string) {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), ""
}

// isLoopback tells whether a request has come over a loopback connection, by the
// connection's own end of it. A request that some other server has made up, and
// that has no such end, is judged by its sender's.
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

// trusts lets the page of a site that WithOrigins names read the answer, and
// tells whether the request was only its question whether it may ask.
func (d *door) answerCORS(w http.ResponseWriter, r *http.Request) (answered bool) {
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
	h.Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
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

// serverState is what a [Server] puts into the context of the requests that it has let in.
type serverState struct{ draining atomic.Bool }

// serverKey finds the *serverState in a request's context.
type serverKey struct{}

// serverOf is the server that a request came to; nil if it is another's.
func serverOf(ctx context.Context) *serverState {
	s, _ := ctx.Value(serverKey{}).(*serverState)
	return s
}
