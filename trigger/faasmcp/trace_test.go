package faasmcp_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/internal/tracecontext"
)

const (
	ofMeta   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ofHeader = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

// traced makes a router that sends the trace context of each call to a channel.
func traced(t *testing.T) (r *faas.Router, seen chan [2]string) {
	t.Helper()
	seen = make(chan [2]string, 4)
	r = faastest.New(t, faas.WithTracing(func(ctx context.Context, _ faas.Invocation) faas.Trace {
		parent, state := tracecontext.From(ctx)
		seen <- [2]string{parent, state}
		return nil
	}))
	faas.Register(r, "echo", func(_ context.Context, q query) (query, error) { return q, nil })
	return r, seen
}

func TestACallIsAPartOfTheTraceThatItsMetaNames(t *testing.T) {
	t.Parallel()
	r, seen := traced(t)
	server, _ := newServer(t, r)
	cs := connect(t, server, "agent", nil)
	for _, c := range []struct {
		meta mcp.Meta
		want [2]string
	}{
		{mcp.Meta{"traceparent": ofMeta, "tracestate": "vendor=1"}, [2]string{ofMeta, "vendor=1"}},
		{mcp.Meta{"traceparent": ofMeta}, [2]string{ofMeta}},
		{mcp.Meta{"traceparent": 7, "tracestate": true}, [2]string{}},
		{mcp.Meta{"tracestate": "of=nothing"}, [2]string{}},
		{nil, [2]string{}},
	} {
		_, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Meta: c.meta, Name: "echo", Arguments: query{Text: "x"}})
		require.NoError(t, err)
		require.Equal(t, c.want, <-seen)
	}
}

// tracing is a transport that sets the trace context in the HTTP headers.
type tracing struct{ http.RoundTripper }

func (c tracing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Traceparent", ofHeader)
	return c.RoundTripper.RoundTrip(req)
}

func TestWithoutMetaTheTraceIsThatOfTheHTTPRequest(t *testing.T) {
	t.Parallel()
	r, seen := traced(t)
	server, _ := newServer(t, r)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cs := connectHTTP(t, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil), &http.Client{Transport: tracing{transport}}, "agent", "")
	for _, c := range []struct {
		meta mcp.Meta
		want string
	}{{nil, ofHeader}, {mcp.Meta{"traceparent": ofMeta}, ofMeta}} {
		_, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Meta: c.meta, Name: "echo", Arguments: query{Text: "x"}})
		require.NoError(t, err)
		require.Equal(t, [2]string{c.want}, <-seen)
	}
}
