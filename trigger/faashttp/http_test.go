package faashttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

func TestACallIsJSONInAndJSONOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "echo", echo)
		faas.Register(r, "bytes", func(_ context.Context, in []byte) ([]byte, error) { return bytes.ToUpper(in), nil })
		h := faashttp.Handler(r)
		w := do(t, h, "POST", "/fn/echo", `{"a":1}`)
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, `{"a":1}`, w.Body.String())
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		assert.Equal(t, 7, m.Executions()[0].BytesIn)
		w = do(t, h, "POST", "/fn/bytes", "<b>")
		assert.Equal(t, "<B>", w.Body.String())
		assert.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"))
		assert.Equal(t, 405, do(t, h, "PUT", "/fn/echo", "1").Code)
	})
}

func TestEveryEndHasItsStatusAndReasonAndTellsNothingInside(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const inside = "inside information"
		r, _ := hosted(t, faas.WithTimeout(time.Second))
		faas.Register(r, "fail", func(context.Context, any) (any, error) { return nil, errors.New(inside) })
		faas.Register(r, "panicky", func(context.Context, any) (any, error) { panic(inside) })
		faas.Register(r, "exit", func(context.Context, any) (any, error) { runtime.Goexit(); return nil, nil })
		faas.Register(r, "late", func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
		faas.Register(r, "huge", func(context.Context, any) (string, error) { return inside, nil }, faas.WithLimits(100, 10))
		faas.Register(r, "channel", func(context.Context, any) (any, error) { return make(chan int), nil })
		faas.Register(r, "typed", func(context.Context, int) (any, error) { return nil, nil })
		faas.Register(r, "own", func(context.Context, any) (any, error) {
			return nil, fmt.Errorf("%s: %w", inside, &faashttp.Problem{Status: 409, Reason: "taken", Detail: "It is taken.", RetryAfter: 2 * time.Second})
		})
		faas.Register(r, "odd", func(context.Context, any) (any, error) { return nil, &faashttp.Problem{Status: 200} })
		h := faashttp.Handler(r)
		for _, c := range []struct {
			path, body string
			status     int
			reason     string
		}{
			{"fail", "1", 500, "failed"},
			{"panicky", "1", 500, "panicked"},
			{"exit", "1", 500, "exited"},
			{"late", "1", 504, "timed_out"},
			{"huge", "1", 500, "output_too_large"},
			{"channel", "1", 500, "output"},
			{"typed", `"x"`, 400, "input"},
			{"typed", `1 2`, 400, "input"},
			{"typed", ``, 400, "input"},
			{"huge", strings.Repeat("1", 101), 413, "too_large"},
			{"own", "1", 409, "taken"},
			{"odd", "1", 500, "failed"},
			{"nobody", "1", 404, "not_found"},
			{"no.name", "1", 404, "not_found"},
			{"a%2Fb", "1", 404, "not_found"},
			{"a%0Ab", "1", 404, "not_found"},
			{strings.Repeat("x", 65), "1", 404, "not_found"},
		} {
			w := do(t, h, "POST", "/fn/"+c.path, c.body)
			assert.Equal(t, c.status, w.Code, c.path)
			assert.Equal(t, c.reason, reasonOf(t, w), c.path)
			assert.NotContains(t, w.Body.String(), inside)
			assert.NotContains(t, w.Body.String(), "goroutine")
		}
		assert.Equal(t, "2", do(t, h, "POST", "/fn/own", "1").Header().Get("Retry-After"))

		require.NoError(t, r.Close())
		w := do(t, h, "POST", "/fn/fail", "1")
		assert.Equal(t, 503, w.Code)
		assert.Equal(t, "closed", reasonOf(t, w))
		assert.Equal(t, "1", w.Header().Get("Retry-After"))
	})
}

func TestARefusalForWantOfRoomSaysWhenToComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithGate(gate(func(_ context.Context, inv faas.Invocation) error {
			if inv.Function == "budgeted" {
				return &faas.Error{Reason: "budget", RetryAfter: 1500 * time.Millisecond, Err: faas.ErrDenied}
			}
			return nil
		})))
		release := make(chan struct{})
		faas.Register(r, "slow", func(context.Context, any) (any, error) { <-release; return nil, nil }, faas.WithConcurrency(1), faas.WithQueue(0), faas.WithTimeout(time.Minute))
		faas.Register(r, "budgeted", echo)
		h := faashttp.Handler(r)
		go do(t, h, "POST", "/fn/slow", "1")
		synctest.Wait()
		w := do(t, h, "POST", "/fn/slow", "1")
		assert.Equal(t, 429, w.Code)
		assert.Equal(t, "overloaded", reasonOf(t, w))
		assert.Equal(t, "1", w.Header().Get("Retry-After"))
		time.Sleep(2 * time.Minute)
		w = do(t, h, "POST", "/fn/slow", "1")
		assert.Equal(t, 429, w.Code)
		assert.Equal(t, "runaways", reasonOf(t, w))
		close(release)
		w = do(t, h, "POST", "/fn/budgeted", "1")
		assert.Equal(t, 429, w.Code)
		assert.Equal(t, "budget", reasonOf(t, w))
		assert.Equal(t, "2", w.Header().Get("Retry-After"))
	})
}

// TestADeniedFunctionLooksLikeAnUnknownOne tries every request that is about a function.
func TestADeniedFunctionLooksLikeAnUnknownOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		entered := false
		r, m := hosted(t, faas.WithGate(gate(func(context.Context, faas.Invocation) error { return errNo })))
		faas.Register(r, "denied", func(context.Context, int) (any, error) { entered = true; return nil, nil }, faas.WithLimits(10, 10))
		faas.RegisterStream(r, "deniedstream", func(context.Context, int, io.Writer) error { entered = true; return nil })
		h := faashttp.Handler(r)
		same := func(method, path, body string, header ...string) {
			header = append(header, "X-Request-Id: same")
			unknown := do(t, h, method, "/fn/unknown"+path, body, header...)
			for _, name := range []string{"denied", "deniedstream"} {
				w := do(t, h, method, "/fn/"+name+path, body, header...)
				assert.Equal(t, unknown.Code, w.Code)
				assert.Equal(t, unknown.Body.String(), w.Body.String())
				assert.Equal(t, unknown.Header(), w.Header())
			}
		}
		for _, body := range []string{"1", "", "{", `"x"`, strings.Repeat("1", 100)} {
			same("POST", "", body)
			same("POST", "", body, "Accept: text/event-stream")
			same("POST", "", body, "Content-Encoding: gzip")
		}
		same("GET", "", "")
		assert.JSONEq(t, `{"functions":[]}`, do(t, h, "GET", "/fn", "").Body.String())
		assert.False(t, entered)
		assert.Empty(t, m.Executions())

		h = faashttp.Handler(r, faashttp.WithForbidden())
		w := do(t, h, "POST", "/fn/denied", "1")
		assert.Equal(t, 403, w.Code)
		assert.Equal(t, "denied", reasonOf(t, w))
		assert.NotContains(t, w.Body.String(), errNo.Error())
		assert.Equal(t, 403, do(t, h, "GET", "/fn/denied", "").Code)
		assert.Equal(t, 404, do(t, h, "POST", "/fn/unknown", "1").Code)
	})
}

// In TestAConfusedDeputyTellsNothing a permitted function calls a denied one for the
// caller, and returns the error unchanged.
func TestAConfusedDeputyTellsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithGate(gate(func(ctx context.Context, inv faas.Invocation) error {
			caller, nested := faas.FromContext(ctx)
			if inv.Function == "vault" && (!nested || caller.Function != "clerk") {
				return errNo
			}
			return nil
		})))
		faas.Register(r, "vault", func(context.Context, struct{}) (string, error) { return "gold", nil })
		for _, name := range []string{"clerk", "deputy"} {
			faas.Register(r, name, func(ctx context.Context, in string) (json.RawMessage, error) {
				return r.Invoke(ctx, in, []byte("{}"))
			})
		}
		h := faashttp.Handler(r)
		assert.JSONEq(t, `"gold"`, do(t, h, "POST", "/fn/clerk", `"vault"`).Body.String(), "judged by who calls: the clerk may")
		denied := do(t, h, "POST", "/fn/deputy", `"vault"`, "X-Request-Id: same")
		unknown := do(t, h, "POST", "/fn/deputy", `"nobody"`, "X-Request-Id: same")
		assert.Equal(t, 500, denied.Code)
		assert.Equal(t, "failed", reasonOf(t, denied))
		assert.Equal(t, unknown.Body.String(), denied.Body.String())
		assert.Equal(t, 404, do(t, h, "POST", "/fn/vault", "{}").Code)
	})
}

// counter is a body that counts how many of its bytes are read. It may be endless.
type counter struct {
	n, left int
	endless bool
}

func (c *counter) Read(p []byte) (int, error) {
	if !c.endless {
		p = p[:min(len(p), c.left)]
	}
	if len(p) == 0 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = '1'
	}
	c.left -= len(p)
	c.n += len(p)
	return len(p), nil
}

func TestABodyIsReadToItsLimitAndNoFurther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit = 100_000
		r, _ := hosted(t, faas.WithLimits(limit, limit))
		faas.Register(r, "size", func(_ context.Context, in []byte) (int, error) { return len(in), nil })
		for name, h := range map[string]http.Handler{
			"front":  faashttp.Handler(r),
			"lambda": http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { lambdaOf(t, r).ServeHTTP(w, req) }),
		} {
			path := map[string]string{"front": "/fn/size", "lambda": "/2015-03-31/functions/size/invocations"}[name]
			for _, c := range []struct {
				body   counter
				length int64
				status int
			}{
				{counter{left: limit}, -1, 200},
				{counter{left: limit}, limit, 200},
				{counter{left: limit + 1}, -1, 413},
				{counter{endless: true}, -1, 413},
				{counter{endless: true}, limit + 1, 413},
				{counter{left: 10}, 1 << 50, 413},
			} {
				req := httptest.NewRequestWithContext(t.Context(), "POST", path, io.NopCloser(&c.body))
				req.ContentLength = c.length
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				assert.Equal(t, c.status, w.Code, "%s: %+v", name, c)
				assert.LessOrEqual(t, c.body.n, limit+1)
				if c.length > limit {
					assert.Zero(t, c.body.n, "what says it is too large is not looked at")
				}
			}
		}
	})
}

// The largest integer is a valid limit: adding one to it must not overflow.
func TestABodyWithoutALimitIsReadToItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithLimits(math.MaxInt, math.MaxInt))
		faas.Register(r, "size", func(_ context.Context, in []byte) (int, error) { return len(in), nil })
		faas.Register(r, "hook", func(_ context.Context, e struct {
			Body string `json:"body"`
		},
		) (string, error) {
			return strconv.Itoa(len(e.Body)), nil
		})
		body := `"` + strings.Repeat("x", 100_000) + `"`
		for name, ask := range map[string]func(length int64) *httptest.ResponseRecorder{
			"front": func(n int64) *httptest.ResponseRecorder { return sized(t, faashttp.Handler(r), "/fn/size", body, n) },
			"lambda": func(n int64) *httptest.ResponseRecorder {
				return sized(t, lambdaOf(t, r), invocations("size"), body, n)
			},
			"function URL": func(n int64) *httptest.ResponseRecorder {
				return sized(t, faashttp.FunctionURL(r, "hook"), "/", body, n)
			},
		} {
			for _, length := range []int64{int64(len(body)), -1} {
				w := ask(length)
				assert.Equal(t, 200, w.Code, name)
				assert.Equal(t, "100002", strings.Trim(w.Body.String(), `"`), "%s, announced as %d", name, length)
			}
		}
		assert.Equal(t, 6, m.Len())
	})
}

// sized posts a body with the Content-Length n; -1 means none.
func sized(t *testing.T, h http.Handler, path, body string, n int64) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, io.NopCloser(strings.NewReader(body)))
	req.ContentLength = n
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// TestAForgedLengthBuysNoMemory sends a Content-Length for bodies that never arrive.
func TestAForgedLengthBuysNoMemory(t *testing.T) {
	r, _ := hosted(t)
	faas.Register(r, "echo", echo)
	h := faashttp.Handler(r)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		req := httptest.NewRequestWithContext(t.Context(), "POST", "/fn/echo", io.NopCloser(strings.NewReader("1")))
		req.ContentLength = 6 << 20
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20), "600 MiB were announced")
}

func TestARequestsIdAndTraceAreKeptIfTheyAreWellFormed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "who", func(ctx context.Context, _ any) (faashttp.Request, error) {
			req, ok := faashttp.FromContext(ctx)
			assert.True(t, ok)
			return req, nil
		})
		faas.Register(r, "nested", func(ctx context.Context, _ any) (json.RawMessage, error) { return r.Invoke(ctx, "who", []byte("1")) })
		h := faashttp.Handler(r)
		const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		ask := func(path string, header ...string) (got faashttp.Request, id string) {
			w := do(t, h, "POST", "/fn/"+path, "1", header...)
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			return got, w.Header().Get("X-Request-Id")
		}
		for _, path := range []string{"who", "nested"} {
			got, id := ask(path, "X-Request-Id: a-1.b~c", "Traceparent: "+trace, "Tracestate: k=v")
			assert.Equal(t, faashttp.Request{ID: "a-1.b~c", TraceParent: trace, TraceState: "k=v"}, got)
			assert.Equal(t, "a-1.b~c", id)
		}
		for _, bad := range []string{"", "a b", "a\x01", `<script>`, "é", strings.Repeat("x", 129), "a\r\nSet-Cookie: x=y"} {
			got, id := ask("who", "X-Request-Id: "+bad, "Traceparent: "+bad, "Tracestate: k=v")
			assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, got.ID)
			assert.Equal(t, got.ID, id)
			assert.Empty(t, got.TraceParent+got.TraceState)
		}
	})
}

// A handler may keep its context for ever, and an event may wait for long. Neither may keep
// the request, its connection and its buffers in memory.
func TestWhatOutlivesARequestDoesNotKeepIt(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	kept, release := make(chan context.Context, 1), make(chan struct{})
	faas.Register(r, "keep", func(ctx context.Context, wait bool) (any, error) {
		kept <- ctx
		if wait {
			<-release
		}
		return nil, nil //nolint:nilnil // the answer is null
	})
	l := lambdaOf(t, r)
	gone := func(h http.Handler, path, body, kind string) {
		request := func() weak.Pointer[http.Request] {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
			req.Header.Set("X-Amz-Invocation-Type", kind)
			h.ServeHTTP(httptest.NewRecorder(), req)
			return weak.Make(req)
		}()
		ctx := <-kept
		require.Eventually(t, func() bool { runtime.GC(); return request.Value() == nil }, time.Minute, time.Millisecond, path)
		req, ok := faashttp.FromContext(ctx)
		assert.True(t, ok)
		assert.NotEmpty(t, req.ID, path)
	}
	gone(faashttp.Handler(r), "/fn/keep", "false", "")
	gone(l, invocations("keep"), "false", "RequestResponse")
	gone(l, invocations("keep"), "true", "Event")
	close(release)
}

func TestATenantIsWhoTheHostSaysMaySay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "echo", echo)
		plain, trusting := faashttp.Handler(r), faashttp.Handler(r, faashttp.WithTenantHeader("x-tenant"))
		do(t, plain, "POST", "/fn/echo", "1", "X-Tenant: acme")
		do(t, trusting, "POST", "/fn/echo", "1", "X-Tenant: acme")
		do(t, trusting, "POST", "/fn/echo", "1")
		var tenants []string
		for _, e := range m.Executions() {
			tenants = append(tenants, e.Tenant)
		}
		assert.Equal(t, []string{"", "acme", ""}, tenants)
		for _, bad := range []string{"", "a b", "a\nb", strings.Repeat("x", 129)} {
			w := do(t, trusting, "POST", "/fn/echo", "1", "X-Tenant: "+bad)
			assert.Equal(t, 400, w.Code)
			assert.Equal(t, "tenant", reasonOf(t, w))
		}
		assert.Equal(t, 400, do(t, trusting, "POST", "/fn/echo", "1", "X-Tenant: a", "X-Tenant: b").Code)
		assert.Equal(t, 3, m.Len())
	})
}

func TestAnEncodedBodyIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "echo", echo)
		assert.Equal(t, 415, do(t, faashttp.Handler(r), "POST", "/fn/echo", "1", "Content-Encoding: gzip").Code)
		assert.Equal(t, 200, do(t, faashttp.Handler(r), "POST", "/fn/echo", "1", "Content-Encoding: identity").Code)
		assert.Equal(t, 1, m.Len())
	})
}

func TestFunctionsAreToldAsJSON(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "b", echo, faas.WithConcurrency(3), faas.WithLabels(map[string]string{"k": "v"}))
		faas.Register(r, "a", echo)
		h := faashttp.Handler(r)
		do(t, h, "POST", "/fn/b", "1")
		do(t, h, "POST", "/fn/b", "x")
		assert.JSONEq(t, `{"name":"b","version":"$LATEST","labels":{"k":"v"},"in":"json.RawMessage","out":"json.RawMessage","stream":false,
			"timeoutMs":30000,"memoryBytes":134217728,"maxInBytes":6291456,"maxOutBytes":6291456,"inFlight":0,"queued":0,"limit":3,"runaways":0,
			"admitted":1,"rejected":{"input":1}}`, do(t, h, "GET", "/fn/b", "").Body.String())
		var list struct{ Functions []struct{ Name string } }
		require.NoError(t, json.Unmarshal(do(t, h, "GET", "/fn", "").Body.Bytes(), &list))
		assert.Equal(t, []struct{ Name string }{{"a"}, {"b"}}, list.Functions)
		assert.Equal(t, 404, do(t, h, "GET", "/fn/c", "").Code)
	})
}

// untyped is a codec without a media type.
type untyped struct{}

func (untyped) Marshal(any) ([]byte, error) { return []byte{0x08, 0x01}, nil }
func (untyped) Unmarshal([]byte, any) error { return nil }

// points is a codec with a media type.
type points struct{ untyped }

func (points) ContentType() string { return "application/x-points" }

func TestAnAnswersTypeIsItsCodecs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		one := func(context.Context, int) (int, error) { return 1, nil }
		faas.Register(r, "json", one)
		faas.Register(r, "untyped", one, faas.WithCodec(untyped{}))
		faas.Register(r, "points", one, faas.WithCodec(points{}))
		faas.Register(r, "html", func(context.Context, any) (string, error) { return "<b>&</b>", nil })
		for name, want := range map[string]string{
			"json": "application/json", "untyped": "application/octet-stream", "points": "application/x-points", "html": "application/json",
		} {
			for path, h := range map[string]http.Handler{"/fn/" + name: faashttp.Handler(r), invocations(name): lambdaOf(t, r), "/": faashttp.Function(r, name)} {
				w := do(t, h, "POST", path, "1")
				assert.Equal(t, 200, w.Code)
				assert.Equal(t, want, w.Header().Get("Content-Type"), path)
			}
		}
		assert.Equal(t, `"<b>&</b>"`, do(t, faashttp.Handler(r), "POST", "/fn/html", "1").Body.String())
	})
}

// A mux with the pattern "/fn/" redirects requests for /fn to it.
func TestTheListIsReachedBelowAPrefix(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "a", echo)
		mux := http.NewServeMux()
		mux.Handle("/fn/", faashttp.Handler(r))
		w := do(t, mux, "GET", "/fn", "")
		require.Equal(t, "/fn/", w.Header().Get("Location"))
		w = do(t, mux, "GET", "/fn/", "")
		assert.Equal(t, 200, w.Code)
		assert.Contains(t, w.Body.String(), `"name":"a"`)
		assert.Equal(t, w.Body.String(), do(t, faashttp.Handler(r), "GET", "/fn", "").Body.String())
		assert.Equal(t, 200, do(t, mux, "GET", "/fn/a", "").Code)
		assert.Equal(t, 200, do(t, mux, "HEAD", "/fn/a", "").Code)
	})
}

func TestWhatIsNotThereIsAProblemAndNoPlainText(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "echo", echo)
		h := faashttp.Handler(r)
		for _, path := range []string{"/", "/fnx", "/healthz/", "/v1", "//fn/echo", "/%2Fhealthz"} {
			w := do(t, h, "GET", path, "")
			assert.Equal(t, 404, w.Code, path)
			assert.Equal(t, "path", reasonOf(t, w), path)
		}
		for _, path := range []string{"/fn/nobody", "/fn/echo/", "/fn/echo/more", "/fn//echo", "/fn/../fn/echo"} {
			for _, method := range []string{"GET", "POST"} {
				w := do(t, h, method, path, "1")
				assert.Equal(t, 404, w.Code, path)
				assert.Equal(t, "not_found", reasonOf(t, w), path)
			}
		}
		for path, methods := range map[string]string{
			"/fn": "GET, HEAD", "/fn/": "GET, HEAD", "/fn/echo": "GET, HEAD, POST", "/fn/nobody": "GET, HEAD, POST", "/healthz": "GET, HEAD", "/readyz": "GET, HEAD",
		} {
			for _, method := range []string{"PUT", "DELETE", "OPTIONS", "BREW"} {
				w := do(t, h, method, path, "1")
				assert.Equal(t, 405, w.Code, path)
				assert.Equal(t, "method", reasonOf(t, w), path)
				assert.Equal(t, methods, w.Header().Get("Allow"), path)
			}
		}
		assert.Zero(t, m.Len())
	})
}

func TestOneFunctionIsServedAtAPathOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		mux := http.NewServeMux()
		mux.Handle("/v1/echo", faashttp.Function(r, "echo"))
		w := do(t, mux, "POST", "/v1/echo", "1")
		assert.Equal(t, 404, w.Code)
		assert.Equal(t, "not_found", reasonOf(t, w))
		faas.Register(r, "echo", echo) // later than the mount
		w = do(t, mux, "POST", "/v1/echo", `{"a":1}`, "X-Request-Id: mine")
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, `{"a":1}`, w.Body.String())
		assert.Equal(t, "mine", w.Header().Get("X-Request-Id"))
		assert.Equal(t, "data: 1\n\n", do(t, mux, "POST", "/v1/echo", "1", "Accept: text/event-stream").Body.String())
		w = do(t, mux, "GET", "/v1/echo", "")
		assert.Equal(t, 405, w.Code)
		assert.Equal(t, "method", reasonOf(t, w))
		assert.Equal(t, "POST", w.Header().Get("Allow"))
	})
}

func TestAStreamGoesOutPieceByPiece(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithLimits(100, 10))
		faas.RegisterStream(r, "f", func(_ context.Context, n int, w io.Writer) error {
			for i := range n {
				if _, err := fmt.Fprint(w, i); err != nil {
					return err
				}
			}
			if n == 4 {
				return errNo
			}
			return nil
		})
		h := faashttp.Handler(r)
		w := do(t, h, "POST", "/fn/f", "3")
		assert.Equal(t, "012", w.Body.String())
		assert.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"))
		assert.True(t, w.Flushed)
		assert.Equal(t, 3, m.Executions()[0].BytesOut)
		w = do(t, h, "POST", "/fn/f", "0")
		assert.Equal(t, 200, w.Code)
		assert.Empty(t, w.Body.String())
		for _, broken := range []string{"4", "11"} {
			assert.PanicsWithValue(t, http.ErrAbortHandler, func() { do(t, h, "POST", "/fn/f", broken) }, "half an answer is no answer")
		}
		assert.Equal(t, 400, do(t, h, "POST", "/fn/f", "x").Code)
	})
}

func TestServerSentEventsAreFramedLineByLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.RegisterStream(r, "f", func(_ context.Context, in []string, w io.Writer) error {
			for _, s := range in {
				_, _ = io.WriteString(w, s)
			}
			if len(in) == 3 {
				return errNo
			}
			return nil
		})
		faas.Register(r, "echo", echo)
		h := faashttp.Handler(r)
		events := func(path, in string) *httptest.ResponseRecorder {
			return do(t, h, "POST", "/fn/"+path, in, "Accept: text/html, text/event-stream;q=0.9", "X-Request-Id: id")
		}
		w := events("f", `["a","b\nevent: error\r\nc\rid: 7\n"]`)
		assert.Equal(t, "data: a\n\ndata: b\ndata: event: error\ndata: c\ndata: id: 7\ndata: \n\n", w.Body.String())
		assert.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		w = events("f", `["a","b","c"]`)
		assert.Equal(t, "data: a\n\ndata: b\n\ndata: c\n\nevent: error\ndata: "+
			`{"title":"Internal Server Error","status":500,"detail":"The function failed.","reason":"failed","requestId":"id"}`+"\n\n", w.Body.String())
		assert.Equal(t, "data: {\"a\":1}\n\n", events("echo", `{"a":1}`).Body.String())
		w = events("echo", `{`)
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, "input", reasonOf(t, w))
	})
}

func TestReadinessGoesOffWithTheRouter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		h := faashttp.Handler(r)
		assert.Equal(t, 200, do(t, h, "GET", "/readyz", "").Code)
		require.NoError(t, r.Close())
		assert.Equal(t, 503, do(t, h, "GET", "/readyz", "").Code)
		assert.Equal(t, 200, do(t, h, "GET", "/healthz", "").Code)
	})
}

func lambdaOf(t *testing.T, r *faas.Router, opts ...faashttp.LambdaOption) *faashttp.Lambda {
	t.Helper()
	l := faashttp.NewLambda(r, opts...)
	t.Cleanup(func() { _ = l.Shutdown(context.Background()) })
	return l
}
