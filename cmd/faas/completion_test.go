package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNamesAreCompletedByTheLiveHost(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"describe res":                 "resize\tfailing",
		"invoke resize:l":              "resize:live\talias, 7: 80, 8: 20",
		"invoke resize:7":              "resize:7\tversion",
		"alias set resize l":           "live\t7: 80, 8: 20",
		"alias set resize live l":      "latest",
		"alias set resize live 7=90 8": "8",
		"alias rm resize $":            "$default\t7",
		"source pause n":               "nightly\trunning",
		"jobs cancel " + jobID[:20]:    jobID + "\tmail dead",
		"replay " + failureID[:20]:     failureID + "\tresize Panicked 14:11:22",
		"limit resize o":               "off",
		"jobs ls --state de":           "scheduled\nready\nrunning\nparked\nsucceeded\ndead\ncanceled",
		"jobs ls --tenant glo":         "globex",
		"jobs ls --function mai":       "mail\tfailing",
		"costs --book aws":             "aws-lambda-x86",
		"ls -o js":                     "text\njson\njsonl\ncsv", // the shell selects those that fit
		"logs --level w":               "info\nwarn\nerror",
		"top --sort p":                 "calls\nfailed\nname\np99\nqueued\nrunning",
		"ja":                           "",
		"jobs rep":                     "replay\tMake new jobs of those that have ended: of those given, or of all that flags select",
	} {
		s := newShell(t, newFake(t).URL)
		args := strings.Split(line, " ")
		require.Equal(t, exitOK, s.faas(t.Context(), append([]string{"__complete"}, args...)...), line)
		got, _, _ := strings.Cut(s.out.String(), ":4\n")
		assert.Equal(t, want, strings.TrimSpace(got), line)
	}
}

func TestCompletionSaysNothingWithoutAHost(t *testing.T) {
	t.Parallel()
	s := newShell(t, "")
	assert.Equal(t, exitOK, s.faas(t.Context(), "__complete", "describe", ""))
	assert.Equal(t, ":4\n", s.out.String())
}

func TestShellsHaveTheirScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		s := newShell(t, "")
		assert.Equal(t, exitOK, s.faas(t.Context(), "completion", shell), "it needs no host")
		assert.Contains(t, s.out.String(), "faas")
	}
}

// bashCompletes returns the completions of a line by a real bash that has no packages.
func bashCompletes(t *testing.T, url, line string, words ...string) []string {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "faas"), []byte("#!/bin/sh\n"+asFaas+"=1 exec '"+program+"' \"$@\"\n"), 0o700))
	const press = `source <(faas completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; } # it is for the shell that a key was pressed in
__start_faas && printf '%s\n' "${COMPREPLY[@]}"`
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{"--norc", "--noprofile", "-c", press, "bash", line}, words...)...)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "FAAS_URL=" + url, "HOME=" + dir}
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	require.NoError(t, err, errOut.String())
	assert.Empty(t, errOut.String())
	return strings.Fields(string(out))
}

func TestBashCompletesLiveNamesWithoutAnotherPackage(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	assert.Equal(t, []string{"resize"}, bashCompletes(t, f.URL, "faas describe res", "faas", "describe", "res"))
	assert.Equal(t, []string{"live"}, bashCompletes(t, f.URL, "faas invoke resize:l", "faas", "invoke", "resize", ":", "l"), "bash itself has what stands before the colon")
	assert.Equal(t, []string{"text", "json", "jsonl", "csv"}, bashCompletes(t, f.URL, "faas ls -o ", "faas", "ls", "-o", ""))
	assert.Equal(t, []string{"8"}, bashCompletes(t, f.URL, "faas alias set resize live 7=90 8", "faas", "alias", "set", "resize", "live", "7", "=", "90", "8"))
}
