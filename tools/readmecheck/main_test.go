package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfor {\n\t\tfmt.Println(1)\n\n\t\tfmt.Println(2)\n\t}\n}\n"

func TestABlockSaysWhatKeepsItTrue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		readme string
		want   string // in the error; empty for none
	}{
		"the whole file":             {"<!-- file: a/main.go -->\n```go\n" + source + "```\n", ""},
		"a blank line in between":    {"<!-- file: a/main.go -->\n\n```go\n" + source + "```\n", ""},
		"a part, indented":           {"<!-- file: a/main.go -->\n```go\nfmt.Println(1)\n\nfmt.Println(2)\n```\n", ""},
		"a part of a line":           {"<!-- file: a/main.go -->\n```go\nPrintln(1)\n```\n", "README.md:2: the block differs from a/main.go"},
		"a line left out":            {"<!-- file: a/main.go -->\n```go\nfmt.Println(1)\nfmt.Println(2)\n```\n", "differs"},
		"another indentation within": {"<!-- file: a/main.go -->\n```go\nfor {\nfmt.Println(1)\n```\n", "differs"},
		"an empty block":             {"<!-- file: a/main.go -->\n```go\n```\n", "differs"},
		"no such file":               {"<!-- file: none.go -->\n```go\nx\n```\n", "none.go"},
		"go without a comment":       {"```go\nx\n```\n", "README.md:1: a go block needs"},
		"go with a reason":           {"<!-- nofile: pseudo code -->\n```go\nx\n```\n", ""},
		"go without the reason":      {"<!-- nofile -->\n```go\nx\n```\n", "needs"},
		"sh without a comment":       {"text\n```sh\nfalse\n```\n", "README.md:2: an sh block needs"},
		"a comment further up":       {"<!-- run -->\ntext\n```sh\ntrue\n```\n", "needs"},
		"one comment, two blocks":    {"<!-- run -->\n```sh\ntrue\n```\n```sh\ntrue\n```\n", "README.md:5: an sh block needs"},
		"norun without a reason":     {"<!-- norun: -->\n```sh\nfalse\n```\n", "needs"},
		"bash":                       {"<!-- run -->\n```bash\ntrue\n```\n", "write sh instead of bash"},
		"other languages":            {"```json\n{}\n```\n```\nx\n```\n", ""},
		"a fence within a longer":    {"````text\n```go\n```\n````\n", ""},
		"a link to a file":           {"see [it](a/main.go#L3) and [more](https://example.com/none)\n", ""},
		"a link to nothing":          {"see [it](a/none.go)\n", "a link leads to a/none.go"},
		"a block without an end":     {"```text\n", "does not end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := readmecheck(filepath.Dir(fixture(t, tt.readme)), "README.md", false)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("unexpected error: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestRunStopsAtTheFirstFailureInTheReadmesDirectory(t *testing.T) {
	t.Parallel()
	const readme = "<!-- run -->\n```sh\ntouch here\n```\n" +
		"<!-- norun: would fail -->\n```sh\ntouch never\n```\n" +
		"<!-- run -->\n```sh\nfalse | true\ntouch never\n```\n"
	path := fixture(t, readme)
	if err := readmecheck(filepath.Dir(path), "README.md", false); err != nil {
		t.Fatalf("without -run: %v", err)
	}
	if exists(path, "here") {
		t.Error("a block ran without -run")
	}
	err := readmecheck(filepath.Dir(path), "README.md", true)
	if err == nil || !strings.Contains(err.Error(), "README.md:10:") {
		t.Errorf("error is %v, want one that names line 10", err)
	}
	if !exists(path, "here") || exists(path, "never") {
		t.Error("the wrong blocks ran")
	}
}

func exists(readme, name string) bool {
	_, err := os.Stat(filepath.Join(filepath.Dir(readme), name))
	return err == nil
}

func fixture(tb testing.TB, readme string) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		tb.Fatal(err)
	}
	for name, content := range map[string]string{"README.md": readme, "a/main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return filepath.Join(dir, "README.md")
}
