package faasevents_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/stretchr/testify/require"
)

var day = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

const catchAll = `{}`

// post sends a request with that header and body, and returns the answer with its body read.
func post(tb testing.TB, h http.Handler, header map[string]string, body string) (*http.Response, string) {
	tb.Helper()
	req := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/", bytes.NewBufferString(body))
	for k, v := range header {
		req.Header.Set(k, v)
	}
	return do(tb, h, req)
}

func do(tb testing.TB, h http.Handler, req *http.Request) (*http.Response, string) {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	res := w.Result()
	data, err := io.ReadAll(res.Body)
	require.NoError(tb, err)
	require.NoError(tb, res.Body.Close())
	return res, string(data)
}

// binary returns the headers of an event in binary mode.
func binary(more ...string) map[string]string {
	h := map[string]string{
		"ce-specversion": "1.0", "ce-id": "1", "ce-type": "com.example.test", "ce-source": "/shops/7",
		"Content-Type": "application/json",
	}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

type problem struct {
	Title, Detail, Reason, Invocation string
	Status                            int
	Events                            []struct {
		Index, Status              int
		Source, ID, Reason, Detail string
	}
}

func problemIn(tb testing.TB, res *http.Response, body string) problem {
	tb.Helper()
	require.Equal(tb, "application/problem+json", res.Header.Get("Content-Type"))
	var p problem
	require.NoError(tb, json.Unmarshal([]byte(body), &p), body)
	require.Equal(tb, res.StatusCode, p.Status)
	require.Equal(tb, http.StatusText(p.Status), p.Title)
	require.NotEmpty(tb, p.Reason)
	return p
}

func batch(tb testing.TB, events ...cloudevents.Event) string {
	tb.Helper()
	data, err := json.Marshal(events)
	require.NoError(tb, err)
	return string(data)
}
