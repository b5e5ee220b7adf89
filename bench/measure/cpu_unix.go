//go:build unix

package measure

import (
	"syscall"
	"time"
)

// CPU returns the user and system time that the process has used. Other processes lengthen
// the wall time of a call, but hardly change its processor time.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
