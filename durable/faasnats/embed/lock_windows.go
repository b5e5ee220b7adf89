package embed

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockExclusively locks one byte far behind the text, so that other processes can read the
// text.
func lockExclusively(f *os.File) error {
	at := windows.Overlapped{Offset: 1 << 20}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
}
