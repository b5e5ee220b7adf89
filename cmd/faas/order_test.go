package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/admin"
)

// last returns the body of the last request that begins with begin.
func (f *fake) last(t *testing.T, begin string) string {
	t.Helper()
	body := ""
	for _, r := range f.asked() {
		if rest, ok := strings.CutPrefix(r, begin); ok {
			body = strings.TrimSpace(rest)
		}
	}
	require.NotEmpty(t, body, "%s: %v", begin, f.asked())
	return body
}

func TestManyJobsAreCountedAndAskedFor(t *testing.T) {
	t.Parallel()
	for answer, code := range map[string]int{"y\n": exitOK, "YES\n": exitOK, "n\n": exitFailed, "\n": exitFailed, "": exitFailed} {
		f := newFake(t)
		s := newShell(t, f.URL)
		s.asks, s.in = true, strings.NewReader(answer)
		assert.Equal(t, code, s.faas(t.Context(), "jobs", "replay", "--state", "dead", "--function", "mail", "--tenant", "", "--label", "a=b"), answer)
		assert.Contains(t, s.errOut.String(), "Replay 1,234 jobs? [y/N]")
		got := decode[admin.BulkRequest](t, f.last(t, "POST /v1/jobs/replay"))
		assert.Equal(t, []string{"dead"}, got.Filter.States)
		assert.Equal(t, "mail", got.Filter.Function)
		assert.Equal(t, map[string]string{"a": "b"}, got.Filter.Labels)
		assert.Empty(t, *got.Filter.Tenant, "an empty tenant is not any")
		if code != exitOK {
			assert.Nil(t, got.Expect, "it was only counted")
			continue
		}
		assert.EqualValues(t, 1234, *got.Expect, "what was counted is what is done")
	}
}

func TestManyJobsNeedNoQuestionWithYes(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := newShell(t, f.URL)
	assert.Equal(t, exitOK, s.faas(t.Context(), "jobs", "replay", "--all", "-y"))
	assert.JSONEq(t, `{"filter":{},"expect":1234}`, f.last(t, "POST /v1/jobs/replay"))
}

func TestAQuestionEndsWithTheCommand(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newShell(t, "")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	s.asks, s.in = true, r
	s.errOut.watch = func(string) { cancel() }
	assert.ErrorIs(t, s.confirm(ctx, "Do it"), context.Canceled)
	require.NoError(t, w.Close())
}

func TestJobsAreOrderedOneByOneByTheirIDs(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := newShell(t, f.URL)
	assert.Equal(t, exitAbsent, s.faas(t.Context(), "jobs", "replay", "nothing", jobID, "neither"))
	assert.Contains(t, s.out.String(), jobID, "one that fails does not stop the others")
	assert.Contains(t, s.errOut.String(), "nothing: there is no such thing")
	assert.Contains(t, s.errOut.String(), "1 more")
}

func TestJobsAreAskedForPageByPage(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.stream("/v1/jobs", func(w http.ResponseWriter, r *http.Request) {
		body := `{"jobs":[{"id":"a"}],"next":"n"}`
		if r.URL.Query().Get("cursor") == "n" {
			body = `{"jobs":[{"id":"b"}]}`
		}
		_, _ = w.Write([]byte(body))
	})
	s := newShell(t, f.URL)
	require.Equal(t, exitOK, s.faas(t.Context(), "jobs", "ls", "-o", "jsonl", "--after", "1h", "--state", "dead,parked"))
	assert.Equal(t, 2, strings.Count(s.out.String(), "\n"))
	assert.Contains(t, f.asked()[1], "after=2026-11-30T13%3A12%3A00Z&cursor=n&limit=49&state=dead&state=parked")
	s = newShell(t, f.URL)
	require.Equal(t, exitOK, s.faas(t.Context(), "jobs", "ls", "-n", "1"))
	assert.Contains(t, s.out.String(), "There are more")
}

func TestAnAliasKeepsWhatIsNotSaid(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := newShell(t, f.URL)
	require.Equal(t, exitOK, s.faas(t.Context(), "alias", "set", "resize", "live", "7=90", "8=10"), s.errOut.String())
	got := decode[admin.AliasChange](t, f.last(t, "PUT /v1/functions/resize/aliases/live"))
	assert.Equal(t, map[string]admin.Count{"7": 90, "8": 10}, got.Weights)
	assert.Equal(t, "wider pictures", got.Description)
	assert.EqualValues(t, 4, *got.IfRevision, "the revision that was read")
	s = newShell(t, f.URL)
	require.Equal(t, exitOK, s.faas(t.Context(), "alias", "set", "resize", "live", "latest", "--sticky", "--description", "", "--if-revision", "2"))
	got = decode[admin.AliasChange](t, f.last(t, "PUT /v1/functions/resize/aliases/live"))
	assert.Equal(t, map[string]admin.Count{"0": 1}, got.Weights)
	assert.True(t, got.Sticky)
	assert.Empty(t, got.Description)
	assert.EqualValues(t, 2, *got.IfRevision)
}

func TestAnAliasThatIsNewIsMadeIfThereIsStillNone(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set("PUT /v1/functions/resize/aliases/$default", answer{body: `{"function":"resize","weights":{"8":1},"revision":1}`})
	f.set("GET /v1/functions/resize/aliases", answer{body: `{"function":"resize","aliases":[]}`})
	s := newShell(t, f.URL)
	require.Equal(t, exitOK, s.faas(t.Context(), "alias", "set", "resize", "", "8"), s.errOut.String())
	assert.JSONEq(t, `{"weights":{"8":1},"ifRevision":0}`, f.last(t, "PUT /v1/functions/resize/aliases/$default"))
	assert.Equal(t, "resize:$default → 8 (revision 1)\n", s.out.String())
}

func TestLimitsAreOffNoneAndNumbers(t *testing.T) {
	t.Parallel()
	for text, body := range map[string]string{"off": `{"limit":0}`, "none": `{"limit":null}`, "7": `{"limit":7}`} {
		f := newFake(t)
		s := newShell(t, f.URL)
		require.Equal(t, exitOK, s.faas(t.Context(), "limit", "resize", text))
		assert.Equal(t, body, f.last(t, "PUT /v1/functions/resize/limit"))
	}
}

func TestAnInputGoesAsItIs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "in.json")
	require.NoError(t, os.WriteFile(file, []byte("\xff\xfe"), 0o600))
	for data, want := range map[string]string{
		`{"n":9007199254740993, "h":"<&>"}`: `{"text":"{\"n\":9007199254740993, \"h\":\"<&>\"}"}`,
		"-":                                 `{"text":"from stdin"}`, "@" + file: `{"base64":"//4="}`, "": `{"text":""}`,
	} {
		f := newFake(t)
		s := newShell(t, f.URL)
		s.in = strings.NewReader("from stdin")
		require.Equal(t, exitOK, s.faas(t.Context(), "invoke", "resize", "-d", data), s.errOut.String())
		assert.Equal(t, want, f.last(t, "POST /v1/functions/resize/invoke"))
	}
	f := newFake(t)
	require.Equal(t, exitOK, newShell(t, f.URL).faas(t.Context(), "invoke", "resize"))
	assert.Equal(t, "{}", f.last(t, "POST /v1/functions/resize/invoke"))
}

func TestAnOutputIsWrittenAloneAndWithAllDigits(t *testing.T) {
	t.Parallel()
	s := newShell(t, newFake(t).URL)
	require.Equal(t, exitOK, s.faas(t.Context(), "invoke", "resize", "--tenant", "acme", "--priority", "3"))
	assert.Equal(t, "{\"n\":9007199254740993}\n", s.out.String())
	assert.Equal(t, "OK of resize:8 in 2.50 ms, request r-2\n", s.errOut.String())
}

func TestAReplayIsCorrectedInTheEditor(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := newShell(t, f.URL)
	s.in = nil
	s.vars["EDITOR"] = "sed -i s/webp/png/"
	require.Equal(t, exitOK, s.faas(t.Context(), "replay", failureID, "--edit", "--target", "resize:7"), s.errOut.String())
	got := decode[admin.ReplayRequest](t, f.last(t, "POST /v1/failures/"+failureID+"/replay"))
	assert.Contains(t, *got.Text, "\n  \"format\": \"png\",\n", "each member has a line")
	assert.Contains(t, *got.Text, "9007199254747256")
	assert.Equal(t, "resize:7", got.Target)
	assert.Nil(t, got.Tenant)
	s = newShell(t, f.URL)
	s.vars["EDITOR"] = "true"
	require.Equal(t, exitOK, s.faas(t.Context(), "replay", failureID, "--edit"), s.errOut.String())
	got = decode[admin.ReplayRequest](t, f.last(t, "POST /v1/failures/"+failureID+"/replay"))
	assert.Contains(t, *got.Text, `,"format":"webp",`, "what was not touched goes as it is")
	for editor, code := range map[string]int{"": exitUsage, "false": exitFailed} {
		s := newShell(t, f.URL)
		s.vars["EDITOR"] = editor
		assert.Equal(t, code, s.faas(t.Context(), "replay", failureID, "--edit"))
	}
}

func TestNamesAreEscapedInPaths(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	assert.Equal(t, exitAbsent, newShell(t, f.URL).faas(t.Context(), "describe", "a/../b?c"))
	assert.Equal(t, "GET /v1/functions/a%2F..%2Fb%3Fc", f.asked()[0])
}
