// Doccheck fails if an exported name has no doc comment, or if a [link] in a doc comment
// leads nowhere. It reads every package of a workspace that a user can import: internal
// packages, programs and tests are left out.
//
//	GOWORK=off go -C tools run ./doccheck ..
//
// Functions, methods of exported types, and types each need a comment of their own. A
// constant or a variable may share the comment of its group, which describes all its members;
// a comment at the end of the line counts too. Struct fields and interface methods need none,
// because their contract belongs in the comment of their type.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	found, err := check(append(os.Args, ".")[1]) // the default is the current directory
	for _, m := range found {
		fmt.Fprintln(os.Stderr, m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "doccheck:", err)
	}
	if err != nil || len(found) > 0 {
		os.Exit(1)
	}
}

// listed is a package in the output of go list.
type listed struct {
	Dir, ImportPath, Name string
	GoFiles, CgoFiles     []string
	DepOnly               bool
}

// check returns the undocumented names and the dead links of the workspace at root.
func check(root string) ([]string, error) {
	all, err := list(root)
	if err != nil {
		return nil, err
	}
	var found []string
	links := newLinks(all)
	for _, p := range all {
		if p.DepOnly || p.Name == "main" || isInternal(p.ImportPath) || len(p.GoFiles) == 0 {
			continue
		}
		missing, err := undocumented(p.Dir, p.GoFiles)
		if err != nil {
			return nil, err
		}
		dead, err := links.unresolved(p.ImportPath)
		if err != nil {
			return nil, err
		}
		for _, s := range append(missing, dead...) {
			found = append(found, p.ImportPath+": "+s)
		}
	}
	return found, nil
}

// list returns the packages of the workspace at root and all packages that they import. It
// gets the packages and files from the go command, so that build constraints have the same
// effect as in a build.
func list(root string) (all []listed, err error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,ImportPath,Name,GoFiles,CgoFiles,DepOnly", "work")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	// The tool itself is run with GOWORK=off, because it is not part of the workspace. The go
	// command must not inherit that: it has to read the workspace.
	cmd.Env = append(os.Environ(), "GOWORK=")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list work in %s: %w", root, err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("output of go list: %w", err)
		}
		all = append(all, p)
	}
}

func isInternal(path string) bool {
	return strings.Contains("/"+path+"/", "/internal/")
}

// undocumented returns one line for each exported name of a package's files
// that has no comment, and one for the package itself.
func undocumented(dir string, names []string) ([]string, error) {
	var missing []string
	fset := token.NewFileSet()
	described := false
	for _, name := range names {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		described = described || f.Doc.Text() != ""
		for _, d := range f.Decls {
			for _, id := range bare(d) {
				at := fset.Position(id.Pos())
				missing = append(missing, fmt.Sprintf("%s:%d: %s has no doc comment", name, at.Line, id.Name))
			}
		}
	}
	if !described {
		missing = append(missing, "the package has no doc comment")
	}
	return missing, nil
}

// bare returns the exported names that d declares without a comment.
func bare(d ast.Decl) (ids []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc.Text() == "" && (d.Recv == nil || ofExported(d.Recv)) {
			ids = append(ids, d.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				// The comment above a group of types does not document a single type.
				own := s.Doc.Text() != "" || (!d.Lparen.IsValid() && d.Doc.Text() != "")
				if s.Name.IsExported() && !own {
					ids = append(ids, s.Name)
				}
			case *ast.ValueSpec:
				if d.Doc.Text()+s.Doc.Text()+s.Comment.Text() != "" {
					continue
				}
				for _, id := range s.Names {
					if id.IsExported() {
						ids = append(ids, id)
					}
				}
			}
		}
	}
	return ids
}

// ofExported reports whether a method's receiver is of an exported type. The name of the type
// is the first identifier of the receiver's type, apart from stars and type parameters.
func ofExported(recv *ast.FieldList) bool {
	var name *ast.Ident
	ast.Inspect(recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == nil {
			name = id
		}
		return name == nil
	})
	return name != nil && name.IsExported()
}
