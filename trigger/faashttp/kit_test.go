package faashttp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faashttp"
)

// bubble runs a test in virtual time, in parallel with the others.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// hosted makes a router with Carry, and the meter that records its calls.
func hosted(t *testing.T, opts ...faas.RouterOption) (*faas.Router, *faastest.Recorder) {
	t.Helper()
	m := &faastest.Recorder{}
	quiet := faas.WithLogger(slog.New(slog.DiscardHandler))
	return faastest.New(t, append([]faas.RouterOption{faas.WithContext(faashttp.Carry), faas.WithMeter(m), quiet}, opts...)...), m
}

func echo(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }

// do serves one request without a network. Each header is "name: value".
func do(t *testing.T, h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// wire is a network for a synctest bubble: a listener with pipes for connections.
type wire struct {
	conns chan net.Conn
	once  sync.Once
	gone  chan struct{}
}

func newWire() *wire { return &wire{conns: make(chan net.Conn), gone: make(chan struct{})} }

func (l *wire) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

func (l *wire) Close() error { l.once.Do(func() { close(l.gone) }); return nil }

func (*wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000} }

// dial opens a connection to the listener.
func (l *wire) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

// serve runs a server on a wire until the test ends or stop is called.
func serve(t *testing.T, s *faashttp.Server) (l *wire, stop func() error) {
	t.Helper()
	l = newWire()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- faashttp.ServeOn(s, ctx, l) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() })
	return l, stop
}

// send makes a request on a connection of its own and reads the whole answer.
func (l *wire) send(raw string) (*http.Response, string, error) {
	c, err := l.dial()
	if err != nil {
		return nil, "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, raw); err != nil {
		return nil, "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

// post returns the bytes of a POST request.
func post(path, body string, header ...string) string {
	var b strings.Builder
	b.WriteString("POST " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ")
	n, _ := json.Marshal(len(body))
	b.Write(n)
	b.WriteString("\r\n")
	for _, h := range header {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

// gate is a faas.Gate that calls a function.
type gate func(ctx context.Context, inv faas.Invocation) error

func (g gate) Admit(ctx context.Context, inv faas.Invocation) error { return g(ctx, inv) }
func (gate) Done(faas.Invocation, *faas.Execution)                  {}

var errNo = errors.New("the secret reason")

// reasonOf returns the reason of a problem, and checks its other fields.
func reasonOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var p struct {
		Title, Detail, Reason, RequestID string
		Status                           int
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, w.Code, p.Status)
	require.Equal(t, http.StatusText(w.Code), p.Title)
	require.Equal(t, w.Header().Get("X-Request-Id"), p.RequestID)
	return p.Reason
}
