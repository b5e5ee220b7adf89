package faashttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

func TestARequestBecomesAnEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "echo", echo)
		h := faashttp.FunctionURL(r, "echo")
		w := do(t, h, "PUT", "http://id.host.example/a%2Fb/c?x=1&x=2&y=%26", `{"k":"v"}`, "Content-Type: application/json; charset=utf-8",
			"X-Two: a", "X-Two: b", "Cookie: c=1; d=2", "User-Agent: test")
		var got map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		assert.Equal(t, map[string]any{
			"version": "2.0", "routeKey": "$default", "rawPath": "/a%2Fb/c", "rawQueryString": "x=1&x=2&y=%26",
			"cookies":               []any{"c=1", "d=2"},
			"headers":               map[string]any{"host": "id.host.example", "content-type": "application/json; charset=utf-8", "x-two": "a,b", "user-agent": "test"},
			"queryStringParameters": map[string]any{"x": "1,2", "y": "&"},
			"requestContext": map[string]any{
				"accountId": "anonymous", "apiId": "id", "domainName": "id.host.example", "domainPrefix": "id", "routeKey": "$default", "stage": "$default",
				"http":      map[string]any{"method": "PUT", "path": "/a%2Fb/c", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
				"requestId": w.Header().Get("X-Amzn-RequestId"), "time": "01/Jan/2000:00:00:00 +0000", "timeEpoch": float64(time.Now().UnixMilli()),
			},
			"body": `{"k":"v"}`, "isBase64Encoded": false,
		}, got)
		for kind, want := range map[string]bool{"image/png": true, "application/x-www-form-urlencoded": true, "text/html": false, "application/problem+json": false, "": false} {
			var e struct {
				Body            string
				IsBase64Encoded bool
			}
			require.NoError(t, json.Unmarshal(do(t, h, "POST", "/", "hi", "Content-Type: "+kind).Body.Bytes(), &e))
			assert.Equal(t, want, e.IsBase64Encoded, kind)
			assert.Equal(t, map[bool]string{true: "aGk=", false: "hi"}[want], e.Body)
		}
		var e struct{ IsBase64Encoded bool }
		require.NoError(t, json.Unmarshal(do(t, h, "POST", "/", "\xff", "Content-Type: text/plain").Body.Bytes(), &e))
		assert.True(t, e.IsBase64Encoded, "what is no text is not told as one")
	})
}

// A compressed body is not text, also if its Content-Type is text.
func TestAnEncodedBodyIsHandedOnInBase64(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "echo", echo)
		h := faashttp.FunctionURL(r, "echo")
		for _, c := range []struct {
			encoding string
			inBase64 bool
		}{{"gzip", true}, {"br", true}, {"identity", false}, {"", false}, {"Identity", false}, {"identity, gzip", true}} {
			for _, kind := range []string{"application/json", "text/plain", ""} {
				w := do(t, h, "POST", "/", "hi", "Content-Encoding: "+c.encoding, "Content-Type: "+kind)
				require.Equal(t, 200, w.Code, c.encoding)
				var e struct {
					Body            string
					IsBase64Encoded bool
					Headers         map[string]string
				}
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
				assert.Equal(t, c.inBase64, e.IsBase64Encoded, c.encoding)
				assert.Equal(t, map[bool]string{true: "aGk=", false: "hi"}[c.inBase64], e.Body)
				assert.Equal(t, c.encoding, e.Headers["content-encoding"])
			}
		}
	})
}

func TestAQuerysMalformedPairsAreHandedOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "echo", echo)
		for query, want := range map[string]map[string]string{
			"a=1;b=2&c=3":        {"a": "1;b=2", "c": "3"},
			"a=%zz&b=100%&c=%41": {"a": "%zz", "b": "100%", "c": "A"},
			"%zz=1":              {"%zz": "1"},
			"a&b=&&=c&a=2":       {"a": ",2", "b": "", "": "c"},
			"a=b=c&d=1+2":        {"a": "b=c", "d": "1 2"},
			"":                   nil,
			"&":                  nil,
		} {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			req.URL.RawQuery = query
			w := httptest.NewRecorder()
			faashttp.FunctionURL(r, "echo").ServeHTTP(w, req)
			var e struct {
				RawQueryString        string
				QueryStringParameters map[string]string
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
			assert.Equal(t, want, e.QueryStringParameters, query)
			assert.Equal(t, query, e.RawQueryString)
		}
	})
}

// answering makes a handler for a function that returns these bytes.
func answering(t *testing.T, out string) http.Handler {
	t.Helper()
	r, _ := hosted(t)
	faas.Register(r, "f", func(context.Context, any) ([]byte, error) { return []byte(out), nil })
	return faashttp.FunctionURL(r, "f")
}

func TestAnAnswerBecomesTheResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for out, want := range map[string]struct {
			status int
			kind   string
			body   string
		}{
			`{"statusCode":201,"headers":{"content-type":"text/plain","x-n":7},"body":"made"}`: {201, "text/plain", "made"},
			`{"statusCode":200,"body":"aGk=","isBase64Encoded":true}`:                          {200, "application/json", "hi"},
			`{"statusCode":200,"body":{"a":1}}`:                                                {200, "application/json", `{"a":1}`},
			`{"statusCode":204,"body":"dropped"}`:                                              {204, "application/json", ""},
			`{"a":1}`:                                                                          {200, "application/json", `{"a":1}`},
			`"text"`:                                                                           {200, "application/json", `"text"`},
			`[1]`:                                                                              {200, "application/json", `[1]`},
			``:                                                                                 {200, "application/json", "null"},
			`not JSON`:                                                                         {200, "application/json", "not JSON"},
			`{"body":1}`:                                                                       {200, "application/json", `{"body":1}`},
			`{"statusCode":"302","body":"x"}`:                                                  {302, "application/json", "x"},
			`{"statusCode":404.0,"body":null}`:                                                 {404, "application/json", ""},
			`{"statusCode":null,"body":"x"}`:                                                   {200, "application/json", `{"statusCode":null,"body":"x"}`},
			`{"Name":"n","StatusCode":404,"Body":"x"}`:                                         {200, "application/json", `{"Name":"n","StatusCode":404,"Body":"x"}`},
			`{"StatusCode":"active"}`:                                                          {200, "application/json", `{"StatusCode":"active"}`},
			`{"statuscode":404}`:                                                               {200, "application/json", `{"statuscode":404}`},
			`{"statusCode":200,"Body":"x","Headers":{"A":"b"},"IsBase64Encoded":true}`: {200, "application/json", ""},
		} {
			w := do(t, answering(t, out), "GET", "/", "")
			assert.Equal(t, want.status, w.Code, out)
			assert.Equal(t, want.kind, w.Header().Get("Content-Type"), out)
			assert.Equal(t, want.body, w.Body.String(), out)
		}
		w := do(t, answering(t, `{"statusCode":302,"headers":{"Location":"/x","Connection":"close","Content-Length":"7","Transfer-Encoding":"x"},"cookies":["a=1; Path=/","b=2"]}`), "GET", "/", "")
		assert.Equal(t, "/x", w.Header().Get("Location"))
		assert.Equal(t, []string{"a=1; Path=/", "b=2"}, w.Header()["Set-Cookie"])
		assert.Empty(t, w.Header().Get("Connection")+w.Header().Get("Transfer-Encoding"), "the connection is the server's")
		assert.Equal(t, "0", w.Header().Get("Content-Length"))
	})
}

func TestAnAnswerThatForgesHeadersIsNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, out := range []string{
			`{"statusCode":200,"headers":{"X":"a\r\nSet-Cookie: stolen=1"}}`,
			`{"statusCode":200,"headers":{"X\r\nY":"a"}}`,
			`{"statusCode":200,"headers":{"X Y":"a"}}`,
			`{"statusCode":200,"headers":{"":"a"}}`,
			`{"statusCode":200,"headers":{"X":["a"]}}`,
			`{"statusCode":200,"cookies":["a=1\nb: c"]}`,
			`{"statusCode":101}`, `{"statusCode":99}`, `{"statusCode":600}`, `{"statusCode":-1}`, `{"statusCode":"x"}`, `{"statusCode":200.5}`,
			`{"statusCode":""}`, `{"statusCode":" 200"}`, `{"statusCode":"200.0"}`, `{"statusCode":"0xc8"}`, `{"statusCode":true}`, `{"statusCode":[200]}`, `{"statusCode":1e400}`,
			`{"statusCode":200,"isBase64Encoded":"yes"}`,
			`{"statusCode":200,"body":"%%%","isBase64Encoded":true}`,
			`{"statusCode":200,"headers":7}`,
		} {
			w := do(t, answering(t, out), "GET", "/", "")
			assert.Equal(t, 502, w.Code, out)
			assert.Equal(t, "Internal Server Error", w.Body.String())
			assert.Len(t, w.Header(), 3, "the id, the type and the length: %v", w.Header())
		}
	})
}

func TestAFunctionURLTellsErrorsAsLambdaDoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithTimeout(time.Second), faas.WithGate(gate(func(_ context.Context, inv faas.Invocation) error {
			switch inv.Function {
			case "denied":
				return errNo
			case "full":
				return &faas.Error{Reason: faas.ReasonOverloaded, Err: faas.ErrOverloaded}
			}
			return nil
		})))
		faas.Register(r, "fail", func(context.Context, any) (any, error) { return nil, errors.New("inside") })
		faas.Register(r, "panicky", func(context.Context, any) (any, error) { panic("inside") })
		faas.Register(r, "late", func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
		faas.Register(r, "small", echo, faas.WithLimits(1000, 1000))
		faas.Register(r, "denied", echo)
		faas.Register(r, "full", echo)
		for name, want := range map[string]struct {
			status int
			body   string
		}{
			"fail":    {502, "Internal Server Error"},
			"panicky": {502, "Internal Server Error"},
			"late":    {502, "Internal Server Error"},
			"denied":  {403, `{"Message":null}`},
			"nobody":  {403, `{"Message":null}`},
			"full":    {429, `{"message":"Rate Exceeded.","Reason":"ConcurrentInvocationLimitExceeded","Type":"User"}`},
			"small":   {413, `{"message":"Request must be smaller than 1000 bytes for the InvokeFunction operation","Type":"User"}`},
		} {
			w := do(t, faashttp.FunctionURL(r, name), "POST", "/", strings.Repeat("x", 900))
			assert.Equal(t, want.status, w.Code, name)
			assert.Equal(t, want.body, w.Body.String(), name)
			if want.status == 403 {
				assert.Equal(t, "AccessDeniedException", w.Header().Get("X-Amzn-ErrorType"))
			}
		}
	})
}

func TestAStreamsHeadIsItsStatus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.RegisterStream(r, "headed", func(_ context.Context, _ any, w io.Writer) error {
			head := faashttp.StreamHead{StatusCode: 418, Headers: map[string]string{"content-type": "text/plain"}, Cookies: []string{"a=1"}}
			if _, err := head.WriteTo(w); err != nil {
				return err
			}
			_, err := io.WriteString(w, "short and stout")
			return err
		})
		faas.RegisterStream(r, "bare", func(_ context.Context, _ any, w io.Writer) error { _, err := io.WriteString(w, `{"a":1}`); return err })
		faas.RegisterStream(r, "empty", func(context.Context, any, io.Writer) error { return nil })
		faas.RegisterStream(r, "forged", func(_ context.Context, _ any, w io.Writer) error {
			_, err := faashttp.StreamHead{StatusCode: 200, Headers: map[string]string{"X": "a\nb: c"}}.WriteTo(w)
			return err
		})
		faas.RegisterStream(r, "fails", func(context.Context, any, io.Writer) error { return errNo })
		faas.RegisterStream(r, "breaks", func(_ context.Context, _ any, w io.Writer) error { _, _ = io.WriteString(w, "half"); return errNo })
		get := func(name string) (int, string, http.Header) {
			w := do(t, faashttp.FunctionURL(r, name), "GET", "/", "")
			return w.Code, w.Body.String(), w.Header()
		}
		status, body, h := get("headed")
		assert.Equal(t, 418, status)
		assert.Equal(t, "short and stout", body)
		assert.Equal(t, "text/plain", h.Get("Content-Type"))
		assert.Equal(t, "a=1", h.Get("Set-Cookie"))
		status, body, h = get("bare")
		assert.Equal(t, 200, status)
		assert.Equal(t, `{"a":1}`, body)
		assert.Equal(t, "application/octet-stream", h.Get("Content-Type"))
		status, body, _ = get("empty")
		assert.Equal(t, 200, status)
		assert.Empty(t, body)
		for _, name := range []string{"forged", "fails"} {
			status, body, _ = get(name)
			assert.Equal(t, 502, status, name)
			assert.NotContains(t, body, errNo.Error())
		}
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() { get("breaks") })
	})
}
