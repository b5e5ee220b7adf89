package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// start runs the program on a free port until stop is called or the test ends.
func start(t *testing.T) (url string, stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0"}, in, io.Discard)
		_ = in.Close()
		done <- err
	}()
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	rest := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(lines)
		rest <- string(all)
	}()
	return strings.TrimSpace(strings.TrimPrefix(first, "listening on ")), func() string {
		cancel()
		require.NoError(t, <-done)
		return <-rest
	}
}

func TestTheServerServesItsFunctionsBesideItsOtherRoutes(t *testing.T) {
	url, stop := start(t)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	do := func(method, path, body string) (int, string, http.Header) {
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(data), res.Header
	}

	status, body, _ := do("GET", "/", "")
	require.Equal(t, 200, status)
	require.Contains(t, body, "a service like any other")
	_, body, _ = do("POST", "/fn/echo", `{"a":1}`)
	require.Equal(t, `{"a":1}`, body)
	status, body, _ = do("POST", "/fn/panicky", `{}`)
	require.Equal(t, 500, status)
	require.NotContains(t, body, "cheese")
	status, _, _ = do("POST", "/fn/slow", `2000`)
	require.Equal(t, 504, status)
	_, body, _ = do("POST", "/fn/countdown", `{"From":3}`)
	require.Equal(t, "3\n2\n1\n", body)
	status, body, h := do("GET", "/url/page/a/b?name=you", "")
	require.Equal(t, 200, status)
	require.Equal(t, "hello, you; you asked for /a/b\n", body)
	require.Equal(t, "seen=yes; Path=/; HttpOnly", h.Get("Set-Cookie"))
	_, body, h = do("POST", "/2015-03-31/functions/fail/invocations", `{}`)
	require.Equal(t, "Unhandled", h.Get("X-Amz-Function-Error"))
	require.JSONEq(t, `{"errorMessage":"boom","errorType":"errorString"}`, body)

	require.Contains(t, stop(), "drained: 6 calls admitted, 0 in flight")
}

func TestTheServerTakesCloudEvents(t *testing.T) {
	url, stop := start(t)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	send := func(kind, data string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/events", strings.NewReader(data))
		require.NoError(t, err)
		for name, value := range map[string]string{
			"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/test", "Ce-Type": kind, "Content-Type": "application/json",
		} {
			req.Header.Set(name, value)
		}
		res, err := client.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res, string(body)
	}

	res, body := send("com.example.echo", `{"hello":"world"}`)
	require.Equal(t, 200, res.StatusCode)
	require.JSONEq(t, `{"hello":"world"}`, body)
	require.Equal(t, "1.0", res.Header.Get("Ce-Specversion"))
	res, _ = send("com.example.fail", `{}`)
	require.Equal(t, 500, res.StatusCode)
	res, _ = send("com.example.nobody", `{}`)
	require.Equal(t, 404, res.StatusCode)
	require.Contains(t, stop(), "drained: 2 calls admitted, 0 in flight")
}
