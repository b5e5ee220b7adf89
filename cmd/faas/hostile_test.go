package main

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile returns JSON with a terminal command in each text except times, and in each name that
// the host chooses. Log lines are JSON inside a text.
func hostile(t *testing.T, text string) string {
	t.Helper()
	out, err := json.Marshal(poisoned(decode[any](t, text), ""))
	require.NoError(t, err)
	return string(out)
}

const poison = "\x1b[31mX\u009b2J\u202e"

func poisoned(v any, key string) any {
	switch v := v.(type) {
	case string:
		var inner map[string]any
		if json.Unmarshal([]byte(v), &inner) == nil {
			out, _ := json.Marshal(poisoned(inner, ""))
			return string(out)
		}
		if _, err := time.Parse(time.RFC3339, v); err == nil || key == "base64" {
			return v
		}
		return v + poison
	case []any:
		for i := range v {
			v[i] = poisoned(v[i], "")
		}
	case map[string]any:
		for name, one := range maps.Clone(v) {
			delete(v, name)
			if key == "weights" || key == "labels" || key == "functions" {
				v[name+poison] = poisoned(one, "")
			} else {
				v[name] = poisoned(one, name)
			}
		}
	}
	return v
}

// TestNothingThatAHostSaysIsACommandToTheTerminal uses a host whose every text has a terminal
// command.
func TestNothingThatAHostSaysIsACommandToTheTerminal(t *testing.T) {
	t.Parallel()
	bytes := answer{body: `{"contentType":"x","base64":"G1szMW0="}`}
	lines := append(slices.Sorted(maps.Values(goldens())), "alias rm resize live"+poison, "failures show "+failureID+poison, "failures input "+failureID+poison, "describe nothing", "logs -f")
	for _, line := range slices.Clone(lines) {
		lines = append(lines, line+" -o csv", line+" -o jsonl")
	}
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.set("GET /v1/failures/"+failureID+poison, answer{file: "failure"})
			f.set("GET /v1/failures/"+failureID+poison+"/input", bytes)
			for request, a := range f.answers {
				if a.file != "" {
					a.body = testdata(t, a.file+".json")
				}
				f.set(request, answer{body: hostile(t, a.body)})
			}
			f.set("GET /v1/functions/nothing", answer{status: http.StatusNotFound, body: hostile(t, absentBody)})
			f.stream("/v1/log/events", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, hostile(t, absentBody))
			})
			f.stream("/v1/events", func(w http.ResponseWriter, r *http.Request) { sendHostile(t, w, r) })
			s := newShell(t, f.URL)
			s.terminal(200, 24)
			s.vars["NO_COLOR"] = "1"
			s.asks = true
			ctx := t.Context()
			if line == "top" {
				ctx = until(t, s.out, `resize\x1b`) // top draws until then
			}
			s.sleep = func(ctx context.Context, _ time.Duration) bool { return sleep(ctx, time.Millisecond) }
			s.faas(ctx, strings.Fields(line)...)
			said := s.out.String() + s.errOut.String()
			for _, own := range []string{enter, leave, ansi.CursorHomePosition, ansi.EraseLineRight, ansi.EraseScreenBelow} {
				said = strings.ReplaceAll(said, own, "")
			}
			assert.NotContains(t, said, "\x1b")
			assert.NotContains(t, said, "\u009b")
			assert.NotContains(t, said, "\u202e")
			assert.NotEmpty(t, said)
		})
	}
}

// sendHostile sends the stream of top, with hostile names.
func sendHostile(t *testing.T, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for line := range strings.Lines(testdata(t, "frames.txt")) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			line = "data: " + hostile(t, data) + "\n"
		}
		_, _ = io.WriteString(w, line)
	}
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(data)
}
