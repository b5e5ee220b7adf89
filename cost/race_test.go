//go:build race

package cost_test

// raceEnabled reports that the race detector is on, which slows everything down.
const raceEnabled = true
