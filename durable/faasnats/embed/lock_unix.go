//go:build unix

package embed

import (
	"os"
	"syscall"
)

func lockExclusively(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
