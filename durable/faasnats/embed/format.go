package embed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A directory has three entries: a lock file, a file with the version of the directory's
// format, and the server's store.
const (
	formatFile = "format"
	storeDir   = "store"
)

// format is the version that this release writes:
//
//	0  the directory has no file with a version
//	1  the server's store has a stream
//	2  the server's store also has an object store
//
// The content of the stream has a version of its own, which package faasnats migrates. So here
// an older directory only gets the new number. With that number, an older release refuses the
// directory before its server touches the store.
const format = 2

// checkFormat reads the version of a directory. It writes this release's version if the
// directory is empty or older.
func checkFormat(dir string) error {
	has, err := readFormat(dir)
	if err != nil || has == format {
		return err
	}
	return writeFormat(filepath.Join(dir, formatFile))
}

// readFormat returns the version of a directory, or an error if this release can't read it. It
// changes nothing.
func readFormat(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("embed: %w", err)
	}
	has, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || has < 0 || has > format {
		return 0, fmt.Errorf("embed: %s has the format %.20q, and this release reads up to %d: open it with a later release", dir, strings.TrimSpace(string(text)), format)
	}
	return has, nil
}

// writeFormat writes the version. After a crash, the file is either the old one or the whole
// new one.
func writeFormat(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), formatFile+"-")
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	_, err = f.WriteString(strconv.Itoa(format) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	return nil
}
