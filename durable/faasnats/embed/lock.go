package embed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrLocked is the error of [Open] if another process has the directory open. The error's text
// names the process.
var ErrLocked = errors.New("the directory is open in another process")

const lockFile = "lock"

// lockDir locks a directory by its lock file, into which it writes the name of this process.
// The kernel unlocks the file when the process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	if err := lockExclusively(f); err != nil {
		holder := readHolder(f)
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("embed: %s: %w (%s): %w", dir, ErrLocked, holder, err)
	}
	return f, errors.Join(f.Truncate(0), writeHolder(f))
}

func writeHolder(f *os.File) error {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "process %d, %s\n", os.Getpid(), program), 0)
	return err
}

func readHolder(f *os.File) string {
	text := make([]byte, 1024)
	n, _ := f.ReadAt(text, 0) // an error is io.EOF: the text is shorter
	if n == 0 {
		return "its lock file does not say which"
	}
	return strings.TrimSpace(string(text[:n]))
}
