//go:build unix

package procload

import (
	"syscall"
	"time"
)

// processTime returns the processor time, user and system, that all threads of
// the process have used so far; 0 if the system call fails.
func processTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
