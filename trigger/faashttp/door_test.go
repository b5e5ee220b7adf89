package faashttp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// over serves a POST as if it came over a connection with that local address.
func over(t *testing.T, local net.Addr, h http.Handler, path, host string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = host
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local)))
	}), http.MethodPost, path, "1", header...)
}

func tcp(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 9000} }

// doors returns each handler of this package, around the function echo, with the path
// that calls it.
func doors(t *testing.T, opts ...faashttp.Option) map[string]http.Handler {
	t.Helper()
	r, _ := hosted(t)
	faas.Register(r, "echo", echo)
	aws := make([]faashttp.LambdaOption, len(opts))
	for i, o := range opts {
		aws[i] = o
	}
	return map[string]http.Handler{
		"/fn/echo":          faashttp.Handler(r, opts...),
		"/v1/echo":          faashttp.Function(r, "echo", opts...),
		"/url":              faashttp.FunctionURL(r, "echo", opts...),
		invocations("echo"): lambdaOf(t, r, aws...),
	}
}

// A page can resolve its own name to 127.0.0.1 (DNS rebinding). The browser then takes the
// functions for a part of the page's own site.
func TestOnLoopbackOnlyHostsThatAreKnownToBeMeantAreServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		all := doors(t, faashttp.WithHosts("fn.example", "Proxy.example:8443"))
		for _, c := range []struct {
			host  string
			known bool
		}{
			{"localhost", true},
			{"localhost:9000", true},
			{"LOCALHOST", true},
			{"127.0.0.1:9000", true},
			{"127.9.9.9", true},
			{"[::1]:9000", true},
			{"[::1]", true},
			{"[::ffff:127.0.0.1]:80", true},
			{"fn.example", true},
			{"FN.example:80", true},
			{"proxy.example:8443", true},
			{"", true}, // of HTTP/1.0: no browser's
			{"evil.example", false},
			{"evil.example:9000", false},
			{"localhost.evil.example", false},
			{"127.0.0.1.evil.example", false},
			{"192.168.0.1", false},
			{"0.0.0.0", false},
			{"[::]", false},
			{"proxy.example", false},
			{"proxy.example:80", false},
			{"x.fn.example", false},
			{"127.1", false},
			{"2130706433", false},
			{"localhost@evil.example", false},
			{"[::1].evil.example", false},
		} {
			for path, h := range all {
				for _, local := range []string{"127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"} {
					w := over(t, tcp(local), h, path, c.host, "Origin: http://"+c.host, "Sec-Fetch-Site: same-origin",
						"X-Forwarded-Host: localhost", "X-Forwarded-For: 10.0.0.1", "Forwarded: host=localhost", "X-Real-IP: 10.0.0.1")
					if c.known {
						assert.Equal(t, 200, w.Code, "%s %s %s", path, local, c.host)
						continue
					}
					assert.Equal(t, 403, w.Code, "%s %s %s", path, local, c.host)
					assert.Contains(t, w.Body.String(), "WithHosts", path)
				}
				w := over(t, tcp("10.0.0.7"), h, path, c.host)
				assert.Equal(t, 200, w.Code, "over a network any host may be meant")
			}
		}
		w := over(t, tcp("127.0.0.1"), all["/fn/echo"], "/fn/echo", "evil.example")
		assert.Equal(t, "host", reasonOf(t, w))
		w = over(t, tcp("127.0.0.1"), all[invocations("echo")], invocations("echo"), "evil.example")
		assert.Equal(t, "AccessDeniedException", w.Header().Get("X-Amzn-ErrorType"))
	})
}

// A request that net/http's server has not read has no local address.
func TestARequestWithoutALocalAddressIsJudgedByItsSenders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for path, h := range doors(t) {
			for remote, want := range map[string]int{"127.0.0.1:5000": 403, "[::1]:5000": 403, "192.0.2.1:5000": 200, "@": 200} {
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("1"))
				req.RemoteAddr, req.Host = remote, "evil.example"
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				assert.Equal(t, want, w.Code, "%s from %s", path, remote)
			}
		}
	})
}

func TestAPageOfASiteThatIsNotNamedCallsNothingOverLoopback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for path, h := range doors(t) {
			for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example", "Origin: null"} {
				w := over(t, tcp("127.0.0.1"), h, path, "localhost:9000", header)
				assert.Equal(t, 403, w.Code, "%s %s", path, header)
				assert.Contains(t, w.Body.String(), "WithOrigins")
				assert.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
				assert.Equal(t, 200, over(t, tcp("10.0.0.7"), h, path, "fn.example", header).Code, "the service's own rule")
			}
		}
	})
}

func TestAPageOfASiteThatIsNamedCallsFunctions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for path, h := range doors(t, faashttp.WithOrigins("https://App.example", "http://localhost:5173")) {
			for _, local := range []string{"127.0.0.1", "10.0.0.7"} {
				for _, origin := range []string{"https://app.example", "http://localhost:5173"} {
					w := over(t, tcp(local), methodOf(http.MethodOptions, h), path, "localhost:9000", "Origin: "+origin, "Sec-Fetch-Site: cross-site",
						"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,authorization", "Access-Control-Request-Private-Network: true")
					assert.Equal(t, 204, w.Code)
					assert.Empty(t, w.Body.String())
					assert.Equal(t, origin, w.Header().Get("Access-Control-Allow-Origin"))
					assert.Equal(t, "POST", w.Header().Get("Access-Control-Allow-Methods"))
					assert.Equal(t, "content-type,authorization", w.Header().Get("Access-Control-Allow-Headers"))
					assert.Equal(t, "true", w.Header().Get("Access-Control-Allow-Private-Network"))

					w = over(t, tcp(local), h, path, "localhost:9000", "Origin: "+origin, "Sec-Fetch-Site: cross-site")
					assert.Equal(t, 200, w.Code)
					assert.Equal(t, origin, w.Header().Get("Access-Control-Allow-Origin"))
					assert.Contains(t, w.Header()["Vary"], "Origin")
				}
				for _, origin := range []string{"https://evil.example", "http://app.example", "https://app.example:444", "https://app.example.evil.example", "null"} {
					w := over(t, tcp(local), methodOf(http.MethodOptions, h), path, "localhost:9000", "Origin: "+origin, "Access-Control-Request-Method: POST")
					assert.Empty(t, w.Header().Get("Access-Control-Allow-Origin"), origin)
				}
			}
		}
	})
}

// methodOf serves a request with its method replaced.
func methodOf(method string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Method = method
		h.ServeHTTP(w, r)
	})
}

// asked sends a request over a real connection and reads the answer.
func asked(t *testing.T, at net.Addr, raw string) (*http.Response, string, error) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", at.String())
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, raw)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

// running runs a server on a free port of the loopback until the test ends.
func running(t *testing.T, r *faas.Router, h http.Handler, opts ...faashttp.ServerOption) net.Addr {
	t.Helper()
	s := faashttp.NewServer(r, h, append(opts, faashttp.WithAddr("127.0.0.1:0"))...)
	at, err := s.Listen()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return at
}

func raw(method, path, host string, header ...string) string {
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: " + host, "Connection: close", "Content-Length: 1"}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n1"
}

// The server checks all of its routes, including those of other packages.
func TestAServerOnLoopbackServesNoPageThatPretendsToBeItsOwn(t *testing.T) {
	t.Parallel()
	r, m := hosted(t)
	faas.Register(r, "echo", echo)
	mux := http.NewServeMux()
	mux.Handle("/fn/", faashttp.Handler(r))
	mux.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "other") })
	at := running(t, r, mux, faashttp.WithHosts("fn.example"), faashttp.WithOrigins("https://app.example"))
	for _, path := range []string{"/fn/echo", "/other"} {
		res, body, err := asked(t, at, raw("POST", path, "evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"))
		require.NoError(t, err)
		assert.Equal(t, 403, res.StatusCode)
		assert.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
		assert.Contains(t, body, "WithHosts to NewServer")
		res, body, err = asked(t, at, raw("POST", path, at.String(), "Origin: http://evil.example"))
		require.NoError(t, err)
		assert.Equal(t, 403, res.StatusCode)
		assert.Contains(t, body, "WithOrigins to NewServer")
		res, _, err = asked(t, at, raw("OPTIONS", path, at.String(), "Origin: https://app.example", "Access-Control-Request-Method: POST"))
		require.NoError(t, err)
		assert.Equal(t, 204, res.StatusCode)
		assert.Equal(t, "https://app.example", res.Header.Get("Access-Control-Allow-Origin"))
	}
	assert.Zero(t, m.Len())
	for _, header := range []string{"X-Nothing: 1", "Origin: https://app.example", "Sec-Fetch-Site: same-origin"} {
		res, _, err := asked(t, at, raw("POST", "/fn/echo", "fn.example", header))
		require.NoError(t, err)
		assert.Equal(t, 200, res.StatusCode, "the server has asked; the handler in it has no names of its own")
	}
}

func TestANameThatIsNoHostOrOriginIsAMistake(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	for _, o := range []faashttp.DoorOption{
		faashttp.WithHosts(""), faashttp.WithHosts("https://fn.example"), faashttp.WithHosts("*"), faashttp.WithHosts("fn.example:http"),
		faashttp.WithOrigins(""), faashttp.WithOrigins("app.example"), faashttp.WithOrigins("*"), faashttp.WithOrigins("https://app.example/"),
	} {
		assert.Panics(t, func() { faashttp.Handler(r, o) })
		assert.Panics(t, func() { faashttp.NewLambda(r, o) })
		assert.Panics(t, func() { faashttp.NewServer(r, nil, o) })
	}
}
