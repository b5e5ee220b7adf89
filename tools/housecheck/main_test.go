package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// workspace writes a workspace of one module and puts it under git.
func workspace(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.work"] = "go 1.26\n\nuse .\n"
	files["go.mod"] = "module example.com/m\n\ngo 1.26\n"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	return dir
}

func TestArrowsPairsAndCirclesGoByTypes(t *testing.T) {
	dir := workspace(t, map[string]string{
		"a.go":      "package m\n\ntype A struct{ b B }\n\nfunc (a A) do() { a.b.do() }\n",
		"b.go":      "package m\n\ntype B struct{ c *C }\n\nfunc (b B) do() { b.c.a.do() }\n",
		"c.go":      "package m\n\ntype C struct{ a A }\n",
		"d.go":      "package m\n\nvar do = func(c C) { var do = c.a; _ = do }\n",
		"d_test.go": "package m\n\nvar _ = A{}\n",
	})
	hs, err := load(dir)
	if err != nil || len(hs) != 1 {
		t.Fatalf("load: %v, %d packages", err, len(hs))
	}
	h := hs[0]
	arrows, pairs := h.countArrows()
	if arrows != 5 || pairs != 1 { // a→b, b→a (its method), b→c, c→a, d→c
		t.Errorf("%d arrows and %d pairs: %v", arrows, pairs, h.arrows)
	}
	if got := h.circle(); !slices.Equal(got, []string{"a.go", "b.go", "c.go"}) {
		t.Errorf("circle: %v", got)
	}
	if len(h.functions) != 2 {
		t.Errorf("functions: %v", h.functions)
	}
}

func TestPairsAreBoundedInThePackagesThatHaveABound(t *testing.T) {
	pair := map[string]map[string]bool{"a.go": {"b.go": true}, "b.go": {"a.go": true}}
	hs := []*house{{path: "kept", arrows: pair}, {path: "over", arrows: pair}, {path: "free", arrows: pair}}

	found := strings.Join(excess(hs, people{}, map[string]int{"kept": 1, "over": 0}), "\n")

	if !strings.Contains(found, "over: 1 pairs of files need each other, at most 0") || strings.Contains(found, "kept") || strings.Contains(found, "free") {
		t.Errorf("found:\n%s", found)
	}
}

func TestWordsForPeopleAreFoundInCommentsAlone(t *testing.T) {
	var p people
	p.read("x.go", []byte("// Whoever calls it.\nvar nobody = 1 // nobody\n/* he\n   whom */\n// the caller\n"))
	if p.words != 3 || p.comments != 4 {
		t.Errorf("%d words in %d lines: %v", p.words, p.comments, p.where)
	}
}

func TestWhatPassesABoundIsNamed(t *testing.T) {
	long := &house{path: "p", lines: map[string]int{"long.go": maxFile + 1, "ok.go": maxFile}}
	for range 10 {
		long.functions = append(long.functions, function{lines: maxP90 + 1})
	}
	found := strings.Join(excess([]*house{long}, people{comments: 100, words: 1, where: []string{"x.go:1: nobody"}}, nil), "\n")
	for _, want := range []string{"p/long.go has 501 lines", "a tenth of the functions", "speak of people 1.00", "x.go:1"} {
		if !strings.Contains(found, want) {
			t.Errorf("%q is not in:\n%s", want, found)
		}
	}
	if strings.Contains(found, "ok.go") {
		t.Errorf("ok.go is within its bound:\n%s", found)
	}
}
