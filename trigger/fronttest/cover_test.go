package fronttest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A reason, kind or outcome that is added to the core must be added to the table too.
func TestTheTableHasEveryReasonKindAndOutcome(t *testing.T) {
	t.Parallel()
	has := map[string]bool{"KindNone": true} // KindNone is a call that is not refused
	for _, r := range table {
		kind, rest, refused := strings.Cut(r.core, " ")
		if !refused {
			has[r.core] = true
			continue
		}
		reason, _, _ := strings.Cut(rest, " ")
		has["Kind"+kind], has[reason] = true, true
	}
	for dir, wants := range map[string]int{"../..": 15 + 10 + 8, "../../access": 1, "../../cost": 1} {
		all := constants(t, dir)
		assert.GreaterOrEqual(t, len(all), wants, "%s: not all are found", dir)
		for _, c := range all {
			assert.True(t, has[c], "%s has %s, and the table has no row for it", dir, c)
		}
	}
}

// constants returns the constants in a directory: those of type faas.Reason by their values,
// and those of the types faas.Kind and faas.Outcome by their names.
func constants(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range f.Decls {
			if group, ok := d.(*ast.GenDecl); ok && group.Tok == token.CONST {
				all = append(all, constantsOf(t, f.Name.Name, group)...)
			}
		}
	}
	return all
}

func constantsOf(t *testing.T, pkg string, group *ast.GenDecl) (all []string) {
	t.Helper()
	var kind string // only the first constant of a group with iota names its type
	for _, s := range group.Specs {
		spec, ok := s.(*ast.ValueSpec)
		require.True(t, ok)
		if len(spec.Values) > 0 {
			kind = typeName(pkg, spec.Type)
		}
		for i, name := range spec.Names {
			switch {
			case !name.IsExported():
			case kind == "faas.Reason":
				value, ok := spec.Values[i].(*ast.BasicLit)
				require.True(t, ok, name.Name)
				text, err := strconv.Unquote(value.Value)
				require.NoError(t, err)
				all = append(all, text)
			case kind == "faas.Kind" || kind == "faas.Outcome":
				all = append(all, name.Name)
			}
		}
	}
	return all
}

// typeName returns the name of a type with that of its package.
func typeName(pkg string, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return pkg + "." + e.Name
	case *ast.SelectorExpr:
		return typeName("", e.X)[1:] + "." + e.Sel.Name
	}
	return ""
}
