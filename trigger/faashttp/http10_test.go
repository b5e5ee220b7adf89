package faashttp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// streams serves two streaming functions at /fn/{name} and at /url/{name}. One of them
// fails in the middle.
func streams(t *testing.T) http.Handler {
	t.Helper()
	r, _ := hosted(t)
	half := func(_ context.Context, _ any, w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return err
	}
	faas.RegisterStream(r, "whole", func(ctx context.Context, in any, w io.Writer) error {
		return errors.Join(half(ctx, in, w), half(ctx, in, w))
	})
	faas.RegisterStream(r, "broken", func(ctx context.Context, in any, w io.Writer) error {
		return errors.Join(half(ctx, in, w), errNo)
	})
	mux := http.NewServeMux()
	mux.Handle("/fn/", faashttp.Handler(r))
	for _, name := range []string{"whole", "broken"} {
		mux.Handle("/url/"+name, faashttp.FunctionURL(r, name))
	}
	return mux
}

// ask10 sends a request of HTTP/1.0, which nginx uses to its upstreams by default, and
// reads the answer.
func ask10(c net.Conn, path string) (*http.Response, string, error) {
	if _, err := io.WriteString(c, "POST "+path+" HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
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

// Over HTTP/1.0 an answer of unknown length ends where its connection is closed.
func TestAStreamThatBreaksOffDoesNotLookWholeOverHTTP10(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*httptest.Server){"plain": (*httptest.Server).Start, "TLS": (*httptest.Server).StartTLS} {
		s := httptest.NewUnstartedServer(streams(t))
		start(s)
		defer s.Close()
		dial := func() net.Conn {
			c, err := net.Dial("tcp", s.Listener.Addr().String())
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
			if name == "TLS" {
				return tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // a test's own server
			}
			return c
		}
		for _, path := range []string{"/fn/", "/url/"} {
			res, body, err := ask10(dial(), path+"whole")
			require.NoError(t, err, name)
			assert.Equal(t, 200, res.StatusCode)
			assert.Equal(t, "halfhalf", body)
			_, body, err = ask10(dial(), path+"broken")
			assert.Error(t, err, "%s%s: %q and a clean end", name, path, body)
		}
	}
}

// Over a connection that can't be reset, a stream is sent as one answer with its length,
// and an error of the stream too.
func TestAStreamOverHTTP10ThatCouldNotBeBrokenOffIsToldAsAWhole(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	h := streams(t)
	unix := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	unix.Start()
	defer unix.Close()
	hidden := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(struct{ http.ResponseWriter }{w}, r) // as many middlewares do
	}))
	defer hidden.Close()
	for _, at := range []net.Addr{l.Addr(), hidden.Listener.Addr()} {
		for path, want := range map[string]struct {
			status int
			kind   string
			body   string
		}{
			"/fn/whole":   {200, "application/octet-stream", "halfhalf"},
			"/url/whole":  {200, "application/octet-stream", "halfhalf"},
			"/fn/broken":  {500, "application/problem+json", `"reason":"failed"`},
			"/url/broken": {502, "text/plain", "Internal Server Error"},
		} {
			c, err := net.Dial(at.Network(), at.String())
			require.NoError(t, err)
			res, body, err := ask10(c, path)
			require.NoError(t, err)
			assert.Equal(t, want.status, res.StatusCode, path)
			assert.Equal(t, want.kind, res.Header.Get("Content-Type"), path)
			assert.Contains(t, body, want.body, path)
			assert.Equal(t, int64(len(body)), res.ContentLength)
			require.NoError(t, c.Close())
		}
	}
}
