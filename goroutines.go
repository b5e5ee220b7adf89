package faas

import "github.com/panjf2000/ants/v2"

// goroutines is a pool of goroutines, as package ants has it.
type goroutines interface {
	Submit(task func()) error
	Release()
}

// newPool makes the pool that workers get their goroutines from. It has no limit:
// admission decides how many calls run. A worker is one long task of the pool, so
// that a call pays nothing for the pool's lock.
func newPool() (goroutines, error) { return ants.NewPool(-1) }
