//go:build race

package cost_test

// raceEnabled tells that the race detector slows everything down.
const raceEnabled = true
