package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/observe"
)

// host is a real host. It has a function with two versions, and the second fails for pictures
// that have no URL.
type host struct {
	*faas.Router

	api http.Handler
}

type picture struct {
	URL   string `json:"url"`
	Width int64  `json:"width"`
}

var errNoURL = errors.New("no image at that URL")

func newHost(t *testing.T, options ...admin.Option) *host {
	t.Helper()
	recorder, ring, tail := observe.NewRecorder(), faas.NewRing(100, 1<<20, nil).KeepErrors(), observe.Tail(100)
	r := faas.New(faas.WithMeter(recorder), faas.WithRefusals(recorder.Refused), faas.WithCapture(ring), faas.WithLogger(slog.New(tail)))
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	for _, n := range []int{1, 2} {
		faas.Register(r, "resize", func(ctx context.Context, in picture) (int64, error) {
			faas.Logger(ctx).Info("decoded", "url", in.URL)
			if n == 2 && in.URL == "" {
				return 0, errNoURL
			}
			return in.Width, nil
		}, faas.WithVersion(n))
	}
	require.NoError(t, r.SetAlias("resize", "live", faas.Weights{1: 1}))
	options = append(options, admin.WithRecorder(recorder), admin.WithRing(ring), admin.WithTail(tail), admin.WithName("host"))
	return &host{Router: r, api: admin.Handler(r, options...)}
}

// TestANewUserReleasesFindsReplaysAndIsAudited follows the story in the manual, with a token.
func TestANewUserReleasesFindsReplaysAndIsAudited(t *testing.T) {
	t.Parallel()
	rules := access.Rules{{Functions: []string{"*"}, Roles: []string{"ops"}, AnyTenant: true, Rights: access.Rights()}}
	h := newHost(t, admin.WithAuthorize(rules.Permit), admin.WithWrites())
	tokens, err := access.NewTokens()
	require.NoError(t, err)
	server := httptest.NewServer(access.Bearer(tokens)(h.api))
	defer server.Close()
	faasAs := func(roles []string, line ...string) (string, int) {
		token, _, err := tokens.Issue(access.Principal{Kind: access.User, ID: "ana", Roles: roles}, time.Hour)
		require.NoError(t, err)
		s := newShell(t, server.URL)
		s.vars["FAAS_TOKEN"], s.vars["COLUMNS"] = token.Reveal(), "120"
		code := s.faas(t.Context(), line...)
		return s.out.String() + s.errOut.String(), code
	}
	ok := func(line ...string) string {
		out, code := faasAs([]string{"ops"}, line...)
		require.Equal(t, exitOK, code, "%s: %s", line, out)
		return out
	}
	assert.Contains(t, ok("ls"), "resize")
	assert.Equal(t, "resize:live: 1 → 2 (revision 2)\n", ok("alias", "set", "resize", "live", "2"))
	assert.Contains(t, ok("decisions"), "1 → 2")

	out, code := faasAs([]string{"ops"}, "invoke", "resize:live", "-d", `{"width": 9007199254740993}`)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "no image at that URL")

	failures := ok("failures", "resize", "-o", "jsonl")
	id := decode[admin.Failure](t, failures).ID
	shown := ok("failures", "show", id)
	assert.Contains(t, shown, "no image at that URL")
	assert.Contains(t, shown, `{"width": 9007199254740993}`, "all digits of the input")

	assert.Contains(t, ok("replay", id, "-d", `{"url": "a", "width": 9007199254740993}`), "9007199254740993\n")
	audit := ok("audit")
	for _, verb := range []string{"alias.set", "function.invoke", "failure.input", "failure.replay"} {
		assert.Contains(t, audit, verb)
	}
	assert.Contains(t, ok("logs", "-n", "1"), "url=a")
	assert.Contains(t, ok("jobs", "ls"), "no such jobs")
	assert.Equal(t, "resize: off; its calls are refused\n", ok("limit", "resize", "off"))
	assert.Contains(t, ok("top", "-o", "csv"), "resize,off,")

	_, code = faasAs(nil, "describe", "resize")
	assert.Equal(t, exitAbsent, code, "what is not permitted is not there")
}

// TestALogIsFollowedFromOneHostToTheNext starts a second host that logs fewer lines than the
// first.
func TestALogIsFollowedFromOneHostToTheNext(t *testing.T) {
	t.Parallel()
	first, second := newHost(t, admin.WithInsecureLoopback()), newHost(t, admin.WithInsecureLoopback())
	var now atomic.Pointer[host]
	now.Store(first)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().api.ServeHTTP(w, r) }))
	defer server.Close()
	call := func(h *host, url string) {
		_, err := h.Invoke(t.Context(), "resize:1", []byte(`{"url":"`+url+`"}`))
		assert.NoError(t, err)
	}
	for range 5 {
		call(first, "before")
	}
	s := newShell(t, server.URL)
	s.sleep = func(ctx context.Context, _ time.Duration) bool { return sleep(ctx, time.Millisecond) }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	followed, arrived := make(chan struct{}), make(chan struct{})
	s.out.watch = func(all string) {
		if strings.Count(all, "url=one") == 1 && !isClosed(followed) {
			close(followed)
		}
		if strings.Contains(all, "url=two") && !isClosed(arrived) {
			close(arrived)
		}
	}
	code := make(chan int)
	go func() { code <- s.faas(ctx, "logs", "-f", "-n", "1") }()
	call(first, "one")
	<-followed
	call(second, "two")
	now.Store(second)
	server.CloseClientConnections()
	<-arrived
	cancel()
	assert.Equal(t, exitOK, <-code)
	assert.Contains(t, s.errOut.String(), "the host is back")
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
