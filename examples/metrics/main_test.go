package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func TestTheSpansOfACallAndItsJobAreOneTree(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-trace"}, &out, io.Discard))
	assert.Contains(t, out.String(), `
caller internal
  order server outcome=OK request_id=r-17
    charge internal outcome=OK request_id=r-17
      notify server linked attempt=1 outcome=Failed request_id=r-17
      notify server linked attempt=2 outcome=OK request_id=r-17
`)
}

// In CI, observe/faasprom/prometheus.sh runs the queries in Prometheus itself.
func TestTheTrafficHasAllThatTheDashboardShows(t *testing.T) {
	h, err := newHost()
	require.NoError(t, err)
	defer h.Close()
	h.play(t.Context())
	defer h.quiet()
	all, err := panels()
	require.NoError(t, err)
	require.Len(t, all, 22)
	require.NoError(t, h.serve(t.Context(), "127.0.0.1:0", func(at string) error {
		for !hasAll(t, all, scrape(t, at)) { // some calls have to fail first, and some instances to be made
			if t.Context().Err() != nil {
				return t.Context().Err()
			}
			time.Sleep(50 * time.Millisecond) // real traffic over a real socket
		}
		return nil
	}))
}

func hasAll(t *testing.T, all []panel, page string) bool {
	t.Helper()
	for _, p := range all {
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile(`faas_\w+`).FindAllString(target.Expr, -1) {
				if !strings.Contains(page, "\n"+name) {
					t.Logf("%s: no %s yet", p.Title, name)
					return false
				}
			}
		}
	}
	return true
}

func scrape(t *testing.T, at string) string {
	t.Helper()
	response, err := http.Get("http://" + at + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	http.DefaultClient.CloseIdleConnections()
	return string(page)
}

func TestAQueryIsFilledAsGrafanaDoes(t *testing.T) {
	all, err := panels()
	require.NoError(t, err)
	for _, p := range all {
		for _, target := range p.Targets {
			assert.NotContains(t, filled(target.Expr), "$", p.Title)
		}
	}
}

func TestItServesUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &started{line: make(chan string, 1)}
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"-addr", "127.0.0.1:0"}, out, io.Discard) }()
	at := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(<-out.line), "listening on http://"), "/metrics")
	assert.Contains(t, scrape(t, at), "faas_capacity")
	stop()
	require.NoError(t, <-done)
}

// started is a writer that sends its first write to a channel.
type started struct{ line chan string }

func (s *started) Write(p []byte) (int, error) {
	select {
	case s.line <- string(bytes.Clone(p)):
	default:
	}
	return len(p), nil
}

func TestWithoutPrometheusItSaysWhatToInstall(t *testing.T) {
	err := run(t.Context(), []string{"-prometheus", "no-such-program"}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "apt install prometheus")
	require.Error(t, run(t.Context(), []string{"-native=perhaps"}, io.Discard, io.Discard))
}
