package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answer is the answer of the fake host to a request.
type answer struct {
	status int    // 0: 200
	file   string // the name of a file in testdata
	body   string // used if there is no file
}

// fake is a host with fixed answers.
type fake struct {
	*httptest.Server

	mu       sync.Mutex // guards what follows
	answers  map[string]answer
	streams  map[string]http.HandlerFunc
	requests []string // method, path, query, body
	header   http.Header
}

const (
	failureID = "01a22ccb-c7e2-78b7-b092-9088338cf8fc"
	jobID     = "01a22cbf-7327-7be5-ba96-d494e1c2d4b8"
)

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{answers: answers(), streams: map[string]http.HandlerFunc{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	f.Config.SetKeepAlivesEnabled(false) // otherwise a client repeats requests that fail on a reused connection
	t.Cleanup(f.Close)
	return f
}

func answers() map[string]answer {
	return map[string]answer{
		"GET /v1/host":                               {file: "host"},
		"GET /v1/functions":                          {file: "functions"},
		"GET /v1/functions/resize":                   {file: "resize"},
		"GET /v1/functions/resize/aliases":           {file: "aliases"},
		"GET /v1/functions/resize/versions":          {body: `{"function":"resize","versions":[{"version":"$LATEST"},{"version":"7"},{"version":"8"}]}`},
		"PUT /v1/functions/resize/aliases/live":      {body: `{"function":"resize","name":"live","weights":{"7":90,"8":10},"revision":5,"changed":"2026-11-30T14:11:00Z"}`},
		"DELETE /v1/functions/resize/aliases/live":   {body: `{"done":true}`},
		"PUT /v1/functions/resize/limit":             {body: `{"function":"resize","limit":0}`},
		"PUT /v1/capacity":                           {body: `{"limit":50}`},
		"GET /v1/decisions":                          {file: "decisions"},
		"GET /v1/failures":                           {file: "failures"},
		"GET /v1/failures/" + failureID:              {file: "failure"},
		"GET /v1/failures/" + failureID + "/input":   {file: "failure_input"},
		"GET /v1/failures/" + failureID + "/stack":   {file: "failure_stack"},
		"POST /v1/failures/" + failureID + "/replay": {body: `{"requestId":"r-1","function":"resize","version":"7","tenant":"acme","outcome":"OK","tookNS":1410073,"output":{"contentType":"application/json","text":"4"},"replayOf":"` + failureID + `"}`},
		"POST /v1/functions/resize/invoke":           {body: `{"requestId":"r-2","function":"resize","version":"8","outcome":"OK","tookNS":2500000,"output":{"contentType":"application/json","text":"{\"n\":9007199254740993}"},"log":"decoded\n"}`},
		"GET /v1/usage":                              {file: "usage"},
		"GET /v1/tenants":                            {file: "tenants"},
		"GET /v1/jobs":                               {file: "jobs"},
		"GET /v1/jobs/" + jobID:                      {file: "job"},
		"GET /v1/jobs/" + jobID + "/input":           {file: "job_input"},
		"POST /v1/jobs/" + jobID + "/replay":         {file: "job"},
		"POST /v1/jobs/replay":                       {body: `{"matched":1234,"dry":true,"done":0,"failed":0}`},
		"POST /v1/jobs/purge":                        {body: `{"matched":0,"dry":true,"done":0,"failed":0}`},
		"GET /v1/sources":                            {file: "sources"},
		"POST /v1/sources/nightly/pause":             {body: `{"name":"nightly","function":"nightly","state":"paused","since":"2026-11-30T14:11:00Z","lag":null,"lagNS":null}`},
		"GET /v1/log":                                {file: "log"},
		"GET /v1/audit":                              {file: "audit"},
	}
}

const absentBody = `{"title":"Not Found","status":404,"detail":"There is no such thing, or you may not see it.","reason":"absent"}`

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.requests = append(f.requests, strings.TrimSpace(strings.Join([]string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body)}, " ")))
	f.header = r.Header.Clone()
	serve, streams := f.streams[r.URL.Path]
	a, ok := f.answers[r.Method+" "+r.URL.Path]
	f.mu.Unlock()
	switch {
	case streams:
		serve(w, r)
		return
	case r.Method != http.MethodGet && r.Header.Get("Content-Type") != "application/json": // as the API does
		a = answer{status: http.StatusUnsupportedMediaType, body: `{"title":"T","reason":"media_type"}`}
	case !ok:
		a = answer{status: http.StatusNotFound, body: absentBody}
	case a.file != "":
		data, err := os.ReadFile("testdata/" + a.file + ".json")
		if err != nil {
			panic(err)
		}
		a.body = string(data)
	}
	kind := "application/json"
	if a.status >= 400 {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(max(a.status, http.StatusOK))
	_, _ = io.WriteString(w, a.body)
}

// set replaces the answer to a request.
func (f *fake) set(request string, a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[request] = a
}

func (f *fake) stream(path string, serve http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams[path] = serve
}

// asked returns the requests so far.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.requests...)
}

// shell is one run of the command, with its input and output.
type shell struct {
	*app

	vars        map[string]string
	out, errOut *buffer
}

// buffer collects the output of the command. If watch is set, it is called with all the output
// so far.
type buffer struct {
	mu    sync.Mutex // guards what follows
	b     bytes.Buffer
	watch func(all string)
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	if b.watch != nil {
		b.watch(b.b.String())
	}
	return n, err
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newShell returns a shell without a terminal. Its clock stands still, and its sleeps return at
// once.
func newShell(t *testing.T, url string) *shell {
	t.Helper()
	s := &shell{vars: map[string]string{"FAAS_URL": url, "HOME": t.TempDir()}, out: &buffer{}, errOut: &buffer{}}
	s.app = &app{
		in: strings.NewReader(""), out: s.out, errOut: s.errOut,
		env:   func(name string) string { return s.vars[name] },
		now:   func() time.Time { return time.Date(2026, 11, 30, 14, 12, 0, 0, time.UTC) },
		sleep: func(ctx context.Context, _ time.Duration) bool { return ctx.Err() == nil },
		size:  func() (int, int, bool) { return 0, 0, false },
	}
	return s
}

// terminal makes the shell's output a terminal.
func (s *shell) terminal(width, height int) {
	s.size = func() (int, int, bool) { return width, height, true }
}

func (s *shell) faas(ctx context.Context, args ...string) int { return run(ctx, s.app, args) }

// decode decodes JSON, or fails the test.
func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return v
}
