package measure

import (
	"syscall"
	"time"
)

// CPU returns the user and kernel time that the process has used. Windows counts it
// in steps of a clock tick, so a measurement has to be long.
func CPU() time.Duration {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		panic(err)
	}
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(process, &created, &exited, &kernel, &user); err != nil {
		panic(err)
	}
	return ticks(kernel) + ticks(user)
}

// ticks reads a Filetime as a length of time, in units of 100 ns.
// (Filetime.Nanoseconds would take it for a date.)
func ticks(t syscall.Filetime) time.Duration {
	return time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime)) * 100
}
