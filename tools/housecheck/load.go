package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A house has the measures of one package.
type house struct {
	path      string
	arrows    map[string]map[string]bool // file → files that it uses
	why       map[string]map[string]bool // "from → to" → the names for which from uses to
	lines     map[string]int             // of each file
	functions []function
	code      int // lines with code
	comments  int // lines with only a comment
}

type function struct {
	name  string
	lines int // from the line of func to that of the closing brace
}

// listed is a package in the output of go list.
type listed struct {
	Dir, ImportPath, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// load measures the packages of the workspace at root. go list -export compiles their
// imports, so that go/types can resolve identifiers as the compiler does.
func load(root string) ([]*house, error) {
	all, err := list(root)
	if err != nil {
		return nil, err
	}
	export := map[string]string{}
	for _, p := range all {
		export[p.ImportPath] = p.Export
	}
	var houses []*house
	for _, p := range all {
		if p.DepOnly || len(p.GoFiles) == 0 {
			continue
		}
		h, err := measure(p, export)
		if err != nil {
			return nil, err
		}
		houses = append(houses, h)
	}
	return houses, nil
}

func list(root string) ([]listed, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=Dir,ImportPath,Export,GoFiles,DepOnly", "work")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	// The tool itself is run with GOWORK=off, because it is not part of the workspace. The go
	// command must not inherit that: it has to read the workspace.
	cmd.Env = append(os.Environ(), "GOWORK=")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list work in %s: %w", root, err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

func measure(p listed, export map[string]string) (*house, error) {
	fset := token.NewFileSet()
	h := &house{path: p.ImportPath, arrows: map[string]map[string]bool{}, why: map[string]map[string]bool{}, lines: map[string]int{}}
	var files []*ast.File
	for _, name := range p.GoFiles {
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		h.lines[name] = strings.Count(string(src), "\n")
		code, comments := countLines(string(src))
		h.code, h.comments = h.code+code, h.comments+comments
		h.count(fset, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	open := func(path string) (io.ReadCloser, error) { return os.Open(export[path]) }
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", open)}
	pkg, err := conf.Check(p.ImportPath, fset, files, info)
	if err != nil {
		return nil, err
	}
	for id, obj := range info.Uses {
		if obj.Pkg() == pkg && obj.Pos().IsValid() {
			h.point(fset.Position(id.Pos()).Filename, fset.Position(obj.Pos()).Filename, obj.Name())
		}
	}
	return h, nil
}

// point adds an arrow from one file to another, because the first uses name.
func (h *house) point(from, to, name string) {
	if from == to {
		return
	}
	if h.arrows[from] == nil {
		h.arrows[from] = map[string]bool{}
	}
	h.arrows[from][to] = true
	arrow := from + " → " + to
	if h.why[arrow] == nil {
		h.why[arrow] = map[string]bool{}
	}
	h.why[arrow][name] = true
}

// count adds the functions of a file.
func (h *house) count(fset *token.FileSet, f *ast.File) {
	for _, d := range f.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
			first, last := fset.Position(d.Pos()).Line, fset.Position(d.End()).Line
			h.functions = append(h.functions, function{name: d.Name.Name, lines: last - first + 1})
		}
	}
}

// countLines counts the lines with code and those with only a comment. Empty lines
// are neither.
func countLines(src string) (code, comments int) {
	block := false
	for line := range strings.Lines(src) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case block || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "/*"):
			comments++
			block = (block || strings.HasPrefix(line, "/*")) && !strings.Contains(line, "*/")
		default:
			code++
		}
	}
	return code, comments
}
