package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUndocumentedNamesTheExportedAndNothingElse(t *testing.T) {
	t.Parallel()
	const doc = "// Package p is.\npackage p\n"
	for name, tt := range map[string]struct {
		src  string
		want []string
	}{
		"all is documented":                 {doc + "// F does.\nfunc F() {}\n", nil},
		"a function":                        {doc + "func F() {}\n", []string{"F"}},
		"an unexported function":            {doc + "func f() {}\n", nil},
		"a directive is not documentation":  {doc + "//go:noinline\nfunc F() {}\n", []string{"F"}},
		"a type":                            {doc + "type T int\n", []string{"T"}},
		"a group's comment is not a type's": {doc + "// Types.\ntype (\n\tT int\n\t// U is.\n\tU int\n)\n", []string{"T"}},
		"a method":                          {doc + "// T is.\ntype T int\nfunc (T) M() {}\n", []string{"M"}},
		"a method of an unexported type":    {doc + "type t int\nfunc (*t) M() {}\n", nil},
		"a method of a generic type":        {doc + "// T is.\ntype T[A, B any] int\nfunc (*T[A, B]) M() {}\n", []string{"M"}},
		"a method of a type of one argument": {
			doc + "// T is.\ntype T[A any] int\nfunc (T[A]) M() {}\n", []string{"M"},
		},
		"constants share a group's comment": {doc + "// Kinds.\nconst (\n\tA = 1\n\tB = 2\n)\n", nil},
		"constants without one":             {doc + "const (\n\tA = 1 // A is one.\n\tB = 2\n\tc = 3\n)\n", []string{"B"}},
		"variables of one line":             {doc + "var A, b, C int\n", []string{"A", "C"}},
		"the package":                       {"package p\n", []string{"package"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "p.go", tt.src)
			got, err := undocumented(dir, []string{"p.go"})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want one line for each of %q", got, tt.want)
			}
			for i, w := range tt.want {
				if !strings.Contains(got[i], w+" has no doc comment") {
					t.Errorf("line %q does not name %s", got[i], w)
				}
			}
		})
	}
}

func TestCheckReadsWhatAUserCanImport(t *testing.T) {
	t.Setenv("GOWORK", "off") // as CI runs it
	root := t.TempDir()
	write(t, root, "go.work", "go 1.26\n\nuse (\n\t.\n\t./nested\n)\n")
	write(t, root, "go.mod", "module example.org/m\n\ngo 1.26\n")
	write(t, root, "m.go", "// Package m is.\npackage m\n\nfunc Root() {}\n")
	write(t, root, "m_test.go", "package m\n\nfunc InTest() {}\n")
	write(t, root, "never.go", "//go:build never\n\npackage m\n\nfunc Excluded() {}\n")
	write(t, root, "internal/in/in.go", "package in\n\nfunc Internal() {}\n")
	write(t, root, "cmd/main.go", "package main\n\nfunc Program() {}\n\nfunc main() {}\n")
	write(t, root, "nested/go.mod", "module example.org/m/nested\n\ngo 1.26\n")
	write(t, root, "nested/n.go", "// Package nested is.\npackage nested\n\nfunc Nested() {}\n")

	got, err := check(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"example.org/m: m.go:4: Root has no doc comment",
		"example.org/m/nested: n.go:4: Nested has no doc comment",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func write(tb testing.TB, dir, name, content string) {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func TestLinksThatLeadNowhereAreNamed(t *testing.T) {
	t.Setenv("GOWORK", "off") // as CI runs it
	root := t.TempDir()
	write(t, root, "go.work", "go 1.26\n\nuse .\n")
	write(t, root, "go.mod", "module example.org/m\n\ngo 1.26\n")
	write(t, root, "other/o.go", "// Package other is.\npackage other\n\n// T is.\ntype T struct{ Field int }\n\n// M does.\nfunc (T) M() {}\n")
	write(t, root, "m.go", `// Package m has [F] and lacks [Gone].
package m

import (
	"io"

	"example.org/m/other"
)

// F is [*T], [T.M], [other.T], [other.T.M], [other.T.Field], [io.Reader.Read], [strings.Builder], [encoding/json.Marshal],
// [example.org/m/other.T] and [RFC 9562], [here], a map[Reason]int, a Function[In], of [V], from [0, Max].
//
//	[InCode]
//
// [Manual] is a link of the text's own.
//
// [Manual]: https://example.org
func F(io.Reader, other.T) {}

// T lacks [T.Gone], [Missing] and [Missing], but has [T.Field].
type T struct {
	Field int
}

// M lacks [other.Gone], [other.T.Gone], [strings.Gone], [fmt.Printer.Print] and [elsewhere.T]:
//
//   - [*InItem]
func (T) M() {}

// C lacks [Const].
const C = 1

// unexported is not for users: [Gone].
func unexported() {}
`)
	got, err := check(root)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range []string{
		"the package|Gone", "m.go:31: C|Const", "m.go:21: T|T.Gone", "m.go:21: T|Missing", "m.go:21: T|Missing",
		"m.go:28: M|example.org/m/other.Gone", "m.go:28: M|example.org/m/other.T.Gone", "m.go:28: M|strings.Gone",
		"m.go:28: M|fmt.Printer.Print", "m.go:28: M|elsewhere.T", "m.go:28: M|InItem",
	} {
		at, link, _ := strings.Cut(s, "|")
		want = append(want, "example.org/m: "+at+" links to ["+link+"], which is not there")
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
