package fronttest_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faasevents"
	"github.com/inproc/faas/trigger/faashttp"
	"github.com/inproc/faas/trigger/faasmcp"
)

// door is a front, and how it reports where its calls come from.
type door struct {
	want   faas.Origin
	id     string // the header of a request's ID; empty: none
	answer string // the header in which the ID is answered
	serve  func(s *stage) http.Handler
	target string
	header http.Header // further headers of the request
}

const invocations = "/2015-03-31/functions/f/invocations"

var doors = map[string]door{
	"http": {
		faas.Origin{Trigger: "http", Door: "http"},
		"X-Request-Id", "X-Request-Id",
		func(s *stage) http.Handler { return faashttp.Handler(s.Router) }, "/fn/f", nil,
	},
	"http, later": {
		faas.Origin{Trigger: "http", Door: "http"},
		"X-Request-Id", "X-Request-Id",
		func(s *stage) http.Handler { return faashttp.Handler(s.Router) }, "/fn/f",
		http.Header{"Prefer": {"respond-async"}},
	},
	"one function over http": {
		faas.Origin{Trigger: "http", Door: "http"},
		"X-Request-Id", "X-Request-Id",
		func(s *stage) http.Handler { return faashttp.Function(s.Router, "f") }, "/f", nil,
	},
	"http, of a tenant": {
		faas.Origin{Trigger: "http", Door: "http"},
		"X-Request-Id", "X-Request-Id",
		func(s *stage) http.Handler { return faashttp.Handler(s.Router, faashttp.WithTenantHeader("X-Tenant")) }, "/fn/f",
		http.Header{"X-Tenant": {"acme"}},
	},
	"lambda, from a proxy": {faas.Origin{Trigger: "other", Door: "lambda"}, "X-Amzn-Requestid", "X-Amzn-Requestid", wire, invocations, nil},
	"lambda, from an SDK":  {faas.Origin{Trigger: "other", Door: "lambda"}, "Amz-Sdk-Invocation-Id", "X-Amzn-Requestid", wire, invocations, nil},
	"lambda, an event": {
		faas.Origin{Trigger: "other", Door: "lambda"},
		"Amz-Sdk-Invocation-Id", "X-Amzn-Requestid", wire, invocations,
		http.Header{"X-Amz-Invocation-Type": {"Event"}},
	},
	"lambda, streaming": {
		faas.Origin{Trigger: "other", Door: "lambda"},
		"Amz-Sdk-Invocation-Id", "X-Amzn-Requestid", wire,
		"/2021-11-15/functions/f/response-streaming-invocations", nil,
	},
	"url": {
		faas.Origin{Trigger: "http", Door: "url"},
		"X-Amzn-Requestid", "X-Amzn-Requestid",
		func(s *stage) http.Handler { return faashttp.FunctionURL(s.Router, "f") }, "/", nil,
	},
	"cloudevents": {
		faas.Origin{Trigger: "pubsub", Door: "cloudevents"},
		"Ce-Id", "",
		func(s *stage) http.Handler { return faasevents.Handler(s.Router, faasevents.On(`{}`, "f")) }, "/",
		http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"e-1"}, "Ce-Type": {"com.example.test"}, "Ce-Source": {"/test"}},
	},
}

func wire(s *stage) http.Handler {
	l := faashttp.NewLambda(s.Router, faashttp.WithLogger(slog.New(slog.DiscardHandler)))
	s.t.Cleanup(func() { require.NoError(s.t, l.Shutdown(context.Background())) })
	return l
}

// ask makes one call through the door, with the ID if it is not empty. It returns the ID in the
// answer, and the call's record.
func (d door) ask(s *stage, id string) (answered string, e faas.Execution) {
	records := make(chan faas.Execution, 1)
	s.open(faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) { records <- e })))
	s.serve("f", fine)
	h := d.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if id != "" {
		h.Set(d.id, id)
	}
	w := post(s, d.serve(s), d.target, h)
	require.Less(s.t, w.Code, 300, w.Body)
	return w.Header().Get(d.answer), <-records
}

func TestEveryFrontSaysWhereItsCallsComeFrom(t *testing.T) {
	t.Parallel()
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, id := range map[string]string{
				"an id": "2f7c1a-Z.9", "no id": "", "an id that is too long": strings.Repeat("r", 129), "an id that is not printable": "r\u202e1",
			} {
				t.Run(what, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						answered, e := d.ask(newStage(t), id)
						want := d.want
						want.RequestID = e.Origin.RequestID
						assert.Equal(t, want, e.Origin)
						assert.NotEmpty(t, e.Origin.RequestID)
						switch {
						case what == "an id":
							assert.Equal(t, id, e.Origin.RequestID)
						case id != "":
							assert.Len(t, e.Origin.RequestID, 36) // a UUID that the front has made
						}
						if d.answer != "" {
							assert.Equal(t, e.Origin.RequestID, answered)
						}
					})
				})
			}
		})
	}
}

func TestWhatAMiddlewareSaysOfTheOriginPassesEveryFront(t *testing.T) {
	t.Parallel()
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.ctx = faas.WithOrigin(s.ctx, faas.Origin{Timeout: time.Second, Key: "ana"})
				_, e := d.ask(s, "")
				assert.Equal(t, time.Second, e.Origin.Timeout)
				assert.Equal(t, "ana", e.Origin.Key)
				assert.Equal(t, d.want.Door, e.Origin.Door)
			})
		})
	}
}

func TestACallOverMCPSaysWhereItComesFrom(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{"with an id": {"X-Request-Id": {"r-1"}}, "without": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := make(chan faas.Execution, 1)
			s := newStage(t)
			s.open(faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) { records <- e })))
			s.serve("f", fine)
			server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1"}, nil)
			faasmcp.AddTools(server, s.Router)
			h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", strings.NewReader(
				`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"f","arguments":{"n":1}}}`))
			req.Header = header.Clone()
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/json, text/event-stream")
			w := httptest.NewRecorder()

			h.ServeHTTP(w, req)

			require.Equal(t, http.StatusOK, w.Code, w.Body)
			assert.Equal(t, faas.Origin{Trigger: "other", Door: "mcp", RequestID: header.Get("X-Request-Id")}, (<-records).Origin)
		})
	}
}

func TestTheLambdaWireNamesTheTimeoutThatApplied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.ctx = faas.WithOrigin(s.ctx, faas.Origin{Timeout: 2 * time.Second})
		s.open()
		s.serve("f", sleeps)
		w := post(s, wire(s), invocations, nil)
		var failure struct{ ErrorMessage string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &failure))
		assert.Equal(t, "RequestId: "+w.Header().Get("X-Amzn-RequestId")+" Error: Task timed out after 2.00 seconds", failure.ErrorMessage)
	})
}
