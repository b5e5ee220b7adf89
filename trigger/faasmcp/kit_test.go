package faasmcp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faasmcp"
)

type query struct {
	Text  string `json:"text" jsonschema:"what to look for"`
	Limit int    `json:"limit,omitempty" jsonschema:"how many at most"`
}

type found struct {
	Texts []string `json:"texts"`
}

func newServer(tb testing.TB, r *faas.Router, opts ...faasmcp.Option) (*mcp.Server, *faasmcp.Tools) {
	tb.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1.0.0"}, nil)
	return server, faasmcp.AddTools(server, r, opts...)
}

// connect connects a client of the SDK to a server in memory, until the test ends.
func connect(tb testing.TB, server *mcp.Server, name string, opts *mcp.ClientOptions) *mcp.ClientSession {
	tb.Helper()
	here, there := mcp.NewInMemoryTransports()
	ss, err := server.Connect(context.Background(), there, nil)
	require.NoError(tb, err)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: name, Version: "1.0.0"}, opts).Connect(context.Background(), here, nil)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		require.NoError(tb, cs.Close())
		_ = ss.Wait() // always an error, because the client closed the session
	})
	return cs
}

// connectHTTP is like connect, over streamable HTTP.
func connectHTTP(tb testing.TB, h http.Handler, client *http.Client, name, version string) *mcp.ClientSession {
	tb.Helper()
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	if client == nil {
		client = &http.Client{Transport: &http.Transport{}}
		tb.Cleanup(client.CloseIdleConnections)
	}
	cs, err := mcp.NewClient(&mcp.Implementation{Name: name, Version: "1.0.0"}, nil).Connect(tb.Context(),
		&mcp.StreamableClientTransport{Endpoint: srv.URL, HTTPClient: client}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, cs.Close()) })
	return cs
}

func ask(tb testing.TB, cs *mcp.ClientSession, tool string, arguments any) *mcp.CallToolResult {
	tb.Helper()
	res, err := cs.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	require.NoError(tb, err)
	return res
}

func text(tb testing.TB, res *mcp.CallToolResult) string {
	tb.Helper()
	require.Len(tb, res.Content, 1)
	c, ok := res.Content[0].(*mcp.TextContent)
	require.True(tb, ok, "%T", res.Content[0])
	return c.Text
}

func asJSON(tb testing.TB, v any) string {
	tb.Helper()
	data, err := json.Marshal(v)
	require.NoError(tb, err)
	return string(data)
}
