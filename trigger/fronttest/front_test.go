package fronttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faasevents"
	"github.com/inproc/faas/trigger/faashttp"
	"github.com/inproc/faas/trigger/faasmcp"
)

// answer is what a front's caller gets: short is the form in the table, and all is everything.
type answer struct{ short, all string }

// front makes the call of a stage, and returns what its caller gets.
type front func(t *testing.T, s *stage) answer

// core is not a front. It returns the outcome that the fronts have to report.
func core(_ *testing.T, s *stage) answer {
	var err error
	s.call(func(ctx context.Context) {
		_, err = s.Invoke(faas.WithTenant(ctx, s.tenant), s.name, []byte(s.payload))
	})
	end := faas.EndOf(err, s.name)
	if end.Kind == faas.KindNone {
		return answer{short: end.Outcome.String()}
	}
	return answer{short: fmt.Sprintf("%v %s%s", end.Kind, end.Err.Reason, after(fmt.Sprint(end.Err.RetryAfter.Seconds())))}
}

func after(seconds string) string {
	if seconds == "" || seconds == "0" {
		return ""
	}
	return " after " + seconds
}

// overHTTP is the handler of package faashttp.
func overHTTP(t *testing.T, s *stage) answer {
	t.Helper()
	w := post(s, faashttp.Handler(s.Router, s.options...), "/fn/"+s.name, nil)
	return told(w, problemReason(t, w))
}

func overLambda(t *testing.T, s *stage) answer {
	t.Helper()
	opts := make([]faashttp.LambdaOption, len(s.options))
	for i, o := range s.options {
		opts[i] = o
	}
	l := faashttp.NewLambda(s.Router, opts...)
	t.Cleanup(func() { require.NoError(t, l.Shutdown(context.Background())) })
	w := post(s, l, "/2015-03-31/functions/"+s.name+"/invocations", nil)
	if w.Header().Get("X-Amz-Function-Error") == "" {
		return told(w, w.Header().Get("X-Amzn-ErrorType"))
	}
	var failure struct{ ErrorType string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &failure))
	return told(w, w.Header().Get("X-Amz-Function-Error")+" "+failure.ErrorType)
}

// overAsync is overHTTP with a request for an asynchronous call.
func overAsync(t *testing.T, s *stage) answer {
	t.Helper()
	w := post(s, faashttp.Handler(s.Router, s.options...), "/fn/"+s.name, http.Header{"Prefer": {"respond-async"}})
	return told(w, problemReason(t, w))
}

// overJobs is overHTTP on a host that makes all calls asynchronous.
func overJobs(t *testing.T, s *stage) answer {
	t.Helper()
	w := post(s, faashttp.Handler(s.Router, append(s.options, faashttp.WithJobs("f"))...), "/fn/"+s.name, nil)
	return told(w, problemReason(t, w))
}

// overRoute is overJobs at a path that the host has chosen.
func overRoute(t *testing.T, s *stage) answer {
	t.Helper()
	w := post(s, faashttp.Function(s.Router, s.name, append(s.options, faashttp.WithJobs())...), "/hook", nil)
	return told(w, problemReason(t, w))
}

// overEvent is overLambda with an asynchronous event.
func overEvent(t *testing.T, s *stage) answer {
	t.Helper()
	opts := make([]faashttp.LambdaOption, len(s.options))
	for i, o := range s.options {
		opts[i] = o
	}
	w := post(s, faashttp.NewLambda(s.Router, opts...), "/2015-03-31/functions/"+s.name+"/invocations", http.Header{"X-Amz-Invocation-Type": {"Event"}})
	return told(w, w.Header().Get("X-Amzn-ErrorType"))
}

func overURL(t *testing.T, s *stage) answer {
	t.Helper()
	w := post(s, faashttp.FunctionURL(s.Router, s.name, s.options...), "/", nil)
	return told(w, w.Header().Get("X-Amzn-ErrorType"))
}

func overEvents(t *testing.T, s *stage) answer {
	t.Helper()
	return deliver(t, s)
}

// overEventJobs is overEvents on a host that handles all events asynchronously.
func overEventJobs(t *testing.T, s *stage) answer {
	t.Helper()
	return deliver(t, s, faasevents.WithJobs())
}

func deliver(t *testing.T, s *stage, opts ...faasevents.Option) answer {
	t.Helper()
	w := post(s, faasevents.Handler(s.Router, append(opts, faasevents.On(`{}`, s.name))...), "/", http.Header{
		"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Type": {"com.example.test"}, "Ce-Source": {"/test"},
	})
	return told(w, problemReason(t, w))
}

func post(s *stage, h http.Handler, target string, header http.Header) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.call(func(ctx context.Context) {
		req := httptest.NewRequestWithContext(faas.WithTenant(ctx, s.tenant), http.MethodPost, target, strings.NewReader(s.payload))
		req.Header.Set("Content-Type", "application/json")
		maps.Copy(req.Header, header)
		h.ServeHTTP(w, req)
	})
	return w
}

func told(w *httptest.ResponseRecorder, what string) answer {
	short := fmt.Sprintf("%d %s", w.Code, what)
	return answer{
		short: strings.TrimSpace(short) + after(w.Header().Get("Retry-After")),
		all:   fmt.Sprint(w.Header(), w.Body),
	}
}

// problemReason returns the reason in a problem of RFC 9457, or "" for another answer.
func problemReason(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	if w.Code < 300 {
		return ""
	}
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var p struct {
		Status int
		Reason string
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, w.Code, p.Status)
	return p.Reason
}

func overMCP(t *testing.T, s *stage) answer {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1"}, nil)
	faasmcp.AddTools(server, s.Router, faasmcp.WithTenant(func(context.Context, *mcp.CallToolRequest) string { return s.tenant }))
	client := connect(t, s, server)
	var (
		res *mcp.CallToolResult
		err error
	)
	s.call(func(ctx context.Context) {
		res, err = client.CallTool(ctx, &mcp.CallToolParams{Name: s.name, Arguments: json.RawMessage(s.payload)})
	})
	if err != nil {
		return answer{short: mcpError(err), all: err.Error()}
	}
	all, err := json.Marshal(res)
	require.NoError(t, err)
	f, failed := faasmcp.FailureOf(res)
	require.Equal(t, res.IsError, failed)
	if !failed {
		return answer{"OK", string(all)}
	}
	short := strings.TrimSpace(f.Outcome + " " + string(f.Reason))
	if f.RetryAfterMs > 0 {
		short += after(fmt.Sprint(float64(f.RetryAfterMs) / 1000))
	}
	return answer{short, string(all)}
}

// mcpError returns the error as the table has it: one of the protocol, or the caller's own.
func mcpError(err error) string {
	if e := (*jsonrpc.Error)(nil); errors.As(err, &e) {
		return fmt.Sprintf("error %d", e.Code)
	}
	if errors.Is(err, context.Canceled) {
		return "has left"
	}
	return err.Error()
}

// connect connects a client in memory. The values of a caller's context are passed to the call,
// as an authenticator does in front of a handler over HTTP.
func connect(t *testing.T, s *stage, server *mcp.Server) *mcp.ClientSession {
	t.Helper()
	calls := make(chan context.Context, 1)
	call := s.within
	s.within = func(f func(ctx context.Context)) {
		if call == nil {
			call = func(f func(ctx context.Context)) { f(s.ctx) }
		}
		call(func(ctx context.Context) { calls <- ctx; f(ctx) })
	}
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method == "tools/call" {
				ctx = joined{ctx, <-calls}
			}
			return next(ctx, method, req)
		}
	})
	here, there := mcp.NewInMemoryTransports()
	ss, err := server.Connect(context.Background(), there, nil)
	require.NoError(t, err)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil).Connect(context.Background(), here, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, cs.Close())
		_ = ss.Wait() // its error says that the client has gone
	})
	return cs
}

// joined is a context that ends with one context and has the values of two.
type joined struct {
	context.Context

	values context.Context
}

func (j joined) Value(key any) any {
	if v := j.Context.Value(key); v != nil {
		return v
	}
	return j.values.Value(key)
}
