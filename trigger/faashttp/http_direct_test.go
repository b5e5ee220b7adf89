package faashttp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faashttp"
)

// deafness has a handler that ignores its context and returns only when it is released.
type deafness struct {
	began   chan bool // it runs; true: on the goroutine of the connection
	release chan struct{}
}

func newDeafness() *deafness { return &deafness{make(chan bool, 16), make(chan struct{})} }

func (d *deafness) handle(context.Context, json.RawMessage) (string, error) {
	stack := make([]byte, 64<<10)
	d.began <- strings.Contains(string(stack[:runtime.Stack(stack, false)]), "net/http.(*conn).serve")
	<-d.release
	return "late", nil
}

// flusher is a writer that wraps another writer and passes Flush on.
type flusher struct{ http.ResponseWriter }

func (f flusher) Flush()                      { f.ResponseWriter.(http.Flusher).Flush() }
func (f flusher) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// postTo sends a request, and reads the whole answer.
func postTo(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("1"))
	require.NoError(t, err)
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

// Each client gets its whole answer while the handler still runs, and the next request is
// served. A handler has no goroutine of its own only if the writer is net/http's own over
// HTTP/1.1.
func TestADeafHandlerIsAnsweredInTimeOverEachProtocolAndWriter(t *testing.T) {
	t.Parallel()
	wrapped := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(flusher{w}, r) })
	}
	for name, c := range map[string]struct {
		wrap  func(http.Handler) http.Handler
		http2 bool
		here  bool
	}{
		"HTTP/1.1":           {here: true},
		"HTTP/2":             {http2: true},
		"a wrapper":          {wrap: wrapped},
		"TimeoutHandler":     {wrap: func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }},
		"a middleware alone": {wrap: func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 1<<20) }, here: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, m := hosted(t)
			d := newDeafness()
			faas.Register(r, "deaf", d.handle, faas.WithTimeout(20*time.Millisecond))
			faas.Register(r, "echo", echo)
			h := faashttp.Handler(r)
			if c.wrap != nil {
				h = c.wrap(h)
			}
			s := httptest.NewUnstartedServer(h)
			s.EnableHTTP2 = c.http2
			if c.http2 {
				s.StartTLS()
			} else {
				s.Start()
			}
			defer s.Close()
			defer close(d.release)
			res, body := postTo(t, s.Client(), s.URL+"/fn/deaf")
			assert.Equal(t, http.StatusGatewayTimeout, res.StatusCode)
			assert.Contains(t, body, `"timed_out"`)
			assert.Equal(t, c.here, <-d.began)
			assert.Equal(t, c.here, res.Close, "the connection is the handler's")
			assert.Equal(t, faas.TimedOut, lastOf(t, m).Outcome)
			res, body = postTo(t, s.Client(), s.URL+"/fn/echo")
			assert.Equal(t, http.StatusOK, res.StatusCode)
			assert.Equal(t, "1", body)
		})
	}
}

func TestHTTP10IsAnsweredInTimeToo(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	d := newDeafness()
	faas.Register(r, "deaf", d.handle, faas.WithTimeout(20*time.Millisecond))
	s := httptest.NewServer(faashttp.Handler(r))
	defer s.Close()
	defer close(d.release)
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "POST /fn/deaf HTTP/1.0\r\nContent-Length: 1\r\n\r\n1")
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusGatewayTimeout, res.StatusCode)
	assert.False(t, <-d.began)
}

func TestAHandlerThatPanicsOrExitsOnItsConnectionIsAnswered(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	faas.Register(r, "panics", func(context.Context, json.RawMessage) (string, error) { panic("no") })
	faas.Register(r, "exits", func(context.Context, json.RawMessage) (string, error) { runtime.Goexit(); return "", nil })
	s := httptest.NewServer(faashttp.Handler(r))
	defer s.Close()
	for range 2 {
		res, body := postTo(t, s.Client(), s.URL+"/fn/panics")
		assert.Equal(t, http.StatusInternalServerError, res.StatusCode)
		assert.Contains(t, body, `"panicked"`)
		assert.False(t, res.Close)
		res, body = postTo(t, s.Client(), s.URL+"/fn/exits")
		assert.Equal(t, http.StatusInternalServerError, res.StatusCode)
		assert.Contains(t, body, `"exited"`)
		assert.True(t, res.Close, "its goroutine ends")
	}
}

// If a client disconnects, its call ends when the handler returns, and the handler's
// context has ended.
func TestAClientThatLeavesEndsTheContextOfAHandlerOnItsConnection(t *testing.T) {
	t.Parallel()
	r, m := hosted(t)
	began, ended := make(chan struct{}), make(chan struct{})
	faas.Register(r, "f", func(ctx context.Context, _ json.RawMessage) (string, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return "", ctx.Err()
	}, faas.WithTimeout(time.Hour))
	s := httptest.NewServer(faashttp.Handler(r))
	defer s.Close()
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/fn/f", strings.NewReader("1"))
	require.NoError(t, err)
	go func() {
		<-began
		leave()
	}()
	res, err := s.Client().Do(req)
	if err == nil {
		res.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	<-ended
	s.Close() // waits for the connection, and so for the record
	assert.Equal(t, faas.Canceled, lastOf(t, m).Outcome)
}

// A connection whose goroutine runs a runaway counts as active until the handler returns.
func TestShutdownOfTheServerWaitsForARunawayOnItsConnection(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	d := newDeafness()
	faas.Register(r, "deaf", d.handle, faas.WithTimeout(20*time.Millisecond))
	s := httptest.NewServer(faashttp.Handler(r))
	defer s.Close()
	res, _ := postTo(t, s.Client(), s.URL+"/fn/deaf")
	assert.Equal(t, http.StatusGatewayTimeout, res.StatusCode)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Config.Shutdown(ctx), context.Canceled, "it runs")
	close(d.release)
	require.NoError(t, s.Config.Shutdown(t.Context()))
}

// lastOf returns the newest record.
func lastOf(t *testing.T, m *faastest.Recorder) faas.Execution {
	t.Helper()
	all := m.Executions()
	require.NotEmpty(t, all)
	return all[len(all)-1]
}
