package procload

import (
	"syscall"
	"time"
)

// processTime returns the processor time, user and system, that all threads of
// the process have used so far; 0 if the system call fails.
func processTime() time.Duration {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	var created, exited, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(self, &created, &exited, &kernel, &user) != nil {
		return 0
	}
	return ticks(kernel) + ticks(user)
}

// ticks converts a Filetime that holds a duration, in units of 100 ns. The Filetime's own
// method Nanoseconds would be wrong, because it interprets the value as a date.
func ticks(f syscall.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
