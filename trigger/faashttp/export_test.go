package faashttp

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"github.com/inproc/faas"
)

// These are unexported functions that the tests of the decoders call.
var (
	IsTraceParent  = isTraceParent
	Message        = eventMessage
	ParseSignature = func(s string) bool { _, ok := parseSignature(s); return ok }
	Event          = sseEvent
	Frames         = func(stack string) int { return len(frames(stack)) }
)

// ParseTarget parses a FunctionName.
func ParseTarget(s string) (region, account, name, qualifier string, ok bool) {
	t, ok := parseTarget(s)
	return t.region, t.account, t.name, t.qualifier, ok
}

// ParseAnswer parses a function's output as a function URL does.
func ParseAnswer(out []byte) (status int, h http.Header, body []byte, ok bool) {
	a, ok := parseURLResponse(out)
	return a.status, a.headers, a.body, ok
}

// ParseHead parses a stream's first piece.
func ParseHead(piece []byte) (status int, h http.Header, rest []byte, ok bool) {
	a, rest, ok := parseStreamHead(piece)
	return a.status, a.headers, rest, ok
}

// ServeOn is like Run, on a listener that the test has made.
func ServeOn(s *Server, ctx context.Context, l net.Listener) error { //nolint:revive // the receiver comes first
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	return s.Run(ctx)
}

// WeightsOf returns the weights of an alias of a version that gives the part to another
// version.
func WeightsOf(version, other int, part float64) faas.Weights {
	return split{version: version, others: map[int]float64{other: part}}.weights()
}

// PartOf returns the part that the other version gets.
func PartOf(w faas.Weights, version, other int) float64 { return splitOf(w, version).others[other] }

// IsPublic reports whether a destination may connect to an address without WithNetworks.
func IsPublic(a netip.Addr) bool { return isPublic(a) }

// ParseRetryAfter parses a Retry-After.
var ParseRetryAfter = parseRetryAfter

// WithDial makes a destination connect by f, without a check of the addresses.
func WithDial(f func(ctx context.Context, network, address string) (net.Conn, error)) DestinationOption {
	return destinationOption(func(d *urlDestination) { d.dial = f })
}

// PrefersAsync reports whether a Prefer header asks for a job.
func PrefersAsync(header string) bool { return prefersAsync(http.Header{"Prefer": {header}}) }

// Follow returns the answer to a redirect of a destination with that header.
func Follow(header string, req *http.Request, via ...*http.Request) error {
	return (&urlDestination{header: http.Header{header: {"secret"}, "Content-Type": {"application/json"}}}).follow(req, via)
}
