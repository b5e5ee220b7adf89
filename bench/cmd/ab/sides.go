package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The module paths of the two sides. The second occurs in no file of the repository.
const (
	headPath = "github.com/inproc/faas"
	basePath = "ab.invalid/base"
)

//go:embed program.go.txt
var programText []byte

// sides has the directories from which a comparison is built:
//
//	dir/base        the root module at the revision, as module basePath
//	dir/main        the program
//	dir/main/base   package peers, for module basePath
//	dir/main/head   package peers, as it is
type sides struct{ root, dir string }

func (s sides) base() string { return filepath.Join(s.dir, "base") }
func (s sides) main() string { return filepath.Join(s.dir, "main") }

// checkOut writes the root module of a revision to dir/base, under the other path.
func (s sides) checkOut(ctx context.Context, revision string) error {
	if err := os.MkdirAll(s.base(), 0o750); err != nil {
		return err
	}
	archive := filepath.Join(s.dir, "base.tar")
	if _, err := output(ctx, s.root, "git", "archive", "--output="+archive, revision); err != nil {
		return err
	}
	if _, err := output(ctx, s.base(), "tar", "-xf", archive); err != nil {
		return err
	}
	return filepath.WalkDir(s.base(), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != s.base() && isModule(path):
			return filepath.SkipDir
		case d.Name() == "go.mod" || strings.HasSuffix(path, ".go"):
			return rewrite(path, path)
		}
		return nil
	})
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// rewrite copies a Go file, and replaces the module path of this repository by that of the
// base.
func rewrite(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, bytes.ReplaceAll(text, []byte(headPath), []byte(basePath)), 0o600)
}

// write writes the program and the two copies of package peers.
func (s sides) write() error {
	peers, err := filepath.Glob(filepath.Join(s.root, "bench", "peers", "*.go"))
	if err != nil {
		return err
	}
	for _, side := range []string{"base", "head"} {
		if err := os.MkdirAll(filepath.Join(s.main(), side), 0o750); err != nil {
			return err
		}
	}
	for _, path := range peers {
		name := filepath.Base(path)
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.main(), "head", name), text, 0o600); err != nil {
			return err
		}
		if err := rewrite(path, filepath.Join(s.main(), "base", name)); err != nil {
			return err
		}
	}
	return s.writeModule()
}

// writeModule writes the program's own files. Its dependencies are those of the bench module.
func (s sides) writeModule() error {
	mod, err := os.ReadFile(filepath.Join(s.root, "bench", "go.mod"))
	if err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(s.root, "bench", "go.sum"))
	if err != nil {
		return err
	}
	text := strings.Replace(string(mod), "module "+headPath+"/bench", "module ab.invalid/main", 1)
	text = strings.Replace(text, "replace "+headPath+" => ../", "", 1)
	text += fmt.Sprintf(`
require (
	%[1]s/bench v0.0.0
	%[2]s v0.0.0
)

replace (
	%[1]s => %[3]s
	%[1]s/bench => %[3]s/bench
	%[2]s => %[4]s
)
`, headPath, basePath, s.root, s.base())
	for name, data := range map[string][]byte{"go.mod": []byte(text), "go.sum": sums, "main.go": programText} {
		if err := os.WriteFile(filepath.Join(s.main(), name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
