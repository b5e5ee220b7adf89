package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOneProgramHasBothSides builds the program for the last commit, and runs it once.
func TestOneProgramHasBothSides(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compiles the library twice")
	}
	if _, err := output(t.Context(), ".", "git", "rev-parse", "HEAD"); err != nil {
		t.Skip("not a checkout: there is no other revision")
	}
	program, err := build(t.Context(), t.TempDir(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "1", "1ms", "faas,faas/bytes").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"faas", "faas/bytes"} {
		row := regexp.MustCompile(`(?m)^\| ` + name + ` \| \d+ \| \d+ \| \d+ \| \d+\.\d+ `)
		if got := len(row.FindAll(out, -1)); got != 4 {
			t.Errorf("%d rows of %s, want one for each number of callers:\n%s", got, name, out)
		}
	}
}

func TestARevisionThatDoesNotExistIsAnError(t *testing.T) {
	t.Parallel()
	_, err := build(t.Context(), t.TempDir(), "no-such-revision")
	if err == nil || !strings.Contains(err.Error(), "git") {
		t.Errorf("got %v", err)
	}
}

// The rewritten copy must not import the original module: one side would then run the code of
// the other.
func TestNoImportOfTheOtherSideIsLeft(t *testing.T) {
	t.Parallel()
	from := filepath.Join(t.TempDir(), "a.go")
	to := from + ".copy"
	text := "package a\nimport (\n\t\"" + headPath + "\"\n\t\"" + headPath + "/internal/kpa\"\n)\n"
	if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(from, to); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got, []byte(headPath)) || bytes.Count(got, []byte(basePath)) != 2 {
		t.Errorf("got %s", got)
	}
}
