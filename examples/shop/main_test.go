package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// open runs the shop, and returns its address.
func open(t *testing.T, args ...string) (base string, closing func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), in, io.Discard)
		_ = in.CloseWithError(err)
		done <- err
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, base, ok := strings.Cut(strings.TrimSpace(line), "open: ")
	require.True(t, ok, line)
	return base, func() {
		cancel()
		require.NoError(t, <-done)
		http.DefaultClient.CloseIdleConnections()
	}
}

// until requests a URL until the answer is enough.
func until[T any](t *testing.T, url string, enough func(T) bool) {
	t.Helper()
	var last T
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get(url)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode, url)
		last = *new(T)
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&last))
		require.NoError(t, answer.Body.Close())
		if enough(last) {
			return
		}
	}
	require.Fail(t, "a minute has passed", "%s: %+v", url, last)
}

func TestTheShopShowsWhatIsWrongWithIt(t *testing.T) {
	base, closing := open(t, "-speed", "3", "-release", "1ms")
	defer closing()
	until(t, base+"v1/functions", func(all admin.Functions) bool {
		states := map[string]string{}
		for _, f := range all.Functions {
			states[f.Name] = f.State
		}
		require.Len(t, states, 8)
		return states["resize"] == admin.StateFailing && states["price"] == admin.StateWell
	})
	until(t, base+"v1/failures?function=resize:8&outcome=Panicked", func(all admin.Failures) bool {
		return len(all.Failures) > 0 && all.Failures[0].HasStack && strings.Contains(*all.Failures[0].Error, "index out of range")
	})
	until(t, base+"v1/tenants", func(all admin.Tenants) bool { return len(all.Tenants) == len(tenants) && all.Book != nil })
	until(t, base+"v1/jobs?function=mail", func(all admin.Jobs) bool { return len(all.Jobs) > 0 })
	until(t, base+"v1/decisions?function=resize", func(all admin.Decisions) bool {
		for _, d := range all.Decisions {
			if d.Alias != nil && *d.Alias == "live" && d.By == "ci-deploy" && len(d.After) == 2 {
				return true
			}
		}
		return false
	})
	until(t, base+"v1/sources", func(all admin.Sources) bool { return len(all.Sources) == 1 && all.Sources[0].Function == "nightly" })
	page, err := http.Get(base)
	require.NoError(t, err)
	defer page.Body.Close()
	assert.Equal(t, "text/html; charset=utf-8", page.Header.Get("Content-Type"))
}

func TestFlagsAreChecked(t *testing.T) {
	require.NoError(t, run(t.Context(), []string{"-h"}, io.Discard, io.Discard))
	require.Error(t, run(t.Context(), []string{"-speed", "fast"}, io.Discard, io.Discard))
	require.Error(t, run(t.Context(), []string{"-addr", "nowhere"}, io.Discard, io.Discard))
}
