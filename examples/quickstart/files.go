package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// file is one file that a function is called with.
type file struct {
	path  string
	name  string // the path below the base, for output
	image bool
}

type fileSet struct {
	files                  []file
	images, texts, skipped int
}

// goTestdata returns the Go installation's source directory, and the directories of photographs and documents in
// it. Some of the files there are broken on purpose.
func goTestdata() (base string, dirs []string, err error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", nil, fmt.Errorf("where is Go installed? Name a directory with images and texts instead: %w", err)
	}
	base = filepath.Join(strings.TrimSpace(string(out)), "src")
	for _, d := range []string{"image/testdata", "image/png/testdata", "testdata", "compress/testdata"} {
		dir := filepath.Join(base, filepath.FromSlash(d))
		if _, err := os.Stat(dir); err == nil {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 { // distributions of Go may leave tests out
		return "", nil, fmt.Errorf("%s has no test data: name a directory with images and texts instead", base)
	}
	return base, dirs, nil
}

// collect finds the images and texts below dirs, which are below base. It reads only the beginning of each file. A
// whole file is read when a function is called with it.
func collect(base string, dirs []string) (fileSet, error) {
	var set fileSet
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil && path == dir:
				return err
			case err != nil: // a directory that can't be read counts as one skipped file
				set.skipped++
				return fs.SkipDir
			case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir // .git and the like
			case d.IsDir():
				return nil
			}
			set.add(base, path, d)
			return nil
		})
		if err != nil {
			return set, err
		}
	}
	if len(set.files) == 0 {
		return set, fmt.Errorf("no image and no text in %s", strings.Join(dirs, ", "))
	}
	return set, nil
}

func (s *fileSet) add(base, path string, d fs.DirEntry) {
	f := file{path: path, name: path}
	if name, err := filepath.Rel(base, path); err == nil {
		f.name = filepath.ToSlash(name)
	}
	kind := "other"
	if d.Type().IsRegular() { // a named pipe would block for ever
		kind = sniff(path)
	}
	switch kind {
	case "image":
		f.image = true
		s.images++
	case "text":
		s.texts++
	default:
		s.skipped++
		return
	}
	s.files = append(s.files, f)
}

// sniff returns a file's kind by its first bytes, because the name may be wrong.
func sniff(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "other"
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // a shorter file is fine, an empty one is not
		return "other"
	}
	head = head[:n]
	switch mime := http.DetectContentType(head); {
	case mime == "image/jpeg" || mime == "image/png" || mime == "image/gif":
		return "image"
	case strings.HasPrefix(mime, "text/") && isUTF8(head):
		return "text"
	}
	return "other"
}

// isUTF8 accepts a head that ends inside of a character.
func isUTF8(head []byte) bool {
	for cut := range min(utf8.UTFMax, len(head)) {
		if utf8.Valid(head[:len(head)-cut]) {
			return true
		}
	}
	return false
}
