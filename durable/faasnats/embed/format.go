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

// A directory has a lock file, a file with the version of its format, and the server's
// store.
const (
	formatFile = "format"
	storeDir   = "store"
)

// format is the version that this release writes:
//
//	0  no file with a version
//	1  the server's store has a stream
//	2  and an object store
//
// What is in the store has a version of its own, and is migrated by package faasnats; so
// an older directory only gets the new number, with which an older release refuses it before
// its server has touched the store.
const format = 2

// checkFormat reads the version of a directory, and writes this release's into one that is
// empty or older.
func checkFormat(dir string) error {
	has, err := readFormat(dir)
	if err != nil || has == format {
		return err
	}
	return writeFormat(filepath.Join(dir, formatFile))
}

// readFormat returns the version of a directory. The error of one that can't be read here
// leaves it untouched.
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
		return 0, fmt.Errorf("embed: %s has the format %.20q, and this release reads up to %d: open it with a later one", dir, strings.TrimSpace(string(text)), format)
	}
	return has, nil
}

// writeFormat writes the version so that a crash leaves either the file that was there or a
// whole one.
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
