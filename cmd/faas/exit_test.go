package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExitCodesSayWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	problem := func(status int, reason string) answer {
		return answer{status: status, body: `{"title":"T","detail":"Why it is so.","reason":"` + reason + `","option":"WithRing"}`}
	}
	for _, c := range []struct {
		line, request string
		answer        answer
		code          int
		says          string
	}{
		{"ls", "", answer{}, exitOK, ""},
		{"", "", answer{}, exitOK, ""},
		{"--help", "", answer{}, exitOK, ""},
		{"nonsense", "", answer{}, exitUsage, "faas --help"},
		{"ls --nonsense", "", answer{}, exitUsage, "unknown flag"},
		{"ls extra", "", answer{}, exitUsage, "faas ls takes no arguments\n  Usage: faas ls"},
		{"describe", "", answer{}, exitUsage, "takes 1 argument\n"},
		{"alias set resize live", "", answer{}, exitUsage, "takes at least 3 arguments"},
		{"failures a b", "", answer{}, exitUsage, "takes 0 to 1 argument"},
		{"ls -o xml", "", answer{}, exitUsage, "text, json, jsonl, csv"},
		{"jobs", "", answer{}, exitUsage, "ls, show, cancel, replay, purge"},
		{"jobs nonsense", "", answer{}, exitUsage, "ls, show, cancel, replay, purge"},
		{"jobs cancel", "", answer{}, exitUsage, "--all"},
		{"jobs cancel a --state dead", "", answer{}, exitUsage, "not both"},
		{"jobs replay a b -d {}", "", answer{}, exitUsage, "one job"},
		{"logs -f -o json", "", answer{}, exitUsage, "jsonl"},
		{"top --sort nonsense", "", answer{}, exitUsage, "calls"},
		{"failures --since nonsense", "", answer{}, exitUsage, "30m"},
		{"limit", "", answer{}, exitUsage, "--capacity"},
		{"limit resize nonsense", "", answer{}, exitUsage, "off or none"},
		{"invoke resize -d @/nonexistent", "", answer{}, exitUsage, "can't be read"},
		{"describe reszie", "", answer{}, exitAbsent, "Did you mean resize?"},
		{"describe nothing", "", answer{}, exitAbsent, "faas ls"},
		{"jobs show nothing", "", answer{}, exitAbsent, "faas jobs ls"},
		{"failures show nothing", "", answer{}, exitAbsent, "faas failures"},
		{"alias rm resize nothing -y", "", answer{}, exitAbsent, "faas alias ls resize"},
		{"failures", "GET /v1/failures", problem(404, "option"), exitAbsent, "admin.WithRing"},
		{"ls", "GET /v1/functions", problem(401, "unauthenticated"), exitAbsent, "FAAS_TOKEN"},
		{"limit resize off", "PUT /v1/functions/resize/limit", problem(403, "writes"), exitAbsent, "admin.WithWrites"},
		{"ls", "GET /v1/functions", problem(403, "host"), exitAbsent, "FAAS_URL"},
		{"failures --outcome x", "GET /v1/failures", problem(400, "input"), exitUsage, "why it is so"},
		{"alias set resize live 8", "PUT /v1/functions/resize/aliases/live", problem(409, "stale"), exitFailed, "Look again"},
		{"ls", "GET /v1/functions", problem(429, "busy"), exitFailed, "Wait"},
		{"ls", "GET /v1/functions", problem(500, "failed"), exitFailed, "why it is so"},
		{"ls", "GET /v1/functions", problem(503, "closed"), exitUnreachable, "started again"},
		{"ls", "GET /v1/functions", answer{status: 502, body: "<html>"}, exitUnreachable, "502 Bad Gateway"},
		{"ls", "GET /v1/functions", answer{status: 302}, exitUnreachable, "before /v1/"},
		{"ls", "GET /v1/functions", answer{status: 404, body: "page not found"}, exitUnreachable, "no admin API"},
		{"ls", "GET /v1/functions", answer{status: 401, body: "no"}, exitAbsent, "FAAS_TOKEN"},
		{"ls", "GET /v1/functions", answer{body: "<html>"}, exitUnreachable, "no admin API"},
		{"ls", "GET /v1/functions", answer{body: `{"functions":7}`}, exitFailed, "as new as the host"},
		{"invoke resize", "POST /v1/functions/resize/invoke", answer{body: `{"outcome":"Failed","error":"faas: no such picture"}`}, exitFailed, "faas: no such picture"},
		{"invoke resize", "POST /v1/functions/resize/invoke", answer{body: `{"kind":"Busy","retryAfterNS":1000000000}`}, exitFailed, "1.00 s"},
		{"jobs replay --all -y", "POST /v1/jobs/replay", answer{body: `{"matched":3,"done":1,"failed":2,"reason":"a gate"}`}, exitFailed, "a gate"},
	} {
		f := newFake(t)
		if c.request != "" {
			f.set(c.request, c.answer)
		}
		s := newShell(t, f.URL)
		assert.Equal(t, c.code, s.faas(t.Context(), strings.Fields(c.line)...), "%s: %s", c.line, s.errOut)
		assert.Contains(t, s.errOut.String(), c.says, c.line)
		assert.NotContains(t, s.errOut.String(), "faas: "+"faas:", "the name of the command stands there once")
	}
}

func TestAHostThatIsNotThereIsUnreachable(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"ls", "invoke resize -d {}", "logs -f", "top"} {
		s := newShell(t, "http://127.0.0.1:1") // a port on which nothing listens
		assert.Equal(t, exitUnreachable, s.faas(t.Context(), strings.Fields(line)...), line)
		assert.Contains(t, s.errOut.String(), "FAAS_URL", line)
	}
}

func TestAnInterruptedCommandSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer f.Close()
	s := newShell(t, f.URL)
	assert.Equal(t, exitFailed, s.faas(ctx, "ls"))
	assert.Equal(t, "faas: interrupted\n", s.errOut.String())
}

func TestTheTokenIsSentAndNeverShown(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set("GET /v1/functions", answer{status: 500, body: `{"title":"T","reason":"failed"}`})
	s := newShell(t, f.URL)
	s.vars["FAAS_TOKEN"] = "secret"
	assert.Equal(t, exitFailed, s.faas(t.Context(), "ls"))
	assert.Equal(t, "Bearer secret", f.header.Get("Authorization"))
	assert.NotContains(t, s.out.String()+s.errOut.String(), "secret")
}

// settings writes the config file.
func settings(t *testing.T, s *shell, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(s.vars["HOME"], ".config", "faas", "config")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), mode))
	require.NoError(t, os.Chmod(file, mode))
	return file
}

func TestTheFileOfSettingsIsReadIfOnlyItsOwnerCan(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := newShell(t, "")
	file := settings(t, s, "# my host\nurl = "+f.URL+"/v1/\ntoken = \"secret\"\n", 0o600)
	require.Equal(t, exitOK, s.faas(t.Context(), "ls"), s.errOut.String())
	assert.Equal(t, "Bearer secret", f.header.Get("Authorization"))
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o644} {
		require.NoError(t, os.Chmod(file, mode))
		s := newShell(t, "")
		s.vars["XDG_CONFIG_HOME"] = filepath.Dir(filepath.Dir(file))
		assert.Equal(t, exitUsage, s.faas(t.Context(), "ls"), mode)
		assert.Contains(t, s.errOut.String(), "chmod 600 "+file)
	}
}

func TestThereIsNoFileOfSettingsWithoutAHome(t *testing.T) {
	t.Parallel()
	s := newShell(t, "")
	s.vars["HOME"], s.vars["XDG_CONFIG_HOME"] = "", "."
	assert.Empty(t, s.configPath(), "the directory of the moment is not the user's")
	assert.Equal(t, exitUsage, s.faas(t.Context(), "ls"))
	assert.Contains(t, s.errOut.String(), "no host is set")
	s.vars["USERPROFILE"] = t.TempDir()
	assert.True(t, strings.HasPrefix(s.configPath(), s.vars["USERPROFILE"]))
}

func TestTheTokenOfTheFileIsForTheHostOfTheFile(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := newShell(t, f.URL)
	settings(t, s, "url = https://faas.example.com\ntoken = secret\n", 0o600)
	require.Equal(t, exitOK, s.faas(t.Context(), "ls"))
	assert.Empty(t, f.header.Get("Authorization"), "FAAS_URL names another host")
}

func TestSettingsThatCannotBeUsedSayWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, token, file, says string }{
		{"", "", "", "export FAAS_URL="},
		{"127.0.0.1:8080", "", "", "http://127.0.0.1:8080"},
		{"ftp://a", "", "", "https://faas.example.com"},
		{"http://me:hush@127.0.0.1", "", "", "set FAAS_TOKEN"},
		{"http://faas.example.com", "hush", "", "Use https"},
		{"http://127.0.0.1", "hush it", "", "no token"},
		{"", "", "url http://127.0.0.1\nhush", "line 1"},
	} {
		s := newShell(t, c.url)
		s.vars["FAAS_TOKEN"] = c.token
		if c.file != "" {
			settings(t, s, c.file, 0o600)
		}
		assert.Equal(t, exitUsage, s.faas(t.Context(), "ls"), c)
		assert.Contains(t, s.errOut.String(), c.says)
		assert.NotContains(t, s.errOut.String(), "hush")
	}
}

func TestAClearTextTokenNeedsAWord(t *testing.T) {
	t.Parallel()
	s := newShell(t, "http://faas.example.com")
	s.vars["FAAS_TOKEN"], s.vars["FAAS_CLEAR_TEXT"] = "t", "1"
	_, err := s.config()
	assert.NoError(t, err)
	for _, url := range []string{"http://localhost:1", "http://[::1]:1", "http://127.8.0.1", "https://faas.example.com"} {
		s := newShell(t, url)
		s.vars["FAAS_TOKEN"] = "t"
		_, err := s.config()
		assert.NoError(t, err, url)
	}
}

func TestTimesAreGivenAsTheyAreOrAsHowLongAgo(t *testing.T) {
	t.Parallel()
	s := newShell(t, "")
	for text, want := range map[string]string{
		"": "", "30m": "2026-11-30T13:42:00Z", "2026-01-31T12:00:00Z": "2026-01-31T12:00:00Z", "2026-01-31": "2026-01-31T00:00:00Z", "2026-01-31T12:00:00+02:00": "2026-01-31T10:00:00Z",
	} {
		got, err := s.when("since", text)
		assert.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := s.when("since", "-5m")
	assert.Error(t, err)
	at, err := s.instant("before", "1h")
	assert.NoError(t, err)
	assert.Equal(t, time.Date(2026, 11, 30, 13, 12, 0, 0, time.UTC), at)
}

func TestATokenDoesNotFollowARedirect(t *testing.T) {
	t.Parallel()
	other, f := newFake(t), newFake(t)
	f.stream("/v1/functions", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/v1/functions", http.StatusTemporaryRedirect)
	})
	s := newShell(t, f.URL)
	s.vars["FAAS_TOKEN"] = "secret"
	assert.Equal(t, exitUnreachable, s.faas(t.Context(), "ls"))
	assert.Empty(t, other.asked())
	assert.Contains(t, s.errOut.String(), "307 Temporary Redirect")
}

func FuzzTheFileOfSettingsDoesNotShowItsLines(f *testing.F) {
	f.Add("url = http://127.0.0.1\ntoken = t\n# c\n\nnonsense")
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "5ecret"
		_, _, err := parseConfig("file", strings.NewReader(text+"\n"+secret))
		require.Error(t, err)
		assert.NotContains(t, err.Error(), secret)
	})
}
