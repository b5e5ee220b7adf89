package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
)

// links finds the links in doc comments that lead nowhere. It resolves a link as go doc and
// pkg.go.dev do, by package go/doc: to a constant, variable, function, type, method or field
// of the package itself, of a package that it imports, or of the standard library.
type links struct {
	packages map[string]listed       // by import path
	docs     map[string]*doc.Package // the packages that were read already; nil if one could not be read
	fset     *token.FileSet
}

func newLinks(all []listed) *links {
	l := &links{packages: map[string]listed{}, docs: map[string]*doc.Package{}, fset: token.NewFileSet()}
	for _, p := range all {
		l.packages[p.ImportPath] = p
	}
	return l
}

// read returns the documentation of a package, or nil if there is no such package. A package
// that go list did not print, because nothing imports it, is looked for in the standard
// library.
func (l *links) read(path string) (*doc.Package, error) {
	if d, ok := l.docs[path]; ok {
		return d, nil
	}
	l.docs[path] = nil
	p, ok := l.packages[path]
	if !ok {
		std, err := build.Import(path, "", 0)
		if err != nil {
			return nil, nil //nolint:nilerr,nilnil // there is no such package
		}
		p = listed{Dir: std.Dir, ImportPath: path, GoFiles: std.GoFiles, CgoFiles: std.CgoFiles}
	}
	var files []*ast.File
	for _, name := range append(p.GoFiles, p.CgoFiles...) {
		f, err := parser.ParseFile(l.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	d, err := doc.NewFromFiles(l.fset, files, path)
	l.docs[path] = d
	return d, err
}

// unresolved returns one line for each link of a package's documentation that leads
// nowhere.
func (l *links) unresolved(path string) (found []string, err error) {
	d, err := l.read(path)
	if d == nil {
		return nil, err
	}
	see := func(name, text string, at token.Pos) {
		for _, link := range l.dead(d, text) {
			where := name
			if p := l.fset.Position(at); p.IsValid() {
				where = fmt.Sprintf("%s:%d: %s", filepath.Base(p.Filename), p.Line, name)
			}
			found = append(found, fmt.Sprintf("%s links to [%s], which is not there", where, link))
		}
	}
	values := func(all []*doc.Value) {
		for _, v := range all {
			see(v.Names[0], v.Doc, v.Decl.Pos())
		}
	}
	funcs := func(all []*doc.Func) {
		for _, f := range all {
			see(f.Name, f.Doc, f.Decl.Pos())
		}
	}
	see("the package", d.Doc, token.NoPos)
	values(d.Consts)
	values(d.Vars)
	funcs(d.Funcs)
	for _, t := range d.Types {
		see(t.Name, t.Doc, t.Decl.Pos())
		values(t.Consts)
		values(t.Vars)
		funcs(t.Funcs)
		funcs(t.Methods)
	}
	return found, nil
}

// dead returns the links of one doc comment of d that lead nowhere. The parser of go/doc
// turns brackets into a link if d declares the name or can refer to the package, and leaves
// all other brackets in the text. It does not check whether the other package has the name.
func (l *links) dead(d *doc.Package, text string) (names []string) {
	inText(d.Parser().Parse(text), func(t comment.Text) {
		switch t := t.(type) {
		case comment.Plain:
			names = append(names, bracketed(string(t))...)
		case *comment.DocLink:
			if t.ImportPath == "" || t.Name == "" {
				return
			}
			other, err := l.read(t.ImportPath)
			if err != nil || other == nil || !other.Parser().LookupSym(t.Recv, t.Name) {
				names = append(names, linkName(t))
			}
		}
	})
	return names
}

func linkName(t *comment.DocLink) string {
	if t.Recv != "" {
		return t.ImportPath + "." + t.Recv + "." + t.Name
	}
	return t.ImportPath + "." + t.Name
}

// inText calls f for each piece of running text. Code blocks have no links.
func inText(d *comment.Doc, f func(comment.Text)) {
	var blocks func([]comment.Block)
	pieces := func(all []comment.Text) {
		for _, t := range all {
			f(t)
		}
	}
	blocks = func(all []comment.Block) {
		for _, b := range all {
			switch b := b.(type) {
			case *comment.Paragraph:
				pieces(b.Text)
			case *comment.Heading:
				pieces(b.Text)
			case *comment.List:
				for _, item := range b.Items {
					blocks(item.Content)
				}
			}
		}
	}
	blocks(d.Content)
}

// link matches brackets around an exported name, with an optional package and type before the
// name, and the characters on both sides. As in go doc, brackets next to a letter are not a
// link, for example in map[Reason]int. A single capital letter is not a link either, because
// it names a type parameter.
var link = regexp.MustCompile(`(^|[^\pL\pN_])\[\*?([A-Z]\w+|(?:[a-z][\w./-]*|[A-Z]\w*)\.[A-Z]\w*(?:\.[A-Z]\w*)?)\](?:$|[^\pL\pN_])`)

// bracketed returns the names in plain text that look like links.
func bracketed(text string) (names []string) {
	for len(text) > 0 {
		m := link.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		names = append(names, text[m[4]:m[5]])
		text = text[m[5]+1:] // continues after the bracket; the character behind it may precede the next link
	}
	return names
}
