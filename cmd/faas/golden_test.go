package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// goldens returns commands that run against the fixed answers, each with the file of its
// expected output.
func goldens() map[string]string {
	return map[string]string{
		"ls": "ls", "describe": "describe resize", "decisions": "decisions", "costs": "costs", "tenants": "tenants",
		"failures": "failures", "failures-show": "failures show " + failureID, "failures-input": "failures input " + failureID,
		"replay": "replay " + failureID, "invoke": "invoke resize -d {} --log",
		"jobs-ls": "jobs ls", "jobs-show": "jobs show " + jobID, "jobs-replay": "jobs replay " + jobID, "jobs-replay-all": "jobs replay --all",
		"jobs-purge": "jobs purge --all", "alias-ls": "alias ls resize", "alias-set": "alias set resize live 7=90 8=10",
		"alias-rm": "alias rm resize live -y", "limit": "limit resize", "limit-set": "limit resize off", "limit-capacity": "limit --capacity 50",
		"source-ls": "source ls", "source-pause": "source pause nightly", "audit": "audit", "logs": "logs", "top": "top",
	}
}

// TestOutputsAreWhatTheyWere runs each command with 80 and with 120 columns and in each format,
// without a terminal. To accept a change: go test -run TestOutputsAreWhatTheyWere -update, and
// read the diff.
func TestOutputsAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	for name, line := range goldens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			for _, mode := range []string{"80", "120", "json", "jsonl", "csv"} {
				got.WriteString(transcript(t, line, mode))
			}
			file := "testdata/golden/" + name + ".txt"
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got.String()), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String())
		})
	}
}

// transcript returns the output of a command, as a person would see it.
func transcript(t *testing.T, line, mode string) string {
	t.Helper()
	f := newFake(t)
	f.stream("/v1/events", twoFrames)
	s := newShell(t, f.URL)
	switch mode {
	case "80", "120":
		s.vars["COLUMNS"] = mode
		mode = "COLUMNS=" + mode + " faas " + line
	default:
		line += " -o " + mode
		mode = "faas " + line
	}
	code := s.faas(t.Context(), strings.Fields(line)...)
	return fmt.Sprintf("$ %s\n%s%s[%d]\n\n", mode, s.out, s.errOut, code)
}

// twoFrames sends two frames that are a second apart.
func twoFrames(w http.ResponseWriter, r *http.Request) {
	frames, err := os.ReadFile("testdata/frames.txt")
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = w.Write(frames)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"ls", "costs", "tenants", "failures", "jobs ls", "alias ls resize", "decisions", "source ls", "audit", "top"} {
		for _, width := range []int{80, 100, 120, 200} {
			f := newFake(t)
			f.stream("/v1/events", twoFrames)
			s := newShell(t, f.URL)
			s.vars["COLUMNS"] = fmt.Sprint(width)
			require.Equal(t, exitOK, s.faas(t.Context(), strings.Fields(line)...), line)
			for text := range strings.Lines(s.out.String()) {
				assert.LessOrEqual(t, ansi.StringWidth(strings.TrimRight(text, "\n")), width, "%s at %d: %s", line, width, text)
			}
		}
	}
}

func TestColorsAreForATerminalThatWantsThem(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	colors := func(terminal bool, vars ...string) bool {
		s := newShell(t, f.URL)
		for i := 0; i < len(vars); i += 2 {
			s.vars[vars[i]] = vars[i+1]
		}
		if terminal {
			s.terminal(80, 24)
		}
		require.Equal(t, exitOK, s.faas(t.Context(), "ls"))
		return strings.Contains(s.out.String(), "\x1b[")
	}
	assert.True(t, colors(true))
	assert.False(t, colors(true, "NO_COLOR", "1"))
	assert.False(t, colors(true, "TERM", "dumb"))
	assert.False(t, colors(false))
}

func TestTheWidthOfTheTerminalCountsBeforeColumns(t *testing.T) {
	t.Parallel()
	s := newShell(t, newFake(t).URL)
	s.vars["COLUMNS"] = "200"
	assert.Equal(t, 200, s.width())
	s.terminal(90, 24)
	assert.Equal(t, 90, s.width())
	s.size, s.vars["COLUMNS"] = func() (int, int, bool) { return 0, 0, false }, ""
	assert.Zero(t, s.width(), "what goes into a pipe is not cut")
}

func TestTextsOfTheHostDoNotReachTheTerminalAsCommands(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set("GET /v1/sources", answer{body: `{"sources":[{"name":"a\u001b[2Jb\nc","function":"f\u202e","state":"running","since":"2026-11-30T14:00:00Z","lag":null,"lagNS":null}]}`})
	s := newShell(t, f.URL)
	require.Equal(t, exitOK, s.faas(t.Context(), "source", "ls"))
	assert.Contains(t, s.out.String(), `a\x1b[2Jb\nc`)
	assert.NotContains(t, s.out.String(), "\x1b")
	assert.NotContains(t, s.out.String(), "\u202e")
	assert.Equal(t, 2, strings.Count(s.out.String(), "\n"))
}
