package embed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A directory has a lock file, a file with the version of its format, and the server's
// store.
const (
	formatFile = "format"
	storeDir   = "store"
)

// format is the version that this release writes.
const format = "1"

// checkFormat reads the version of a directory, and writes it into an empty one.
func checkFormat(dir string) error {
	path := filepath.Join(dir, formatFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return writeFormat(path)
	}
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	if has := strings.TrimSpace(string(text)); has != format {
		return fmt.Errorf("embed: %s has the format %.20q, and this release reads %s", dir, has, format)
	}
	return nil
}

// writeFormat writes the version so that a crash leaves either no file or a whole one.
func writeFormat(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), formatFile+"-")
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	_, err = f.WriteString(format + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	return nil
}
